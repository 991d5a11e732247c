"""What hooks are given, and their types.

A hook is a plain or an async function. Hooks of one kind run in registration order,
one after another; lifecycle hooks run side by side and may fail without harm.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from lash.base.json import JsonObject
from lash.base.messages import Message
from lash.machine.outcome import TurnOutcome
from lash.machine.values import CheckpointKind
from lash.tools.definition import ToolManifest
from lash.tools.result import ToolCallOutput


@dataclass(frozen=True, slots=True)
class PluginSessionContext:
    """The session that a plugin instance belongs to."""

    session_id: str
    parent_session_id: str | None = None
    plugin_options: JsonObject = field(default_factory=dict)

    @property
    def is_root_session(self) -> bool:
        """Whether no other session created this one."""
        return self.parent_session_id is None


@dataclass(frozen=True, slots=True)
class PromptContext:
    """Asked before every model call whose environment is synced."""

    session_id: str
    turn_id: str
    iteration: int
    tool_names: Sequence[str]


@dataclass(frozen=True, slots=True)
class BeforeTurn:
    """After the input is known, before the first model call."""

    session_id: str
    turn_id: str
    turn_index: int
    frame_id: str
    history: Sequence[Message]
    messages: Sequence[Message]


@dataclass(frozen=True, slots=True)
class AtCheckpoint:
    """Between two model calls, or before the turn would end."""

    session_id: str
    turn_id: str
    checkpoint: CheckpointKind
    messages: Sequence[Message]


@dataclass(frozen=True, slots=True)
class AfterTurn:
    """The turn is decided and not yet committed."""

    session_id: str
    turn_id: str
    outcome: TurnOutcome
    messages: Sequence[Message]


@dataclass(frozen=True, slots=True)
class BeforeToolCall:
    """A call is about to run."""

    session_id: str
    turn_id: str
    call_id: str
    manifest: ToolManifest
    args: JsonObject


@dataclass(frozen=True, slots=True)
class AfterToolCall:
    """A call is done."""

    session_id: str
    turn_id: str
    call_id: str
    manifest: ToolManifest
    args: JsonObject
    output: ToolCallOutput


@dataclass(frozen=True, slots=True)
class TurnFinalized:
    """Lifecycle: a turn is decided."""

    session_id: str
    turn_id: str
    outcome: TurnOutcome


@dataclass(frozen=True, slots=True)
class TurnPersisted:
    """Lifecycle: a turn is committed."""

    session_id: str
    turn_id: str
    head_revision: int


@dataclass(frozen=True, slots=True)
class SessionRestored:
    """Lifecycle: a stored session was opened."""

    session_id: str
    head_revision: int


@dataclass(frozen=True, slots=True)
class SessionConfigChanged:
    """Lifecycle: the live configuration changed."""

    session_id: str


LifecycleEvent: TypeAlias = TurnFinalized | TurnPersisted | SessionRestored | SessionConfigChanged

# A hook may be async: what it returns is awaited when it can be, then read as directives.
BeforeTurnHook: TypeAlias = Callable[[BeforeTurn], object]
CheckpointHook: TypeAlias = Callable[[AtCheckpoint], object]
AfterTurnHook: TypeAlias = Callable[[AfterTurn], object]
BeforeToolCallHook: TypeAlias = Callable[[BeforeToolCall], object]
AfterToolCallHook: TypeAlias = Callable[[AfterToolCall], object]
LifecycleHook: TypeAlias = Callable[[LifecycleEvent], object]
PromptHook: TypeAlias = Callable[[PromptContext], object]
ToolResultProjector: TypeAlias = Callable[[AfterToolCall, str], str]
