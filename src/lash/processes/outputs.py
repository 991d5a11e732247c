"""How a process ended, as a value that whoever awaits it receives."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from lash.base.json import Json
from lash.tools.result import (
    Cancelled,
    Failed,
    FailureClass,
    ResultSource,
    RetryDisposition,
    RetryNever,
    Succeeded,
    ToolCallOutput,
    ToolCancellation,
    ToolControl,
    ToolFailure,
)


class SuccessOutput(msgspec.Struct, frozen=True, tag="success", tag_field="type", gc=False):
    """It succeeded with a value."""

    value: Json
    control: ToolControl | None = None


class FailureOutput(msgspec.Struct, frozen=True, tag="failure", tag_field="type"):
    """It failed. `source` and `retry` are kept where a tool stated them."""

    kind: FailureClass = msgspec.field(name="class")
    code: str
    message: str
    raw: Json = None
    control: ToolControl | None = None
    source: ResultSource | None = None
    retry: RetryDisposition | None = None


class CancelledOutput(msgspec.Struct, frozen=True, tag="cancelled", tag_field="type"):
    """It was cut short."""

    message: str
    raw: Json = None
    control: ToolControl | None = None
    source: ResultSource | None = None


ProcessAwaitOutput: TypeAlias = SuccessOutput | FailureOutput | CancelledOutput
TerminalState: TypeAlias = Literal["completed", "failed", "cancelled", "abandoned"]


def terminal_state_of(output: ProcessAwaitOutput) -> TerminalState:
    """The state that an output means, unless the process was abandoned."""
    match output:
        case SuccessOutput():
            return "completed"
        case FailureOutput():
            return "failed"
        case CancelledOutput():
            return "cancelled"


def output_of_tool(result: ToolCallOutput) -> ProcessAwaitOutput:
    """A tool's result as the output of its process; nothing is lost."""
    match result.outcome:
        case Succeeded(payload=payload):
            return SuccessOutput(payload, result.control)
        case Failed(payload=failure):
            source = None if failure.source == "tool" else failure.source
            retry = None if isinstance(failure.retry, RetryNever) else failure.retry
            return FailureOutput(
                failure.kind, failure.code, failure.message, failure.raw, result.control, source, retry
            )
        case Cancelled(payload=cancel):
            by = None if cancel.source == "cancellation" else cancel.source
            return CancelledOutput(cancel.message, cancel.raw, result.control, by)


def tool_output_of(output: ProcessAwaitOutput) -> ToolCallOutput:
    """The inverse of `output_of_tool`."""
    match output:
        case SuccessOutput(value=value, control=control):
            return ToolCallOutput(Succeeded(value), control)
        case FailureOutput(control=control):
            failure = ToolFailure(
                output.kind,
                output.code,
                output.message,
                output.source or "tool",
                output.retry or RetryNever(),
                output.raw,
            )
            return ToolCallOutput(Failed(failure), control)
        case CancelledOutput(control=control):
            cancel = ToolCancellation(output.message, output.source or "cancellation", output.raw)
            return ToolCallOutput(Cancelled(cancel), control)
