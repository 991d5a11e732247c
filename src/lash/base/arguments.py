"""Checks of what hosts pass: what is stored with a wrong type cannot be read again by anybody.

Types are hints to a host that does not run a checker, and environment variables and JSON
bodies are full of `"3"`. Each check raises `InvalidArgument` before anything is done.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import get_args

from lash.base.errors import InvalidArgument


def checked_max_turns(max_turns: int | None) -> int | None:
    """A limit of model calls: a whole number from 1, or None for no limit of one's own."""
    if max_turns is None or (type(max_turns) is int and max_turns >= 1):
        return max_turns
    raise InvalidArgument(f"max_turns={max_turns!r}: a turn needs at least one iteration; give a whole number or None")


def checked_seconds(name: str, seconds: float | None) -> float | None:
    """A duration: positive and finite, or None for none."""
    if seconds is None or (_is_number(seconds) and seconds > 0 and math.isfinite(seconds)):
        return seconds
    raise InvalidArgument(f"{name}={seconds!r}: give a positive number of seconds or None")


def check_one_of(name: str, value: object, literal: object) -> None:
    """`value` is one of those that a `Literal` names."""
    known = get_args(literal)
    if value not in known:
        raise InvalidArgument(f"{name}={value!r}: known are {', '.join(map(repr, known))}")


def checked_names(name: str, names: Sequence[str] | None) -> list[str]:
    """Names as a list; none for None."""
    if names is None:
        return []
    if isinstance(names, str) or not all(isinstance(each, str) for each in names):
        raise InvalidArgument(f"{name}={names!r}: give a list of names")
    return list(names)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
