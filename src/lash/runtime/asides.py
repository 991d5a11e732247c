"""Directives that mean the same at every hook: events that are told, records of the trace, sessions that are made.

All may happen again when a turn is driven again before its effect was recorded: events
are heard twice then, a session is made once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from lash.base.ids import is_name
from lash.plugins.directives import Aside, CreateSession, EmitRuntimeEvents, EmitTrace
from lash.plugins.errors import PluginSessionError
from lash.plugins.host import PluginSession
from lash.plugins.protocol import ProtocolSession
from lash.runtime import activity
from lash.runtime.activity import ActivityStream
from lash.runtime.ancestry import MAX_DEPTH
from lash.runtime.branching import attachment_ids
from lash.runtime.child_start import completed_policy, first_state
from lash.runtime.engine import Engine
from lash.runtime.memory import SessionMemory
from lash.sessions.commit import persisted_state
from lash.sessions.errors import SessionDeleted
from lash.sessions.frames import SessionPolicy
from lash.sessions.meta import ChildSession
from lash.sessions.store import SessionCreate
from lash.tracing.records import TraceContext
from lash.tracing.tracer import Tracer


async def carry_out(plugins: PluginSession, stream: ActivityStream, plugin_id: str, directive: Aside) -> None:
    """Carries one of them out. Raises `PluginSessionError`."""
    match directive:
        case EmitRuntimeEvents(events=events):
            for event in events:
                stream.tell(plugin_id, activity.PluginRuntime(plugin_id, event))
        case EmitTrace():
            if plugins.emit_trace is not None:
                plugins.emit_trace(plugin_id, stream.turn_id, directive)
        case CreateSession():
            if plugins.create_session is None:
                raise PluginSessionError(
                    f"plugin {plugin_id!r} asked for session {directive.session_id!r} outside of a session; "
                    "do it in a hook of a turn"
                )
            await plugins.create_session(plugin_id, directive)


def session_maker(
    engine: Engine, memory: SessionMemory, mode: ProtocolSession | None
) -> Callable[[str, CreateSession], Awaitable[None]]:
    """Makes child sessions of the session in `memory`."""

    async def create(plugin_id: str, request: CreateSession) -> None:
        if len(memory.ancestors) >= MAX_DEPTH:
            raise PluginSessionError(
                f"plugin {plugin_id!r}: session {memory.session_id!r} is {MAX_DEPTH} children deep, "
                "and no child may be deeper"
            )
        request = request if mode is None else mode.configure_runtime_from_request(request)
        await make_child(engine, f"plugin {plugin_id!r}", ChildSession(memory.session_id), memory.policy, request)

    return create


def trace_teller(tracer: Tracer, session_id: str | None) -> Callable[[str, str, EmitTrace], None]:
    """Tells the trace what plugins have to say."""

    def emit(plugin_id: str, turn_id: str, directive: EmitTrace) -> None:
        context = TraceContext(session_id=session_id, turn_id=turn_id or None, metadata=directive.context)
        tracer.emit("custom", context, {"name": f"plugin.{plugin_id}.{directive.name}", "payload": directive.payload})

    return emit


async def make_child(
    engine: Engine, who: str, relation: ChildSession, policy: SessionPolicy, request: CreateSession
) -> None:
    """Makes a child session, once: the same request of the same parent finds it. Raises `PluginSessionError`."""
    new_id = request.session_id
    policy = completed_policy(request.policy, policy)
    if not is_name(new_id):
        raise PluginSessionError(f"{who}: session id {new_id!r} is empty or no plain text")
    sessions = engine.store.sessions
    try:
        store = await sessions.open_existing_store(new_id)
        if store is None:
            state = await first_state(engine, relation.parent_session_id, policy, request)
            first = persisted_state(state, attachment_ids=attachment_ids(state.graph.nodes))
            if await sessions.create_with_state(SessionCreate(new_id, relation, policy), first):
                return
            store = await sessions.open_existing_store(new_id)  # somebody was first
    except SessionDeleted as error:
        raise PluginSessionError(f"{who}: {error}") from error
    meta = None if store is None else await store.load_session_meta()
    if meta is None or meta.relation != relation:
        raise PluginSessionError(f"{who}: session {new_id!r} is there already; choose another id")
