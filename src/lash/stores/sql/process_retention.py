"""The change feed, what live processes refer to, and what may be forgotten.

A change number never appears below one that a reader has passed (`{settled}` in
`dialect.py`), so a cursor loses nothing. Pruning takes only what has ended, was
projected, and is of no use to anybody; a tombstone keeps its id taken.
"""

from __future__ import annotations

from typing import NamedTuple

from lash.effects.scope import ExecutionScope
from lash.stores.dialect import Statement
from lash.stores.program import Query, Steps, execute, many, one, program


class ChangeRow(NamedTuple):
    """The newest change of a process."""

    change_seq: int
    process_id: str
    status: str
    is_pruned: int


class Bounds(NamedTuple):
    """Where the feed stands: all changes below `settled` are visible; none has `unborn` yet."""

    settled: int
    unborn: int
    newest: int


class Candidate(NamedTuple):
    """A process that ended long ago, and what speaks against forgetting it."""

    process_id: str
    status: str
    change_seq: int
    terminal_at_ms: int
    is_leased: int
    grants: int
    pending_wakes: int


class LiveRow(NamedTuple):
    """What a live process refers to."""

    process_id: str
    registration_json: str
    env_ref: str | None
    module_ref: str | None


class PruneQuery(NamedTuple):
    """Which terminal processes to look at: the arguments of the query. Empty text means any.

    A page begins behind the place `after_ms`, `after_id`.
    """

    cutoff_ms: int
    originator_id: str
    identity_kind: str
    status: str
    limit: int
    after_ms: int
    after_id: str


_CHANGES = """
  SELECT change_seq, process_id, status, 0 AS is_pruned FROM lash_processes WHERE change_seq {above} ?1
  UNION ALL
  SELECT change_seq, process_id, status, 1 AS is_pruned FROM lash_process_tombstones WHERE change_seq {above} ?1
"""
SETTLED_CHANGES = Query(
    ChangeRow,
    f"""
    SELECT change_seq, process_id, status, is_pruned FROM ({_CHANGES.replace("{above}", ">")}) c
    WHERE change_seq < {{settled}}
    ORDER BY change_seq, process_id LIMIT ?2
    """,
)
SAME_CHANGE = Query(
    ChangeRow,
    f"""
    SELECT change_seq, process_id, status, is_pruned FROM ({_CHANGES.replace("{above}", "=")}) c
    WHERE process_id > ?2
    ORDER BY process_id
    """,
)
# What is visible at or above a bound, settled or not: for waiters, to whom a look too many does no harm.
NEWS = Query(
    ChangeRow,
    f"""
    SELECT change_seq, process_id, status, is_pruned FROM ({_CHANGES.replace("{above}", ">=")}) c
    WHERE change_seq > CAST(?2 AS BIGINT) OR (change_seq = CAST(?2 AS BIGINT) AND process_id > ?3)
    ORDER BY change_seq, process_id LIMIT ?4
    """,
)
BOUNDS = Query(
    Bounds,
    """
    SELECT {settled}, {unborn}, (
      SELECT coalesce(max(m.seq), 0) FROM (
        SELECT max(change_seq) AS seq FROM lash_processes
        UNION ALL SELECT max(change_seq) FROM lash_process_tombstones
      ) m
    )
    """,
)
RAISE_BASE = Statement("UPDATE lash_change_clock SET base = base + ?1 WHERE singleton = 1")
CANDIDATES = Query(
    Candidate,
    """
    SELECT p.process_id, p.status, p.change_seq, p.terminal_at_ms,
      CASE WHEN p.lease_token <> '' AND p.lease_expires_at_ms > {now} THEN 1 ELSE 0 END,
      (SELECT count(*) FROM lash_process_grants g WHERE g.process_id = p.process_id),
      (SELECT count(*) FROM lash_process_wake_outbox o WHERE o.process_id = p.process_id AND o.state = 'pending')
    FROM lash_processes p
    WHERE p.terminal_at_ms IS NOT NULL AND p.terminal_at_ms <= CAST(?1 AS BIGINT)
      AND (CAST(?2 AS TEXT) = '' OR p.originator_id = ?2)
      AND (CAST(?3 AS TEXT) = '' OR p.identity_kind = ?3)
      AND (CAST(?4 AS TEXT) = '' OR p.status = ?4)
      AND (p.terminal_at_ms, p.process_id) > (CAST(?6 AS BIGINT), CAST(?7 AS TEXT))
    ORDER BY p.terminal_at_ms, p.process_id LIMIT ?5
    """,
)
BURY = Statement(
    """
    INSERT INTO lash_process_tombstones (process_id, status, pruned_at_ms, change_seq)
    SELECT process_id, status, CAST(?2 AS BIGINT), {change} FROM lash_processes WHERE process_id = ?1
    ON CONFLICT (process_id) DO NOTHING
    """
)
FORGET = tuple(
    Statement(text)
    for text in (
        "DELETE FROM lash_process_events WHERE process_id = ?1",
        "DELETE FROM lash_process_wake_outbox WHERE process_id = ?1",
        "DELETE FROM lash_process_parked_on WHERE process_id = ?1",
        "DELETE FROM lash_process_parked_on WHERE awaited_id = ?1",
        "DELETE FROM lash_processes WHERE process_id = ?1",
    )
)
FORGET_JOURNAL = Statement("DELETE FROM lash_effect_journal WHERE scope_key = ?1")
LIVE_REFERENCES = Query(
    LiveRow,
    """
    SELECT process_id, registration_json, env_ref, module_ref FROM lash_processes
    WHERE status = 'running' AND process_id > ?1
    ORDER BY process_id LIMIT ?2
    """,
)


@program("read")
def changes(after: int, limit: int) -> Steps[list[ChangeRow]]:
    """Changes above a cursor. The last number is complete, even beyond `limit`, so it is the next cursor."""
    rows = yield from many(SETTLED_CHANGES, after, limit)
    if len(rows) == limit:
        rows += yield from many(SAME_CHANGE, rows[-1].change_seq, rows[-1].process_id)
    return rows


@program("read")
def bounds() -> Steps[Bounds]:
    """Where the feed stands."""
    row = yield from one(BOUNDS)
    assert row is not None
    return row


@program("read")
def news(start: int, after: ChangeRow, limit: int) -> Steps[tuple[list[ChangeRow], int]]:
    """A page of what is visible from `start` on, behind the place `after`, and the bound to start from next time."""
    row = yield from one(BOUNDS)
    found = yield from many(NEWS, start, after.change_seq, after.process_id, limit)
    # Everything below `settled` is visible now; on SQLite that is everything there is.
    return found, start if row is None else min(row.settled, row.newest + 1)


@program("write")
def raise_base(by: int) -> Steps[None]:
    """Lets change numbers start above those that are stored."""
    yield from execute(RAISE_BASE, by)


@program("write")
def prune(query: PruneQuery, room: int, watermark: int, now_ms: int) -> Steps[list[tuple[Candidate, str]]]:
    """Forgets up to `room` of a page that nothing speaks for.

    Answers each one that was looked at with the reason that kept it, or empty text.
    """
    verdicts: list[tuple[Candidate, str]] = []
    for found in (yield from many(CANDIDATES, *query)):
        if not room:
            break
        reason = blocked_by(found, watermark)
        verdicts.append((found, reason))
        if not reason:
            room -= 1
            yield from execute(BURY, found.process_id, now_ms)
            for statement in FORGET:
                yield from execute(statement, found.process_id)
            yield from execute(FORGET_JOURNAL, ExecutionScope.process(found.process_id).journal_key)
    return verdicts


def blocked_by(found: Candidate, watermark: int) -> str:
    """Why a terminal process must stay; empty when nothing speaks for it."""
    if found.change_seq > watermark:
        return "not_projected"
    if found.pending_wakes:
        return "undelivered_wakes"
    if found.grants:
        return "granted"
    if found.is_leased:
        return "leased"
    return ""


@program("read")
def live_references(after: str, limit: int) -> Steps[list[LiveRow]]:
    """What live processes refer to, by id."""
    return (yield from many(LIVE_REFERENCES, after, limit))
