"""The one seam between the runtime and the code of a tool.

A call passes it in three steps, each a value in and a value out:

1. `prepare_call`: resolve, ask the hooks, check the arguments, let the provider
   prepare. What it returns is recorded.
2. `run_attempt`: run the code once, bounded by timeout and cancellation, every
   exception contained. Each attempt is one effect; the retry rule (tools/retry.py)
   says whether another follows.
3. `finish_call`: ask the hooks about the result.

Two things pass through the seam untouched: cancellation of the task that drives the
turn, and interpreter exits. A call that this process merely leaves (lease lost,
shutdown) raises `ToolCallLeft`: there is no outcome to record
(docs/spec/runtime.md §6.3, R-082).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from lash.base.canonical import canonical_json_bytes
from lash.base.codec import DecodeError, to_json
from lash.base.errors import LashError, NotCanonical
from lash.effects.errors import TransientEffectError
from lash.models.text import readable
from lash.tools.calls import PreparedToolCall, ToolCall, ToolExecution
from lash.tools.catalog import CatalogEntry, ToolCatalog
from lash.tools.containment import Stopped, contained, run_bounded
from lash.tools.context import ToolContext
from lash.tools.provider import JudgesCalls, prepared
from lash.tools.result import FailureClass, PendingToolCall, Succeeded, ToolCallOutput, ToolCallRecord
from lash.tools.retry import TIMED_OUT
from lash.tools.validation import check_arguments
from lash.tools.value import NotAToolValue

# A hook may let the call pass, with other arguments if it likes, or answer in its place.
BeforeHook: TypeAlias = Callable[[ToolCall], Awaitable[ToolCall | ToolCallOutput]]
AfterHook: TypeAlias = Callable[[ToolCallRecord], Awaitable[ToolCallOutput]]

# What one value may hold in memory and in a row (decisions 38).
MAX_RESULT_BYTES = 16 * 1024 * 1024


class ToolCallLeft(TransientEffectError):
    """This process left a running call to whoever continues the turn; nothing was recorded."""

    code = "tool_call_left"


async def prepare_call(
    catalog: ToolCatalog, call: ToolCall, *, before: BeforeHook | None = None
) -> PreparedToolCall | ToolCallOutput:
    """The call as it will be recorded, or the output that stands in its place."""
    entry = catalog.resolve(call.tool_name)
    if entry is None:
        return _unavailable(call.tool_name, catalog)
    if before is not None:
        try:
            decision = await before(call)
        except Exception as error:
            if isinstance(error, LashError) and error.is_interruption:
                raise
            return _hook_failed("before_tool_call_failed", call.tool_name, error)
        if isinstance(decision, ToolCallOutput):
            return storable(decision)
        call = decision
    try:
        contract = entry.contract()
        if contract is None:
            return _failure("unavailable", "tool_contract_unavailable", f"tool {call.tool_name} has no contract now")
        if (problem := check_arguments(call.tool_name, contract, call.args)) is not None:
            return problem
        ready = await _prepared(entry, call)
        if ready.args is not call.args or ready.prepared_payload is not None:
            canonical_json_bytes(to_json(ready))  # the arguments of the call were checked above
    except Exception as error:
        return contained(call.tool_name, error)
    if (ready.tool_id, ready.call_id) != (entry.manifest.id, call.call_id):
        return _failure(
            "internal",
            "prepared_tool_id_mismatch",
            f"source {entry.source.id} prepared call {call.call_id} of {entry.manifest.id} "
            f"as {ready.call_id} of {ready.tool_id}",
        )
    return ready


async def _prepared(entry: CatalogEntry, call: ToolCall) -> PreparedToolCall:
    """Preparing is optional for providers that do not inherit the port."""
    prepare = getattr(entry.source.provider, "prepare_tool_call", None)
    ready = prepared(call, entry.manifest) if prepare is None else await prepare(call, entry.manifest)
    if not isinstance(ready, PreparedToolCall):
        raise TypeError(f"source {entry.source.id} prepared {call.tool_name} as {type(ready).__name__}")
    return ready


async def run_attempt(catalog: ToolCatalog, call: PreparedToolCall, context: ToolContext) -> ToolCallOutput:
    """Runs one attempt; every way it can end is an output, a `PendingToolCall` among them.

    Raises `ToolCallLeft` when `context.cancellation` says that this process leaves the
    work, and passes `CancelledError` through when the driving task itself is cancelled.
    """
    entry = _entry_of(catalog, call)
    if isinstance(entry, ToolCallOutput):
        return entry
    try:
        ended = await run_bounded(
            entry.source.provider.execute,
            ToolExecution(call, context),
            name=call.tool_name,
            timeout_ms=entry.manifest.timeout_ms,
            cancellation=context.cancellation,
            clock=context.clock,
        )
    finally:
        context.close()
    match ended:
        case Stopped(reason="deadline"):
            return _failure(
                "timeout",
                TIMED_OUT,
                f"tool {call.tool_name} did not finish within {entry.manifest.timeout_ms} ms; "
                "it may still have had its effect",
            )
        case Stopped(reason="requested" | "timeout"):
            return ToolCallOutput.cancelled(f"tool {call.tool_name} was cancelled before it finished")
        case Stopped(reason=reason):
            raise ToolCallLeft(f"tool call {call.call_id} ({call.tool_name}) was left: {reason}; it resumes elsewhere")
        case PendingToolCall():
            return ended if context.has_completion_key else _no_completion_key(call.tool_name)
        case ToolCallOutput():
            return storable(ended)
        case _:
            return _succeeded(ended)


async def finish_call(record: ToolCallRecord, *, after: AfterHook | None = None) -> ToolCallOutput:
    """The output after the hooks have seen it. What they leave as it was must be storable already."""
    if after is None:
        return record.output
    try:
        output = await after(record)
        return output if output is record.output else storable(output)
    except Exception as error:
        if isinstance(error, LashError) and error.is_interruption:
            raise
        return _hook_failed("after_tool_call_failed", record.tool, error)


async def asks_for_approval(catalog: ToolCatalog, call: PreparedToolCall, context: ToolContext) -> bool:
    """Whether a person must approve the call. Raises what the tool's predicate raises."""
    entry = catalog.resolve_id(call.tool_id)
    if entry is None or entry.manifest.approve == "never":
        return False
    provider = entry.source.provider
    if entry.manifest.approve == "always" or not isinstance(provider, JudgesCalls):
        return True
    return bool(await provider.needs_approval(ToolExecution(call, context)))


def storable(output: ToolCallOutput) -> ToolCallOutput:
    """The output itself, or the failure that says why it cannot be kept: not JSON, not readable back, too much."""
    if isinstance(output, PendingToolCall):
        output = ToolCallOutput(output.outcome)
    try:
        json = output.to_json()
        size = len(canonical_json_bytes(json))
        if type(output.outcome) is not Succeeded or output.control is not None:
            ToolCallOutput.of_json(json)
    except (NotCanonical, DecodeError) as error:
        return _failure(
            "execution", "tool_result_invalid", readable(f"the tool's result cannot be kept: {error.message}")
        )
    if size > MAX_RESULT_BYTES:
        return _failure(
            "resource_limit",
            "tool_result_too_large",
            f"the tool returned {size} bytes, at most {MAX_RESULT_BYTES} are kept; store an attachment instead",
        )
    return output


def _succeeded(value: object) -> ToolCallOutput:
    try:
        return storable(ToolCallOutput.ok(value))
    except (NotAToolValue, RecursionError) as error:
        return _failure("execution", "tool_result_invalid", readable(f"the tool's result cannot be kept: {error}"))


def _entry_of(catalog: ToolCatalog, call: PreparedToolCall) -> CatalogEntry | ToolCallOutput:
    """By id, so that a renamed tool is still found; a tool that is gone is an answer, not an error."""
    entry = catalog.resolve_id(call.tool_id)
    if entry is not None:
        return entry
    if (other := catalog.resolve(call.tool_name)) is not None:
        return _failure(
            "internal",
            "prepared_tool_id_mismatch",
            f"call {call.call_id} was prepared for {call.tool_id}; {call.tool_name} is {other.manifest.id} now",
        )
    return _unavailable(call.tool_name, catalog)


def _no_completion_key(name: str) -> ToolCallOutput:
    return _failure(
        "execution",
        "pending_tool_missing_completion_key",
        f"tool {name} returned pending() and never took its completion key, so nobody could complete it",
    )


def _unavailable(name: str, catalog: ToolCatalog) -> ToolCallOutput:
    known = ", ".join(sorted(catalog.callable_names)) or "none"
    return _failure("unavailable", "tool_unavailable", f"there is no tool {name!r}; available: {known}")


def _hook_failed(code: str, name: str, error: Exception) -> ToolCallOutput:
    return ToolCallOutput.failure(
        "internal", code, readable(f"a hook failed on tool {name}: {type(error).__name__}: {error}"), source="plugin"
    )


def _failure(kind: FailureClass, code: str, message: str) -> ToolCallOutput:
    return ToolCallOutput.failure(kind, code, message, source="runtime")
