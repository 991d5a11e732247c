"""The queue of a session: work is stored once per source key, listed in order, cancelled while nobody has it.

Who works on it is the subject of `claims.py`.
"""

from __future__ import annotations

from typing import NamedTuple

from lash.stores.dialect import Statement
from lash.stores.program import (
    Query,
    Steps,
    execute,
    lock,
    many,
    notify,
    one,
    program,
    write,
)
from lash.stores.program import Write as Part
from lash.stores.records import BatchRow, decode_in_flight
from lash.stores.sql.leases import GET_LEASE, refuse_deleted, session_lock

BATCH_COLUMNS = """
  enqueue_seq, batch_id, session_id, source_key, coalesce_key, delivery_policy, slot_policy, merge_key_json,
  available_at_ms, enqueued_at_ms, payloads_json, payload_hash, claim_id, claim_owner, claim_token,
  claim_fencing_token, claim_generation, claim_claimed_at_ms, claim_expires_at_ms,
  CASE WHEN claim_token IS NOT NULL AND claim_expires_at_ms > {now} THEN 1 ELSE 0 END
"""


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
BY_SOURCE = Query(
    BatchRow, f"SELECT {BATCH_COLUMNS} FROM lash_queued_batches WHERE session_id = ?1 AND source_key = ?2"
)
BY_ID = Query(BatchRow, f"SELECT {BATCH_COLUMNS} FROM lash_queued_batches WHERE session_id = ?1 AND batch_id = ?2")
BY_COALESCE_KEY = Query(
    BatchRow,
    f"""
    SELECT {BATCH_COLUMNS} FROM lash_queued_batches
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
ALL_BATCHES = Query(
    BatchRow, f"SELECT {BATCH_COLUMNS} FROM lash_queued_batches WHERE session_id = ?1 ORDER BY enqueue_seq"
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


# Content changes, identity does not. The claim is compared again under the lock.
REPLACE_PAYLOAD = Statement(
    """
    UPDATE lash_queued_batches SET payloads_json = ?3, payload_hash = ?4
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
def cancel_batch(session_id: str, batch_id: str, now_ms: int) -> Steps[BatchRow | None]:
    """Removes a batch that nobody is working on, leaving a receipt."""
    yield from lock(session_lock(session_id))
    row = yield from one(BY_ID, session_id, batch_id)
    if row is None or row.is_live or (yield from _is_in_flight(session_id, batch_id)):
        return None
    yield from execute(CANCEL_RECEIPT, session_id, batch_id, now_ms)
    yield from execute(CANCEL_BATCH, session_id, batch_id)
    yield from notify()
    return row


@program("write")
def replace_payload(session_id: str, batch_id: str, payloads_json: str, payload_hash: str) -> Steps[BatchRow | None]:
    """Changes the content of a batch that nobody is working on."""
    yield from lock(session_lock(session_id))
    if (yield from _is_in_flight(session_id, batch_id)):
        return None
    if not (yield from execute(REPLACE_PAYLOAD, session_id, batch_id, payloads_json, payload_hash)):
        return None
    yield from notify()
    return (yield from one(BY_ID, session_id, batch_id))


def _is_in_flight(session_id: str, batch_id: str) -> Steps[bool]:
    """Whether a turn that began with it has not ended, though nobody may be at work on it now."""
    lease = yield from one(GET_LEASE, session_id)
    if lease is None or lease.turn_json is None:
        return False
    return batch_id in decode_in_flight(session_id, lease.turn_json).batch_ids


@program("read")
def list_batches(session_id: str) -> Steps[list[BatchRow]]:
    """Every stored batch, in order."""
    return (yield from many(ALL_BATCHES, session_id))
