"""Agent frames: durable context boundaries inside one session.

Opening a frame continues the session from new initial content; older frames stay
stored and inspectable. `reason` is an open string; the core uses `initial`,
`continue_as` and `compaction`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from lash.base.causes import CausalRef
from lash.base.json import JsonObject
from lash.models.spec import ModelFacts

INITIAL_FRAME = "initial"


class SessionPolicy(msgspec.Struct, frozen=True):
    """How a session runs; stored without credentials."""

    provider_id: str | None = None
    model: ModelFacts | None = None
    max_turns: int | None = None
    prompt: JsonObject | None = None
    autonomous: bool = False


class ToolAccess(msgspec.Struct, frozen=True):
    """Tool authority: `hidden_tools` are removed; a non-empty `tools` replaces the catalog."""

    tools: list[str] = []
    hidden_tools: list[str] = []


class FrameAssignment(msgspec.Struct, frozen=True):
    """What a frame runs with."""

    policy: SessionPolicy = SessionPolicy()
    plugin_options: JsonObject = {}
    tool_access: ToolAccess = ToolAccess()
    usage_source: str | None = None


class AgentFrame(msgspec.Struct, frozen=True):
    """One frame. Its execution state is stored by reference, loaded as bytes."""

    frame_id: str
    session_id: str
    reason: str = INITIAL_FRAME
    status: Literal["active", "superseded"] = "active"
    previous_frame_id: str | None = None
    caused_by: CausalRef | None = None
    created_at_ms: int = 0
    assignment: FrameAssignment = FrameAssignment()
    protocol_turn_options: JsonObject = {}
    execution_state_ref: str | None = None
    execution_state_snapshot: bytes | None = None
