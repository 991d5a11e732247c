"""Claims on queued work: who is working on which batches, and how a commit settles them.

Which batches a claim takes is decided by `select_prefix` (sessions/queue.py); here
is how they are read and stamped. A claim made under a session lease carries its
fence (`claim_generation`): the next owner may take over what an earlier one had
claimed, without waiting for it to expire.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lash.effects.errors import LeaseLost
from lash.effects.lease import Lease
from lash.sessions.errors import QueuedWorkClaimExpired
from lash.sessions.queue import Boundary, QueuedWorkClaim, ReadyBatch, select_prefix
from lash.stores.dialect import Statement
from lash.stores.program import (
    Query,
    Steps,
    each,
    execute,
    lock,
    many,
    notify,
    one,
    program,
    together,
    write,
)
from lash.stores.program import Write as Part
from lash.stores.records import BatchRow, decode_merge_key
from lash.stores.sql.leases import session_lock
from lash.stores.sql.queue import BATCH_COLUMNS, DraftRow, Place, fresh_row

# A claim looks this far past its size for batches that may join.
SCAN_AHEAD = 32

# Longer lists of writes go as lists: one statement text per shape must stay cacheable.
MAX_TOGETHER = 8


class Claimer(NamedTuple):
    """Who claims batches. `fence` is that of the session lease, or None outside one."""

    owner: str
    token: str
    ttl_ms: int
    fence: int | None


class Stamped(NamedTuple):
    """A claim as it was written."""

    claim_id: str
    fencing_token: int
    claimed_at_ms: int
    expires_at_ms: int
    rows: list[BatchRow]


class Fence(NamedTuple):
    """The fence of a held session lease."""

    fence: int


class Stamp(NamedTuple):
    """One stamped row."""

    batch_id: str
    claim_claimed_at_ms: int
    claim_expires_at_ms: int


class Now(NamedTuple):
    """The store's clock."""

    now_ms: int


# Ready: available, and not claimed by anybody who may still be at work. ?2 is my token, ?3 my fence (or 0).
# What another claim under my own lease holds is mine already, expired or not: a turn must not take it twice.
READY = Query(
    BatchRow,
    f"""
    SELECT {BATCH_COLUMNS} FROM lash_queued_batches
    WHERE session_id = ?1 AND available_at_ms <= {{now}}
      AND (claim_token IS NULL OR claim_expires_at_ms <= {{now}} OR claim_token = ?2
           OR claim_generation < CAST(?3 AS BIGINT))
      AND (claim_generation IS NULL OR claim_generation <> CAST(?3 AS BIGINT) OR claim_token = ?2)
    ORDER BY enqueue_seq
    LIMIT CAST(?4 AS BIGINT)
    """,
)
# A repeated claim keeps its fencing token; the session's lock keeps rivals out since the rows were read.
STAMP = Statement(
    """
    UPDATE lash_queued_batches
    SET claim_id = ?3, claim_owner = ?4, claim_token = ?5, claim_fencing_token = CAST(?6 AS BIGINT),
        claim_generation = CAST(?7 AS BIGINT), claim_claimed_at_ms = CAST(?8 AS BIGINT),
        claim_expires_at_ms = CAST(?9 AS BIGINT)
    WHERE session_id = ?1 AND batch_id = ?2
    """
)
# What begins at once is claimed as it is stored.
INSERT_CLAIMED = Query(
    Place,
    """
    INSERT INTO lash_queued_batches
      (batch_id, session_id, source_key, coalesce_key, delivery_policy, slot_policy, merge_key_json,
       available_at_ms, enqueued_at_ms, payloads_json, payload_hash, claim_id, claim_owner, claim_token,
       claim_fencing_token, claim_generation, claim_claimed_at_ms, claim_expires_at_ms)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, 1, ?15, ?16, ?17)
    RETURNING enqueue_seq
    """,
)
NOW = Query(Now, "SELECT {now}")
HELD_FENCE = Query(
    Fence,
    "SELECT fence FROM lash_session_leases WHERE session_id = ?1 AND owner = ?2 AND lease_token <> ''",
)
HELD = Query(Now, "SELECT {now} FROM lash_session_leases WHERE session_id = ?1 AND lease_token = CAST(?2 AS TEXT)")
RENEW_CLAIM = Query(
    Stamp,
    """
    UPDATE lash_queued_batches
    SET claim_expires_at_ms = {now} + CAST(?4 AS BIGINT)
    WHERE session_id = ?1 AND claim_id = ?2 AND claim_token = ?3
    RETURNING batch_id, claim_claimed_at_ms, claim_expires_at_ms
    """,
)
# The fencing counter stays.
ABANDON_CLAIM = Statement(
    """
    UPDATE lash_queued_batches
    SET claim_id = NULL, claim_owner = NULL, claim_token = NULL, claim_generation = NULL,
        claim_claimed_at_ms = 0, claim_expires_at_ms = 0
    WHERE session_id = ?1 AND claim_id = ?2 AND claim_token = ?3
    """
)
# Written before the batch goes; work without a source key leaves no trace.
SETTLE_RECEIPT = Statement(
    """
    INSERT INTO lash_queued_receipts
      (session_id, source_key, batch_id, enqueue_seq, payload_hash, outcome, enqueued_at_ms, settled_at_ms)
    SELECT session_id, source_key, batch_id, enqueue_seq, payload_hash, 'committed', enqueued_at_ms,
           CAST(?5 AS BIGINT)
    FROM lash_queued_batches
    WHERE session_id = ?1 AND batch_id = ?2 AND claim_id = ?3 AND claim_token = ?4 AND source_key IS NOT NULL
    ON CONFLICT (session_id, source_key) DO NOTHING
    """
)
SETTLE_BATCH = Statement(
    """
    DELETE FROM lash_queued_batches
    WHERE session_id = ?1 AND batch_id = ?2 AND claim_id = ?3 AND claim_token = ?4
    """
)


def take_prefix(session_id: str, claimer: Claimer, boundary: Boundary, max_batches: int) -> Steps[list[BatchRow]]:
    """The rows that a claim would take now. Needs the session's lock."""
    return prefix_of((yield from ready_rows(session_id, claimer, max_batches)), boundary, max_batches)


def ready_rows(session_id: str, claimer: Claimer, max_batches: int) -> Steps[list[BatchRow]]:
    """What is ready, in order, a little further than a claim may take."""
    return (yield from many(READY, session_id, claimer.token, claimer.fence or 0, max_batches + SCAN_AHEAD))


def prefix_of(ready: Sequence[BatchRow], boundary: Boundary, max_batches: int) -> list[BatchRow]:
    """`select_prefix` over rows."""
    count = len(select_prefix([_ready(row) for row in ready], boundary, max_batches))
    return list(ready[:count])


def stamp(session_id: str, claimer: Claimer, rows: Sequence[BatchRow], now_ms: int, *beside: Part) -> Steps[Stamped]:
    """Claims rows that were read under the session's lock; other writes may travel along."""
    if all(row.claim_token == claimer.token for row in rows):
        fencing, claim_id = rows[0].claim_fencing_token, rows[0].claim_id or ""
    else:
        fencing = max(row.claim_fencing_token for row in rows) + 1
        claim_id = f"qwc:{rows[0].enqueue_seq}:{fencing}"
    expires = now_ms + claimer.ttl_ms
    claim = (claim_id, claimer.owner, claimer.token, fencing, claimer.fence, now_ms, expires)
    stamps = [(session_id, row.batch_id, *claim) for row in rows]
    if len(stamps) + len(beside) <= MAX_TOGETHER:
        yield from together(*(write(STAMP, *args) for args in stamps), *beside)
    else:
        yield from each(STAMP, stamps)
        yield from together(*beside)
    return Stamped(claim_id, fencing, now_ms, expires, list(rows))


def insert_claimed(draft: DraftRow, claimer: Claimer, now_ms: int) -> Steps[Stamped]:
    """Stores and claims new work of an empty queue. Needs the session's lock."""
    claim_id, expires = f"qwc:{draft.batch_id}:1", now_ms + claimer.ttl_ms
    claim = (claim_id, claimer.owner, claimer.token, claimer.fence, now_ms, expires)
    place = yield from one(INSERT_CLAIMED, *draft, *claim)
    assert place is not None
    return Stamped(claim_id, 1, now_ms, expires, [fresh_row(place.enqueue_seq, draft)])


def settle_parts(session_id: str, batch_ids: Sequence[str], claim_id: str, token: str, now_ms: int) -> list[Part]:
    """Receipts, then deletions: two parts a batch; the second must change one row."""
    parts: list[Part] = []
    for batch_id in batch_ids:
        parts.append(write(SETTLE_RECEIPT, session_id, batch_id, claim_id, token, now_ms))
        parts.append(write(SETTLE_BATCH, session_id, batch_id, claim_id, token))
    return parts


@program("write")
def claim_ready(session_id: str, claimer: Claimer, boundary: Boundary, max_batches: int) -> Steps[Stamped | None]:
    """Claims the leading prefix of what is ready."""
    yield from lock(session_lock(session_id))
    claimer = yield from _with_fence(session_id, claimer)
    rows = yield from take_prefix(session_id, claimer, boundary, max_batches)
    if not rows:
        return None
    now = yield from one(NOW)
    return (yield from stamp(session_id, claimer, rows, 0 if now is None else now.now_ms))


@program("write")
def claim_under_lease(lease: Lease, claimer: Claimer, max_batches: int) -> Steps[Stamped | None]:
    """Claims the leading prefix of what a running turn may take in. Raises `LeaseLost`.

    A turn that has lost its session must not claim anything: the next owner would wait for what nobody works on.
    """
    yield from lock(session_lock(lease.key))
    held = yield from one(HELD, lease.key, lease.token)
    if held is None:
        raise LeaseLost(lease.kind, lease.key, lease.fence)
    rows = yield from take_prefix(lease.key, claimer, "active_turn_checkpoint", max_batches)
    return (yield from stamp(lease.key, claimer, rows, held.now_ms)) if rows else None


@program("write")
def claim_exactly(
    session_id: str, claimer: Claimer, boundary: Boundary, batch_ids: Sequence[str]
) -> Steps[Stamped | None]:
    """Claims these batches only if they are the next ready prefix, in order."""
    yield from lock(session_lock(session_id))
    claimer = yield from _with_fence(session_id, claimer)
    rows = yield from take_prefix(session_id, claimer, boundary, len(batch_ids))
    if not rows or [row.batch_id for row in rows] != list(batch_ids):
        return None
    now = yield from one(NOW)
    return (yield from stamp(session_id, claimer, rows, 0 if now is None else now.now_ms))


@program("write")
def renew_claim(claim: QueuedWorkClaim, ttl_ms: int) -> Steps[Stamp]:
    """Extends a claim; raises `QueuedWorkClaimExpired` unless every batch is still its own."""
    stamps = yield from many(RENEW_CLAIM, claim.session_id, claim.claim_id, claim.lease_token, ttl_ms)
    if {found.batch_id for found in stamps} != {batch.batch_id for batch in claim.batches} or not stamps:
        raise QueuedWorkClaimExpired(claim.session_id, claim.claim_id)
    return stamps[0]


@program("write")
def abandon_claim(claim: QueuedWorkClaim) -> Steps[None]:
    """Gives a claim back; a stale one changes nothing."""
    if (yield from execute(ABANDON_CLAIM, claim.session_id, claim.claim_id, claim.lease_token)):
        yield from notify()


def _with_fence(session_id: str, claimer: Claimer) -> Steps[Claimer]:
    """The claimer with the fence of the session lease that it holds, if it does."""
    held = yield from one(HELD_FENCE, session_id, claimer.owner)
    return claimer if held is None else claimer._replace(fence=held.fence)


def _ready(row: BatchRow) -> ReadyBatch:
    return ReadyBatch(
        row.batch_id,
        "earliest_safe_boundary" if row.delivery_policy == "earliest_safe_boundary" else "after_current_turn_commit",
        "join" if row.slot_policy == "join" else "exclusive",
        decode_merge_key(row.merge_key_json),
    )
