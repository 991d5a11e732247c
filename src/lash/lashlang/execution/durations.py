"""What `sleep for` and `sleep until` accept (specification §3.10).

A host that performs `Sleep` requests reads their values with these. Deadlines
are absolute: journal the deadline, not the time that was left.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Final

from lash.base.json import Json
from lash.lashlang.errors import LanguageError

_DURATION: Final = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*(ms|s|m|h)?\s*")
_UNITS_MS: Final = {"ms": 1, None: 1, "s": 1000, "m": 60_000, "h": 3_600_000}
_LONGEST_MS: Final = 2**53


class InvalidSleep(LanguageError):
    """A sleep was asked for in a form nobody can follow."""

    code = "lashlang.sleep"


def duration_ms(value: Json) -> int:
    """The milliseconds of `sleep for value`."""
    if isinstance(value, str):
        found = _DURATION.fullmatch(value)
        if found is None:
            raise InvalidSleep(f"invalid duration `{value}`: expected a number with the unit ms, s, m or h")
        return _whole_ms(float(found.group(1)) * _UNITS_MS[found.group(2)], value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise InvalidSleep(
            f"`sleep for` expects a non-negative millisecond number or duration string, got {_shown(value)}"
        )
    return _whole_ms(float(value), value)


def deadline_ms(value: Json) -> int:
    """The epoch milliseconds of `sleep until value`."""
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return _whole_ms(float(value), value) if value > 0 else 0
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise _bad_deadline(value) from None
        if moment.tzinfo is None:
            raise _bad_deadline(value)
        return max(0, round((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000))
    raise _bad_deadline(value)


def _whole_ms(milliseconds: float, value: Json) -> int:
    if milliseconds > _LONGEST_MS:
        raise InvalidSleep(f"invalid duration `{value}`: longer than can be kept")
    return round(milliseconds)


def _bad_deadline(value: Json) -> InvalidSleep:
    return InvalidSleep(f"`sleep until` expects RFC3339 text or Unix epoch milliseconds, got {_shown(value)}")


def _shown(value: Json) -> str:
    kinds = {bool: "bool", dict: "record", list: "list", type(None): "null"}
    return kinds.get(type(value)) or str(value)
