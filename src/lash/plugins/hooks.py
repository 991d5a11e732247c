"""What hooks are given, and their types.

A hook is a plain or an async function. Hooks of one kind run in registration order,
one after another; lifecycle hooks run side by side and may fail without harm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

import msgspec

from lash.base.codec import DecodeError, from_json
from lash.base.json import Json, JsonObject
from lash.base.messages import Message
from lash.machine.outcome import TurnOutcome
from lash.machine.values import CheckpointKind
from lash.plugins.errors import PluginRegistrationError
from lash.plugins.services import NO_SERVICES, HookServices
from lash.sessions.frames import ToolAccess
from lash.tools.definition import ToolManifest
from lash.tools.result import ToolCallOutput

T = TypeVar("T")


class ExtensionContribution(msgspec.Struct, frozen=True):
    """What one plugin offers under the name of a point that another plugin extends."""

    extension_id: str
    payload: Json = None


@dataclass(frozen=True, slots=True)
class PluginSessionContext:
    """The session that a plugin instance belongs to.

    `extensions` holds what the factories of the core contribute, by extension id, in
    the order of the factories.
    """

    session_id: str
    parent_session_id: str | None = None
    plugin_options: JsonObject = field(default_factory=dict)
    tool_access: ToolAccess = field(default_factory=ToolAccess)
    extensions: Mapping[str, Sequence[Json]] = field(default_factory=dict)

    def options(self, plugin_id: str, wanted: type[T]) -> T | None:
        """A plugin's own options, decoded; None when there are none. Raises `PluginRegistrationError`."""
        given = self.plugin_options.get(plugin_id)
        if given is None:
            return None
        try:
            return from_json(given, wanted)
        except DecodeError as error:
            raise PluginRegistrationError(f"plugin {plugin_id!r}: its options cannot be read: {error}") from error

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
    turn_inputs: Mapping[str, object] = field(default_factory=dict)
    # Tools that a plugin does not show the model yet; it may call them all the same.
    concealed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class HookContext:
    """What the hooks of a turn have in common: the services that are lent to them."""

    services: HookServices = field(default=NO_SERVICES, kw_only=True, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class BeforeTurn(HookContext):
    """After the input is known, before the first model call."""

    session_id: str
    turn_id: str
    turn_index: int
    frame_id: str
    history: Sequence[Message]
    messages: Sequence[Message]
    turn_inputs: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AtCheckpoint(HookContext):
    """Between two model calls, or before the turn would end."""

    session_id: str
    turn_id: str
    checkpoint: CheckpointKind
    messages: Sequence[Message]


@dataclass(frozen=True, slots=True)
class AfterTurn(HookContext):
    """The turn is decided and not yet committed."""

    session_id: str
    turn_id: str
    outcome: TurnOutcome
    messages: Sequence[Message]


@dataclass(frozen=True, slots=True)
class BeforeToolCall(HookContext):
    """A call is about to run."""

    session_id: str
    turn_id: str
    call_id: str
    manifest: ToolManifest
    args: JsonObject


@dataclass(frozen=True, slots=True)
class AfterToolCall(HookContext):
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
ProseProjector: TypeAlias = Callable[[str], str]
ToolResultProjector: TypeAlias = Callable[[AfterToolCall, str], str]
