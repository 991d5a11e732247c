"""What the resolution of a wait means for the tool call that waited. Pure."""

from __future__ import annotations

from typing import assert_never

from lash.effects.waits import Resolution, ResolvedErr, ResolvedOk, TimedOut, WaitCancelled, WaitError
from lash.tools.dispatch import storable
from lash.tools.result import FailTurn, OnTimeout, ToolCallOutput

DENIED = "approval_denied"


def approval() -> ResolvedOk:
    """The resolution that lets a call run."""
    return ResolvedOk({"approved": True})


def denial(reason: str) -> ResolvedErr:
    """The resolution that does not, with the words that the model reads."""
    return ResolvedErr(WaitError(DENIED, reason))


def is_approved(resolution: Resolution) -> bool:
    """Only the one resolution that says so: whatever else somebody sends lets nothing run."""
    payload = resolution.payload if isinstance(resolution, ResolvedOk) else None
    return isinstance(payload, dict) and payload.get("approved") is True  # `1 == True` would do for ==


def refused(tool: str, resolution: Resolution) -> ToolCallOutput:
    """The result of a call that was not approved; the model reads why."""
    match resolution:
        case TimedOut():
            return ToolCallOutput.failure(
                "timeout",
                "approval_timeout",
                f"nobody approved the call of {tool} in time, so it did not run",
                source="policy",
            )
        case WaitCancelled():
            return ToolCallOutput.cancelled(f"tool {tool} was cancelled before it was approved; it did not run")
        case ResolvedErr(payload=error):
            reason = f": {error.message}" if error.message.strip() else ""
        case ResolvedOk():
            reason = ""
        case _:
            assert_never(resolution)
    return ToolCallOutput.failure(
        "permission_denied", DENIED, f"the call of {tool} was denied, so it did not run{reason}", source="policy"
    )


def completed(tool: str, resolution: Resolution, on_timeout: OnTimeout) -> ToolCallOutput:
    """The result of a detached call, as whoever completed it said."""
    match resolution:
        case ResolvedOk(payload=payload):
            return storable(ToolCallOutput.ok(payload))
        case ResolvedErr(payload=error):
            return storable(ToolCallOutput.failure("external", error.code, error.message, raw=error.raw))
        case WaitCancelled():
            return ToolCallOutput.cancelled(f"tool {tool} was cancelled before anybody completed it")
        case TimedOut():
            output = ToolCallOutput.failure(
                "timeout",
                "tool_completion_timeout",
                f"tool {tool} was handed to an external system, which did not complete it in time; "
                "it may still have had its effect",
                source="runtime",
            )
            failure = output.error
            if on_timeout == "fail_turn" and failure is not None:
                return output.with_control(FailTurn(failure))
            return output
        case _:
            assert_never(resolution)
