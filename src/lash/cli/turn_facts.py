"""Reading from a store what `explain` needs to know of a turn."""

from __future__ import annotations

import lash
from lash.base.canonical import parse_json
from lash.base.json import Json
from lash.cli.effect_keys import parse_key, short_key
from lash.cli.explain import EffectFact, EffectStatus, Explanation, Row, next_steps, settled_effect
from lash.cli.failure import NotFound
from lash.cli.stores import open_store, shown
from lash.effects.journal import JournalRow
from lash.effects.scope import ExecutionScope
from lash.hosts.outcomes import unpack_outcome
from lash.machine.outcome import outcome_name
from lash.runtime.model_call import llm_answer
from lash.runtime.settle import message_ids, stored_summary
from lash.sessions.accept import turn_id_of
from lash.sessions.commit import StoredTurn
from lash.sessions.graph import Conversation, FullGraph
from lash.sessions.store import SessionLeaseRow, SessionStore


async def explain_turn(where: str, session_id: str, turn_id: str) -> Explanation:
    """Everything the store knows of the turn. Raises `NotFound`."""
    async with await open_store(where) as store:
        session = await store.sessions.open_existing_store(session_id)
        if session is None:
            raise NotFound(f"session {session_id!r} is not in {shown(where)}; `lash sessions ls` lists what is")
        settled = await session.load_turn(session_id, turn_id)
        if settled is not None:
            return await _settled(session, session_id, settled)
        rows = [await _read(store, session_id, turn_id, row) for row in await _journal(store, session_id, turn_id)]
        lease = await session.get_session_lease(session_id)
        is_in_flight = lease is not None and lease.turn is not None and lease.turn.turn_id == turn_id
        if not rows and not is_in_flight and not await _is_queued(session, session_id, turn_id):
            raise NotFound(f"turn {turn_id!r} is not in session {session_id!r}; `lash sessions show` lists its turns")
        return _in_flight(session_id, turn_id, rows, lease if is_in_flight else None)


async def _settled(session: SessionStore, session_id: str, turn: StoredTurn) -> Explanation:
    summary = stored_summary(turn)
    tools: dict[str, str] = {}
    for node_id in message_ids(summary):
        node = await session.load_node(node_id)
        if node is not None and isinstance(node.payload, Conversation):
            for part in node.payload.message.parts:
                if part.kind == "tool_call" and part.tool_call_id and part.tool_name:
                    tools[part.tool_call_id] = part.tool_name
    tools |= await _operations(session, summary.turn_index, summary.effects)
    return Explanation(
        session_id,
        turn.turn_id,
        "settled",
        outcome_name(summary.outcome),
        turn.result.head_revision if turn.result is not None else None,
        owner=None,
        owner_is_live=None,
        cancel_requested=False,
        effects=[settled_effect(line, tools) for line in summary.effects],
        next=[],
        in_doubt=[],
    )


async def _operations(session: SessionStore, turn_index: int, effects: list[list[Json]]) -> dict[str, str]:
    """What is called at the places of a turn's programs, by their ids."""
    if not any(":exec_code:" in str(effect[0]) for effect in effects):
        return {}
    from lash.cli.graph.picture import picture_of  # the language is loaded for those who ran programs
    from lash.protocols.rlm.graph import turn_cells

    stored = await session.load_session(FullGraph())
    cells = turn_cells([] if stored is None else stored.graph.nodes, turn_index)
    places = [place for cell in cells for place in picture_of(cell).places.values()]
    return {place.id: place.title for place in places}


def _in_flight(session_id: str, turn_id: str, rows: list[Row], lease: SessionLeaseRow | None) -> Explanation:
    has_owner = lease is not None and bool(lease.token)
    return Explanation(
        session_id,
        turn_id,
        "in flight" if rows or lease is not None else "queued",
        outcome=None,
        revision=None,
        owner=lease.owner if lease is not None and has_owner else None,
        owner_is_live=not lease.is_expired if lease is not None and has_owner else None,
        cancel_requested=lease is not None and lease.cancel_requested_at_ms is not None,
        effects=[row.fact for row in rows],
        next=next_steps(rows),
        in_doubt=[row.fact.key for row in rows if row.fact.status == "in doubt"],
    )


async def _journal(store: lash.Store, session_id: str, turn_id: str) -> list[JournalRow]:
    return await store.journal.load(ExecutionScope.turn(session_id, turn_id))


async def _is_queued(session: SessionStore, session_id: str, turn_id: str) -> bool:
    return any(turn_id_of(batch) == turn_id for batch in await session.list_queued_work(session_id))


async def _read(store: lash.Store, session_id: str, turn_id: str, row: JournalRow) -> Row:
    parsed = parse_key(short_key(row.replay_key, session_id, turn_id))
    tool = _tool(row)
    fact = EffectFact(
        row.replay_key,
        row.replay_key if parsed is None else parsed.named(tool),
        _status(row),
        row.attempts,
        row.started_at_ms,
        None if row.finished_at_ms is None else row.finished_at_ms - row.started_at_ms,
    )
    if parsed is None or row.outcome_json is None or row.kind not in ("llm_call", "tool_call"):
        return Row(fact, parsed)
    outcome = await unpack_outcome(store.journal, row.replay_key, row.outcome_json)
    if row.kind == "llm_call":
        return Row(fact, parsed, answer=llm_answer(parsed.number, outcome))
    return Row(fact, parsed, body=outcome.expect("tool_call"))


def _status(row: JournalRow) -> EffectStatus:
    match row.status:
        case "completed":
            return "recorded"
        case "failed":
            return "failed"
        case _:
            return "in doubt" if row.never else "running"


def _tool(row: JournalRow) -> str | None:
    envelope = None if row.envelope_json is None else parse_json(row.envelope_json)
    command = envelope.get("command") if isinstance(envelope, dict) else None
    asked = command.get("input") if isinstance(command, dict) and command.get("type") == "durable_step" else command
    call = asked.get("call") if isinstance(asked, dict) else None
    return str(call["tool_name"]) if isinstance(call, dict) and "tool_name" in call else None
