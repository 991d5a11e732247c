"""When a failed attempt is followed by another one. Pure.

A failure is tried again when the tool declared it safe (`ToolResult.retryable`), or
when the outcome is unknown (a timeout, a lost connection) and the tool is
`repeat="idempotent"`. An ordinary exception is neither: nobody said that it may be
repeated. The wait is a sleep effect of the turn, so it replays
(docs/spec/runtime.md §6.5, decisions 11 and 12).
"""

from __future__ import annotations

import msgspec

from lash.tools.definition import AttemptPolicy
from lash.tools.result import Failed, RetryExhausted, RetryNever, RetrySafe, ToolCallOutput, ToolFailure

TIMED_OUT = "tool_timeout"
CONNECTION_LOST = "connection_lost"


def allowed_attempts(policy: AttemptPolicy, call_id: str | None) -> int:
    """How many attempts a call may have. Without a call id an idempotent tool has no key to repeat under."""
    return 1 if policy.repeat == "idempotent" and not call_id else policy.retry.attempts


def next_attempt(output: ToolCallOutput, policy: AttemptPolicy, attempt: int) -> int | None:
    """Milliseconds to wait before attempt `attempt + 1`; None when `output` stands. Attempts count from 1."""
    failure = output.error
    if failure is None or output.control is not None or attempt >= policy.retry.attempts:
        return None
    if not _may_repeat(failure, policy):
        return None
    declared = failure.retry.after_ms if isinstance(failure.retry, RetrySafe) else None
    # The exponent is bounded only so that a silly attempt count cannot build a huge integer.
    delay = policy.retry.base_ms << min(attempt - 1, 32) if declared is None else max(0, declared)
    return min(delay, policy.retry.max_ms)


def settled(output: ToolCallOutput, policy: AttemptPolicy, attempt: int) -> ToolCallOutput:
    """The output as it stands after its last attempt: a repeatable failure becomes `exhausted{attempts}`."""
    failure = output.error
    if failure is None or policy.retry.attempts == 1 or attempt < policy.retry.attempts:
        return output
    if not _may_repeat(failure, policy):
        return output
    marked = msgspec.structs.replace(failure, retry=RetryExhausted(attempt))
    return ToolCallOutput(Failed(marked), output.control)


def _may_repeat(failure: ToolFailure, policy: AttemptPolicy) -> bool:
    match failure.retry:
        case RetrySafe():
            return True
        case RetryNever():
            return policy.repeat == "idempotent" and failure.code in (TIMED_OUT, CONNECTION_LOST)
        case RetryExhausted():
            return False
