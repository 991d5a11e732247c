"""Schedules as pure rules: due times, what is made up for, what is refused."""

from __future__ import annotations

import zoneinfo
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lash.triggers import schedules
from lash.triggers.errors import InvalidSchedule, InvalidTrigger, ZoneDataMissing
from lash.triggers.registrant import HostOriginator, session_registrant
from lash.triggers.schedules import (
    At,
    CatchUp,
    Cron,
    Every,
    Schedule,
    ScheduleDraft,
    ScheduleSpec,
    first_due,
    latest_due,
    next_due,
    occurrence_request,
    plan_firing,
)

NOW = 1_780_000_000_000
MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


LATEST = CatchUp()


def draft(spec: ScheduleSpec, catch_up: CatchUp = LATEST) -> ScheduleDraft:
    return ScheduleDraft(schedule_id="s", registrant=HostOriginator(), spec=spec, catch_up=catch_up)


def waiting(spec: ScheduleSpec, next_due_ms: int | None, catch_up: CatchUp = LATEST) -> Schedule:
    return Schedule(
        revision=1,
        enabled=True,
        next_due_ms=next_due_ms,
        last_due_ms=None,
        created_at_ms=0,
        updated_at_ms=0,
        draft=draft(spec, catch_up),
    )


specs = st.one_of(
    st.builds(Every, st.integers(1, 3 * DAY), st.integers(NOW - DAY, NOW + DAY)),
    st.sampled_from(
        [Cron("*/7 * * * *"), Cron("0 9 * * 1-5", "Europe/Athens"), Cron("30 2 * * *", "America/New_York")]
    ),
)


def test_an_interval_counts_from_its_anchor_not_from_when_somebody_looked() -> None:
    every = Every(10_000, anchor_ms=NOW)

    assert next_due(every, NOW - 1) == NOW
    assert next_due(every, NOW) == NOW + 10_000
    assert next_due(every, NOW + 12_345) == NOW + 20_000


def test_a_one_off_is_due_once_even_when_it_is_past() -> None:
    assert first_due(At(NOW), NOW + DAY) == NOW
    assert next_due(At(NOW), NOW - 1) == NOW
    assert next_due(At(NOW), NOW) is None


@settings(max_examples=60, deadline=None)
@given(spec=specs, after=st.integers(NOW - 2 * DAY, NOW + 2 * DAY))
def test_the_next_due_time_is_next(spec: ScheduleSpec, after: int) -> None:
    due = next_due(spec, after)

    assert due is not None
    assert due > after
    assert next_due(spec, due - 1) == due


@settings(max_examples=60, deadline=None)
@given(
    gaps=st.lists(st.integers(1, 5_000) | st.integers(1, 5_000_000), min_size=1, max_size=60),
    beyond=st.integers(0, 10_000),
    count=st.integers(1, 20),
)
def test_the_latest_due_times_are_found_however_irregular_they_are(gaps: list[int], beyond: int, count: int) -> None:
    moments = [sum(gaps[: place + 1]) for place in range(len(gaps))]

    def following(after: int) -> int | None:
        return next((moment for moment in moments if moment > after), None)

    now = moments[-1] + beyond

    assert latest_due(following, moments[0], now, count) == moments[-count:]


def test_the_latest_of_a_year_of_seconds_is_found_in_a_few_questions() -> None:
    asked: list[int] = []
    every = Every(1_000, NOW)

    def following(after: int) -> int | None:
        asked.append(after)
        return next_due(every, after)

    found = latest_due(following, NOW, NOW + 365 * DAY, 5)

    assert found == [NOW + 365 * DAY - 1_000 * back for back in (4, 3, 2, 1, 0)]
    assert len(asked) < 200


@pytest.mark.parametrize(
    ("catch_up", "late", "expected"),
    [
        (CatchUp("one"), 0, [NOW]),
        (CatchUp("skip"), 0, [NOW]),
        (CatchUp("all"), 0, [NOW]),
        (CatchUp("one"), 5 * HOUR + MINUTE * 2, [NOW + 5 * HOUR]),
        (CatchUp("skip"), 5 * HOUR + MINUTE * 2, []),
        (CatchUp("skip"), 5 * HOUR + MINUTE, [NOW + 5 * HOUR]),
        (CatchUp("all"), 2 * HOUR, [NOW, NOW + HOUR, NOW + 2 * HOUR]),
        (CatchUp("all", limit=2), 2 * HOUR, [NOW + HOUR, NOW + 2 * HOUR]),
    ],
)
def test_what_was_missed_is_made_up_for_as_asked(catch_up: CatchUp, late: int, expected: list[int]) -> None:
    schedule = waiting(Every(HOUR, NOW), NOW, catch_up)

    firing = plan_firing(schedule, NOW + late)

    assert firing is not None
    assert firing.due_ms == expected
    assert firing.next_due_ms == NOW + (late // HOUR + 1) * HOUR
    assert (firing.expected_due_ms, firing.revision) == (NOW, 1)


def test_nothing_is_planned_before_its_time() -> None:
    assert plan_firing(waiting(Every(HOUR, NOW), NOW), NOW - 1) is None
    assert plan_firing(waiting(At(NOW), None), NOW + 1) is None


def test_a_firing_depends_on_the_due_time_alone() -> None:
    request = occurrence_request("report", NOW + 5)

    assert request.idempotency_key == f"report:{NOW + 5}"
    assert request.payload == {"schedule_id": "report", "due_at_ms": NOW + 5, "due_at": "2026-05-28T20:26:40.005Z"}


@pytest.mark.parametrize(
    ("spec", "catch_up", "field"),
    [
        (Cron("61 * * * *"), CatchUp(), "cron"),
        (Cron("0 0 30 2 *"), CatchUp(), "cron"),
        (Cron("0 0 * 2 1#5", "Atlantis/Capital"), CatchUp(), "tz"),
        (Cron("0 9 * * *", ""), CatchUp(), "tz"),
        (Cron("0 9 * * *", "../../etc/passwd"), CatchUp(), "tz"),
        (Cron("0 9 * * *", "Europe"), CatchUp(), "tz"),
        (Every(0, NOW), CatchUp(), "every"),
        (Every(-5, NOW), CatchUp(), "every"),
        (Every(1, -1), CatchUp(), "anchor_ms"),
        (At(-1), CatchUp(), "at"),
        (At(10**18), CatchUp(), "at"),
        (At(NOW), CatchUp("all", 0), "catch_up.limit"),
        (At(NOW), CatchUp("all", 10**9), "catch_up.limit"),
    ],
)
def test_a_schedule_that_cannot_run_names_the_field(spec: ScheduleSpec, catch_up: CatchUp, field: str) -> None:
    with pytest.raises(InvalidSchedule) as refused:
        draft(spec, catch_up).validated()

    assert refused.value.field == field
    assert f"`{field}`" in str(refused.value)


def test_ids_that_no_store_can_hold_are_refused() -> None:
    for schedule_id, registrant in (("", HostOriginator()), ("a\0b", HostOriginator()), ("s", session_registrant(""))):
        with pytest.raises(InvalidTrigger):
            ScheduleDraft(schedule_id=schedule_id, registrant=registrant, spec=At(NOW)).validated()


def test_a_machine_without_time_zones_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(key: str) -> Any:
        raise zoneinfo.ZoneInfoNotFoundError(key)

    monkeypatch.setattr("lash.triggers.zones.ZoneInfo", nothing)

    with pytest.raises(ZoneDataMissing, match="pip install tzdata"):
        draft(Cron("0 9 * * *", "Europe/Athens")).validated()
    assert draft(Cron("0 9 * * *")).validated().schedule_id == "s"  # UTC needs none


def test_the_payload_of_a_firing_fits_its_schema() -> None:
    from lash.base.schema import compile_schema

    assert compile_schema(schedules.PAYLOAD_SCHEMA).problems(occurrence_request("s", NOW).payload) == []
