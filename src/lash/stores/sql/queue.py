"""The queue of a session: enqueue, claim, settle.

Which batches a claim takes is decided by `select_prefix` (sessions/queue.py); here
is how they are read and stamped. A claim made under a session lease carries its
fence (`claim_generation`): the next owner may take over what an earlier one had
claimed, without waiting for it to expire.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

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
from lash.stores.sql.leases import refuse_deleted, session_lock

_COLUMNS = """
  enqueue_seq, batch_id, session_id, source_key, coalesce_key, delivery_policy, slot_policy, merge_key_json,
  available_at_ms, enqueued_at_ms, payloads_json, payload_hash, claim_id, claim_owner, claim_token,
  claim_fencing_token, claim_generation, claim_claimed_at_ms, claim_expires_at_ms,
  CASE WHEN claim_token IS NOT NULL AND claim_expires_at_ms > {now} THEN 1 ELSE 0 END
"""

# A claim looks this far past its size for batches that may join.
SCAN_AHEAD = 32

# Longer lists of writes go as lists: one statement text per shape must stay cacheable.
MAX_TOGETHER = 8


class DraftRow(NamedTuple):
    """A draft, encoded."""

    batch_id: str
    session_id: str
    source_key: str | None
    coalesce_key: str | None
    delivery_policy: str
    slot_policy: str
    merge_key_json: str
    available_at_ms: int
    enqueued_at_ms: int
    payloads_json: str
    payload_hash: str


class ReceiptRow(NamedTuple):
    """What is left of settled work."""

    batch_id: str
    enqueue_seq: int
    payload_hash: str
    outcome: str
    enqueued_at_ms: int


class Enqueued(NamedTuple):
    """What enqueueing found: a row (with `is_new`), or only a receipt."""

    row: BatchRow | None
    receipt: ReceiptRow | None
    is_new: bool


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


class Place(NamedTuple):
    """The place of a new batch."""

    enqueue_seq: int


INSERT_BATCH = Query(
    Place,
    """
    INSERT INTO lash_queued_batches
      (batch_id, session_id, source_key, coalesce_key, delivery_policy, slot_policy, merge_key_json,
       available_at_ms, enqueued_at_ms, payloads_json, payload_hash)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
    ON CONFLICT DO NOTHING
    RETURNING enqueue_seq
    """,
)
# The same inside a commit, unless the work is known by its receipt.
INSERT_FOLLOW_UP = Statement(
    """
    INSERT INTO lash_queued_batches
      (batch_id, session_id, source_key, coalesce_key, delivery_policy, slot_policy, merge_key_json,
       available_at_ms, enqueued_at_ms, payloads_json, payload_hash)
    SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, CAST(?8 AS BIGINT), CAST(?9 AS BIGINT), ?10, ?11
    WHERE NOT EXISTS (
      SELECT 1 FROM lash_queued_receipts r WHERE r.session_id = CAST(?12 AS TEXT) AND r.source_key = CAST(?13 AS TEXT)
    )
    ON CONFLICT DO NOTHING
    """
)
BY_SOURCE = Query(BatchRow, f"SELECT {_COLUMNS} FROM lash_queued_batches WHERE session_id = ?1 AND source_key = ?2")
BY_ID = Query(BatchRow, f"SELECT {_COLUMNS} FROM lash_queued_batches WHERE session_id = ?1 AND batch_id = ?2")
BY_COALESCE_KEY = Query(
    BatchRow,
    f"""
    SELECT {_COLUMNS} FROM lash_queued_batches
    WHERE session_id = ?1 AND coalesce_key = ?2 AND claim_token IS NULL
    ORDER BY enqueue_seq LIMIT 1
    """,
)
RECEIPT = Query(
    ReceiptRow,
    """
    SELECT batch_id, enqueue_seq, payload_hash, outcome, enqueued_at_ms
    FROM lash_queued_receipts
    WHERE session_id = ?1 AND source_key = ?2
    """,
)
ALL_BATCHES = Query(BatchRow, f"SELECT {_COLUMNS} FROM lash_queued_batches WHERE session_id = ?1 ORDER BY enqueue_seq")
# Ready: available, and not claimed by anybody who may still be at work. ?2 is my token, ?3 my fence (or 0).
# What another claim under my own lease holds is mine already, expired or not: a turn must not take it twice.
READY = Query(
    BatchRow,
    f"""
    SELECT {_COLUMNS} FROM lash_queued_batches
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
NOW = Query(Now, "SELECT {now}")
HELD_FENCE = Query(
    Fence,
    "SELECT fence FROM lash_session_leases WHERE session_id = ?1 AND owner = ?2 AND lease_token <> ''",
)
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
CANCEL_RECEIPT = Statement(
    """
    INSERT INTO lash_queued_receipts
      (session_id, source_key, batch_id, enqueue_seq, payload_hash, outcome, enqueued_at_ms, settled_at_ms)
    SELECT session_id, source_key, batch_id, enqueue_seq, payload_hash, 'cancelled', enqueued_at_ms,
           CAST(?3 AS BIGINT)
    FROM lash_queued_batches
    WHERE session_id = ?1 AND batch_id = ?2 AND source_key IS NOT NULL
    ON CONFLICT (session_id, source_key) DO NOTHING
    """
)
CANCEL_BATCH = Statement(
    """
    DELETE FROM lash_queued_batches
    WHERE session_id = ?1 AND batch_id = ?2 AND (claim_token IS NULL OR claim_expires_at_ms <= {now})
    """
)


def insert_or_find(draft: DraftRow) -> Steps[Enqueued]:
    """Enqueues unless the source key (or an unclaimed coalesce key) is known. Needs the session's lock."""
    if draft.source_key is not None:
        receipt = yield from one(RECEIPT, draft.session_id, draft.source_key)
        if receipt is not None:
            return Enqueued(None, receipt, is_new=False)
    row = yield from insert_or_find_row(draft)
    return Enqueued(row, None, is_new=row is not None and row.batch_id == draft.batch_id)


def insert_or_find_row(draft: DraftRow) -> Steps[BatchRow | None]:
    """The same for work that is known to be unsettled; a row of our own may be there from a first try."""
    if draft.coalesce_key is not None:
        twin = yield from one(BY_COALESCE_KEY, draft.session_id, draft.coalesce_key)
        if twin is not None:
            return twin
    inserted = yield from one(INSERT_BATCH, *draft)
    if inserted is not None:
        return fresh_row(inserted.enqueue_seq, draft)
    if draft.source_key is not None:
        return (yield from one(BY_SOURCE, draft.session_id, draft.source_key))
    return (yield from one(BY_ID, draft.session_id, draft.batch_id))


def fresh_row(enqueue_seq: int, draft: DraftRow) -> BatchRow:
    """The row that an insert of `draft` made."""
    return BatchRow(enqueue_seq, *draft, None, None, None, 0, None, 0, 0, 0)


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
        yield from together(*(Part(STAMP, args) for args in stamps), *beside)
    else:
        yield from each(STAMP, stamps)
        yield from together(*beside)
    return Stamped(claim_id, fencing, now_ms, expires, list(rows))


def settle_parts(session_id: str, batch_ids: Sequence[str], claim_id: str, token: str, now_ms: int) -> list[Part]:
    """Receipts, then deletions: two parts a batch; the second must change one row."""
    parts: list[Part] = []
    for batch_id in batch_ids:
        parts.append(write(SETTLE_RECEIPT, session_id, batch_id, claim_id, token, now_ms))
        parts.append(write(SETTLE_BATCH, session_id, batch_id, claim_id, token))
    return parts


def follow_up_part(draft: DraftRow) -> Part:
    """Enqueues inside a commit."""
    return write(INSERT_FOLLOW_UP, *draft, draft.session_id, draft.source_key)


@program("write")
def enqueue(draft: DraftRow) -> Steps[Enqueued]:
    """Stores work once per source key."""
    yield from lock(session_lock(draft.session_id))
    yield from refuse_deleted(draft.session_id)
    enqueued = yield from insert_or_find(draft)
    if enqueued.is_new:
        yield from notify()
    return enqueued


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


@program("write")
def cancel_batch(session_id: str, batch_id: str, now_ms: int) -> Steps[BatchRow | None]:
    """Removes a batch that nobody is working on, leaving a receipt."""
    yield from lock(session_lock(session_id))
    row = yield from one(BY_ID, session_id, batch_id)
    if row is None or row.is_live:
        return None
    yield from execute(CANCEL_RECEIPT, session_id, batch_id, now_ms)
    yield from execute(CANCEL_BATCH, session_id, batch_id)
    yield from notify()
    return row


@program("read")
def list_batches(session_id: str) -> Steps[list[BatchRow]]:
    """Every stored batch, in order."""
    return (yield from many(ALL_BATCHES, session_id))


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
