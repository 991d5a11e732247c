"""What is left after the torture: rows of the database, histories of sessions, the outside log."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import apsw
import msgspec

from lash.base.json import Json
from lash.sessions.graph import Conversation, FullGraph
from torture.app import Place
from torture.effects_log import Execution
from torture.load import Book

_WAKE = re.compile(r"Background process wake\nProcess: (\S+)\nEvent: \S+ #(\d+)\n")


class ProcessRow(NamedTuple):
    """A process as it stands."""

    process_id: str
    status: str
    output_json: str | None
    lease_owner: str
    lease_token: str
    last_sequence: int


class EventRow(NamedTuple):
    """One event."""

    process_id: str
    sequence: int
    event_type: str
    ordinal: int
    replay_key: str
    has_wake: int
    payload_json: str


class WakeRow(NamedTuple):
    """One wake in the outbox."""

    process_id: str
    sequence: int
    session_id: str
    state: str


class DeliveryRow(NamedTuple):
    """One delivery of an occurrence."""

    source_type: str
    occurrence_key: str
    occurrence_payload: str
    process_id: str
    state: str


class WakeSeen(NamedTuple):
    """A wake in the history of a session."""

    session_id: str
    process_id: str
    sequence: int


@dataclass(frozen=True, slots=True)
class Sample:
    """Effects that were recorded before the outside log had grown to `position`."""

    position: int
    recorded: frozenset[str]


@dataclass(slots=True)
class Evidence:
    """All of it."""

    book: Book
    processes: dict[str, ProcessRow] = field(default_factory=dict)
    events: dict[str, list[EventRow]] = field(default_factory=lambda: defaultdict(list))
    outbox: list[WakeRow] = field(default_factory=list)
    wakes_seen: list[WakeSeen] = field(default_factory=list)
    deliveries: list[DeliveryRow] = field(default_factory=list)
    executions: list[Execution] = field(default_factory=list)
    # What was executed after it had been recorded, found while it happened.
    executed_again: list[Execution] = field(default_factory=list)
    # Who still holds a session or a process, and what is still queued.
    session_leases: list[tuple[str, str]] = field(default_factory=list)
    queued: list[tuple[str, str]] = field(default_factory=list)
    exits: list[tuple[str, int | None]] = field(default_factory=list)


async def rows(place: Place, text: str) -> list[tuple[Any, ...]]:
    """The answer of the database itself, past everything that is judged here."""
    if place.schema is None:
        return await asyncio.to_thread(_sqlite_rows, place.url, text)
    import asyncpg

    connection = await asyncpg.connect(place.url, server_settings={"search_path": place.schema})
    try:
        return [tuple(row) for row in await connection.fetch(text)]
    finally:
        await connection.close()


def _sqlite_rows(path: str, text: str) -> list[tuple[Any, ...]]:
    # Not `sqlite3`: a second copy of SQLite in a process takes the first one's locks away when it closes the file.
    connection = apsw.Connection(path)
    connection.set_busy_timeout(30_000)
    try:
        return list(connection.execute(text))
    finally:
        connection.close()


async def sample(place: Place) -> Sample:
    """What is recorded now. What begins behind the position and is among it was executed again."""
    journal = await rows(
        place,
        "SELECT scope_key, replay_key FROM lash_effect_journal"
        " WHERE status = 'completed' AND effect_kind IN ('tool_call', 'durable_step')",
    )
    turns = await rows(place, "SELECT session_id, turn_id FROM lash_turn_commits")
    recorded = {_logged_name(scope, key) for scope, key in journal}
    recorded |= {f"turn:{turn_id}:entry:1" for _, turn_id in turns}
    # Read last: whatever began before this line is not accused.
    return Sample(place.log.position(), frozenset(recorded))


async def watch(place: Place, found: list[Execution], stop: asyncio.Event) -> None:
    """Samples until it is told to stop, and collects what was executed again."""
    while not stop.is_set():
        seen = await sample(place)
        await asyncio.sleep(0.3)
        found += [each for each in place.log.read(seen.position) if each.effect in seen.recorded]
    await asyncio.sleep(0)


async def collect(place: Place, book: Book) -> Evidence:
    """Reads everything."""
    evidence = Evidence(book)
    for row in await rows(
        place,
        "SELECT process_id, status, await_output_json, lease_owner, lease_token, last_sequence FROM lash_processes",
    ):
        process = ProcessRow(*row)
        evidence.processes[process.process_id] = process
    for row in await rows(
        place,
        "SELECT process_id, sequence, event_type, type_ordinal, replay_key, has_wake, payload_json"
        " FROM lash_process_events ORDER BY process_id, sequence",
    ):
        evidence.events[row[0]].append(EventRow(*row))
    outbox = "SELECT process_id, sequence, target_session_id, state FROM lash_process_wake_outbox"
    evidence.outbox = [WakeRow(*row) for row in await rows(place, outbox)]
    deliveries = (
        "SELECT o.source_type, o.idempotency_key, o.payload_json, d.process_id, d.state"
        " FROM lash_trigger_occurrences o LEFT JOIN lash_trigger_deliveries d ON d.occurrence_id = o.occurrence_id"
    )
    evidence.deliveries = [DeliveryRow(*row) for row in await rows(place, deliveries)]
    leases = "SELECT session_id, owner FROM lash_session_leases WHERE lease_token <> ''"
    evidence.session_leases = [(row[0], row[1]) for row in await rows(place, leases)]
    evidence.queued = [
        (row[0], row[1]) for row in await rows(place, "SELECT session_id, source_key FROM lash_queued_batches")
    ]
    async with await place.open() as store:
        for session_id in book.sessions:
            session = await store.sessions.open_existing_store(session_id)
            stored = None if session is None else await session.load_session(FullGraph())
            nodes = [] if stored is None else stored.graph.nodes
            for node in nodes:
                text = node.payload.message.text if isinstance(node.payload, Conversation) else ""
                for found in _WAKE.finditer(text):
                    evidence.wakes_seen.append(WakeSeen(session_id, found[1], int(found[2])))
    evidence.executions = place.log.read()
    return evidence


def value_of(output_json: str | None) -> Json:
    """The value of a process that has succeeded; what it ended with otherwise."""
    output = msgspec.json.decode(output_json or "null")
    is_success = isinstance(output, dict) and output.get("type") == "success"
    value: Json = output.get("value") if is_success else output
    if isinstance(value, dict) and "turn" in value:
        value = value["turn"]["text"]  # type: ignore[index, call-overload]
    return value


def _logged_name(scope_key: str, replay_key: str) -> str:
    """An effect as the outside log names it."""
    scope = msgspec.json.decode(scope_key)
    if scope["type"] != "turn":
        return replay_key
    fields = replay_key.removeprefix(f"{scope['session_id']}:{scope['turn_id']}:").split(":")
    return f"turn:{scope['turn_id']}:entry:{fields[8] if len(fields) > 8 else replay_key}"
