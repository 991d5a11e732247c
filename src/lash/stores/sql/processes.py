"""Process rows: registered once, read, annotated. What happens to a process is the subject of `process_events.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from lash.processes.errors import (
    ProcessNoLongerRetained,
    RegistrationConflict,
    TerminalCannotWait,
    UnknownProcess,
)
from lash.stores.dialect import Statement
from lash.stores.process_records import NewProcess, RecordRow
from lash.stores.program import Query, Row, Steps, announced, each, execute, lock, many, many_each, notify, one, program
from lash.stores.sql.leases import IS_DELETED, session_lock

# The originator of what an application starts without a scope of its own.
HOST: Final = "host"

# The event types come by a subquery: a join would let FOR UPDATE lock the row that everybody shares.
RECORD_COLUMNS: Final = """
  process_id, registration_hash, registration_json,
  (SELECT t.event_types_json FROM lash_process_event_types t WHERE t.hash = event_types_hash),
  recovery, wake_detached, status, await_output_json, authority_json, wait_json, external_ref_json, abandon_json,
  last_sequence, first_started_at_ms, first_started_by, created_at_ms, updated_at_ms,
  lease_owner, lease_token, lease_fence, lease_claimed_at_ms, lease_expires_at_ms, change_seq,
  CASE WHEN lease_token <> '' AND lease_expires_at_ms > {now} THEN 1 ELSE 0 END
"""


class AddedRow(NamedTuple):
    """A process that was new, and its lease if it was stored with one."""

    process_id: str
    lease_claimed_at_ms: int
    lease_expires_at_ms: int


class GrantRow(NamedTuple):
    """A grant."""

    scope_id: str
    process_id: str
    session_id: str
    descriptor_json: str


class Tombstone(NamedTuple):
    """What is left of a pruned process."""

    status: str
    pruned_at_ms: int


class Listing(NamedTuple):
    """Which processes to list: the arguments of the listing, in order. Empty text means any."""

    after: str
    status: str
    originator: str
    identity_kind: str
    identity_label: str
    waiting: int  # -1 any, else 0 or 1
    limit: int


GRANT = Statement(
    """
    INSERT INTO lash_process_grants (scope_id, process_id, session_id, descriptor_json) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (scope_id, process_id) DO UPDATE SET descriptor_json = excluded.descriptor_json
    """
)
ADD_EVENT_TYPES = Statement(
    "INSERT INTO lash_process_event_types (hash, event_types_json) VALUES (?1, ?2) ON CONFLICT (hash) DO NOTHING"
)
# The id of a pruned process stays taken. What is due at once is due by the database's clock, as it is claimed:
# hosts whose clocks run ahead of it hold nothing back.
_NEW_COLUMNS = """
  process_id, registration_hash, registration_json, event_types_hash, recovery, originator_id, wake_session_id,
  identity_kind, identity_label, env_ref, module_ref, created_at_ms, updated_at_ms, due_at_ms, status, change_seq
"""
_NEW_VALUES = "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, CAST(?12 AS BIGINT), CAST(?12 AS BIGINT)"
_IF_NEW = """
  WHERE NOT EXISTS (SELECT 1 FROM lash_process_tombstones t WHERE t.process_id = CAST(?1 AS TEXT))
  ON CONFLICT (process_id) DO NOTHING
  RETURNING process_id, lease_claimed_at_ms, lease_expires_at_ms
"""
ADD_PROCESS = Query(
    AddedRow,
    f"""
    INSERT INTO lash_processes ({_NEW_COLUMNS})
    SELECT {_NEW_VALUES},
           CASE WHEN CAST(?13 AS BIGINT) = CAST(?12 AS BIGINT) THEN {{now}} ELSE CAST(?13 AS BIGINT) END,
           'running', {{change}}
    {_IF_NEW}
    """,
)
# The same with a lease: whoever stores it runs it.
ADD_CLAIMED = Query(
    AddedRow,
    f"""
    INSERT INTO lash_processes (
      {_NEW_COLUMNS}, first_started_at_ms, first_started_by,
      lease_owner, lease_token, lease_fence, lease_claimed_at_ms, lease_expires_at_ms
    )
    SELECT {_NEW_VALUES}, {{now}} + CAST(?15 AS BIGINT), 'running', {{change}}, CAST(?12 AS BIGINT), ?13,
           ?13, ?14, 1, {{now}}, {{now}} + CAST(?15 AS BIGINT)
    {_IF_NEW}
    """,
)
GET = Query(RecordRow, f"SELECT {RECORD_COLUMNS} FROM lash_processes WHERE process_id = ?1")
HOLD = Query(RecordRow, f"SELECT {RECORD_COLUMNS} FROM lash_processes WHERE process_id = ?1 {{for_update}}")
TOMBSTONE = Query(Tombstone, "SELECT status, pruned_at_ms FROM lash_process_tombstones WHERE process_id = ?1")
# By the index of what is due, which holds what is live and no more. `|| ''` keeps both databases from walking the
# index of ids, which holds everything that ever was.
LIVE = Query(
    RecordRow,
    f"""
    SELECT {RECORD_COLUMNS} FROM lash_processes
    WHERE process_id IN (
      SELECT l.process_id FROM lash_processes l
      WHERE l.status = 'running' AND l.process_id || '' > ?1
      ORDER BY l.process_id || '' LIMIT ?2
    )
    ORDER BY process_id
    """,
)
_FILTER = """
  process_id > ?1
  AND (CAST(?2 AS TEXT) = '' OR status = ?2)
  AND (CAST(?4 AS TEXT) = '' OR identity_kind = ?4)
  AND (CAST(?5 AS TEXT) = '' OR identity_label = ?5)
  AND (CAST(?6 AS BIGINT) < 0 OR (CASE WHEN wait_json IS NULL THEN 0 ELSE 1 END) = CAST(?6 AS BIGINT))
"""
LIST_ALL = Query(
    RecordRow,
    f"""
    SELECT {RECORD_COLUMNS} FROM lash_processes
    WHERE CAST(?3 AS TEXT) = '' AND {_FILTER}
    ORDER BY process_id LIMIT ?7
    """,
)
# The host has started nearly everything, so what it has started is no index's business.
LIST_OF_HOST = Query(
    RecordRow,
    f"""
    SELECT {RECORD_COLUMNS} FROM lash_processes
    WHERE originator_id = ?3 AND {_FILTER}
    ORDER BY process_id LIMIT ?7
    """,
)
LIST_OF_ORIGINATOR = Query(
    RecordRow,
    f"""
    SELECT {RECORD_COLUMNS} FROM lash_processes
    WHERE originator_id = ?3 AND originator_id <> '{HOST}' AND {_FILTER}
    ORDER BY process_id LIMIT ?7
    """,
)
SET_EXTERNAL_REF = Statement(
    """
    UPDATE lash_processes SET external_ref_json = ?2, updated_at_ms = ?3, change_seq = {change}
    WHERE process_id = ?1
    """
)
SET_ABANDON = Statement(
    """
    UPDATE lash_processes SET abandon_json = ?2, updated_at_ms = ?3, change_seq = {change}
    WHERE process_id = ?1 AND abandon_json IS NULL AND status = 'running'
    """
)
SET_WAIT = Statement(
    """
    UPDATE lash_processes SET wait_json = ?2, updated_at_ms = ?3, change_seq = {change}
    WHERE process_id = ?1 AND status = 'running'
    """
)


def hold(process_id: str) -> Steps[RecordRow]:
    """The row, locked until the transaction ends; raises `UnknownProcess` and `ProcessNoLongerRetained`."""
    row = yield from one(HOLD, process_id)
    return row if row is not None else (yield from missing(process_id))


def read(process_id: str) -> Steps[RecordRow]:
    """The row; raises like `hold`."""
    row = yield from one(GET, process_id)
    return row if row is not None else (yield from missing(process_id))


def missing(process_id: str) -> Steps[RecordRow]:
    """Raises what is the matter with a process that has no row."""
    tombstone = yield from one(TOMBSTONE, process_id)
    if tombstone is not None:
        raise ProcessNoLongerRetained(process_id, tombstone.status, tombstone.pruned_at_ms)
    raise UnknownProcess(process_id)


class Claim(NamedTuple):
    """The lease that a new process is stored with: whose, its token, for how long."""

    owner_id: str
    token: str
    ttl_ms: int


class Stored(NamedTuple):
    """What came of a registration: what was new, and the rows that were there, each by id."""

    added: dict[str, AddedRow]
    existing: dict[str, RecordRow]


@program("write")
def register(
    rows: Sequence[NewProcess],
    event_types: Sequence[tuple[str, str]],
    grants: Sequence[GrantRow],
    claim: Claim | None = None,
) -> Steps[Stored]:
    """Inserts what is new, and the grants. All or nothing.

    `event_types` are those that may be unknown to this database. A session that was deleted is granted
    nothing: nobody could ever take it away again. Raises `RegistrationConflict` and `ProcessNoLongerRetained`.
    """
    granted: list[GrantRow] = []
    for grant in grants:
        # Sessions before processes, as whoever deletes a session does.
        yield from lock(session_lock(grant.session_id))
        if (yield from one(IS_DELETED, grant.session_id)) is None:
            granted.append(grant)
    yield from each(ADD_EVENT_TYPES, event_types)
    # In the order of ids, so that two who register the same ones wait and never deadlock.
    if claim is None:
        added = yield from many_each(ADD_PROCESS, sorted(rows))
    else:
        added = yield from many_each(ADD_CLAIMED, [_claimed(row, claim) for row in sorted(rows)])
    if added:
        yield from notify()
    new = {found.process_id: found for found in added}
    existing: dict[str, RecordRow] = {}
    for row in rows:
        if row.process_id not in new:
            known = yield from read(row.process_id)
            if known.registration_hash != row.registration_hash:
                raise RegistrationConflict(row.process_id, known.registration_hash, row.registration_hash)
            existing[row.process_id] = known
    yield from each(GRANT, granted)
    return Stored(new, existing)


@program("single")
def register_one(row: NewProcess, claim: Claim | None = None) -> Steps[AddedRow | None]:
    """Inserts a process whose event types are known and which nobody sees; None when its id is taken."""
    if claim is None:
        return (yield from announced(ADD_PROCESS, *row))
    return (yield from announced(ADD_CLAIMED, *_claimed(row, claim)))


def _claimed(row: NewProcess, claim: Claim) -> Row:
    return (*row[:-1], *claim)  # it is due when its lease runs out


@program("read")
def get(process_id: str) -> Steps[RecordRow | None]:
    """The row; raises `ProcessNoLongerRetained` for a pruned one."""
    row = yield from one(GET, process_id)
    if row is None and (tombstone := (yield from one(TOMBSTONE, process_id))) is not None:
        raise ProcessNoLongerRetained(process_id, tombstone.status, tombstone.pruned_at_ms)
    return row


@program("read")
def require(process_id: str) -> Steps[RecordRow]:
    """The row; raises `UnknownProcess` and `ProcessNoLongerRetained`."""
    return (yield from read(process_id))


@program("read")
def live_page(after: str, limit: int) -> Steps[list[RecordRow]]:
    """Processes that have not ended, by id."""
    return (yield from many(LIVE, after, limit))


@program("read")
def list_page(listing: Listing) -> Steps[list[RecordRow]]:
    """Processes by id."""
    query = LIST_ALL
    if listing.originator:
        query = LIST_OF_HOST if listing.originator == HOST else LIST_OF_ORIGINATOR
    return (yield from many(query, *listing))


@program("write")
def set_external_ref(process_id: str, external_ref_json: str, now_ms: int) -> Steps[RecordRow]:
    """Notes where the work goes on."""
    yield from hold(process_id)
    yield from execute(SET_EXTERNAL_REF, process_id, external_ref_json, now_ms)
    yield from notify()
    return (yield from read(process_id))


@program("write")
def request_abandon(process_id: str, abandon_json: str, now_ms: int) -> Steps[RecordRow]:
    """Notes the first request to give a process up."""
    yield from hold(process_id)
    if (yield from execute(SET_ABANDON, process_id, abandon_json, now_ms)):
        yield from notify()
    return (yield from read(process_id))


@program("write")
def set_wait(process_id: str, wait_json: str | None, now_ms: int) -> Steps[RecordRow]:
    """Notes what the process waits for, or that it waits no more; raises `TerminalCannotWait`."""
    row = yield from hold(process_id)
    if row.status != "running":
        raise TerminalCannotWait(process_id)
    yield from execute(SET_WAIT, process_id, wait_json, now_ms)
    yield from notify()
    return (yield from read(process_id))
