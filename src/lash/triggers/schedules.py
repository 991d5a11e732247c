"""Schedules: the clock as a source of triggers.

A schedule says when; subscriptions to its source say what. Due times follow from the
specification alone, never from when somebody looked, so every worker computes the
same ones, and a firing is an occurrence with the key `{schedule_id}:{due_at_ms}`.

Advancing a schedule and recording its occurrences is one transaction that compares
the due time it saw (`TriggerStore.fire`): of many workers one fires, without a claim
that could be left behind by a crash.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, TypeAlias

import msgspec

from lash.base.canonical import tagged_hash
from lash.base.codec import struct_to_json
from lash.base.json import Json
from lash.triggers.cron import expression_of, next_cron
from lash.triggers.errors import InvalidSchedule
from lash.triggers.occurrence import OccurrenceRequest
from lash.triggers.registrant import Registrant, session_of
from lash.triggers.sources import checked_name, source_key
from lash.triggers.zones import zone_of

SOURCE_TYPE: Final = "clock.schedule"

# What a firing emits: the payload schema of every subscription to a schedule.
PAYLOAD_SCHEMA: Final[Json] = {
    "type": "object",
    "properties": {
        "schedule_id": {"type": "string"},
        "due_at_ms": {"type": "integer"},
        "due_at": {"type": "string"},
    },
    "required": ["schedule_id", "due_at_ms", "due_at"],
}

# A firing this late still counts as on time: loops are busy, machines sleep for a moment.
ON_TIME_MS: Final = 60_000

# How many missed runs a schedule may ask to have made up for.
MAX_CATCH_UP: Final = 1_000

# The end of the calendar that dates can be computed in.
_LATEST_MS: Final = 253_402_300_799_000


class Cron(msgspec.Struct, frozen=True, tag="cron", tag_field="kind"):
    """By a cron expression, in a zone."""

    cron: str
    tz: str = "UTC"


class Every(msgspec.Struct, frozen=True, tag="every", tag_field="kind"):
    """At `anchor_ms` plus every multiple of `every_ms`; the anchor itself is the first."""

    every_ms: int
    anchor_ms: int


class At(msgspec.Struct, frozen=True, tag="at", tag_field="kind"):
    """Once."""

    at_ms: int


ScheduleSpec: TypeAlias = Cron | Every | At

# What of the due times that passed while nobody looked is made up for.
CatchUpMode: TypeAlias = Literal["skip", "one", "all"]


class CatchUp(msgspec.Struct, frozen=True):
    """`skip` none of them, the latest `one`, or `all`, of which at most the latest `limit`.

    A due time at most a minute old is not missed.
    """

    mode: CatchUpMode = "one"
    limit: int = 10


class ScheduleDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule as its maker describes it. The id is the maker's: putting it again changes it."""

    schedule_id: str
    registrant: Registrant
    spec: ScheduleSpec
    catch_up: CatchUp = CatchUp()
    name: str | None = None

    def validated(self) -> ScheduleDraft:
        """The draft itself; raises `InvalidSchedule` naming the field, or `ZoneDataMissing`."""
        checked_name("schedule_id", self.schedule_id)
        session_id = session_of(self.registrant)
        if session_id is not None:
            checked_name("session id of a schedule's registrant", session_id)
        if self.name is not None:
            checked_name("schedule name", self.name)
        if not 1 <= self.catch_up.limit <= MAX_CATCH_UP:
            raise InvalidSchedule("catch_up.limit", self.catch_up.limit, f"must be between 1 and {MAX_CATCH_UP}")
        if self.catch_up.mode not in ("skip", "one", "all"):
            raise InvalidSchedule("catch_up.mode", self.catch_up.mode, "must be skip, one or all")
        check_spec(self.spec)
        return self

    @property
    def source_key(self) -> str:
        """What its subscriptions name."""
        return schedule_source_key(self.schedule_id)

    @property
    def content_hash(self) -> str:
        """Equal drafts have equal hashes: putting one again changes nothing."""
        return tagged_hash("lash.trigger.schedule/v1", struct_to_json(self))


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """A stored schedule. `next_due_ms` is None when it is over or cancelled."""

    revision: int
    enabled: bool
    next_due_ms: int | None
    last_due_ms: int | None
    created_at_ms: int
    updated_at_ms: int
    draft: ScheduleDraft

    @property
    def schedule_id(self) -> str:
        """Its id."""
        return self.draft.schedule_id


class Firing(msgspec.Struct, frozen=True):
    """What to do with a schedule that is due: emit these, then wait for `next_due_ms`.

    It holds only while the schedule still has the revision and the due time it was planned for.
    """

    schedule_id: str
    revision: int
    expected_due_ms: int
    due_ms: list[int]
    next_due_ms: int | None

    def requests(self) -> list[OccurrenceRequest]:
        """The occurrences, oldest first."""
        return [occurrence_request(self.schedule_id, due) for due in self.due_ms]


def schedule_source_key(schedule_id: str) -> str:
    """The source key of a schedule."""
    return source_key(SOURCE_TYPE, {"schedule_id": schedule_id})


def occurrence_request(schedule_id: str, due_ms: int) -> OccurrenceRequest:
    """One firing. It depends on nothing but the schedule's id and the due time."""
    due_at = datetime.fromtimestamp(due_ms // 1_000, UTC) + timedelta(milliseconds=due_ms % 1_000)
    return OccurrenceRequest(
        source_type=SOURCE_TYPE,
        source_key=schedule_source_key(schedule_id),
        payload={
            "schedule_id": schedule_id,
            "due_at_ms": due_ms,
            "due_at": due_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        },
        idempotency_key=f"{schedule_id}:{due_ms}",
        source={"schedule_id": schedule_id},
    )


def check_spec(spec: ScheduleSpec) -> None:
    """Raises `InvalidSchedule` naming the field, or `ZoneDataMissing`."""
    match spec:
        case Cron():
            expression = expression_of(spec.cron)
            if next_cron(expression, zone_of(spec.tz), 0) is None:
                raise InvalidSchedule("cron", spec.cron, "never comes due: no such day exists")
        case Every():
            if not 0 < spec.every_ms <= _LATEST_MS:
                raise InvalidSchedule("every", spec.every_ms, "must be a positive number of milliseconds")
            if not 0 <= spec.anchor_ms <= _LATEST_MS:
                raise InvalidSchedule("anchor_ms", spec.anchor_ms, "is no time in epoch milliseconds")
        case At():
            if not 0 <= spec.at_ms <= _LATEST_MS:
                raise InvalidSchedule("at", spec.at_ms, "is no time in epoch milliseconds")


def next_due(spec: ScheduleSpec, after_ms: int) -> int | None:
    """The first due time after `after_ms`; None when the schedule is over.

    It rises with `after_ms`, and no due time lies between the two.
    """
    match spec:
        case Cron():
            return next_cron(expression_of(spec.cron), zone_of(spec.tz), after_ms)
        case Every():
            if after_ms < spec.anchor_ms:
                return spec.anchor_ms
            due = spec.anchor_ms + ((after_ms - spec.anchor_ms) // spec.every_ms + 1) * spec.every_ms
            return due if due <= _LATEST_MS else None
        case At():
            return spec.at_ms if after_ms < spec.at_ms else None


def first_due(spec: ScheduleSpec, now_ms: int) -> int | None:
    """The first due time of a schedule put at `now_ms`: a one-off that is past is due at once."""
    return spec.at_ms if isinstance(spec, At) else next_due(spec, now_ms)


def plan_firing(schedule: Schedule, now_ms: int) -> Firing | None:
    """What a schedule that is due should do now; None when it is not due."""
    first = schedule.next_due_ms
    if not schedule.enabled or first is None or first > now_ms:
        return None
    spec, catch_up = schedule.draft.spec, schedule.draft.catch_up
    wanted = catch_up.limit if catch_up.mode == "all" else 1
    due = latest_due(lambda after: next_due(spec, after), first, now_ms, wanted)
    if catch_up.mode == "skip" and now_ms - due[-1] > ON_TIME_MS:
        due = []
    return Firing(schedule.schedule_id, schedule.revision, first, due, next_due(spec, now_ms))


def latest_due(following: Callable[[int], int | None], first_ms: int, now_ms: int, count: int) -> list[int]:
    """The last `count` due times from `first_ms` (which is one) to `now_ms`, oldest first.

    Costs a few calls of `following` for each, however many lie between: it gallops back
    from the end, then narrows.
    """
    found: list[int] = []
    until, step = now_ms, 60_000
    while len(found) < count:
        latest = _last(following, first_ms, until, step)
        found.append(latest)
        if latest == first_ms:
            break
        step = max(1, until - latest + 1)
        until = latest - 1
    return found[::-1]


# Walking is cheaper than narrowing while only a few due times are left.
_WALK: Final = 8


def _last(following: Callable[[int], int | None], first_ms: int, until_ms: int, step: int) -> int:
    """The last due time of `[first_ms, until_ms]`, where `first_ms` is one."""
    low, high = first_ms, until_ms  # low is due; nothing after high counts
    while until_ms - step > low:
        due = following(until_ms - step)
        if due is not None and due <= until_ms:
            low = due
            break
        high = until_ms - step
        step *= 2
    while True:
        for _ in range(_WALK):
            due = following(low)
            if due is None or due > until_ms:
                return low
            low = due
        middle = low + (high - low) // 2
        due = following(middle)
        if due is not None and due <= until_ms:
            low = due
        else:
            high = middle
