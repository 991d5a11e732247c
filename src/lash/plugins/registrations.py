"""What the plugins of one session registered, by kind: in order, by priority, or one alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from lash.base.json import JsonObject
from lash.base.messages import Message
from lash.machine.driver import ProtocolDriver
from lash.machine.llm import LlmMessage
from lash.machine.values import TurnCause
from lash.plugins.actions import Action
from lash.plugins.errors import PluginRegistrationError
from lash.plugins.execution import CodeExecutor, TextScreen
from lash.plugins.hooks import (
    AfterToolCallHook,
    AfterTurnHook,
    BeforeToolCallHook,
    BeforeTurnHook,
    CheckpointHook,
    LifecycleHook,
    PromptHook,
    ProseProjector,
    ToolResultProjector,
)
from lash.plugins.protocol import ProtocolSession
from lash.plugins.transforms import (
    CatalogHook,
    Compactor,
    ConcealHook,
    ConfigMutator,
    ContextTransform,
    DiscoveryHook,
    ResponseHook,
    StreamHook,
)
from lash.tools.projected import ProjectedValues
from lash.tools.provider import ToolProvider
from lash.triggers.sources import TriggerEvent

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Registered(Generic[T]):
    """Something a plugin registered."""

    plugin_id: str
    value: T


@dataclass(frozen=True, slots=True)
class ProtocolBinding:
    """An execution mode: what decides a turn, and how its conversation becomes a request."""

    driver: ProtocolDriver
    project: Callable[[Sequence[Message]], list[LlmMessage]]
    project_turn: Callable[[Sequence[Message], Sequence[TurnCause]], list[LlmMessage]]
    # A mode whose model writes programs: who runs them, what is told of the text meanwhile, and
    # what of a whole text is for the reader.
    executor: CodeExecutor | None = None
    screen: Callable[[], TextScreen] | None = None
    shown_text: Callable[[str], str] | None = None
    # Whether tools are offered to the model natively.
    offers_tools: bool = True
    # A mode with variables: its record that makes values variables of a new session. Raises `InvalidArgument`.
    seed: Callable[[JsonObject], JsonObject] | None = None
    # A mode that can be held to a shape: the options of a turn whose value must match a JSON Schema.
    answering: Callable[[JsonObject], JsonObject] | None = None
    # A mode whose programs read values by name: who fetches what references in the arguments of tools stand for.
    projected: ProjectedValues | None = None


class Hooks(Generic[T]):
    """Hooks of one kind, in registration order."""

    __slots__ = ("items",)

    def __init__(self) -> None:
        self.items: list[Registered[T]] = []

    def add(self, plugin_id: str, hook: T) -> None:
        """Adds one at the end."""
        self.items.append(Registered(plugin_id, hook))


class Ranked(Generic[T]):
    """Hooks of one kind, highest priority first, equal ones in registration order."""

    __slots__ = ("_priorities", "items")

    def __init__(self) -> None:
        self.items: list[Registered[T]] = []
        self._priorities: list[int] = []

    def add(self, plugin_id: str, priority: int, hook: T) -> None:
        """Adds one in its place."""
        place = sum(1 for other in self._priorities if other >= priority)
        self.items.insert(place, Registered(plugin_id, hook))
        self._priorities.insert(place, priority)


class Exclusive(Generic[T]):
    """A role that one plugin at most may fill. A default fills it until somebody else does."""

    __slots__ = ("_is_default", "_role", "item")

    def __init__(self, role: str) -> None:
        self._role = role
        self._is_default = False
        self.item: Registered[T] | None = None

    def offer(self, plugin_id: str, value: T) -> None:
        """Fills the role unless it is or will be taken."""
        if self.item is None:
            self.item, self._is_default = Registered(plugin_id, value), True

    def fill(self, plugin_id: str, value: T) -> None:
        """Fills the role; raises naming both plugins when it is taken."""
        if self._is_default:
            self.item, self._is_default = None, False
        if self.item is not None:
            raise PluginRegistrationError(
                f"plugins {self.item.plugin_id!r} and {plugin_id!r} both register the {self._role}; keep one of them"
            )
        self.item = Registered(plugin_id, value)


class Registrations:
    """Everything the plugins of one session registered."""

    def __init__(self) -> None:
        self.tool_providers: Hooks[ToolProvider] = Hooks()
        self.prompt: Hooks[PromptHook] = Hooks()
        self.before_turn: Hooks[BeforeTurnHook] = Hooks()
        self.checkpoint: Hooks[CheckpointHook] = Hooks()
        self.after_turn: Hooks[AfterTurnHook] = Hooks()
        self.before_tool_call: Hooks[BeforeToolCallHook] = Hooks()
        self.after_tool_call: Hooks[AfterToolCallHook] = Hooks()
        self.lifecycle: Hooks[LifecycleHook] = Hooks()
        self.tool_result_projector: Exclusive[ToolResultProjector] = Exclusive("tool result projector")
        self.protocol: Exclusive[ProtocolBinding] = Exclusive("protocol driver")
        self.protocol_session: Exclusive[ProtocolSession] = Exclusive("protocol session")
        self.prose_projector: Exclusive[ProseProjector] = Exclusive("assistant prose projector")
        self.tool_catalog: Hooks[CatalogHook] = Hooks()
        self.conceal: Hooks[ConcealHook] = Hooks()
        self.discovery: Hooks[DiscoveryHook] = Hooks()
        self.config_mutators: Hooks[ConfigMutator] = Hooks()
        self.stream: Hooks[StreamHook] = Hooks()
        self.response: Hooks[ResponseHook] = Hooks()
        self.context_transforms: Ranked[ContextTransform] = Ranked()
        self.compactors: Ranked[Compactor] = Ranked()
        self.turn_sources: dict[str, Registered[ToolProvider]] = {}
        self.actions: dict[str, Registered[Action]] = {}
        self.triggers: dict[str, Registered[TriggerEvent]] = {}

    @property
    def has_turn_hooks(self) -> bool:
        """Whether any hook runs in a turn to which services are lent."""
        kinds = (self.before_turn, self.checkpoint, self.after_turn, self.before_tool_call, self.after_tool_call)
        return any(hooks.items for hooks in kinds)
