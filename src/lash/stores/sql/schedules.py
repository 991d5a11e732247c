"""Schedules: put, found when due, advanced together with what they emit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from lash.base.codec import encode
from lash.stores.dialect import Statement
from lash.stores.program import Query, Steps, execute, many, notify, one, program
from lash.stores.readable import Readable, readable
from lash.stores.records import decoded
from lash.stores.sql.occurrences import GET_OCCURRENCE, recording, reserving
from lash.stores.sql.subscriptions import refuse_gone, registering
from lash.triggers.errors import InvalidSchedule
from lash.triggers.registrant import session_of
from lash.triggers.schedules import Firing, Schedule, ScheduleDraft
from lash.triggers.store import Emitted
from lash.triggers.subscription import SubscriptionDraft


class ScheduleRow(NamedTuple):
    """A row of `lash_schedules`."""

    schedule_id: str
    enabled: int
    revision: int
    draft_hash: str
    draft_json: str
    next_due_ms: int | None
    last_due_ms: int | None
    created_at_ms: int
    updated_at_ms: int


class Owner(NamedTuple):
    """Whose schedule it is."""

    registrant_scope_id: str


class WakeRow(NamedTuple):
    """The next moments at which there is something to do."""

    due_ms: int | None
    attempt_ms: int | None


_SCHEDULE: Final = (
    "schedule_id, enabled, revision, draft_hash, draft_json, next_due_ms, last_due_ms, created_at_ms, updated_at_ms"
)

# An equal draft changes nothing: a host may put its schedules at every start, and no due time moves.
PUT_SCHEDULE = Statement(
    """
    INSERT INTO lash_schedules
      (schedule_id, registrant_scope_id, registrant_session_id, enabled, revision, draft_hash, draft_json, next_due_ms,
       created_at_ms, updated_at_ms)
    VALUES (?1, ?2, ?3, 1, 1, ?4, ?5, ?6, ?7, ?7)
    ON CONFLICT (schedule_id) DO UPDATE SET
      registrant_scope_id = excluded.registrant_scope_id, registrant_session_id = excluded.registrant_session_id,
      enabled = 1, revision = lash_schedules.revision + 1, draft_hash = excluded.draft_hash,
      draft_json = excluded.draft_json, next_due_ms = excluded.next_due_ms, updated_at_ms = excluded.updated_at_ms
    WHERE lash_schedules.registrant_scope_id = excluded.registrant_scope_id
      AND (lash_schedules.draft_hash <> excluded.draft_hash OR lash_schedules.enabled = 0)
    """
)
GET_OWNER = Query(Owner, "SELECT registrant_scope_id FROM lash_schedules WHERE schedule_id = ?1")
GET_SCHEDULE = Query(ScheduleRow, f"SELECT {_SCHEDULE} FROM lash_schedules WHERE schedule_id = ?1")
LIST_SCHEDULES = Query(
    ScheduleRow,
    f"""
    SELECT {_SCHEDULE}
    FROM lash_schedules
    WHERE CAST(?1 AS TEXT) IS NULL OR registrant_session_id = CAST(?1 AS TEXT)
    ORDER BY schedule_id
    """,
)
DUE_SCHEDULES = Query(
    ScheduleRow,
    f"""
    SELECT {_SCHEDULE}
    FROM lash_schedules
    WHERE next_due_ms IS NOT NULL AND next_due_ms <= ?1
    ORDER BY next_due_ms, schedule_id
    LIMIT ?2
    """,
)
# A cancelled schedule is never due.
CANCEL_SCHEDULE = Statement(
    """
    UPDATE lash_schedules SET enabled = 0, revision = revision + 1, next_due_ms = NULL, updated_at_ms = ?2
    WHERE schedule_id = ?1 AND enabled = 1
    """
)
# The compare that makes a firing happen once: whoever sees another due time or revision does nothing.
ADVANCE = Statement(
    """
    UPDATE lash_schedules
    SET next_due_ms = CAST(?4 AS BIGINT), last_due_ms = CAST(?5 AS BIGINT)
    WHERE schedule_id = ?1 AND revision = ?2 AND next_due_ms = ?3
    """
)
NEXT_WAKE = Query(
    WakeRow,
    """
    SELECT (SELECT min(next_due_ms) FROM lash_schedules WHERE next_due_ms IS NOT NULL),
           (SELECT min(next_attempt_at_ms) FROM lash_trigger_deliveries WHERE next_attempt_at_ms IS NOT NULL)
    """,
)
CANCEL_SUBSCRIPTION_OF = Statement(
    """
    UPDATE lash_trigger_subscriptions SET enabled = 0, revision = revision + 1, updated_at_ms = ?3
    WHERE registrant_scope_id = ?1 AND registration_key = ?2 AND enabled = 1
    """
)


def subscription_key(schedule_id: str) -> str:
    """The key of the subscription that was put together with a schedule."""
    return f"schedule:{schedule_id}"


@program("write")
def put(draft: ScheduleDraft, first_due_ms: int | None, run: SubscriptionDraft | None, now_ms: int) -> Steps[Schedule]:
    """Adds or changes a schedule and its subscription. Raises `InvalidSchedule` for another's id."""
    yield from refuse_gone(session_of(draft.registrant))
    registrant = draft.registrant
    known = yield from one(GET_OWNER, draft.schedule_id)
    if known is not None and known.registrant_scope_id != registrant.scope_id:
        raise InvalidSchedule("schedule_id", draft.schedule_id, f"belongs to {known.registrant_scope_id}")
    yield from execute(
        PUT_SCHEDULE,
        draft.schedule_id,
        registrant.scope_id,
        session_of(registrant),
        draft.content_hash,
        encode(draft),
        first_due_ms,
        now_ms,
    )
    if run is not None:
        yield from registering(run, subscription_key(draft.schedule_id), now_ms)
    row = yield from one(GET_SCHEDULE, draft.schedule_id)
    assert row is not None  # it was written in this transaction
    yield from notify()
    return schedule_of(row)


@program("write")
def cancel(schedule_id: str, now_ms: int) -> Steps[bool]:
    """Stops a schedule, and the subscription that was put with it."""
    row = yield from one(GET_SCHEDULE, schedule_id)
    if row is None or not (yield from execute(CANCEL_SCHEDULE, schedule_id, now_ms)):
        return False
    scope_id = schedule_of(row).draft.registrant.scope_id
    yield from execute(CANCEL_SUBSCRIPTION_OF, scope_id, subscription_key(schedule_id), now_ms)
    return True


@program("read")
def list_schedules(session_id: str | None) -> Steps[list[Schedule]]:
    """Schedules by id."""
    return [schedule_of(row) for row in (yield from many(LIST_SCHEDULES, session_id))]


@program("read")
def get(schedule_id: str) -> Steps[Schedule | None]:
    """One schedule."""
    row = yield from one(GET_SCHEDULE, schedule_id)
    return None if row is None else schedule_of(row)


@program("read")
def due(now_ms: int, limit: int) -> Steps[Readable[Schedule]]:
    """What is due, the longest waiting first; a damaged one stops no other."""
    return readable((yield from many(DUE_SCHEDULES, now_ms, limit)), schedule_of)


@program("write")
def fire(firings: Sequence[Firing], token: str, now_ms: int) -> Steps[list[Emitted]]:
    """Advances schedules and records what they emit, in one transaction.

    A firing that somebody else has made answers nothing; a repeat with the same token finds its own.
    """
    emitted: list[Emitted] = []
    # By id: two workers with the same schedules never wait for each other in a circle.
    for firing in sorted(firings, key=lambda firing: firing.schedule_id):
        last = firing.due_ms[-1] if firing.due_ms else firing.expected_due_ms
        ours = yield from execute(
            ADVANCE, firing.schedule_id, firing.revision, firing.expected_due_ms, firing.next_due_ms, last
        )
        for request in firing.requests():
            if not ours:
                row = yield from one(GET_OCCURRENCE, request.occurrence_id)
                if row is None or row.reserve_token != token:
                    continue
            else:
                row = yield from recording(request, now_ms)
            emitted.append((yield from reserving(row, token, now_ms)))
    return emitted


@program("read")
def next_wake() -> Steps[int | None]:
    """When there is something to do next: the first entry of two indexes."""
    row = yield from one(NEXT_WAKE)
    moments = [moment for moment in row or () if moment is not None]
    return min(moments, default=None)


def schedule_of(row: ScheduleRow) -> Schedule:
    """A schedule; raises `StoredDataCorrupt`."""
    return Schedule(
        revision=row.revision,
        enabled=bool(row.enabled),
        next_due_ms=row.next_due_ms,
        last_due_ms=row.last_due_ms,
        created_at_ms=row.created_at_ms,
        updated_at_ms=row.updated_at_ms,
        draft=decoded(f"schedule {row.schedule_id}", row.draft_json, ScheduleDraft),
    )
