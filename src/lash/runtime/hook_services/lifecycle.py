"""Child sessions of a session whose turn is running."""

from __future__ import annotations

from lash.base.canonical import stable_hash
from lash.base.codec import from_json, struct_to_json
from lash.base.json import Json
from lash.machine.outcome import Stopped, outcome_name
from lash.plugins.directives import CreateSession
from lash.plugins.errors import PluginSessionError
from lash.plugins.services import ChildTurn
from lash.runtime.actor import SessionActor
from lash.runtime.hook_services.asking import Asking
from lash.runtime.input import TurnInput
from lash.runtime.request import TurnRequest
from lash.runtime.result import TurnResult
from lash.sessions.meta import ChildSession


async def child_of(asking: Asking, session_id: str) -> SessionActor:
    """An open child of the session. Raises `PluginSessionError` for any other session."""
    turn = asking.turn
    store = await turn.engine.store.sessions.open_existing_store(session_id)
    meta = None if store is None else await store.load_session_meta()
    relation = None if meta is None else meta.relation
    if not isinstance(relation, ChildSession) or relation.parent_session_id != turn.memory.session_id:
        raise PluginSessionError(
            f"plugin {asking.plugin_id!r}: session {session_id!r} is no child of {turn.memory.session_id!r}; "
            "make it with create_session first"
        )
    return turn.doors.actor_of(session_id)


class HookLifecycle:
    """See `LifecycleService`."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    async def create_session(self, request: CreateSession) -> str:
        """See `LifecycleService`."""
        asking = self._asking
        make = asking.turn.plugins.create_session
        assert make is not None, "set when the session was opened"

        async def step(_key: str) -> Json:
            await make(asking.plugin_id, request)
            return request.session_id

        return str(await asking.do("create_session", struct_to_json(request), step))

    async def start_turn(self, session_id: str, text: str) -> str:
        """See `LifecycleService`."""

        async def step(key: str) -> Json:
            actor = await child_of(self._asking, session_id)
            await actor.accept_later(TurnInput.text(text), _turn_id(key))
            return _turn_id(key)

        return str(await self._asking.do("start_turn", {"session_id": session_id, "text": text}, step))

    async def run_turn(self, session_id: str, text: str) -> ChildTurn:
        """See `LifecycleService`."""

        async def step(key: str) -> Json:
            actor = await child_of(self._asking, session_id)
            request = TurnRequest(TurnInput.text(text), _turn_id(key))
            cancel = self._asking.turn.cancel
            undo = cancel.on_cancel(lambda: request.cancel.cancel("requested") if cancel.is_requested else None)
            try:
                return struct_to_json(_child_turn(session_id, await actor.run(request)))
            finally:
                undo()

        asked: Json = await self._asking.do("run_turn", {"session_id": session_id, "text": text}, step)
        return from_json(asked, ChildTurn)

    async def close_session(self, session_id: str) -> None:
        """See `LifecycleService`."""
        actor = await child_of(self._asking, session_id)
        await actor.idle()
        self._asking.turn.doors.forget(session_id)


def _child_turn(session_id: str, result: TurnResult) -> ChildTurn:
    is_ok = not isinstance(result.outcome, Stopped)
    return ChildTurn(
        session_id, result.turn_id, outcome_name(result.outcome), is_ok, result.text, result.value, result.usage
    )


def _turn_id(key: str) -> str:
    return f"hook:{stable_hash(key)[:24]}"
