"""How a turn ends (docs/spec/runtime.md §3.7)."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from lash.base.json import Json

StopReason: TypeAlias = Literal[
    "cancelled",
    "incomplete",
    "invalid_input",
    "max_turns",
    "tool_failure",
    "provider_error",
    "plugin_abort",
    "runtime_error",
    "submitted_error",
    "tool_error",
]


class AssistantMessage(msgspec.Struct, frozen=True, tag="finished.assistant_message", tag_field="type"):
    """The model said its last word."""

    text: str


class SubmittedValue(msgspec.Struct, frozen=True, tag="finished.submitted_value", tag_field="type"):
    """A program submitted a value."""

    value: Json


class ToolValue(msgspec.Struct, frozen=True, tag="finished.tool_value", tag_field="type"):
    """A tool ended the turn with a value."""

    tool_name: str
    value: Json


class FrameSwitch(msgspec.Struct, frozen=True, tag="agent_frame_switch", tag_field="type"):
    """The session goes on in another frame, with `task` as its first input."""

    frame_id: str
    task: str
    initial_nodes: list[Json] = []


class Stopped(msgspec.Struct, frozen=True, tag="stopped", tag_field="type"):
    """The turn ended without an answer. `value` and `tool_name` belong to the two errors that carry them."""

    reason: StopReason
    value: Json = None
    tool_name: str | None = None


TurnOutcome: TypeAlias = AssistantMessage | SubmittedValue | ToolValue | FrameSwitch | Stopped


def outcome_name(outcome: TurnOutcome) -> str:
    """The outcome as one word, for example `stopped.max_turns`."""
    if isinstance(outcome, Stopped):
        return f"stopped.{outcome.reason}"
    return str(outcome.__struct_config__.tag)
