"""The wake outbox: from committed wakes to batches in the queues of sessions.

Outbox and queues are in one database, so a row is settled in the transaction that
enqueues its batch: whatever dies in between leaves the wake pending, and the source
key makes a second delivery find the first. One transaction serves one session, under
the lock that everybody takes who adds to its queue or deletes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lash.stores.dialect import Statement
from lash.stores.program import Query, Steps, execute, lock, many, notify, one, program
from lash.stores.sql.leases import IS_DELETED, session_lock
from lash.stores.sql.queue import DraftRow, insert_or_find


class PendingSession(NamedTuple):
    """A session with pending wakes."""

    target_session_id: str


class PendingWake(NamedTuple):
    """A wake that nobody has delivered."""

    process_id: str
    sequence: int
    delivery_json: str
    is_expired: int


class Counted(NamedTuple):
    """How many wakes were settled, and how."""

    enqueued: int
    discarded: int


SESSIONS = Query(
    PendingSession,
    """
    SELECT DISTINCT target_session_id FROM lash_process_wake_outbox
    WHERE state = 'pending'
    ORDER BY target_session_id LIMIT ?1
    """,
)
PENDING = Query(
    PendingWake,
    """
    SELECT process_id, sequence, delivery_json, CASE WHEN expires_at_ms <= {now} THEN 1 ELSE 0 END
    FROM lash_process_wake_outbox
    WHERE target_session_id = ?1 AND state = 'pending'
    ORDER BY process_id, sequence LIMIT ?2
    """,
)
SETTLE = Statement(
    """
    UPDATE lash_process_wake_outbox
    SET state = ?3, discard_reason = ?4, batch_id = ?5, settled_at_ms = ?6
    WHERE process_id = ?1 AND sequence = ?2 AND state = 'pending'
    """
)


@program("read")
def pending_sessions(limit: int) -> Steps[list[PendingSession]]:
    """Sessions that wakes are waiting for."""
    return (yield from many(SESSIONS, limit))


@program("read")
def pending(session_id: str, limit: int) -> Steps[list[PendingWake]]:
    """The wakes of a session, in the order of their events."""
    return (yield from many(PENDING, session_id, limit))


@program("write")
def deliver(session_id: str, drafts: Sequence[tuple[PendingWake, DraftRow]], now_ms: int) -> Steps[Counted]:
    """Enqueues wakes of one session, or gives up those that are too old or have no session any more."""
    yield from lock(session_lock(session_id))
    is_gone = (yield from one(IS_DELETED, session_id)) is not None
    enqueued = discarded = 0
    for wake, draft in drafts:
        place = (wake.process_id, wake.sequence)
        if is_gone or wake.is_expired:
            reason = "target_gone" if is_gone else "expired"
            discarded += yield from execute(SETTLE, *place, "discarded", reason, None, now_ms)
            continue
        # The row first: another deliverer may have been here while we waited for the lock.
        if not (yield from execute(SETTLE, *place, "enqueued", None, draft.batch_id, now_ms)):
            continue
        enqueued += 1
        yield from insert_or_find(draft)
    if enqueued or discarded:
        yield from notify()
    return Counted(enqueued, discarded)
