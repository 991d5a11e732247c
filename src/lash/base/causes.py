"""Causal references: typed pointers from a fact to the fact that caused it."""

from __future__ import annotations

from typing import TypeAlias

import msgspec


class TurnCause(msgspec.Struct, frozen=True, tag="turn", tag_field="type"):
    """A turn of a session."""

    session_id: str
    turn_id: str


class EffectCause(msgspec.Struct, frozen=True, tag="effect", tag_field="type", omit_defaults=True):
    """One effect of a turn or an operation."""

    session_id: str
    effect_id: str
    turn_id: str | None = None


class ToolCallCause(msgspec.Struct, frozen=True, tag="tool_call", tag_field="type"):
    """One tool call."""

    session_id: str
    call_id: str


class ProcessCause(msgspec.Struct, frozen=True, tag="process", tag_field="type"):
    """A background process."""

    process_id: str


class ProcessEventCause(msgspec.Struct, frozen=True, tag="process_event", tag_field="type"):
    """One event of a background process."""

    process_id: str
    sequence: int


class TriggerOccurrenceCause(
    msgspec.Struct, frozen=True, tag="trigger_occurrence", tag_field="type", omit_defaults=True
):
    """Something that happened in the outside world."""

    occurrence_id: str
    subscription_id: str | None = None


class SessionNodeCause(msgspec.Struct, frozen=True, tag="session_node", tag_field="type"):
    """A node of a session graph."""

    session_id: str
    node_id: str


CausalRef: TypeAlias = (
    TurnCause
    | EffectCause
    | ToolCallCause
    | ProcessCause
    | ProcessEventCause
    | TriggerOccurrenceCause
    | SessionNodeCause
)
