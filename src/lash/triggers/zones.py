"""Time zones by name, with errors that say what is missing."""

from __future__ import annotations

from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from lash.triggers.errors import InvalidSchedule, ZoneDataMissing

# A zone that every time zone database has: without it there is no database at all.
_WITNESS = "Europe/London"


def zone_of(name: str) -> tzinfo:
    """The zone. Raises `InvalidSchedule` for an unknown name, `ZoneDataMissing` where no zone can be read."""
    if name == "UTC":
        return UTC  # also where there is no database
    found = _load(name)
    if found is None:
        if _load(_WITNESS) is None:
            raise ZoneDataMissing(name)
        raise InvalidSchedule("tz", name, "is no time zone; give an IANA name such as Europe/Athens")
    return found


def _load(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # an absolute path, a folder of zones
        return None
