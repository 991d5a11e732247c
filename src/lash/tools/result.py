"""What comes of a tool call, as a value.

A call succeeds, fails or is cancelled; none of these is an exception to the runtime.
The failure says whose fault it was and whether trying again is safe, because the
retry rule and the model both act on it. A *control* lets a result end the turn or
move it to another frame (docs/spec/runtime.md §6.2).

The structs are the wire form: `to_json` and `from_json` of `base/codec.py` read and
write them, also where they are part of something larger.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from lash.base.arguments import check_one_of, checked_seconds
from lash.base.codec import from_json, struct_to_json
from lash.base.errors import LashError
from lash.base.json import Json, JsonObject
from lash.tools.value import ToolValue, decode_tool_value, encode_tool_value

FailureClass: TypeAlias = Literal[
    "invalid_request",
    "unavailable",
    "permission_denied",
    "timeout",
    "execution",
    "external",
    "resource_limit",
    "internal",
]
ResultSource: TypeAlias = Literal["runtime", "tool", "plugin", "policy", "cancellation"]


class RetryNever(msgspec.Struct, frozen=True, tag="never", tag_field="type"):
    """Trying again is not known to be safe."""


class RetrySafe(msgspec.Struct, frozen=True, tag="safe", tag_field="type"):
    """The tool declares that it may be tried again, after `after_ms` if given."""

    after_ms: int | None = None


class RetryExhausted(msgspec.Struct, frozen=True, tag="exhausted", tag_field="type"):
    """It was tried `attempts` times, and that was all."""

    attempts: int


RetryDisposition: TypeAlias = RetryNever | RetrySafe | RetryExhausted


class ToolFailure(msgspec.Struct, frozen=True):
    """Why a call failed. `code` is for programs, `message` is for the model; `raw` is a tool value."""

    kind: FailureClass = msgspec.field(name="class")
    code: str
    message: str
    source: ResultSource = "tool"
    retry: RetryDisposition = RetryNever()
    raw: Json = None


class ToolCancellation(msgspec.Struct, frozen=True):
    """Why a call was cut short."""

    message: str
    source: ResultSource = "cancellation"
    raw: Json = None


class Succeeded(msgspec.Struct, frozen=True, tag="success", tag_field="status", gc=False):
    """The call succeeded; the payload is the wire form of its value."""

    payload: Json


class Failed(msgspec.Struct, frozen=True, tag="failure", tag_field="status"):
    """The call failed."""

    payload: ToolFailure


class Cancelled(msgspec.Struct, frozen=True, tag="cancelled", tag_field="status"):
    """The call was cut short."""

    payload: ToolCancellation


ToolOutcome: TypeAlias = Succeeded | Failed | Cancelled


class SwitchAgentFrame(msgspec.Struct, frozen=True, tag="switch_agent_frame", tag_field="type"):
    """Go on in another frame of the session."""

    frame_id: str
    initial_nodes: list[Json] = []
    task: str | None = None


class FinishTurn(msgspec.Struct, frozen=True, tag="finish", tag_field="type"):
    """End the turn with this tool value as its answer."""

    value: Json


class FailTurn(msgspec.Struct, frozen=True, tag="fail", tag_field="type"):
    """End the turn with this failure."""

    failure: ToolFailure


ToolControl: TypeAlias = SwitchAgentFrame | FinishTurn | FailTurn
OnTimeout: TypeAlias = Literal["error_as_result", "fail_turn"]
OnCancel: TypeAlias = Literal["ignore", "cancel_external_work"]


class ToolCallOutput(msgspec.Struct, frozen=True, gc=False):
    """The result of one call. Tool authors know it as `ToolResult`. Added in 0.1.

    Returning a plain value from a tool is `ok(value)`; raising is a failure. These
    constructors are for everything in between.
    """

    outcome: ToolOutcome
    control: ToolControl | None = None

    @staticmethod
    def ok(value: object = None) -> ToolCallOutput:
        """Success with a value: JSON, attachments, dataclasses, models. Raises `NotAToolValue`."""
        return ToolCallOutput(Succeeded(encode_tool_value(value)))

    @staticmethod
    def err(message: object) -> ToolCallOutput:
        """Failure of class `execution`, code `tool_error`; what is neither text nor an exception is kept in `raw`."""
        if isinstance(message, Exception):
            message = f"{type(message).__name__}: {message}"
        if isinstance(message, str):
            return ToolCallOutput.failure("execution", "tool_error", message)
        return ToolCallOutput.failure("execution", "tool_error", "the tool reported an error", raw=message)

    @staticmethod
    def failure(
        kind: FailureClass,
        code: str,
        message: str,
        *,
        source: ResultSource = "tool",
        retry: RetryDisposition = RetryNever(),  # noqa: B008  # a frozen value
        raw: object = None,
    ) -> ToolCallOutput:
        """Failure in full."""
        return ToolCallOutput(Failed(ToolFailure(kind, code, message, source, retry, encode_tool_value(raw))))

    @staticmethod
    def retryable(kind: FailureClass, code: str, message: str, after_ms: int | None = None) -> ToolCallOutput:
        """Failure that may be tried again; how often is the tool's `retry=`."""
        return ToolCallOutput.failure(kind, code, message, retry=RetrySafe(after_ms))

    @staticmethod
    def cancelled(message: str, *, source: ResultSource = "cancellation", raw: object = None) -> ToolCallOutput:
        """Cut short."""
        return ToolCallOutput(Cancelled(ToolCancellation(message, source, encode_tool_value(raw))))

    @staticmethod
    def pending(
        *,
        deadline: float | None = None,
        on_timeout: OnTimeout = "error_as_result",
        on_cancel: OnCancel = "ignore",
    ) -> PendingToolCall:
        """The call goes on elsewhere: whoever holds `await ctx.completion_key()` completes it.

        `deadline` is in seconds from now. When it passes, the model reads a failure, or
        with `on_timeout="fail_turn"` the turn stops. When the turn is cancelled meanwhile, a late
        completion hears so; with `on_cancel="cancel_external_work"` the tool's `cancel=` is called as
        well. Raises `InvalidArgument`.
        """
        checked_seconds("deadline", deadline)
        check_one_of("on_timeout", on_timeout, OnTimeout)
        check_one_of("on_cancel", on_cancel, OnCancel)
        return PendingToolCall(
            deadline_ms=None if deadline is None else max(1, round(deadline * 1000)),
            on_timeout=on_timeout,
            on_cancel=on_cancel,
        )

    def with_control(self, control: ToolControl) -> ToolCallOutput:
        """The same outcome, and what it does to the turn."""
        return ToolCallOutput(self.outcome, control)

    @property
    def is_success(self) -> bool:
        """Whether the call succeeded."""
        return isinstance(self.outcome, Succeeded)

    @property
    def value(self) -> ToolValue:
        """The value of a success, attachments as `AttachmentRef`; None otherwise."""
        return decode_tool_value(self.outcome.payload) if isinstance(self.outcome, Succeeded) else None

    @property
    def error(self) -> ToolFailure | None:
        """The failure, if it is one."""
        return self.outcome.payload if isinstance(self.outcome, Failed) else None

    def to_json(self) -> JsonObject:
        """The wire form."""
        return struct_to_json(self)

    @staticmethod
    def of_json(json: Json) -> ToolCallOutput:
        """The inverse of `to_json`. Raises `DecodeError`."""
        return from_json(json, ToolCallOutput)


class PendingToolCall(ToolCallOutput, frozen=True, kw_only=True):
    """Made by `ToolResult.pending()`: the call was handed to somebody outside.

    Where nobody can wait for it (a hook's answer, a settled doubt) it is the failure that says so.
    `deadline_ms` is a duration.
    """

    outcome: ToolOutcome = Failed(
        ToolFailure(
            "invalid_request",
            "pending_not_supported",
            "a pending result can only be returned by a tool that runs in a turn",
            "runtime",
        )
    )
    deadline_ms: int | None = None
    on_timeout: OnTimeout = "error_as_result"
    on_cancel: OnCancel = "ignore"


ToolResult: TypeAlias = ToolCallOutput


class ToolCallRecord(msgspec.Struct, frozen=True, gc=False):
    """One finished call, as turn results and hooks see it."""

    call_id: str | None
    tool: str
    args: JsonObject
    output: ToolCallOutput
    duration_ms: int


class ToolRetry(LashError):
    """Raise in a tool to tell the model what to fix before it calls again. Added in 0.1.

    The model reads the message as the result of its call: class `invalid_request`,
    code `tool_retry`. Nothing is tried again behind its back.
    """

    code = "tool_retry"

    def __init__(self, message: str) -> None:
        super().__init__(message)
