"""Deliveries: what is open, what was started, what was given up."""

from __future__ import annotations

from typing import Final, NamedTuple

from lash.stores.dialect import Statement
from lash.stores.program import Query, Steps, execute, many, one, program
from lash.stores.readable import Readable, decoded_json, readable
from lash.stores.records import decoded
from lash.triggers.delivery import Delivery, DeliveryFilter, DeliveryState, EarlierRun, OpenDelivery
from lash.triggers.occurrence import Occurrence
from lash.triggers.subscription import Subscription


class DeliveryRow(NamedTuple):
    """A row of `lash_trigger_deliveries`."""

    seq: int
    occurrence_id: str
    process_id: str
    state: DeliveryState
    attempts: int
    last_error: str | None
    next_attempt_at_ms: int | None
    subscription_json: str
    created_at_ms: int
    started_at_ms: int | None


class OpenRow(NamedTuple):
    """A delivery that should be tried, with its occurrence."""

    seq: int
    occurrence_id: str
    process_id: str
    state: DeliveryState
    attempts: int
    last_error: str | None
    next_attempt_at_ms: int | None
    subscription_json: str
    created_at_ms: int
    started_at_ms: int | None
    source_type: str
    source_key: str
    idempotency_key: str
    payload_json: str
    source_json: str
    occurred_at_ms: int
    reserved_at_ms: int | None


class Place(NamedTuple):
    """Where a delivery stands among those of its subscription."""

    seq: int


class Count(NamedTuple):
    """How many."""

    n: int


class ProcessId(NamedTuple):
    """A process."""

    process_id: str


_DELIVERY: Final = (
    "d.seq, d.occurrence_id, d.process_id, d.state, d.attempts, d.last_error, d.next_attempt_at_ms,"
    " d.subscription_json, d.created_at_ms, d.started_at_ms"
)

_WANTED: Final = f"""
    SELECT {_DELIVERY}
    FROM lash_trigger_deliveries d
    WHERE (CAST(?1 AS TEXT) IS NULL OR d.occurrence_id = CAST(?1 AS TEXT))
      AND (CAST(?2 AS TEXT) IS NULL OR d.subscription_id = CAST(?2 AS TEXT))
      AND (CAST(?3 AS TEXT) IS NULL OR d.process_id = CAST(?3 AS TEXT))
      AND (CAST(?4 AS TEXT) IS NULL OR d.state = CAST(?4 AS TEXT))
"""
LIST_DELIVERIES = Query(DeliveryRow, f"{_WANTED} ORDER BY d.seq LIMIT ?5")
LAST_DELIVERIES = Query(DeliveryRow, f"{_WANTED} ORDER BY d.seq DESC LIMIT ?5")
# Read on every report: by key, not by scan.
OF_OCCURRENCE = Query(
    DeliveryRow,
    f"SELECT {_DELIVERY} FROM lash_trigger_deliveries d WHERE d.occurrence_id = ?1 ORDER BY d.seq LIMIT ?2",
)
OPEN_DELIVERIES = Query(
    OpenRow,
    f"""
    SELECT {_DELIVERY}, o.source_type, o.source_key, o.idempotency_key, o.payload_json, o.source_json,
           o.occurred_at_ms, o.reserved_at_ms
    FROM lash_trigger_deliveries d
    JOIN lash_trigger_occurrences o ON o.occurrence_id = d.occurrence_id
    WHERE d.next_attempt_at_ms IS NOT NULL AND d.next_attempt_at_ms <= ?1
    ORDER BY d.next_attempt_at_ms, d.seq
    LIMIT ?2
    """,
)
PLACE = Query(Place, "SELECT seq FROM lash_trigger_deliveries WHERE occurrence_id = ?1 AND subscription_id = ?2")
EARLIER_OPEN = Query(
    ProcessId,
    """
    SELECT process_id FROM lash_trigger_deliveries
    WHERE subscription_id = ?1 AND seq < ?2 AND next_attempt_at_ms IS NOT NULL
    ORDER BY seq DESC LIMIT 1
    """,
)
EARLIER_OPEN_COUNT = Query(
    Count,
    """
    SELECT count(*) FROM lash_trigger_deliveries
    WHERE subscription_id = ?1 AND seq < ?2 AND next_attempt_at_ms IS NOT NULL
    """,
)
EARLIER_STARTED = Query(
    ProcessId,
    """
    SELECT process_id FROM lash_trigger_deliveries
    WHERE subscription_id = ?1 AND seq < ?2 AND state = 'started'
    ORDER BY seq DESC LIMIT 1
    """,
)
# A registered process is the truth, whatever somebody else has written meanwhile. The first time stands.
MARK_STARTED = Statement(
    """
    UPDATE lash_trigger_deliveries
    SET state = 'started', started_at_ms = coalesce(started_at_ms, CAST(?3 AS BIGINT)), next_attempt_at_ms = NULL,
        last_error = NULL
    WHERE occurrence_id = ?1 AND subscription_id = ?2
    """
)
# The number of the attempt is the caller's, so that a repeat does not count twice; a later attempt stands.
MARK_FAILED = Statement(
    """
    UPDATE lash_trigger_deliveries
    SET state = ?3, last_error = ?4, attempts = ?5, next_attempt_at_ms = CAST(?6 AS BIGINT)
    WHERE occurrence_id = ?1 AND subscription_id = ?2 AND attempts <= ?5
      AND (next_attempt_at_ms IS NOT NULL OR (state = ?3 AND attempts = ?5))
    """
)
MARK_SKIPPED = Statement(
    """
    UPDATE lash_trigger_deliveries
    SET state = 'skipped', last_error = ?3, next_attempt_at_ms = NULL
    WHERE occurrence_id = ?1 AND subscription_id = ?2 AND (next_attempt_at_ms IS NOT NULL OR state = 'skipped')
    """
)
DEFER = Statement(
    """
    UPDATE lash_trigger_deliveries
    SET next_attempt_at_ms = ?3
    WHERE occurrence_id = ?1 AND subscription_id = ?2 AND next_attempt_at_ms IS NOT NULL
    """
)


@program("read")
def list_deliveries(wanted: DeliveryFilter) -> Steps[list[Delivery]]:
    """Deliveries in the order of their reservation."""
    if wanted == DeliveryFilter(occurrence_id=wanted.occurrence_id, limit=wanted.limit) and wanted.occurrence_id:
        rows = yield from many(OF_OCCURRENCE, wanted.occurrence_id, wanted.limit)
    else:
        rows = yield from many(
            LAST_DELIVERIES if wanted.newest else LIST_DELIVERIES,
            wanted.occurrence_id,
            wanted.subscription_id,
            wanted.process_id,
            wanted.state,
            wanted.limit,
        )
    return [delivery_of(row) for row in (reversed(rows) if wanted.newest else rows)]


@program("read")
def open_deliveries(now_ms: int, limit: int) -> Steps[Readable[OpenDelivery]]:
    """Deliveries whose next attempt is due; a damaged one stops no other."""
    rows = yield from many(OPEN_DELIVERIES, now_ms, limit)
    return readable(rows, lambda row: OpenDelivery(_delivery_of(row), _occurrence_of(row)))


@program("read")
def earlier_run(occurrence_id: str, subscription_id: str) -> Steps[EarlierRun]:
    """What stands before a delivery."""
    own = yield from one(PLACE, occurrence_id, subscription_id)
    if own is None:
        return EarlierRun(None, None)
    waiting = yield from one(EARLIER_OPEN, subscription_id, own.seq)
    if waiting is not None:
        count = yield from one(EARLIER_OPEN_COUNT, subscription_id, own.seq)
        return EarlierRun(waiting.process_id, None, 1 if count is None else count.n)
    started = yield from one(EARLIER_STARTED, subscription_id, own.seq)
    return EarlierRun(None, None if started is None else started.process_id)


@program("single")
def mark_started(occurrence_id: str, subscription_id: str, now_ms: int) -> Steps[int]:
    """The process is registered."""
    return (yield from execute(MARK_STARTED, occurrence_id, subscription_id, now_ms))


@program("single")
def mark_failed(
    occurrence_id: str, subscription_id: str, error: str, attempts: int, next_attempt_at_ms: int | None
) -> Steps[int]:
    """An attempt failed; without a next one the delivery is dead."""
    state = "dead" if next_attempt_at_ms is None else "failed"
    return (yield from execute(MARK_FAILED, occurrence_id, subscription_id, state, error, attempts, next_attempt_at_ms))


@program("single")
def mark_skipped(occurrence_id: str, subscription_id: str, reason: str) -> Steps[int]:
    """An earlier run had not ended."""
    return (yield from execute(MARK_SKIPPED, occurrence_id, subscription_id, reason))


@program("single")
def defer(occurrence_id: str, subscription_id: str, next_attempt_at_ms: int) -> Steps[int]:
    """Looks at it again later."""
    return (yield from execute(DEFER, occurrence_id, subscription_id, next_attempt_at_ms))


def delivery_of(row: DeliveryRow) -> Delivery:
    """A delivery; raises `StoredDataCorrupt`."""
    return _delivery_of(row)


def _delivery_of(row: DeliveryRow | OpenRow) -> Delivery:
    return Delivery(
        seq=row.seq,
        occurrence_id=row.occurrence_id,
        subscription=decoded(f"trigger delivery {row.process_id}", row.subscription_json, Subscription),
        process_id=row.process_id,
        state=row.state,
        attempts=row.attempts,
        created_at_ms=row.created_at_ms,
        last_error=row.last_error,
        next_attempt_at_ms=row.next_attempt_at_ms,
        started_at_ms=row.started_at_ms,
    )


def _occurrence_of(row: OpenRow) -> Occurrence:
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
