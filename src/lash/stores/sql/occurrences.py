"""Occurrences: recorded once, and what they reserve decided once."""

from __future__ import annotations

from typing import Final, NamedTuple

from lash.base.canonical import canonical_json
from lash.base.codec import encode
from lash.stores.dialect import Statement
from lash.stores.program import Query, Steps, each, execute, many, notify, one, program
from lash.stores.readable import decoded_json
from lash.stores.records import decoded
from lash.stores.sql.subscriptions import MATCHING, live_subscription_drafts, subscription_of
from lash.triggers.delivery import Reservation, delivery_process_id
from lash.triggers.errors import OccurrenceConflict, UnknownOccurrence
from lash.triggers.occurrence import Occurrence, OccurrenceFilter, OccurrenceRequest
from lash.triggers.store import Emitted
from lash.triggers.subscription import Subscription, SubscriptionDraft

# How long the emitter has to start what it reserved before a sweep looks after it.
GRACE_MS: Final = 5_000


class OccurrenceRow(NamedTuple):
    """A row of `lash_trigger_occurrences`."""

    occurrence_id: str
    source_type: str
    source_key: str
    idempotency_key: str
    request_hash: str
    payload_json: str
    source_json: str
    occurred_at_ms: int
    reserved_at_ms: int | None
    reserve_token: str | None


class OccurrenceId(NamedTuple):
    """An occurrence."""

    occurrence_id: str


class ReservedRow(NamedTuple):
    """The subscription of a delivery, as it was."""

    subscription_json: str


_OCCURRENCE: Final = (
    "occurrence_id, source_type, source_key, idempotency_key, request_hash, payload_json, source_json,"
    " occurred_at_ms, reserved_at_ms, reserve_token"
)

ADD_OCCURRENCE = Statement(
    """
    INSERT INTO lash_trigger_occurrences
      (occurrence_id, source_type, source_key, idempotency_key, request_hash, payload_json, source_json, occurred_at_ms)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
    ON CONFLICT (occurrence_id) DO NOTHING
    """
)
GET_OCCURRENCE = Query(OccurrenceRow, f"SELECT {_OCCURRENCE} FROM lash_trigger_occurrences WHERE occurrence_id = ?1")
LIST_OCCURRENCES = Query(
    OccurrenceRow,
    f"""
    SELECT {_OCCURRENCE}
    FROM lash_trigger_occurrences
    WHERE (CAST(?1 AS TEXT) IS NULL OR source_type = CAST(?1 AS TEXT))
      AND (CAST(?2 AS TEXT) IS NULL OR source_key = CAST(?2 AS TEXT))
    ORDER BY seq DESC
    LIMIT ?3
    """,
)
# The first call closes the occurrence; whoever comes later changes no row.
CLOSE_OCCURRENCE = Statement(
    """
    UPDATE lash_trigger_occurrences SET reserved_at_ms = ?2, reserve_token = ?3
    WHERE occurrence_id = ?1 AND reserved_at_ms IS NULL
    """
)
RESERVE = Statement(
    """
    INSERT INTO lash_trigger_deliveries
      (occurrence_id, subscription_id, process_id, state, next_attempt_at_ms, subscription_json, created_at_ms)
    VALUES (?1, ?2, ?3, 'reserved', ?4, ?5, ?6)
    ON CONFLICT (occurrence_id, subscription_id) DO NOTHING
    """
)
RESERVED = Query(
    ReservedRow, "SELECT subscription_json FROM lash_trigger_deliveries WHERE occurrence_id = ?1 ORDER BY seq"
)
OPEN_SNAPSHOTS = Query(
    ReservedRow,
    "SELECT subscription_json FROM lash_trigger_deliveries WHERE next_attempt_at_ms IS NOT NULL ORDER BY seq",
)
# An open delivery keeps its occurrence, and so does a run that has not ended: later ones may have to wait for it.
PRUNABLE = Query(
    OccurrenceId,
    """
    SELECT o.occurrence_id
    FROM lash_trigger_occurrences o
    WHERE o.occurred_at_ms < ?1 AND o.reserved_at_ms IS NOT NULL
      AND NOT EXISTS (
        SELECT 1 FROM lash_trigger_deliveries d
        WHERE d.occurrence_id = o.occurrence_id
          AND (d.next_attempt_at_ms IS NOT NULL
               OR EXISTS (SELECT 1 FROM lash_processes p WHERE p.process_id = d.process_id AND p.status = 'running'))
      )
    ORDER BY o.occurred_at_ms, o.seq
    LIMIT ?2
    """,
)
DELETE_DELIVERIES = Statement("DELETE FROM lash_trigger_deliveries WHERE occurrence_id = ?1")
DELETE_OCCURRENCE = Statement("DELETE FROM lash_trigger_occurrences WHERE occurrence_id = ?1")


@program("write")
def record(request: OccurrenceRequest, now_ms: int) -> Steps[Occurrence]:
    """Records an occurrence once; raises `OccurrenceConflict`."""
    return occurrence_of((yield from recording(request, now_ms)))


def recording(request: OccurrenceRequest, now_ms: int) -> Steps[OccurrenceRow]:
    """The step: the row that stands for the request."""
    yield from execute(
        ADD_OCCURRENCE,
        request.occurrence_id,
        request.source_type,
        request.source_key,
        request.idempotency_key,
        request.request_hash,
        canonical_json(request.payload),
        canonical_json(request.source),
        now_ms,
    )
    row = yield from one(GET_OCCURRENCE, request.occurrence_id)
    assert row is not None  # it was written in this transaction, or before
    if row.request_hash != request.request_hash:
        raise OccurrenceConflict(request.idempotency_key)
    return row


@program("write")
def reserve(occurrence_id: str, token: str, now_ms: int) -> Steps[list[Reservation]]:
    """Reserves one delivery for each subscription, at the first call; raises `UnknownOccurrence`."""
    row = yield from one(GET_OCCURRENCE, occurrence_id)
    if row is None:
        raise UnknownOccurrence(occurrence_id)
    return (yield from reserving(row, token, now_ms)).reservations


@program("write")
def record_and_reserve(request: OccurrenceRequest, token: str, now_ms: int) -> Steps[Emitted]:
    """Records and reserves in one transaction."""
    row = yield from recording(request, now_ms)
    return (yield from reserving(row, token, now_ms))


def reserving(row: OccurrenceRow, token: str, now_ms: int) -> Steps[Emitted]:
    """The step: closes the occurrence if it is open. A repeat with the same token gets the same answer."""
    if row.reserved_at_ms is None and (yield from execute(CLOSE_OCCURRENCE, row.occurrence_id, now_ms, token)):
        subscriptions = [
            subscription_of(found) for found in (yield from many(MATCHING, row.source_type, row.source_key))
        ]
        yield from each(RESERVE, [_delivery(row.occurrence_id, found, now_ms) for found in subscriptions])
        occurrence = occurrence_of(row._replace(reserved_at_ms=now_ms))
        if subscriptions:
            yield from notify()
    else:
        closed = yield from one(GET_OCCURRENCE, row.occurrence_id)
        assert closed is not None  # nobody prunes what this transaction has read and an open row protects
        occurrence = occurrence_of(closed)
        if closed.reserve_token != token:
            return Emitted(occurrence, [], replayed=True)
        rows = yield from many(RESERVED, row.occurrence_id)
        subscriptions = [_snapshot(row.occurrence_id, found.subscription_json) for found in rows]
    return Emitted(
        occurrence,
        [
            Reservation(found, occurrence, delivery_process_id(row.occurrence_id, found.subscription_id))
            for found in subscriptions
        ],
    )


def _delivery(occurrence_id: str, found: Subscription, now_ms: int) -> tuple[str, str, str, int, str, int]:
    process_id = delivery_process_id(occurrence_id, found.subscription_id)
    return occurrence_id, found.subscription_id, process_id, now_ms + GRACE_MS, encode(found), now_ms


def _snapshot(occurrence_id: str, subscription_json: str) -> Subscription:
    return decoded(f"trigger delivery of {occurrence_id}", subscription_json, Subscription)


@program("read")
def list_occurrences(wanted: OccurrenceFilter) -> Steps[list[Occurrence]]:
    """Occurrences, the newest first."""
    rows = yield from many(LIST_OCCURRENCES, wanted.source_type, wanted.source_key, wanted.limit)
    return [occurrence_of(row) for row in rows]


@program("read")
def get_occurrence(occurrence_id: str) -> Steps[Occurrence | None]:
    """One occurrence."""
    row = yield from one(GET_OCCURRENCE, occurrence_id)
    return None if row is None else occurrence_of(row)


@program("write")
def prune(before_ms: int, limit: int) -> Steps[int]:
    """Removes old occurrences that are settled, with their deliveries."""
    doomed = yield from many(PRUNABLE, before_ms, limit)
    yield from each(DELETE_DELIVERIES, doomed)
    yield from each(DELETE_OCCURRENCE, doomed)
    return len(doomed)


@program("read")
def live_drafts() -> Steps[list[SubscriptionDraft]]:
    """Everything registered, and everything reserved that is still open."""
    registered = yield from live_subscription_drafts()
    still_open = yield from many(OPEN_SNAPSHOTS)
    return [*registered, *(_snapshot("an open delivery", row.subscription_json).draft for row in still_open)]


def occurrence_of(row: OccurrenceRow) -> Occurrence:
    """An occurrence; raises `StoredDataCorrupt`."""
    return Occurrence(
        occurrence_id=row.occurrence_id,
        source_type=row.source_type,
        source_key=row.source_key,
        payload=decoded_json(row.occurrence_id, row.payload_json),
        idempotency_key=row.idempotency_key,
        occurred_at_ms=row.occurred_at_ms,
        source=decoded_json(row.occurrence_id, row.source_json),
        reserved_at_ms=row.reserved_at_ms,
    )
