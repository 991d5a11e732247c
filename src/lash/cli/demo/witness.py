"""Reading the demo's store from outside, while nobody runs: what is recorded, what is committed."""

from __future__ import annotations

from typing import Final

import lash
from lash.base.canonical import parse_json
from lash.base.errors import LashError
from lash.base.messages import Message
from lash.cli.demo.evidence import Committed, Recorded, execution_key
from lash.cli.stores import shown
from lash.effects.journal import JournalRow
from lash.effects.scope import ExecutionScope
from lash.machine.outcome import Stopped
from lash.runtime.settle import stored_summary
from lash.sessions.commit import StoredTurn
from lash.sessions.graph import ActivePath, Conversation
from lash.sessions.store import PersistedSession


class DemoBroken(LashError):
    """The demo's own machinery did something else than it was told."""

    code = "demo_broken"


class Witness:
    """Looks at one turn of one session. Opens the store for each look, read-only."""

    def __init__(self, where: str, session_id: str, turn_id: str) -> None:
        self._where = where
        self._session_id = session_id
        self._turn_id = turn_id
        self._scope: Final = ExecutionScope.turn(session_id, turn_id)
        # The turn is the session's first: what the keys of its effects begin with.
        self._prefix = f"{session_id}:{turn_id}:1:"

    async def open(self) -> lash.Store:
        """The store, for one look or several."""
        return await lash.Store.open(self._where, read_only=True)

    async def executions_recorded(self, store: lash.Store) -> set[str | None]:
        """What is recorded at this moment, under the keys of the execution log."""
        return {execution_key(row.key) for row in await self._recorded(store)}

    async def look(self) -> tuple[tuple[Recorded, ...], bool]:
        """The recorded effects, and whether the turn is committed (then its journal is gone)."""
        async with await self.open() as store:
            session = await store.sessions.open_existing_store(self._session_id)
            turn = None if session is None else await session.load_turn(self._session_id, self._turn_id)
            return tuple(await self._recorded(store)), turn is not None

    async def committed(self) -> Committed:
        """What the store says of the turn and its conversation."""
        session, turns = await self._session()
        mine = [turn for turn in turns if turn.turn_id == self._turn_id]
        if not mine:
            raise DemoBroken(f"turn {self._turn_id} of session {self._session_id} is not committed; please report this")
        summary = stored_summary(mine[0])
        return Committed(
            tuple(Recorded(str(effect[0]), str(effect[1])) for effect in summary.effects),
            tuple(_messages(session)),
            commit_count=len(mine),
            head_revision=session.head_revision,
            turn_is_ok=not isinstance(summary.outcome, Stopped),
        )

    async def messages(self) -> tuple[Message, ...]:
        """The whole conversation as it is committed now."""
        session, _ = await self._session()
        return tuple(_messages(session))

    async def _session(self) -> tuple[PersistedSession, list[StoredTurn]]:
        async with await self.open() as store:
            handle = await store.sessions.open_existing_store(self._session_id)
            session = None if handle is None else await handle.load_session(ActivePath())
            if handle is None or session is None:
                raise DemoBroken(f"session {self._session_id} is not in {shown(self._where)}; please report this")
            return session, await handle.list_turns(self._session_id)

    async def _recorded(self, store: lash.Store) -> list[Recorded]:
        rows = await store.journal.load(self._scope)
        return [
            Recorded(row.replay_key.removeprefix(self._prefix), row.envelope_hash, _told(row))
            for row in rows
            if row.status != "in_progress"
        ]


def _told(row: JournalRow) -> str | None:
    """What the model was told of a finished tool call; None for every other effect."""
    outcome = None if row.outcome_json is None else parse_json(row.outcome_json)
    text = outcome.get("model_text") if isinstance(outcome, dict) else None
    return text if isinstance(text, str) else None


def _messages(session: PersistedSession) -> list[Message]:
    return [node.payload.message for node in session.graph.nodes if isinstance(node.payload, Conversation)]
