"""One look at many sessions: where they stand, for who watches them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lash.stores.program import Query, Row, Steps, many_each, program


class StandingRow(NamedTuple):
    """Head and lease of a session."""

    session_id: str
    is_deleted: int | None
    head_revision: int | None
    owner: str | None
    turn_id: str | None


class StandingBatchRow(NamedTuple):
    """A queued batch without its content."""

    session_id: str
    batch_id: str
    source_key: str | None
    payload_hash: str
    is_live: int


# A lease that ran out drives nothing, whatever turn it still names.
STANDING = Query(
    StandingRow,
    """
    SELECT s.session_id, d.flag, h.head_revision, l.owner, l.turn_id
    FROM (SELECT CAST(?1 AS TEXT) AS session_id) s
    LEFT JOIN (SELECT 1 AS flag, session_id FROM lash_deleted_sessions) d ON d.session_id = s.session_id
    LEFT JOIN lash_sessions h ON h.session_id = s.session_id
    LEFT JOIN lash_session_leases l
      ON l.session_id = s.session_id AND l.turn_id IS NOT NULL AND l.lease_token <> '' AND l.expires_at_ms > {now}
    """,
)
STANDING_QUEUE = Query(
    StandingBatchRow,
    """
    SELECT session_id, batch_id, source_key, payload_hash,
           CASE WHEN claim_token IS NOT NULL AND claim_expires_at_ms > {now} THEN 1 ELSE 0 END
    FROM lash_queued_batches
    WHERE session_id = ?1
    ORDER BY enqueue_seq
    """,
)


@program("read")
def look(session_ids: Sequence[str]) -> Steps[tuple[list[StandingRow], list[StandingBatchRow]]]:
    """Heads, leases and queues of these sessions in one snapshot."""
    asked: list[Row] = [(session_id,) for session_id in session_ids]
    standing = yield from many_each(STANDING, asked)
    queued = yield from many_each(STANDING_QUEUE, asked)
    return standing, queued
