"""Reading from a store what `lash sessions` shows."""

from __future__ import annotations

import msgspec

from lash.base.messages import Message
from lash.base.usage import UsageReport, report
from lash.cli.failure import NotFound
from lash.cli.stores import open_store, shown
from lash.machine.outcome import outcome_name
from lash.runtime.settle import stored_summary
from lash.sessions.accept import turn_id_of
from lash.sessions.graph import ActivePath, Conversation
from lash.sessions.store import OpenTurn


class SessionLine(msgspec.Struct, frozen=True):
    """One session in a list. `open_turn_id`: accepted and not settled."""

    session_id: str
    head_revision: int
    turn_index: int
    updated_at_ms: int
    open_turn_id: str | None


class TurnLine(msgspec.Struct, frozen=True):
    """One settled turn. `effects` is how many were recorded."""

    turn_id: str
    outcome: str
    revision: int | None
    effects: int
    committed_at_ms: int


class SessionFacts(msgspec.Struct, frozen=True):
    """One session."""

    session_id: str
    head_revision: int
    model: str | None
    usage: UsageReport
    open_turn_id: str | None
    queued: list[str]
    turns: list[TurnLine]
    messages: list[Message]


async def list_all(where: str) -> list[SessionLine]:
    """Every session; one whose first turn is still open included."""
    async with await open_store(where) as store:
        open_turns = {one.session_id: _open_turn_id(one) for one in await store.sessions.open_turns()}
        listed = await store.sessions.list_sessions()
    lines = [
        SessionLine(
            one.session_id,
            one.head_revision,
            one.turn_index,
            one.updated_at_ms,
            open_turns.pop(one.session_id, None),
        )
        for one in listed
    ]
    return [*lines, *(SessionLine(session_id, 0, 0, 0, turn_id) for session_id, turn_id in open_turns.items())]


async def read_session(where: str, session_id: str) -> SessionFacts:
    """One session. Raises `NotFound`."""
    async with await open_store(where) as store:
        handle = await store.sessions.open_existing_store(session_id)
        if handle is None:
            raise NotFound(f"session {session_id!r} is not in {shown(where)}; `lash sessions ls` lists what is")
        stored = await handle.load_session(ActivePath())
        meta = await handle.load_session_meta()
        settled = [(turn, stored_summary(turn)) for turn in await handle.list_turns(session_id)]
        queued = [turn_id_of(batch) for batch in await handle.list_queued_work(session_id)]
        lease = await handle.get_session_lease(session_id)
    model = stored.policy.model.id if stored is not None and stored.policy.model is not None else None
    return SessionFacts(
        session_id,
        0 if stored is None else stored.head_revision,
        model or (None if meta is None else meta.model),
        report([] if stored is None else stored.token_ledger),
        lease.turn.turn_id if lease is not None and lease.turn is not None else None,
        queued,
        [
            TurnLine(
                turn.turn_id,
                outcome_name(summary.outcome),
                None if turn.result is None else turn.result.head_revision,
                len(summary.effects),
                turn.committed_at_ms,
            )
            for turn, summary in settled
        ],
        []
        if stored is None
        else [node.payload.message for node in stored.graph.nodes if isinstance(node.payload, Conversation)],
    )


def _open_turn_id(turn: OpenTurn) -> str | None:
    if turn.turn is not None:
        return turn.turn.turn_id
    return None if turn.first_batch is None else turn_id_of(turn.first_batch)
