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

from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Final

from cronsim import CronSim, CronSimError

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
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

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
    try:
        CronSim(expression, _EPOCH)
    except (CronSimError, ValueError, AssertionError) as error:
        reason = str(error) or "cannot be read"
        raise InvalidSchedule(
            "cron", expression, f"is no cron expression ({reason}); write five fields such as 0 9 * * 1-5"
        ) from error


def next_cron(expression: str, zone: tzinfo, after_ms: int) -> int | None:
    """The first due time after `after_ms`, in epoch milliseconds; None if there is none in 50 years."""
    start = datetime.fromtimestamp(after_ms // 1_000, zone)
    if start.year > _LAST_YEAR:
        return None
    # In the second of two equal hours the wall clock has gone back, and the first answers lie in the past.
    for due in CronSim(expression, start):
        due_ms = int(due.timestamp()) * 1_000
        if due_ms > after_ms:
            return due_ms
    return None
