"""What happens to a process: one path appends, and writes event, projection and wake in one transaction.

The process row is locked first, so sequences have no gap and one terminal event wins
(docs/spec/durability.md §4.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from msgspec import UnsetType

from lash.base.codec import encode
from lash.processes.appending import AppendPlan, check_repeat, plan_append
from lash.processes.authority import CompletionAuthority, LeaseAuthority, check_authority
from lash.processes.errors import ProcessLeaseLost
from lash.processes.events import AppendRequest, AppendResult, WakeDelivery
from lash.processes.leases import ProcessLease
from lash.processes.record import ProcessRecord
from lash.stores.dialect import Statement
from lash.stores.process_records import (
    NEVER_MS,
    EventRow,
    RecordRow,
    StandingRow,
    brought_up,
    decode_abandon,
    decode_event,
    decode_record,
    decode_wake,
    encode_event,
)
from lash.stores.program import (
    Query,
    Row,
    Steps,
    Write,
    each,
    execute,
    many,
    many_each,
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


class Parked(NamedTuple):
    """A process that waits for another one."""

    process_id: str


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
    f"INSERT INTO lash_process_events ({EVENT_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
)
ADD_WAKE = Statement(
    """
    INSERT INTO lash_process_wake_outbox
      (process_id, sequence, target_session_id, wake_id, state, delivery_json, expires_at_ms)
    VALUES (?1, ?2, ?3, ?4, 'pending', ?5, ?6)
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
    SET last_sequence = ?2, updated_at_ms = ?3, terminal_at_ms = ?3, status = ?4, await_output_json = ?5,
        authority_json = ?6, wait_json = NULL, due_at_ms = ?7, lease_token = '', lease_expires_at_ms = 0,
        change_seq = {change}
    WHERE process_id = ?1 AND status = 'running'
    """
)
# Whoever is parked on the process is due now.
WAKE_PARKED = Statement(
    """
    UPDATE lash_processes SET due_at_ms = {now}, change_seq = {change}
    WHERE status = 'running' AND lease_token = ''
      AND process_id IN (SELECT k.process_id FROM lash_process_parked_on k WHERE k.awaited_id = ?1)
    """
)
# Not what was registered: whoever ends a process has read that when it was claimed.
STANDING = Query(
    StandingRow,
    """
    SELECT process_id, recovery, wake_detached, status, authority_json, last_sequence,
           lease_owner, lease_token, lease_fence
    FROM lash_processes WHERE process_id = ?1 {for_update}
    """,
)
ANY_PARKED = Query(Parked, "SELECT process_id FROM lash_process_parked_on LIMIT 1")
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
    yield from _write(plan, request, ordinal, writing)
    return AppendResult(plan.event, ordinal, plan.wake)


def _finish(
    row: RecordRow, request: AppendRequest, writing: Writing, authority: CompletionAuthority
) -> Steps[ProcessRecord]:
    """Appends the core event that ends a process; answers how it stands then.

    A process that runs has no such event yet, so there is nothing to look for and the ordinal is 1.
    """
    if row.status != "running":
        yield from append_held(row, request, writing)  # a repeat is fine, anything else is too late
        return decode_record(row)
    record = decode_record(row)
    plan = plan_append(record, request, writing.now_ms, authority)
    assert plan.status is not None
    yield from _write(plan, request, 1, writing)
    return msgspec.structs.replace(
        record, status=plan.status, wait=None, last_sequence=plan.event.sequence, updated_at_ms=writing.now_ms
    )


def _stored_result(stored: EventRow) -> Steps[AppendResult]:
    wake: WakeDelivery | None = None
    if stored.has_wake:
        found = yield from one(DELIVERY, stored.process_id, stored.sequence)
        wake = None if found is None else decode_wake(stored.process_id, found.delivery_json)
    return AppendResult(decode_event(stored), stored.type_ordinal, wake, is_new=False)


def _write(plan: AppendPlan, request: AppendRequest, ordinal: int, writing: Writing) -> Steps[None]:
    yield from together(*_parts(plan, request, ordinal, writing))
    yield from notify()


def _parts(plan: AppendPlan, request: AppendRequest, ordinal: int, writing: Writing) -> list[Write]:
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
    if status is not None:
        parts.append(write(WAKE_PARKED, event.process_id))
    return parts


@program("write")
def append(process_id: str, request: AppendRequest, writing: Writing) -> Steps[AppendResult]:
    """Appends an event."""
    return (yield from append_steps(process_id, request, writing))


@program("write")
def complete(
    process_id: str, request: AppendRequest, writing: Writing, authority: CompletionAuthority
) -> Steps[ProcessRecord]:
    """Ends a process without a lease of one's own. Raises `CompletionNotAllowed` and `ProcessAlreadyTerminal`."""
    row = yield from hold(process_id)
    if row.status == "running":
        check_authority(
            process_id,
            authority,
            row.recovery,
            has_live_lease=row.is_leased > 0,
            abandon=decode_abandon(row),
        )
    return (yield from _finish(row, request, writing, authority))


@program("write")
def complete_with_lease(lease: ProcessLease, request: AppendRequest, writing: Writing) -> Steps[ProcessRecord]:
    """Ends a process and frees its lease. Raises `ProcessLeaseLost` unless the lease is the present one."""
    row = yield from hold(lease.process_id)
    if not _is_ours(row, lease):
        raise ProcessLeaseLost(lease.process_id)
    authority = LeaseAuthority(lease.owner_id, lease.fencing_token)
    if row.status == "running":
        check_authority(lease.process_id, authority, row.recovery, has_live_lease=True, abandon=None)
    return (yield from _finish(row, request, writing, authority))


class Ending(NamedTuple):
    """An end under a lease; `claimed` is the record that came with it, if it is at hand."""

    lease: ProcessLease
    request: AppendRequest
    claimed: ProcessRecord | None


def complete_many_steps(ends: Sequence[Ending], writing: Writing) -> Steps[list[str]]:
    """Ends many processes, each under its lease, in few round trips; the ids of those whose lease was lost.

    All rows are locked in the order of ids, so that two workers never wait for each other.
    """
    ids = sorted({each_end.lease.process_id for each_end in ends})
    held = {row.process_id: row for row in (yield from many_each(STANDING, [(process_id,) for process_id in ids]))}
    parts: list[Write] = []
    lost: list[str] = []
    for lease, request, claimed in ends:
        row = held.get(lease.process_id)
        if row is None or not _is_ours(row, lease):
            lost.append(lease.process_id)
        elif row.status == "running":
            authority = LeaseAuthority(lease.owner_id, lease.fencing_token)
            check_authority(lease.process_id, authority, row.recovery, has_live_lease=True, abandon=None)
            if claimed is None:
                record = decode_record((yield from read(lease.process_id)))
            else:
                record = brought_up(claimed, row)
            plan = plan_append(record, request, writing.now_ms, authority)
            parts += _parts(plan, request, 1, writing)
    if len(ends) == 1:
        yield from together(*parts)
    else:
        # One statement for all rows of a kind: a statement for each number of ends would be planned anew.
        rows: dict[Statement, list[Row]] = {}
        for part in parts:
            rows.setdefault(part.statement, []).append(part.args)
        # Whoever parks on one of them holds its row, and we hold them all: nobody comes in between.
        if WAKE_PARKED in rows and (yield from one(ANY_PARKED)) is None:
            del rows[WAKE_PARKED]
        for statement, arguments in rows.items():
            yield from each(statement, arguments)
    if parts:
        yield from notify()
    return lost


def _is_ours(row: RecordRow | StandingRow, lease: ProcessLease) -> bool:
    """Whether the lease is the present one, or the one under which the process has ended.

    A repeat whose acknowledgement was lost finds its own words; anybody else is late.
    """
    if row.status != "running":
        return row.authority_json == encode(LeaseAuthority(lease.owner_id, lease.fencing_token))
    mine = (lease.lease_token, lease.owner_id, lease.fencing_token)
    return (row.lease_token, row.lease_owner, row.lease_fence) == mine


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
