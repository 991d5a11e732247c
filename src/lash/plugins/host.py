"""Building the plugins of a session, and running their hooks."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeGuard, TypeVar

from lash.base.errors import LashError
from lash.base.json import Json, JsonObject
from lash.plugins.bindings import PluginBinding
from lash.plugins.directives import CreateSession, Directive, EmitTrace, as_directives
from lash.plugins.errors import PluginError, PluginInvokeError, PluginRegistrationError
from lash.plugins.hooks import ExtensionContribution, HookContext, LifecycleEvent, PluginSessionContext
from lash.plugins.plugin import CoreBound, CoreServices, PluginFactory, registers_alike
from lash.plugins.protocol import ProtocolSession
from lash.plugins.registrar import PluginRegistrar
from lash.plugins.registrations import Hooks, ProtocolBinding, Registered, Registrations
from lash.plugins.services import Lend
from lash.plugins.snapshots import PluginStates, Stateful
from lash.sessions.graph import SessionNode
from lash.tools.provider import ToolProvider

C = TypeVar("C")
H = TypeVar("H", bound=HookContext)
logger = logging.getLogger("lash.plugins")


class PluginHost:
    """The factories of a core; makes a `PluginSession` for each session.

    A factory replaces the builtin of the same id.
    """

    def __init__(self, factories: Sequence[PluginFactory], builtins: Sequence[PluginFactory] = ()) -> None:
        seen: set[str] = set()
        for factory in factories:
            if isinstance(factory, type) or not hasattr(factory, "build"):
                raise PluginRegistrationError(f"{factory!r} is no plugin; pass an instance of one, such as MyPlugin()")
            if factory.id in seen:
                raise PluginRegistrationError(f"two plugins have the id {factory.id!r}; ids are unique in a core")
            seen.add(factory.id)
        self.factories = [*(builtin for builtin in builtins if builtin.id not in seen), *factories]
        # Whether what they register follows from the options alone, so that sessions with equal ones may share it.
        self.registers_alike = all(map(registers_alike, self.factories))
        self._open: list[CoreBound] = []
        self._extensions = _extensions(self.factories)
        # Plugins that take an input with a turn, and whether they need it.
        self.bindings = {
            factory.id: factory.needs_input for factory in self.factories if isinstance(factory, PluginBinding)
        }

    async def open(self, services: CoreServices) -> None:
        """Opens the factories that live with the core, one after another; closes them again when one fails."""
        try:
            for factory in self.factories:
                if isinstance(factory, CoreBound):
                    await factory.core_opened(services)
                    self._open.append(factory)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Closes them, the last first; failures are logged and keep none of the others from it."""
        while self._open:
            factory = self._open.pop()
            try:
                await factory.core_closed()
            except Exception:
                logger.exception("plugin %s failed to close", factory)

    def build(self, context: PluginSessionContext) -> PluginSession:
        """Builds and registers every plugin for one session."""
        registrations = Registrations()
        stateful: list[tuple[str, Stateful]] = []
        ready: list[Callable[[PluginSessionContext], None]] = []
        if self._extensions:
            context = replace(context, extensions=self._extensions)
        for factory in self.factories:
            plugin = factory.build(context)
            plugin.register(PluginRegistrar(factory.id, registrations))
            if _is_stateful(plugin):
                stateful.append((factory.id, plugin))
            if (is_ready := getattr(plugin, "session_ready", None)) is not None:
                ready.append(is_ready)
        for tell in ready:
            tell(context)
        if registrations.protocol.item is None:
            raise PluginRegistrationError("no plugin registers a protocol driver; use StandardCore or add one")
        return PluginSession(registrations, PluginStates(stateful))

    def contributed(self, extension_id: str) -> Sequence[Json]:
        """What the plugins add to an extension of another one."""
        return self._extensions.get(extension_id, ())

    def build_probe(self, options: JsonObject) -> PluginSession:
        """A session that is never run: shows at construction whether the plugins fit together."""
        return self.build(PluginSessionContext("probe", plugin_options=options))


class PluginSession:
    """The hooks of one session, what its plugins remember, and the tool sources added while it is open."""

    def __init__(self, registrations: Registrations, states: PluginStates) -> None:
        self.registrations = registrations
        self.states = states
        self.added_sources: dict[str, ToolProvider] = {}
        # Makes child sessions: `(plugin_id, request)`. Set by whoever opens the session.
        self.create_session: Callable[[str, CreateSession], Awaitable[None]] | None = None
        # Tells the trace: `(plugin_id, turn_id, record)`. Set where there is one.
        self.emit_trace: Callable[[str, str, EmitTrace], None] | None = None

    @property
    def protocol(self) -> ProtocolBinding:
        """The session's execution mode."""
        item = self.registrations.protocol.item
        assert item is not None
        return item.value

    @property
    def protocol_session(self) -> ProtocolSession | None:
        """What the mode says about the life of the session, if it says anything."""
        item = self.registrations.protocol_session.item
        return None if item is None else item.value

    async def tell_appended(self, nodes: Sequence[SessionNode]) -> None:
        """Tells the mode of nodes that are committed; a failure is logged and changes nothing."""
        mode = self.protocol_session
        if mode is None:
            return
        try:
            await mode.append_session_nodes(nodes)
        except Exception:
            logger.exception("the execution mode failed on nodes that were appended")

    async def run(
        self, kind: str, hooks: Hooks[Callable[[H], object]], context: H, lend: Lend | None = None
    ) -> list[tuple[str, Directive]]:
        """Runs hooks one after another, each with the services it is lent; their directives with their plugins.

        Raises `PluginInvokeError` when a hook raises.
        """
        directives: list[tuple[str, Directive]] = []
        for registered in hooks.items:
            asked = await self.ask(kind, registered, context, lend)
            directives += [(registered.plugin_id, directive) for directive in asked]
        return directives

    async def ask(
        self, kind: str, registered: Registered[Callable[[H], object]], context: H, lend: Lend | None = None
    ) -> list[Directive]:
        """The directives of one hook, where the next one shall see what this one changed."""
        if lend is not None:
            context = replace(context, services=lend(registered.plugin_id))
        return as_directives(registered.plugin_id, kind, await call_hook(kind, registered, context))

    async def tell(self, event: LifecycleEvent) -> None:
        """Tells every lifecycle hook, side by side; failures are logged and change nothing."""
        hooks = self.registrations.lifecycle.items
        if hooks:
            await asyncio.wait([asyncio.ensure_future(_tell(hook, event)) for hook in hooks])


async def call_hook(kind: str, registered: Registered[Callable[[C], object]], context: C) -> object:
    """What a hook returns, awaited when it is async; its exceptions become `PluginInvokeError`."""
    try:
        returned = registered.value(context)
        return await returned if inspect.isawaitable(returned) else returned
    except PluginError:
        raise
    except Exception as error:
        if isinstance(error, LashError) and error.is_interruption:
            raise
        raise PluginInvokeError(f"plugin {registered.plugin_id!r}: hook {kind} raised {error!r}") from error


def _is_stateful(plugin: object) -> TypeGuard[Stateful]:
    """What `isinstance` says, which would look for the members of the protocol anew for every session."""
    return all(hasattr(plugin, member) for member in ("snapshot_revision", "snapshot", "restore"))


def _extensions(factories: Sequence[PluginFactory]) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = {}
    for factory in factories:
        contribute = getattr(factory, "extension_contributions", None)
        if contribute is None:
            continue
        for contribution in contribute():
            if not isinstance(contribution, ExtensionContribution):
                raise PluginRegistrationError(
                    f"plugin {factory.id!r} contributes {type(contribution).__name__}; return ExtensionContribution"
                )
            found.setdefault(contribution.extension_id, []).append(contribution.payload)
    return found


async def _tell(hook: Registered[Callable[[LifecycleEvent], object]], event: LifecycleEvent) -> None:
    try:
        await call_hook("on_event", hook, event)
    except PluginError:
        logger.exception("plugin %s failed on %s", hook.plugin_id, type(event).__name__)
