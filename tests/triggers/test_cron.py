"""Cron in real zones: due times against a walk over every minute, over gaps, folds and ordinary days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lash.triggers.cron import expression_of, next_cron
from lash.triggers.errors import InvalidSchedule

HOUR_MS = 3_600_000

# Each with moments around which its clocks change.
CHANGES = {
    "Europe/Athens": ["2026-03-29T01:00", "2026-10-25T01:00"],
    "America/New_York": ["2026-03-08T07:00", "2026-11-01T06:00"],
    "Australia/Lord_Howe": ["2026-04-04T15:00", "2026-10-03T15:30"],  # half an hour
    "America/Sao_Paulo": ["2018-11-04T03:00", "2018-02-18T02:00"],  # at midnight
    "Antarctica/Troll": ["2026-03-29T01:00", "2026-10-25T01:00"],  # two hours
    "Pacific/Apia": ["2011-12-30T10:00"],  # a whole day that never was
    "Asia/Kolkata": ["2026-06-01T00:00"],  # never
    "UTC": ["2026-03-29T01:00"],
}
MOMENTS = [
    (zone, int(datetime.fromisoformat(f"{moment}+00:00").timestamp()) * 1_000)
    for zone, moments in CHANGES.items()
    for moment in moments
]

minutes = st.sampled_from(["*", "0", "30", "15,45", "*/20", "59"])
hours = st.sampled_from(["*", "0", "1", "2", "3", "1,2", "*/6", "23", "0-3"])
days = st.sampled_from(["*", "*", "1-7", "29,30,31"])
weekdays = st.sampled_from(["*", "*", "0", "1-5", "SUN"])
expressions = st.tuples(minutes, hours, days, st.just("*"), weekdays).map(" ".join)


def wall_matches(expression: str, wall: datetime) -> bool:
    """Whether a wall-clock minute matches, read field by field."""
    minute, hour, day, _, weekday = expression.split()
    by_day, by_weekday = in_field(day, wall.day, 1, 31), in_field(weekday, wall.isoweekday() % 7, 0, 6)
    on_day = by_day and by_weekday if "*" in (day[0], weekday[0]) else by_day or by_weekday
    return on_day and in_field(hour, wall.hour, 0, 23) and in_field(minute, wall.minute, 0, 59)


def in_field(field: str, value: int, low: int, high: int) -> bool:
    for part in field.replace("SUN", "0").split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        start, end = (low, high) if span == "*" else (int(first), int(last or first))
        if start <= value <= end and (value - start) % int(step or 1) == 0:
            return True
    return False


def expected_due(expression: str, zone: str, start_ms: int, end_ms: int) -> list[int]:
    """Every due time in `(start, end]`: by real minutes with a star, else by wall minutes of each day."""
    tz = ZoneInfo(zone)
    minute, hour, *_ = expression.split()
    due: set[int] = set()
    if zone == "UTC" or minute.startswith("*") or hour.startswith("*"):
        for at in range(start_ms // 60_000, end_ms // 60_000 + 1):
            if wall_matches(expression, datetime.fromtimestamp(at * 60, tz).replace(tzinfo=None)):
                due.add(at * 60_000)
    else:
        wall = datetime.fromtimestamp(start_ms / 1_000, tz).replace(tzinfo=None, second=0) - timedelta(days=2)
        end = datetime.fromtimestamp(end_ms / 1_000, tz).replace(tzinfo=None) + timedelta(days=1)
        while wall <= end:
            if wall_matches(expression, wall):
                due.add(int(first_moment(wall, tz).timestamp()) * 1_000)
            wall += timedelta(minutes=1)
    return sorted(at for at in due if start_ms < at <= end_ms)


def first_moment(wall: datetime, tz: ZoneInfo) -> datetime:
    """The first of two equal times; after a gap that swallowed the time, the first moment there is."""
    aware = wall.replace(tzinfo=tz)
    while aware.astimezone(UTC).astimezone(tz).replace(tzinfo=None) != wall:
        wall += timedelta(minutes=1)
        aware = wall.replace(tzinfo=tz)
    return aware


@settings(max_examples=40, deadline=None)
@given(expression=expressions, place=st.sampled_from(MOMENTS), offset=st.integers(-30 * 60, 6 * 60))
@example(expression="30 2 * * *", place=MOMENTS[2], offset=-120)  # swallowed
@example(expression="30 1 * * *", place=MOMENTS[3], offset=20)  # between the two equal times
@example(expression="*/20 * * * *", place=MOMENTS[4], offset=-60)
@example(expression="0 0 * * *", place=MOMENTS[6], offset=-600)
@example(expression="0 1 29,30,31 * *", place=MOMENTS[10], offset=-1_500)
def test_due_times_are_those_of_a_walk_over_every_minute(expression: str, place: tuple[str, int], offset: int) -> None:
    zone, moment_ms = place
    start_ms = moment_ms + offset * 60_000
    end_ms = start_ms + 26 * HOUR_MS
    tz = UTC if zone == "UTC" else ZoneInfo(zone)

    found: list[int] = []
    due = next_cron(expression, tz, start_ms)
    while due is not None and due <= end_ms:
        found.append(due)
        due = next_cron(expression, tz, due)

    assert found == expected_due(expression, zone, start_ms, end_ms)


@settings(max_examples=60, deadline=None)
@given(
    expression=expressions,
    place=st.sampled_from(MOMENTS),
    offset_ms=st.integers(-30 * HOUR_MS, 6 * HOUR_MS),
    part=st.floats(0, 1),
)
def test_no_due_time_lies_between_a_moment_and_its_next(
    expression: str, place: tuple[str, int], offset_ms: int, part: float
) -> None:
    zone, moment_ms = place
    tz = UTC if zone == "UTC" else ZoneInfo(zone)
    after = moment_ms + offset_ms
    due = next_cron(expression, tz, after)
    assert due is not None
    assert due > after

    assert next_cron(expression, tz, after + int((due - 1 - after) * part)) == due


@pytest.mark.parametrize(
    ("cron", "after", "due"),
    [
        ("30 2 * * *", "2026-03-08T00:00-05:00", "2026-03-08T03:00-04:00"),  # 02:30 does not exist
        ("30 1 * * *", "2026-11-01T00:00-04:00", "2026-11-01T01:30-04:00"),  # the first of two
        ("30 1 * * *", "2026-11-01T01:30-04:00", "2026-11-02T01:30-05:00"),  # and not the second
        ("*/30 1 * * *", "2026-11-01T01:30-04:00", "2026-11-01T01:00-05:00"),  # real time: both
        ("0 9 * * 1-5", "2026-11-20T09:00-05:00", "2026-11-23T09:00-05:00"),
        ("@daily", "2026-11-20T09:00-05:00", "2026-11-21T00:00-05:00"),
        ("15 0 9 * * *", "2026-11-20T08:00-05:00", "2026-11-20T09:00:15-05:00"),  # seconds first
        ("0 9 L * *", "2026-02-01T00:00-05:00", "2026-02-28T09:00-05:00"),
    ],
)
def test_an_expression_follows_the_clocks_of_new_york(cron: str, after: str, due: str) -> None:
    after_ms = int(datetime.fromisoformat(after).timestamp()) * 1_000

    found = next_cron(expression_of(cron), ZoneInfo("America/New_York"), after_ms)

    assert found == int(datetime.fromisoformat(due).timestamp()) * 1_000


@pytest.mark.parametrize(
    "cron",
    [
        "",
        "nonsense",
        "* * * *",
        "* * * * * * *",
        "61 * * * *",
        "* * 31 2 *",
        "*/0 * * * *",
        "@never",
        "0 0 * * 8",
        "5-1 * * * *",
        "x" * 600,
    ],
)
def test_an_expression_that_cannot_be_read_names_its_field(cron: str) -> None:
    with pytest.raises(InvalidSchedule, match="schedule field `cron` is invalid") as refused:
        expression_of(cron)

    assert refused.value.field == "cron"
    assert len(str(refused.value)) < 700


@settings(max_examples=300, deadline=None)
@given(
    st.text(max_size=40) | st.lists(st.text("0123456789*/,-LW#SUN? ", max_size=8), min_size=5, max_size=6).map(" ".join)
)
def test_any_text_is_an_expression_or_a_typed_error(cron: str) -> None:
    try:
        expression = expression_of(cron)
    except InvalidSchedule:
        return

    due = next_cron(expression, UTC, 1_700_000_000_000)
    assert due is None or due > 1_700_000_000_000
