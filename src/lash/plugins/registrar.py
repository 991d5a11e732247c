"""The registrar: the one door through which a plugin adds to a session.

Hooks are grouped by what they are about, so that a plugin reads as a list of what
it touches: `r.turn.before(fn)`, `r.tool_calls.after(fn)`, `r.prompt.contribute(fn)`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from lash.base.messages import Message
from lash.machine.driver import ProtocolDriver
from lash.machine.llm import LlmMessage
from lash.machine.values import TurnCause
from lash.plugins.errors import PluginRegistrationError
from lash.plugins.hooks import (
    AfterToolCallHook,
    AfterTurnHook,
    BeforeToolCallHook,
    BeforeTurnHook,
    CheckpointHook,
    LifecycleHook,
    PromptHook,
    ToolResultProjector,
)
from lash.tools.provider import ToolProvider

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


class Hooks(Generic[T]):
    """Hooks of one kind, in registration order."""

    def __init__(self) -> None:
        self.items: list[Registered[T]] = []

    def add(self, plugin_id: str, hook: T) -> None:
        """Adds one at the end."""
        self.items.append(Registered(plugin_id, hook))


class Exclusive(Generic[T]):
    """A role that one plugin at most may fill."""

    def __init__(self, role: str) -> None:
        self._role = role
        self.item: Registered[T] | None = None

    def fill(self, plugin_id: str, value: T) -> None:
        """Fills the role; raises naming both plugins when it is taken."""
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


class PluginRegistrar:
    """What a plugin sees of `Registrations` while it registers."""

    def __init__(self, plugin_id: str, into: Registrations) -> None:
        self.tools = ToolRegistrar(plugin_id, into)
        self.prompt = PromptRegistrar(plugin_id, into)
        self.turn = TurnRegistrar(plugin_id, into)
        self.tool_calls = ToolCallRegistrar(plugin_id, into)
        self.tool_results = ToolResultRegistrar(plugin_id, into)
        self.session = SessionRegistrar(plugin_id, into)
        self.protocol = ProtocolRegistrar(plugin_id, into)


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


class SessionRegistrar(_Part):
    """Life of the session."""

    def on_event(self, hook: LifecycleHook) -> None:
        """Told of lifecycle events; what it raises is logged."""
        self._into.lifecycle.add(self._plugin_id, hook)


class ProtocolRegistrar(_Part):
    """The execution mode."""

    def driver(self, binding: ProtocolBinding) -> None:
        """The one mode of the session."""
        self._into.protocol.fill(self._plugin_id, binding)
