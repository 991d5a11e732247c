"""Plugins: factories on the core, instances in each session.

Three ways to write one, from short to full:

```python
Plugin("audit").tool(lookup).before_turn(check)        # a spec: hooks in a chain

class Audit(Plugin):                                    # a class: marked methods
    id = "audit"
    @hook.after_tool_call
    async def log(self, call): ...

class AuditFactory:                                     # a factory: one instance a session
    id = "audit"
    def build(self, context): return Audit()
```
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol, TypeVar, runtime_checkable

from lash.attachments.store import AttachmentStore
from lash.base.clock import Clock
from lash.base.json import JsonObject
from lash.plugins.actions import ACTION_MARK, ActionKind
from lash.plugins.background import BackgroundServices
from lash.plugins.errors import PluginRegistrationError
from lash.plugins.hooks import (
    AfterToolCallHook,
    AfterTurnHook,
    BeforeToolCallHook,
    BeforeTurnHook,
    CheckpointHook,
    LifecycleHook,
    PluginSessionContext,
    PromptHook,
)
from lash.plugins.registrar import PluginRegistrar
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
from lash.tools.decorator import Tool
from lash.tools.provider import ToolProvider
from lash.tools.toolset import ToolSet
from lash.triggers.sources import TriggerEvent

F = TypeVar("F", bound=Callable[..., Any])
Register = Callable[[PluginRegistrar], None]

_MARK = "__lash_hook__"


class SessionPlugin(Protocol):
    """A plugin inside one session.

    One with a method `session_ready(context)` is told when every plugin of the session has registered.
    """

    @property
    def id(self) -> str:
        """The plugin's id, unique in its core."""
        ...

    def register(self, registrar: PluginRegistrar) -> None:
        """Says what the plugin contributes: hooks, tools, prompt, actions."""
        ...


class PluginFactory(Protocol):
    """Makes the plugin of each session. `id` is unique in a core.

    A class that sets `registers_alike = True` promises that what is registered follows from the options of a
    session alone and remembers nothing of it; processes of one environment then share it. Added in 0.1.
    """

    @property
    def id(self) -> str:
        """The plugin's id, unique in its core."""
        ...

    def build(self, context: PluginSessionContext) -> SessionPlugin:
        """The plugin of one session; must not wait."""
        ...


@dataclass(frozen=True, slots=True)
class CoreServices:
    """What an open core lends to plugins that live as long as it does."""

    attachments: AttachmentStore
    clock: Clock
    # None where nothing can be started in the background.
    background: BackgroundServices | None = None
    # Told what programs do while they do it (docs/spec/lashlang.md §9.5).
    execution_sink: Callable[[JsonObject], None] | None = None


@runtime_checkable
class CoreBound(Protocol):
    """What a factory adds that has something to open and to close with its core. Added in 0.1."""

    async def core_opened(self, services: CoreServices) -> None:
        """The core opens; nothing of it runs yet. What is raised keeps it closed."""
        ...

    async def core_closed(self) -> None:
        """The core has ended what ran."""
        ...


class _HookMarks:
    """Marks methods of a `Plugin` class as hooks."""

    def before_turn(self, method: F) -> F:
        """Before the first model call of a turn."""
        return _mark(method, "before_turn")

    def checkpoint(self, method: F) -> F:
        """Between model calls and before completion."""
        return _mark(method, "checkpoint")

    def after_turn(self, method: F) -> F:
        """Before the commit."""
        return _mark(method, "after_turn")

    def before_tool_call(self, method: F) -> F:
        """Before each tool call."""
        return _mark(method, "before_tool_call")

    def after_tool_call(self, method: F) -> F:
        """After each tool call."""
        return _mark(method, "after_tool_call")

    def prompt(self, method: F) -> F:
        """Prompt contributions."""
        return _mark(method, "prompt")

    def on_event(self, method: F) -> F:
        """Lifecycle events."""
        return _mark(method, "on_event")

    def prepare_turn(self, method: F) -> F:
        """What the model is shown, at priority 0."""
        return _mark(method, "prepare_turn")

    def compact(self, method: F) -> F:
        """What a compacted session begins with, at priority 0."""
        return _mark(method, "compact")

    def stream(self, method: F) -> F:
        """Each piece of text before it is told."""
        return _mark(method, "stream")

    def response(self, method: F) -> F:
        """Each answer before it is recorded."""
        return _mark(method, "response")

    def tool_catalog(self, method: F) -> F:
        """The tools of a turn."""
        return _mark(method, "tool_catalog")

    def conceal(self, method: F) -> F:
        """The tools that a model call is not shown."""
        return _mark(method, "conceal")

    def discovery(self, method: F) -> F:
        """What tools are found under."""
        return _mark(method, "discovery")

    def config_mutator(self, method: F) -> F:
        """A change of the session's configuration."""
        return _mark(method, "config_mutator")


hook = _HookMarks()


class Plugin:
    """A plugin that is its own factory: the same object serves every session.

    State that belongs to one session needs a factory of its own.
    """

    id: str = ""

    def __init__(self, plugin_id: str | None = None) -> None:
        if plugin_id is not None:
            self.id = plugin_id
        if not self.id:
            raise PluginRegistrationError(f"{type(self).__name__} has no id; set `id` or pass one")
        self._registers: list[Register] = []

    def build(self, context: PluginSessionContext) -> SessionPlugin:
        """The session's instance: this one."""
        del context
        return self

    def register(self, registrar: PluginRegistrar) -> None:
        """Registers the chain's hooks, then marked methods in the order they are defined."""
        for register in self._registers:
            register(registrar)
        for kind, method in _marked_methods(self, _MARK):
            _REGISTER[kind](registrar, method)
        for (name, action_kind, description), method in _marked_methods(self, ACTION_MARK):
            registrar.actions.typed(name, method, kind=action_kind, description=description)

    def tool(self, *functions: Tool[..., Any]) -> Plugin:
        """Adds tools from functions."""
        provider = ToolSet(list(functions))
        return self._with(lambda registrar: registrar.tools.provider(provider))

    def tools(self, provider: ToolProvider) -> Plugin:
        """Adds a source of tools."""
        return self._with(lambda registrar: registrar.tools.provider(provider))

    def prompt(self, contribute: PromptHook) -> Plugin:
        """Adds a prompt hook."""
        return self._with(lambda registrar: registrar.prompt.contribute(contribute))

    def before_turn(self, fn: BeforeTurnHook) -> Plugin:
        """Adds a hook before each turn."""
        return self._with(lambda registrar: registrar.turn.before(fn))

    def checkpoint(self, fn: CheckpointHook) -> Plugin:
        """Adds a hook at each checkpoint."""
        return self._with(lambda registrar: registrar.turn.checkpoint(fn))

    def after_turn(self, fn: AfterTurnHook) -> Plugin:
        """Adds a hook before each commit."""
        return self._with(lambda registrar: registrar.turn.after(fn))

    def before_tool_call(self, fn: BeforeToolCallHook) -> Plugin:
        """Adds a hook before each tool call."""
        return self._with(lambda registrar: registrar.tool_calls.before(fn))

    def after_tool_call(self, fn: AfterToolCallHook) -> Plugin:
        """Adds a hook after each tool call."""
        return self._with(lambda registrar: registrar.tool_calls.after(fn))

    def on_event(self, fn: LifecycleHook) -> Plugin:
        """Adds a lifecycle hook."""
        return self._with(lambda registrar: registrar.session.on_event(fn))

    def prepare_turn(self, fn: ContextTransform, *, priority: int = 0) -> Plugin:
        """Adds a transform of what the model is shown."""
        return self._with(lambda registrar: registrar.context.prepare_turn(priority, fn))

    def compact(self, fn: Compactor, *, priority: int = 0) -> Plugin:
        """Adds a compactor."""
        return self._with(lambda registrar: registrar.context.compact(priority, fn))

    def stream(self, fn: StreamHook) -> Plugin:
        """Adds a transform of streamed text."""
        return self._with(lambda registrar: registrar.output.stream(fn))

    def response(self, fn: ResponseHook) -> Plugin:
        """Adds a transform of answers."""
        return self._with(lambda registrar: registrar.output.response(fn))

    def tool_catalog(self, fn: CatalogHook) -> Plugin:
        """Adds a word on the tools of each turn."""
        return self._with(lambda registrar: registrar.tool_catalog.contribute(fn))

    def turn_tools(self, source_id: str, provider: ToolProvider) -> Plugin:
        """Adds tools that a transform may give to single turns."""
        return self._with(lambda registrar: registrar.context.tool_source(source_id, provider))

    def conceal(self, fn: ConcealHook) -> Plugin:
        """Adds a word on which tools the model is not shown."""
        return self._with(lambda registrar: registrar.tool_catalog.conceal(fn))

    def discovery(self, fn: DiscoveryHook) -> Plugin:
        """Adds what tools are found under."""
        return self._with(lambda registrar: registrar.discovery.contribute(fn))

    def config_mutator(self, fn: ConfigMutator) -> Plugin:
        """Adds a word on changes of the configuration."""
        return self._with(lambda registrar: registrar.session.config_mutator(fn))

    def action(self, name: str, fn: Callable[..., Any], *, kind: ActionKind = "command") -> Plugin:
        """Adds an action for the host: `fn(context, args: Args) -> Report`."""
        return self._with(lambda registrar: registrar.actions.typed(name, fn, kind=kind))

    def trigger(self, event: TriggerEvent) -> Plugin:
        """Declares a kind of event, and the schema of what it says."""
        return self._with(lambda registrar: registrar.triggers.declare(event))

    def _with(self, register: Register) -> Plugin:
        self._registers.append(register)
        return self


def registers_alike(factory: PluginFactory) -> bool:
    """Whether what a factory registers follows from the options of a session alone, and remembers nothing of it.

    A class says so of itself with `registers_alike = True`, not of those that inherit from it: they may do more.
    A `Plugin` that leaves `build` and `register` as they are serves every session with the same hooks.
    """
    says: object = vars(type(factory)).get("registers_alike")
    if says is not None:
        return says is True
    if not isinstance(factory, Plugin):
        return False
    kind = type(factory)
    is_plain = kind.build is Plugin.build and kind.register is Plugin.register
    return is_plain and not hasattr(factory, "session_ready") and not hasattr(factory, "snapshot_revision")


class StaticPluginFactory:
    """A factory that hands out one ready plugin under an id of its own."""

    def __init__(self, plugin_id: str, plugin: SessionPlugin) -> None:
        self.id = plugin_id
        self._plugin = plugin

    def build(self, context: PluginSessionContext) -> SessionPlugin:
        """The plugin."""
        del context
        return self._plugin


class PluginSpecFactory:
    """A factory from a function that makes the plugin of each session."""

    def __init__(self, plugin_id: str, builder: Callable[[PluginSessionContext], SessionPlugin]) -> None:
        self.id = plugin_id
        self._builder = builder

    def build(self, context: PluginSessionContext) -> SessionPlugin:
        """A fresh plugin for the session."""
        return self._builder(context)


_REGISTER: dict[str, Callable[[PluginRegistrar, Any], None]] = {
    "before_turn": lambda registrar, fn: registrar.turn.before(fn),
    "checkpoint": lambda registrar, fn: registrar.turn.checkpoint(fn),
    "after_turn": lambda registrar, fn: registrar.turn.after(fn),
    "before_tool_call": lambda registrar, fn: registrar.tool_calls.before(fn),
    "after_tool_call": lambda registrar, fn: registrar.tool_calls.after(fn),
    "prompt": lambda registrar, fn: registrar.prompt.contribute(fn),
    "on_event": lambda registrar, fn: registrar.session.on_event(fn),
    "prepare_turn": lambda registrar, fn: registrar.context.prepare_turn(0, fn),
    "compact": lambda registrar, fn: registrar.context.compact(0, fn),
    "stream": lambda registrar, fn: registrar.output.stream(fn),
    "response": lambda registrar, fn: registrar.output.response(fn),
    "tool_catalog": lambda registrar, fn: registrar.tool_catalog.contribute(fn),
    "conceal": lambda registrar, fn: registrar.tool_catalog.conceal(fn),
    "discovery": lambda registrar, fn: registrar.discovery.contribute(fn),
    "config_mutator": lambda registrar, fn: registrar.session.config_mutator(fn),
}


def _mark(method: F, kind: str) -> F:
    setattr(method, _MARK, kind)
    return method


def _marked_methods(plugin: Plugin, mark: str) -> list[tuple[Any, Callable[..., object]]]:
    marks = _marks(type(plugin), mark)  # type: ignore[arg-type]  # mypy takes the hash of instances for that of the class
    return [(marked, getattr(plugin, name)) for name, marked in marks]


@lru_cache(maxsize=512)
def _marks(kind: type[Plugin], mark: str) -> list[tuple[str, Any]]:
    """Names of marked methods of a class with what they are marked with. A class is read once, not for each session."""
    found: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        for name, member in vars(base).items():
            marked = getattr(member, mark, None)
            if marked is not None:
                found[name] = marked
    return list(found.items())
