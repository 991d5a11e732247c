"""Handle grants: which session sees which process, and what remains when a session is deleted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lash.processes.errors import HandleNotGranted
from lash.processes.handles import SessionDeleteReport
from lash.stores.dialect import Statement
from lash.stores.process_records import RecordRow
from lash.stores.program import Query, Steps, each, execute, many, notify, one, program
from lash.stores.sql.processes import GRANT, RECORD_COLUMNS, GrantRow, hold


class Affected(NamedTuple):
    """A process that a deleted session held."""

    process_id: str
    is_live: int
    other_grants: int


class Touched(NamedTuple):
    """A process that a deleted session held, or that was to wake it."""

    process_id: str


class GrantedRow(NamedTuple):
    """How a process is shown to a scope."""

    process_id: str
    session_id: str
    descriptor_json: str


GET_GRANT = Query(
    GrantRow,
    """
    SELECT scope_id, process_id, session_id, descriptor_json FROM lash_process_grants
    WHERE scope_id = ?1 AND process_id = ?2
    """,
)
REVOKE = Statement("DELETE FROM lash_process_grants WHERE scope_id = ?1 AND process_id = ?2")
OF_PROCESS = Query(
    GrantRow,
    """
    SELECT scope_id, process_id, session_id, descriptor_json FROM lash_process_grants
    WHERE process_id = ?1
    ORDER BY session_id, scope_id
    """,
)
OF_SCOPE = Query(
    GrantedRow,
    "SELECT process_id, session_id, descriptor_json FROM lash_process_grants WHERE scope_id = ?1 ORDER BY process_id",
)
RECORDS_OF_SCOPE = Query(
    RecordRow,
    f"""
    SELECT {RECORD_COLUMNS} FROM lash_processes
    WHERE process_id IN (SELECT g.process_id FROM lash_process_grants g WHERE g.scope_id = ?1)
    ORDER BY process_id
    """,
)
LIVE_RECORDS_OF_SCOPE = Query(
    RecordRow,
    f"""
    SELECT {RECORD_COLUMNS} FROM lash_processes
    WHERE status = 'running' AND process_id IN (SELECT g.process_id FROM lash_process_grants g WHERE g.scope_id = ?1)
    ORDER BY process_id
    """,
)
# A grant's change is a change of its process: observers of the feed look again.
TOUCH = Statement("UPDATE lash_processes SET change_seq = {change} WHERE process_id = ?1")
AFFECTED = Query(
    Affected,
    """
    SELECT p.process_id, CASE WHEN p.status = 'running' THEN 1 ELSE 0 END,
      (SELECT count(*) FROM lash_process_grants o WHERE o.process_id = p.process_id AND o.session_id <> ?1)
    FROM lash_processes p
    WHERE p.process_id IN (SELECT g.process_id FROM lash_process_grants g WHERE g.session_id = ?1)
    ORDER BY p.process_id
    """,
)
# Whatever a deletion changes, locked in the order of ids, as by whoever ends several: neither then waits for the other
# in a circle.
TOUCHED_BY_DELETION = Query(
    Touched,
    """
    SELECT process_id FROM lash_processes WHERE process_id IN (
      SELECT w.process_id FROM lash_processes w WHERE w.wake_session_id = ?1
      UNION ALL SELECT g.process_id FROM lash_process_grants g WHERE g.session_id = ?1
    )
    ORDER BY process_id {for_update}
    """,
)
REVOKE_SESSION = Statement("DELETE FROM lash_process_grants WHERE session_id = ?1")
DETACH = Statement(
    """
    UPDATE lash_processes
    SET wake_session_id = NULL, wake_detached = 1, updated_at_ms = ?2, change_seq = {change}
    WHERE wake_session_id = ?1
    """
)
DISCARD_WAKES = Statement(
    """
    UPDATE lash_process_wake_outbox
    SET state = 'discarded', discard_reason = 'detached', settled_at_ms = ?2
    WHERE target_session_id = ?1 AND state = 'pending'
    """
)


@program("write")
def grant(row: GrantRow) -> Steps[None]:
    """Grants, or changes how the handle is shown."""
    yield from hold(row.process_id)
    yield from execute(GRANT, *row)
    yield from execute(TOUCH, row.process_id)
    yield from notify()


@program("write")
def revoke(scope_id: str, process_id: str) -> Steps[None]:
    """Takes a handle away, if it is there."""
    if (yield from execute(REVOKE, scope_id, process_id)):
        yield from execute(TOUCH, process_id)
        yield from notify()


@program("write")
def transfer(
    from_scope_id: str, from_session_id: str, to_scope_id: str, to_session_id: str, process_ids: Sequence[str]
) -> Steps[None]:
    """Moves handles, all or none. Raises `HandleNotGranted`.

    A handle that is already where it should be counts as moved: a repeat whose acknowledgement was lost finds it there.
    """
    for process_id in sorted(set(process_ids)):
        found = yield from one(GET_GRANT, from_scope_id, process_id)
        if found is None and (yield from one(GET_GRANT, to_scope_id, process_id)) is not None:
            continue
        if found is None:
            raise HandleNotGranted(process_id, from_session_id)
        yield from execute(REVOKE, from_scope_id, process_id)
        yield from execute(GRANT, to_scope_id, process_id, to_session_id, found.descriptor_json)
        yield from execute(TOUCH, process_id)
    yield from notify()


@program("read")
def of_process(process_id: str) -> Steps[list[GrantRow]]:
    """Who sees a process."""
    return (yield from many(OF_PROCESS, process_id))


@program("read")
def of_scope(scope_id: str, *, only_live: bool) -> Steps[tuple[list[GrantedRow], list[RecordRow]]]:
    """What a scope sees: grants and processes, both by process id."""
    grants = yield from many(OF_SCOPE, scope_id)
    return grants, (yield from many(LIVE_RECORDS_OF_SCOPE if only_live else RECORDS_OF_SCOPE, scope_id))


@program("read")
def has(scope_id: str, process_id: str) -> Steps[bool]:
    """Whether a scope sees a process."""
    return (yield from one(GET_GRANT, scope_id, process_id)) is not None


def forget_session(session_id: str, now_ms: int) -> Steps[SessionDeleteReport]:
    """Takes a deleted session's handles away and detaches what would wake it. No process is stopped."""
    yield from many(TOUCHED_BY_DELETION, session_id)
    affected = yield from many(AFFECTED, session_id)
    revoked = yield from execute(REVOKE_SESSION, session_id)
    detached = yield from execute(DETACH, session_id, now_ms)
    yield from execute(DISCARD_WAKES, session_id, now_ms)
    yield from each(TOUCH, [(row.process_id,) for row in affected])
    if revoked or detached:
        yield from notify()
    live = [row for row in affected if row.is_live]
    return SessionDeleteReport(
        session_id,
        revoked,
        0,
        [row.process_id for row in live if not row.other_grants],
        [row.process_id for row in live if row.other_grants],
    )


@program("write")
def delete_session_state(session_id: str, now_ms: int) -> Steps[SessionDeleteReport]:
    """The same as an operation of its own."""
    return (yield from forget_session(session_id, now_ms))
