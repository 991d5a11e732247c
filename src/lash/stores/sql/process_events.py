"""What happens to a process: one path appends, and writes event, projection and wake in one transaction.

The process row is locked first, so sequences have no gap and one terminal event wins
(docs/spec/durability.md §4.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from msgspec import UnsetType

from lash.base.codec import encode
from lash.processes.appending import AppendPlan, check_repeat, plan_append
from lash.processes.events import AppendRequest, AppendResult, WakeDelivery
from lash.stores.dialect import Statement
from lash.stores.process_records import (
    NEVER_MS,
    EventRow,
    RecordRow,
    decode_event,
    decode_record,
    decode_wake,
    encode_event,
)
from lash.stores.program import (
    Query,
    Steps,
    Write,
    execute,
    many,
    notify,
    one,
    program,
    together,
    write,
)
from lash.stores.sql.processes import hold, read

EVENT_COLUMNS = """
  process_id, sequence, event_type, type_ordinal, payload_hash, replay_key, has_wake, runtime_session_id,
  payload_json, semantics_json, occurred_at_ms
"""


class Number(NamedTuple):
    """A count."""

    n: int


class StoredDelivery(NamedTuple):
    """A wake in the outbox."""

    delivery_json: str


BY_KEY = Query(EventRow, f"SELECT {EVENT_COLUMNS} FROM lash_process_events WHERE process_id = ?1 AND replay_key = ?2")
DELIVERY = Query(
    StoredDelivery, "SELECT delivery_json FROM lash_process_wake_outbox WHERE process_id = ?1 AND sequence = ?2"
)
LAST_ORDINAL = Query(
    Number,
    """
    SELECT coalesce(max(type_ordinal), 0) FROM lash_process_events
    WHERE process_id = ?1 AND event_type = ?2
    """,
)
COUNT_THROUGH = Query(
    Number,
    """
    SELECT coalesce(max(type_ordinal), 0) FROM lash_process_events
    WHERE process_id = ?1 AND event_type = ?2 AND sequence <= ?3
    """,
)
ADD_EVENT = Statement(
    f"""
    INSERT INTO lash_process_events ({EVENT_COLUMNS})
    SELECT rows.process_id, rows.sequence, rows.event_type, rows.type_ordinal, rows.payload_hash, rows.replay_key,
           rows.has_wake, rows.runtime_session_id, rows.payload_json, rows.semantics_json, rows.occurred_at_ms
    FROM {{rows: process_id text, sequence int, event_type text, type_ordinal int, payload_hash text, replay_key text,
           has_wake int, runtime_session_id text, payload_json text, semantics_json text, occurred_at_ms int}}
    """
)
ADD_WAKE = Statement(
    """
    INSERT INTO lash_process_wake_outbox
      (process_id, sequence, target_session_id, wake_id, state, delivery_json, expires_at_ms)
    SELECT rows.process_id, rows.sequence, rows.target, rows.wake_id, 'pending', rows.delivery, rows.expires_at_ms
    FROM {rows: process_id text, sequence int, target text, wake_id text, delivery text, expires_at_ms int}
    """
)
# News for whoever runs it: a parked process is due again, a leased one is not.
ADVANCE = Statement(
    """
    UPDATE lash_processes
    SET last_sequence = ?2, updated_at_ms = ?3, change_seq = {change},
        due_at_ms = CASE WHEN recovery <> 'externally_owned' AND lease_token = '' AND due_at_ms > {now}
          THEN {now} ELSE due_at_ms END
    WHERE process_id = ?1
    """
)
ADVANCE_WITH_WAIT = Statement(
    """
    UPDATE lash_processes
    SET last_sequence = ?2, updated_at_ms = ?3, wait_json = ?4, change_seq = {change}
    WHERE process_id = ?1
    """
)
# The end clears the wait and frees the lease: nobody runs what has ended.
FINISH = Statement(
    """
    UPDATE lash_processes
    SET last_sequence = rows.sequence, updated_at_ms = rows.at_ms, terminal_at_ms = rows.at_ms, status = rows.state,
        await_output_json = rows.output, authority_json = rows.authority, wait_json = NULL, due_at_ms = rows.due_at_ms,
        lease_token = '', lease_expires_at_ms = 0, change_seq = {change}
    FROM {rows: id text, sequence int, at_ms int, state text, output text, authority text, due_at_ms int}
    WHERE process_id = rows.id
    """
)
# Whoever is parked on one of the processes, a JSON list of ids, is due now. They are locked in the order of ids, as
# by all who take several. Mostly nobody is parked at all. `|| ''` keeps both databases from walking what is due; and
# as no index knows it, PostgreSQL expects few rows: it looks each one up, even by a plan that was made when the tables
# were nearly empty.
WAKE_PARKED = Statement(
    """
    UPDATE lash_processes SET due_at_ms = {now}, change_seq = {change}
    WHERE EXISTS (SELECT 1 FROM lash_process_parked_on) AND process_id IN (
      SELECT p.process_id FROM lash_processes p
      WHERE p.status || '' = 'running' AND p.lease_token = '' AND p.process_id IN (
        SELECT k.process_id FROM lash_process_parked_on k
        WHERE k.process_id = k.process_id || ''
          AND k.awaited_id IN (SELECT e.value FROM {elements}(CAST(?1 AS {json})) e WHERE e.value = e.value || '')
      )
      ORDER BY p.process_id {for_update}
    )
    """
)
AFTER = Query(
    EventRow,
    f"SELECT {EVENT_COLUMNS} FROM lash_process_events WHERE process_id = ?1 AND sequence > ?2 ORDER BY sequence",
)
WAKES_AFTER = Query(
    EventRow,
    f"""
    SELECT {EVENT_COLUMNS} FROM lash_process_events
    WHERE process_id = ?1 AND sequence > ?2 AND has_wake = 1
    ORDER BY sequence
    """,
)
RECENT = Query(
    EventRow,
    f"SELECT {EVENT_COLUMNS} FROM lash_process_events WHERE process_id = ?1 ORDER BY sequence DESC LIMIT ?2",
)
FIRST_OF_TYPE_AFTER = Query(
    EventRow,
    f"""
    SELECT {EVENT_COLUMNS} FROM lash_process_events
    WHERE process_id = ?1 AND event_type = ?2 AND sequence > ?3
    ORDER BY sequence LIMIT 1
    """,
)
NTH = Query(
    EventRow,
    f"""
    SELECT {EVENT_COLUMNS} FROM lash_process_events
    WHERE process_id = ?1 AND event_type = ?2 AND type_ordinal = ?3
    """,
)
ACK = Statement("UPDATE lash_process_events SET has_wake = 2 WHERE process_id = ?1 AND sequence = ?2 AND has_wake = 1")


class Writing(NamedTuple):
    """When an append happens, and how long its wake may take to arrive.

    `own_key` is fresh per call: an append without a replay key finds its own row by it when its
    acknowledgement was lost.
    """

    now_ms: int
    wake_expires_at_ms: int
    own_key: str


def append_steps(process_id: str, request: AppendRequest, writing: Writing) -> Steps[AppendResult]:
    """Appends once per replay key. Part of whatever transaction it stands in."""
    row = yield from hold(process_id)
    return (yield from append_held(row, request, writing))


def append_held(row: RecordRow, request: AppendRequest, writing: Writing) -> Steps[AppendResult]:
    """The same under a row that is already locked."""
    record = decode_record(row)
    stored = yield from one(BY_KEY, record.id, writing.own_key if request.replay is None else request.replay.key)
    if stored is not None:
        check_repeat(record.id, request, stored.payload_hash)
        return (yield from _stored_result(stored))
    plan = plan_append(record, request, writing.now_ms)
    last = yield from one(LAST_ORDINAL, record.id, request.event_type)
    ordinal = 1 + (0 if last is None else last.n)
    yield from write_plan(plan, request, ordinal, writing)
    return AppendResult(plan.event, ordinal, plan.wake)


def _stored_result(stored: EventRow) -> Steps[AppendResult]:
    wake: WakeDelivery | None = None
    if stored.has_wake:
        found = yield from one(DELIVERY, stored.process_id, stored.sequence)
        wake = None if found is None else decode_wake(stored.process_id, found.delivery_json)
    return AppendResult(decode_event(stored), stored.type_ordinal, wake, is_new=False)


def write_plan(plan: AppendPlan, request: AppendRequest, ordinal: int, writing: Writing) -> Steps[None]:
    """Writes an event with all that follows from it."""
    parts = parts_of(plan, request, ordinal, writing)
    if plan.status is not None:
        parts.append(wake_parked([plan.event.process_id]))
    yield from together(*parts)
    yield from notify()


def parts_of(plan: AppendPlan, request: AppendRequest, ordinal: int, writing: Writing) -> list[Write]:
    """The writes of an event, but for `wake_parked`. None of them reads what another one changes."""
    event = plan.event
    parts = [write(ADD_EVENT, *encode_event(event, request, ordinal, writing.own_key))]
    status = plan.status
    place = (event.process_id, event.sequence, event.occurred_at)
    if status is not None:
        output = encode(status.await_output)
        authority = None if status.completion_authority is None else encode(status.completion_authority)
        parts.append(write(FINISH, *place, status.state, output, authority, NEVER_MS))
    elif isinstance(plan.wait, UnsetType):
        parts.append(write(ADVANCE, *place))
    else:
        parts.append(write(ADVANCE_WITH_WAIT, *place, None if plan.wait is None else encode(plan.wait)))
    if plan.wake is not None:
        wake = plan.wake
        parts.append(
            write(
                ADD_WAKE,
                wake.process_id,
                wake.sequence,
                wake.target_session_id,
                wake.wake_id,
                encode(wake),
                writing.wake_expires_at_ms,
            )
        )
    return parts


def wake_parked(process_ids: Sequence[str]) -> Write:
    """Makes due whoever is parked on these, which end in the same transaction.

    Whoever parks shares the row of what it waits for until it is parked, and whoever ends that holds it alone: nobody
    comes in between.
    """
    return write(WAKE_PARKED, encode(list(process_ids)))


@program("write")
def append(process_id: str, request: AppendRequest, writing: Writing) -> Steps[AppendResult]:
    """Appends an event."""
    return (yield from append_steps(process_id, request, writing))


@program("read")
def events_after(process_id: str, sequence: int) -> Steps[list[EventRow]]:
    """Events in order."""
    yield from read(process_id)
    return (yield from many(AFTER, process_id, sequence))


@program("read")
def news_after(process_id: str, sequence: int) -> Steps[tuple[list[EventRow], bool]]:
    """Events in order, and whether the process has ended."""
    row = yield from read(process_id)
    return (yield from many(AFTER, process_id, sequence)), row.status != "running"


@program("read")
def wake_events_after(process_id: str, sequence: int) -> Steps[list[EventRow]]:
    """Events whose wake nobody has acknowledged."""
    yield from read(process_id)
    return (yield from many(WAKES_AFTER, process_id, sequence))


@program("read")
def recent_events(process_id: str, count: int) -> Steps[list[EventRow]]:
    """The last events, in order."""
    yield from read(process_id)
    return (yield from many(RECENT, process_id, count))[::-1]


@program("read")
def count_events_through(process_id: str, event_type: str, sequence: int) -> Steps[int]:
    """How many events of a type there are up to a sequence."""
    yield from read(process_id)
    row = yield from one(COUNT_THROUGH, process_id, event_type, sequence)
    return 0 if row is None else row.n


@program("read")
def nth_event(process_id: str, event_type: str, ordinal: int) -> Steps[EventRow | None]:
    """The n-th event of a type."""
    found = yield from one(NTH, process_id, event_type, ordinal)
    if found is None:
        yield from read(process_id)
    return found


@program("read")
def first_of_type_after(process_id: str, event_type: str, sequence: int) -> Steps[tuple[EventRow | None, bool]]:
    """The first event of a type behind a sequence, and whether the process has ended."""
    found = yield from one(FIRST_OF_TYPE_AFTER, process_id, event_type, sequence)
    if found is not None:
        return found, False
    row = yield from read(process_id)
    return None, row.status != "running"


@program("write")
def ack_wake(process_id: str, sequence: int) -> Steps[None]:
    """The wake of an event has been taken notice of."""
    yield from hold(process_id)
    yield from execute(ACK, process_id, sequence)
