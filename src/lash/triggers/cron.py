"""Cron expressions in a time zone.

Five fields (minute hour day month weekday) or six (seconds first), or one of
`@hourly @daily @midnight @weekly @monthly @yearly @annually`. As with cron on Debian,
when clocks change:

- an expression that names minute and hour (`30 2 * * *`) runs once a day: at the first
  moment after a gap that swallowed it, at the first of two equal times;
- one with a star in minute or hour (`*/30 * * * *`), or with seconds, follows real
  time: nothing in the gap, both hours of the fold.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Final

from lash.triggers.errors import InvalidSchedule

_NICKNAMES: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_EPOCH: Final = datetime(1970, 1, 1)  # a wall clock: no zone

# The calendar ends with the year 9999; long before it an expression that has not run never will.
_LAST_YEAR: Final = 9_900

# A longer text is no schedule; reading it would only cost time.
_MAX_CHARS: Final = 500


def expression_of(cron: str) -> str:
    """The expression behind a nickname. Raises `InvalidSchedule` naming the bad part."""
    if len(cron) > _MAX_CHARS:
        raise InvalidSchedule("cron", f"{cron[:40]}…", f"is longer than {_MAX_CHARS} characters")
    expression = _NICKNAMES.get(cron.strip().lower(), cron)
    _check(expression)
    return expression


@lru_cache(maxsize=512)
def _check(expression: str) -> None:
    from cronsim import CronSimError

    try:
        _walk(expression, _EPOCH)
    except (CronSimError, ValueError, AssertionError) as error:
        reason = str(error) or "cannot be read"
        raise InvalidSchedule(
            "cron", expression, f"is no cron expression ({reason}); write five fields such as 0 9 * * 1-5"
        ) from error


def next_cron(expression: str, zone: tzinfo, after_ms: int) -> int | None:
    """The first due time after `after_ms`, in epoch milliseconds; None if there is none in 50 years.

    The library is asked about wall clocks only: which real moments those are is decided here,
    because it loses runs where clocks change by less than an hour.
    """
    after = after_ms // 1_000
    if datetime.fromtimestamp(after, zone).year > _LAST_YEAR:
        return None
    due = _once_a_day(expression, zone, after) if _names_a_time(expression) else _real_time(expression, zone, after)
    return None if due is None else due * 1_000


def _walk(expression: str, wall: datetime) -> Iterator[datetime]:
    """The wall clocks after `wall` that match, in order."""
    from cronsim import CronSim  # loaded by those who use cron

    return iter(CronSim(expression, wall))


def _names_a_time(expression: str) -> bool:
    """Whether minute and hour are both named: such a run must neither be lost nor doubled."""
    fields = expression.split()
    return len(fields) == 5 and not fields[0].startswith("*") and not fields[1].startswith("*")


def _once_a_day(expression: str, zone: tzinfo, after: int) -> int | None:
    """Wall times in order, each at its first moment. In the second of two equal hours the first ones are past."""
    for wall in _walk(expression, _wall(zone, after)):
        due = _first_moment(zone, wall)
        if due > after:
            return due
    return None


def _real_time(expression: str, zone: tzinfo, after: int) -> int | None:
    """Stretch by stretch of equal offset: within one, the wall clock and real time go together."""
    start, since = after, _wall(zone, after)
    while True:
        wall = next(_walk(expression, since), None)
        if wall is None:
            return None
        due = start + int((wall - _wall(zone, start)).total_seconds())
        change = _next_change(zone, start, due)
        if change is None:
            return due
        # The moment of the change itself may be due.
        start, since = change, _wall(zone, change) - timedelta(seconds=1)


def _first_moment(zone: tzinfo, wall: datetime) -> int:
    """When a wall clock first shows `wall`; in a gap, the moment the clocks go forward."""
    moment = int(wall.replace(tzinfo=zone, fold=0).timestamp())
    if _wall(zone, moment) == wall:
        return moment
    # In a gap `fold=0` reads the time by the old offset, which lands after the change; `fold=1` before it.
    before = int(wall.replace(tzinfo=zone, fold=1).timestamp())
    return _next_change(zone, before, moment) or moment


# No zone has changed its clocks forth and back within so short a time.
_STEP_S: Final = 12 * 3_600


def _next_change(zone: tzinfo, start: int, end: int) -> int | None:
    """The first second of `(start, end]` whose offset is not that of `start`."""
    offset = _offset(zone, start)
    while start < end:
        reach = min(start + _STEP_S, end)
        if _offset(zone, reach) != offset:
            while reach - start > 1:
                middle = (start + reach) // 2
                if _offset(zone, middle) == offset:
                    start = middle
                else:
                    reach = middle
            return reach
        start = reach
    return None


def _wall(zone: tzinfo, moment: int) -> datetime:
    return datetime.fromtimestamp(moment, zone).replace(tzinfo=None, fold=0)


def _offset(zone: tzinfo, moment: int) -> timedelta | None:
    return datetime.fromtimestamp(moment, zone).utcoffset()
