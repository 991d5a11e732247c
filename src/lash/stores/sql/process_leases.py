"""Who runs a process: claimed one by one or as many as are due, renewed, given back, parked.

`due_at_ms` orders the work: a fresh process is due at once, a leased one when its
lease expires, a parked one when its pause ends or something happens to it. So the
next due rows are the head of one index, however many others there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lash.processes.errors import ProcessLeaseHeld, ProcessLeaseLost
from lash.processes.leases import ProcessLease, ProcessLeaseCompletion
from lash.stores.dialect import Statement
from lash.stores.process_records import NEVER_MS, RecordRow
from lash.stores.program import Query, Steps, each, execute, many, many_each, notify, one, program
from lash.stores.sql.processes import RECORD_COLUMNS, hold, read


class ProcessClaimant(NamedTuple):
    """Who claims. The token is fresh per claim: claiming again with it is the same claim."""

    owner_id: str
    token: str
    ttl_ms: int
    proven_dead_owner: str = ""


class HeldRow(NamedTuple):
    """A lease that is still ours."""

    process_id: str
    lease_expires_at_ms: int


class Owner(NamedTuple):
    """An owner of leases."""

    lease_owner: str


class Status(NamedTuple):
    """How a process stands."""

    status: str


_TAKE = """
  lease_owner = ?2,
  lease_token = ?3,
  lease_fence = lease_fence + CASE WHEN lease_token = CAST(?3 AS TEXT) THEN 0 ELSE 1 END,
  lease_claimed_at_ms = {now},
  lease_expires_at_ms = {now} + CAST(?4 AS BIGINT),
  due_at_ms = CASE WHEN due_at_ms = CAST(?5 AS BIGINT) THEN due_at_ms ELSE {now} + CAST(?4 AS BIGINT) END,
  change_seq = {change}
"""
CLAIM = Query(
    RecordRow,
    f"""
    UPDATE lash_processes SET {_TAKE}
    WHERE process_id = ?1
      AND (lease_token = '' OR lease_expires_at_ms <= {{now}} OR lease_owner = CAST(?2 AS TEXT)
           OR lease_owner = CAST(?6 AS TEXT))
    RETURNING {RECORD_COLUMNS}
    """,
)
# A batch of the most overdue, or what an earlier attempt with this token has taken: that is taken again, and its
# fence stays. Rows that a rival is claiming are skipped, not waited for.
CLAIM_DUE = Query(
    RecordRow,
    f"""
    WITH mine AS (
      SELECT process_id FROM lash_processes
      WHERE lease_owner = CAST(?2 AS TEXT) AND lease_token = CAST(?3 AS TEXT) AND lease_token <> '' {{for_update}}
    ), due AS (
      SELECT process_id FROM lash_processes
      WHERE status = 'running' AND due_at_ms <= (SELECT {{now}}) AND NOT EXISTS (SELECT 1 FROM mine)
      ORDER BY due_at_ms, process_id LIMIT ?1 {{skip_locked}}
    )
    UPDATE lash_processes SET {_TAKE},
      first_started_at_ms = coalesce(first_started_at_ms, CAST(?6 AS BIGINT)),
      first_started_by = coalesce(first_started_by, CAST(?2 AS TEXT))
    WHERE process_id {{any_of}}(SELECT process_id FROM mine UNION ALL SELECT process_id FROM due){{end}}
    RETURNING {RECORD_COLUMNS}
    """,
)
MARK_STARTED = Statement(
    """
    UPDATE lash_processes
    SET first_started_at_ms = ?3, first_started_by = ?4, updated_at_ms = ?3, change_seq = {change}
    WHERE process_id = ?1 AND lease_token = ?2 AND first_started_at_ms IS NULL
    """
)
RENEW = Query(
    HeldRow,
    """
    UPDATE lash_processes
    SET lease_expires_at_ms = {now} + CAST(?3 AS BIGINT),
        due_at_ms = CASE WHEN due_at_ms = CAST(?4 AS BIGINT) THEN due_at_ms ELSE {now} + CAST(?3 AS BIGINT) END
    WHERE process_id = ?1 AND lease_token = ?2 AND lease_token <> '' AND lease_expires_at_ms > {now}
    RETURNING process_id, lease_expires_at_ms
    """,
)
# The heartbeat revives an expired lease that nobody took.
REVIVE = Query(
    HeldRow,
    """
    UPDATE lash_processes
    SET lease_expires_at_ms = {now} + CAST(?3 AS BIGINT),
        due_at_ms = CASE WHEN due_at_ms = CAST(?4 AS BIGINT) THEN due_at_ms ELSE {now} + CAST(?3 AS BIGINT) END
    WHERE process_id = ?1 AND lease_token = ?2 AND lease_token <> ''
    RETURNING process_id, lease_expires_at_ms
    """,
)
# The fence stays: the next owner's is greater. The pause before the process is due is counted by the database's
# clock, which claims go by.
RELEASE = Statement(
    """
    UPDATE lash_processes
    SET lease_token = '', lease_expires_at_ms = 0, change_seq = {change},
        due_at_ms = CASE WHEN status <> 'running' OR recovery = 'externally_owned' THEN CAST(?3 AS BIGINT)
          WHEN CAST(?4 AS BIGINT) = CAST(?3 AS BIGINT) THEN CAST(?3 AS BIGINT) ELSE {now} + CAST(?4 AS BIGINT) END
    WHERE process_id = ?1 AND lease_token = ?2 AND lease_token <> ''
    """
)
# Nothing was run: a start that was noted with this claim is taken back.
GIVE_BACK = Query(
    HeldRow,
    """
    UPDATE lash_processes
    SET lease_token = '', lease_expires_at_ms = 0, due_at_ms = {now}, change_seq = {change},
        first_started_at_ms = CASE WHEN CAST(?3 AS BIGINT) = 1 THEN NULL ELSE first_started_at_ms END,
        first_started_by = CASE WHEN CAST(?3 AS BIGINT) = 1 THEN NULL ELSE first_started_by END
    WHERE process_id = ?1 AND lease_token = ?2 AND lease_token <> '' AND status = 'running'
    RETURNING process_id, lease_expires_at_ms
    """,
)
FREE_OWNER = Statement(
    """
    UPDATE lash_processes
    SET lease_token = '', lease_expires_at_ms = 0, change_seq = {change},
        due_at_ms = CASE WHEN status <> 'running' OR recovery = 'externally_owned' THEN CAST(?2 AS BIGINT)
          ELSE {now} END
    WHERE lease_owner = ?1 AND lease_token <> ''
    """
)
OWNERS = Query(Owner, "SELECT DISTINCT lease_owner FROM lash_processes WHERE lease_token <> '' ORDER BY lease_owner")
UNPARK = Statement("DELETE FROM lash_process_parked_on WHERE process_id = ?1")
PARK_ON = Statement(
    """
    INSERT INTO lash_process_parked_on (awaited_id, process_id) VALUES (?1, ?2)
    ON CONFLICT (awaited_id, process_id) DO NOTHING
    """
)
# Shared with those who end it: either they see that somebody is parked, or the parker sees that it has ended.
AWAITED = Query(Status, "SELECT status FROM lash_processes WHERE process_id = ?1 {for_share}")
IS_RESOLVED = Query(Owner, "SELECT key_id FROM lash_await_events WHERE key_id = ?1 AND terminal_json IS NOT NULL")


@program("write")
def claim(process_id: str, claimant: ProcessClaimant) -> Steps[RecordRow]:
    """Takes the lease; raises `ProcessLeaseHeld` while another owner is live."""
    row = yield from hold(process_id)
    if row.lease_token == claimant.token:
        return row
    taken = yield from one(
        CLAIM,
        process_id,
        claimant.owner_id,
        claimant.token,
        claimant.ttl_ms,
        NEVER_MS,
        claimant.proven_dead_owner,
    )
    if taken is None:
        raise ProcessLeaseHeld(process_id, row.lease_owner, row.lease_expires_at_ms)
    return taken


@program("write")
def claim_due(claimant: ProcessClaimant, limit: int, now_ms: int) -> Steps[list[RecordRow]]:
    """Takes the leases of up to `limit` processes that nobody runs, the most overdue first, and notes their start."""
    return (yield from claim_due_steps(claimant, limit, now_ms))


def claim_due_steps(claimant: ProcessClaimant, limit: int, now_ms: int) -> Steps[list[RecordRow]]:
    """The same within another transaction. Claiming again with a token takes what it has claimed."""
    taken = yield from many(CLAIM_DUE, limit, claimant.owner_id, claimant.token, claimant.ttl_ms, NEVER_MS, now_ms)
    return sorted(taken, key=lambda row: (row.created_at_ms, row.process_id))


@program("write")
def mark_started(lease: ProcessLease, now_ms: int) -> Steps[RecordRow]:
    """Notes the first start, by whom; raises `ProcessLeaseLost`."""
    row = yield from hold(lease.process_id)
    if row.lease_token != lease.lease_token:
        raise ProcessLeaseLost(lease.process_id)
    if row.first_started_at_ms is not None:
        return row
    yield from execute(MARK_STARTED, lease.process_id, lease.lease_token, now_ms, lease.owner_id)
    return (yield from read(lease.process_id))


@program("single")
def renew(lease: ProcessLease, ttl_ms: int) -> Steps[HeldRow]:
    """Extends a lease that is ours and unexpired; raises `ProcessLeaseLost`."""
    held = yield from one(RENEW, lease.process_id, lease.lease_token, ttl_ms, NEVER_MS)
    if held is None:
        raise ProcessLeaseLost(lease.process_id)
    return held


@program("write")
def heartbeat(leases: Sequence[ProcessLease], ttl_ms: int) -> Steps[list[HeldRow]]:
    """Extends every lease that is still ours and answers them."""
    rows = sorted((lease.process_id, lease.lease_token, ttl_ms, NEVER_MS) for lease in leases)
    return (yield from many_each(REVIVE, rows))


@program("write")
def release(completion: ProcessLeaseCompletion, pause_ms: int) -> Steps[None]:
    """Gives a lease back; the process is due after a pause. A stale one changes nothing."""
    if (yield from execute(RELEASE, completion.process_id, completion.lease_token, NEVER_MS, pause_ms)):
        yield from notify()


@program("write")
def give_back(rows: Sequence[tuple[str, str, int]]) -> Steps[None]:
    """Gives leases back under which nothing was run: id, token, and whether their start was noted with the claim."""
    if (yield from many_each(GIVE_BACK, rows)):
        yield from notify()


@program("write")
def park(
    lease: ProcessLease, seen_sequence: int, pause_ms: int, awaited: Sequence[str], wait_ids: Sequence[str]
) -> Steps[bool]:
    """Gives the lease back until something happens, or the pause is over; see `ProcessRegistry.park_process`."""
    row = yield from hold(lease.process_id)
    if row.lease_token != lease.lease_token:
        raise ProcessLeaseLost(lease.process_id)
    if row.last_sequence > seen_sequence:
        return False
    for awaited_id in sorted(awaited):
        found = yield from one(AWAITED, awaited_id)
        if found is None or found.status != "running":
            return False
    for key_id in wait_ids:
        # Whoever resolves it holds the process row first: either it is seen here, or they see us parked.
        if (yield from one(IS_RESOLVED, key_id)) is not None:
            return False
    yield from execute(UNPARK, lease.process_id)
    yield from each(PARK_ON, [(awaited_id, lease.process_id) for awaited_id in sorted(awaited)])
    yield from execute(RELEASE, lease.process_id, lease.lease_token, NEVER_MS, pause_ms)
    return True


@program("write")
def free_owner(owner_id: str) -> Steps[int]:
    """Frees every lease of an owner that is proven dead."""
    freed = yield from execute(FREE_OWNER, owner_id, NEVER_MS)
    if freed:
        yield from notify()
    return freed


@program("read")
def owners() -> Steps[list[Owner]]:
    """Who holds leases, live or expired."""
    return (yield from many(OWNERS))
