"""The registrar: the one door through which a plugin adds to a session.

Hooks are grouped by what they are about, so that a plugin reads as a list of what
it touches: `r.turn.before(fn)`, `r.tool_calls.after(fn)`, `r.prompt.contribute(fn)`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from lash.plugins.actions import Action, ActionDefinition, ActionHandler, ActionKind, typed_action
from lash.plugins.errors import PluginRegistrationError
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
from lash.plugins.registrations import ProtocolBinding, Registered, Registrations
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
from lash.tools.provider import ToolProvider
from lash.triggers.sources import TriggerEvent, checked_schema

T = TypeVar("T")


class PluginRegistrar:
    """What a plugin sees of `Registrations` while it registers. Every process builds its plugins, so parts are lazy."""

    def __init__(self, plugin_id: str, into: Registrations) -> None:
        self._plugin_id = plugin_id
        self._into = into

    @property
    def tools(self) -> ToolRegistrar:
        """Tools."""
        return ToolRegistrar(self._plugin_id, self._into)

    @property
    def prompt(self) -> PromptRegistrar:
        """The prompt."""
        return PromptRegistrar(self._plugin_id, self._into)

    @property
    def turn(self) -> TurnRegistrar:
        """Turns."""
        return TurnRegistrar(self._plugin_id, self._into)

    @property
    def tool_calls(self) -> ToolCallRegistrar:
        """Calls of tools."""
        return ToolCallRegistrar(self._plugin_id, self._into)

    @property
    def tool_results(self) -> ToolResultRegistrar:
        """What the model sees of results."""
        return ToolResultRegistrar(self._plugin_id, self._into)

    @property
    def session(self) -> SessionRegistrar:
        """The session."""
        return SessionRegistrar(self._plugin_id, self._into)

    @property
    def protocol(self) -> ProtocolRegistrar:
        """The execution mode."""
        return ProtocolRegistrar(self._plugin_id, self._into)

    @property
    def tool_catalog(self) -> ToolCatalogRegistrar:
        """What the model may call."""
        return ToolCatalogRegistrar(self._plugin_id, self._into)

    @property
    def discovery(self) -> DiscoveryRegistrar:
        """How tools are found."""
        return DiscoveryRegistrar(self._plugin_id, self._into)

    @property
    def output(self) -> OutputRegistrar:
        """What the model says."""
        return OutputRegistrar(self._plugin_id, self._into)

    @property
    def context(self) -> ContextRegistrar:
        """What the model is shown."""
        return ContextRegistrar(self._plugin_id, self._into)

    @property
    def actions(self) -> ActionRegistrar:
        """What hosts may call."""
        return ActionRegistrar(self._plugin_id, self._into)

    @property
    def triggers(self) -> TriggerRegistrar:
        """Events that things can be subscribed to."""
        return TriggerRegistrar(self._plugin_id, self._into)


class _Part:
    def __init__(self, plugin_id: str, into: Registrations) -> None:
        self._plugin_id = plugin_id
        self._into = into


class ToolRegistrar(_Part):
    """Tools."""

    def provider(self, provider: ToolProvider) -> None:
        """Adds a source of tools; names are unique in the session."""
        self._into.tool_providers.add(self._plugin_id, provider)


class PromptRegistrar(_Part):
    """The prompt."""

    def contribute(self, hook: PromptHook) -> None:
        """Asks `hook` for prompt contributions before each model call."""
        self._into.prompt.add(self._plugin_id, hook)


class TurnRegistrar(_Part):
    """Turns."""

    def before(self, hook: BeforeTurnHook) -> None:
        """Runs before the first model call; may enqueue messages, emit events, abort."""
        self._into.before_turn.add(self._plugin_id, hook)

    def checkpoint(self, hook: CheckpointHook) -> None:
        """Runs between model calls and before completion."""
        self._into.checkpoint.add(self._plugin_id, hook)

    def after(self, hook: AfterTurnHook) -> None:
        """Runs before the commit; may append messages, not abort."""
        self._into.after_turn.add(self._plugin_id, hook)


class ToolCallRegistrar(_Part):
    """Tool calls."""

    def before(self, hook: BeforeToolCallHook) -> None:
        """Runs before each call; may replace arguments, answer it, or refuse it."""
        self._into.before_tool_call.add(self._plugin_id, hook)

    def after(self, hook: AfterToolCallHook) -> None:
        """Runs after each call; may replace its result."""
        self._into.after_tool_call.add(self._plugin_id, hook)


class ToolResultRegistrar(_Part):
    """What of a tool result the model sees."""

    def projector(self, project: ToolResultProjector) -> None:
        """The one function that shapes results for the model."""
        self._into.tool_result_projector.fill(self._plugin_id, project)

    def default_projector(self, project: ToolResultProjector) -> None:
        """The same where no other plugin has one."""
        self._into.tool_result_projector.offer(self._plugin_id, project)


class ToolCatalogRegistrar(_Part):
    """The tools as the session sees them."""

    def contribute(self, hook: CatalogHook) -> None:
        """Asked when a turn puts its tools together: what to turn off, what to note on tools."""
        self._into.tool_catalog.add(self._plugin_id, hook)

    def conceal(self, hook: ConcealHook) -> None:
        """Asked before each model call: tools that are not shown to the model, and may be called all the same."""
        self._into.conceal.add(self._plugin_id, hook)


class DiscoveryRegistrar(_Part):
    """Tool search."""

    def contribute(self, hook: DiscoveryHook) -> None:
        """Asked when a turn puts its tools together: namespaces and other names that tools are found under."""
        self._into.discovery.add(self._plugin_id, hook)


class OutputRegistrar(_Part):
    """What the model says, on its way out."""

    def stream(self, hook: StreamHook) -> None:
        """Sees each piece of text before it is told; not async. Hooks chain."""
        self._into.stream.add(self._plugin_id, hook)

    def assistant_prose_projector(self, project: ProseProjector) -> None:
        """The one function that shapes prose which is told whole, because it was not streamed."""
        self._into.prose_projector.fill(self._plugin_id, project)

    def response(self, hook: ResponseHook) -> None:
        """Sees each answer before it is recorded, and may replace it. Hooks chain."""
        self._into.response.add(self._plugin_id, hook)


class ContextRegistrar(_Part):
    """What the model is shown."""

    def prepare_turn(self, priority: int, transform: ContextTransform) -> None:
        """Runs before `before_turn` hooks, highest priority first; the result is recorded with the turn."""
        self._into.context_transforms.add(self._plugin_id, priority, transform)

    def tool_source(self, source_id: str, provider: ToolProvider) -> None:
        """Tools for single turns: a transform names the source in `PreparedContext.tool_sources`.

        By name, so that a turn that goes on in another process finds them there.
        """
        other = self._into.turn_sources.get(source_id)
        if other is not None:
            raise PluginRegistrationError(
                f"plugins {other.plugin_id!r} and {self._plugin_id!r} both register the tool source {source_id!r}; "
                "rename one"
            )
        self._into.turn_sources[source_id] = Registered(self._plugin_id, provider)

    def compact(self, priority: int, compactor: Compactor) -> None:
        """Asked by `session.compact()`, highest priority first; the first that answers wins."""
        self._into.compactors.add(self._plugin_id, priority, compactor)


class ActionRegistrar(_Part):
    """Operations for the host."""

    def op(self, definition: ActionDefinition, handler: ActionHandler) -> None:
        """A raw action: JSON in, JSON out. Names are unique in the session."""
        self._add(Action(definition, handler))

    def typed(
        self, name: str, function: Callable[..., Any], *, kind: ActionKind = "command", description: str = ""
    ) -> None:
        """An action whose schemas come from the hints of `function`: `(context, args: Args) -> Report`."""
        self._add(typed_action(name, kind, description, function))

    def _add(self, action: Action) -> None:
        name = action.definition.name
        other = self._into.actions.get(name)
        if other is not None:
            raise PluginRegistrationError(
                f"plugins {other.plugin_id!r} and {self._plugin_id!r} both register the action {name!r}; rename one"
            )
        self._into.actions[name] = Registered(self._plugin_id, action)


class TriggerRegistrar(_Part):
    """What may happen."""

    def declare(self, event: TriggerEvent) -> None:
        """Declares a kind of event and the schema of what it says; each kind once in a core."""
        other = self._into.triggers.get(event.source_type)
        if other is not None:
            raise PluginRegistrationError(
                f"duplicate trigger source `{event.source_type}` declared by plugins {other.plugin_id!r} and "
                f"{self._plugin_id!r}; rename one"
            )
        checked_schema(event.source_type, event.payload_schema)
        self._into.triggers[event.source_type] = Registered(self._plugin_id, event)


class SessionRegistrar(_Part):
    """Life of the session."""

    def on_event(self, hook: LifecycleHook) -> None:
        """Told of lifecycle events; what it raises is logged."""
        self._into.lifecycle.add(self._plugin_id, hook)

    def config_mutator(self, hook: ConfigMutator) -> None:
        """Asked by `session.configure`; may answer another policy. Mutators chain."""
        self._into.config_mutators.add(self._plugin_id, hook)


class ProtocolRegistrar(_Part):
    """The execution mode."""

    @property
    def binding(self) -> ProtocolBinding | None:
        """The mode, for plugins that come after it: every core names its mode first."""
        item = self._into.protocol.item
        return None if item is None else item.value

    def driver(self, binding: ProtocolBinding) -> None:
        """The one mode of the session."""
        self._into.protocol.fill(self._plugin_id, binding)

    def session(self, callbacks: ProtocolSession) -> None:
        """What the mode says about the life of the session; one mode, one object."""
        self._into.protocol_session.fill(self._plugin_id, callbacks)
