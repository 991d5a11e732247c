"""Text, equality and validation of large values, in slices.

A walk tries each part at once, within a small `Room`; only a part that does not
fit is walked slice by slice itself. Every generator yields `0` where other tasks
may have their turn, and gives what the plain operation gives.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from heapq import merge
from json.encoder import encode_basestring as json_string
from typing import Final, TypeVar

from lash.lashlang.errors import BudgetExceeded
from lash.lashlang.values.kinds import Value
from lash.lashlang.values.markers import UNFINISHED, Marker
from lash.lashlang.values.operators import equal_within
from lash.lashlang.values.room import Room, too_large
from lash.lashlang.values.schema import Schema, find_problem, parts_of, shape_problem, union_problem
from lash.lashlang.values.text import write_json

T = TypeVar("T")
Walk = Generator[int, object, T]

# Parts walked between two looks around: about 5 ms.
SLICE: Final = 10_000


class Pace:
    """What a whole walk may still look at, and what it has since its last rest."""

    __slots__ = ("room", "since")

    def __init__(self, room: Room | None = None) -> None:
        self.room = Room() if room is None else room
        self.since = 0

    def spend(self, parts: int) -> None:
        """Counts `parts`."""
        self.room.left -= parts
        if self.room.left < 0:
            raise too_large()
        self.since += parts

    def tired(self) -> bool:
        """Whether it is time to rest."""
        if self.since < SLICE:
            return False
        self.since = 0
        return True


def attempt(pace: Pace, part: Callable[[Room], T]) -> T | Marker:
    """`part` within a slice's room, or `UNFINISHED`."""
    room = Room(SLICE)
    try:
        result = part(room)
    except BudgetExceeded:
        # Walked in vain, but walked.
        pace.spend(SLICE)
        return UNFINISHED
    pace.spend(SLICE - room.left)
    return result


# Text


def quick_text(value: Value, integral: Callable[[float], str]) -> str | Marker:
    """The JSON text of a container, or `UNFINISHED`."""
    parts: list[str] = []
    try:
        write_json(value, parts, 0, integral, Room(SLICE))
    except BudgetExceeded:
        return UNFINISHED
    return "".join(parts)


def text_walk(value: Value, integral: Callable[[float], str]) -> Walk[str]:
    """The JSON text of a container."""
    # A slice's parts are joined before the next: joining all at once would hold the loop.
    parts: list[str] = []
    joined: list[str] = []
    for _ in _text(value, parts, 0, integral, Pace()):
        joined.append("".join(parts))
        parts.clear()
        yield 0
    return "".join([*joined, *parts])


def _text(value: Value, parts: list[str], depth: int, integral: Callable[[float], str], pace: Pace) -> Walk[None]:
    assert isinstance(value, list | dict)
    pace.room.enter(0, depth)
    ends = "[]" if isinstance(value, list) else "{}"
    entries: Iterable[tuple[str, Value]]
    if isinstance(value, list):
        entries = (("", item) for item in value)
    else:
        keys = yield from _sorted_keys(value)
        entries = ((f"{json_string(key)}:", value[key]) for key in keys)
    lead = ends[0]
    for head, item in entries:
        parts.append(f"{lead}{head}")
        lead = ","
        kind = type(item)
        if kind is not list and kind is not dict:
            write_json(item, parts, depth + 1, integral, pace.room)
            pace.spend(1)
            if pace.tired():
                yield 0
            continue
        at = len(parts)

        def write(room: Room, item: Value = item) -> None:
            write_json(item, parts, depth + 1, integral, room)

        if attempt(pace, write) is UNFINISHED:
            del parts[at:]
            yield 0
            yield from _text(item, parts, depth + 1, integral, pace)
        if pace.tired():
            yield 0
    parts.append(ends[1] if value else ends)


def _sorted_keys(record: dict[str, Value]) -> Walk[Iterable[str]]:
    if len(record) <= SLICE:
        return sorted(record)
    keys, runs = list(record), []
    for at in range(0, len(keys), SLICE):
        runs.append(sorted(keys[at : at + SLICE]))
        yield 0
    return merge(*runs)


# Equality


def quick_equal(left: Value, right: Value) -> bool | Marker:
    """`==`, or `UNFINISHED`."""
    try:
        return equal_within(left, right, Room(SLICE))
    except BudgetExceeded:
        return UNFINISHED


def equal_walk(left: Value, right: Value) -> Walk[bool]:
    """`==`."""
    return (yield from _equal(left, right, 0, Pace()))


def _equal(left: Value, right: Value, depth: int, pace: Pace) -> Walk[bool]:
    pairs: Iterable[tuple[Value, Value | Marker]]
    if isinstance(left, list) and isinstance(right, list):
        if len(left) != len(right):
            return False
        pairs = zip(left, right, strict=True)
    elif isinstance(left, dict) and isinstance(right, dict):
        if len(left) != len(right):
            return False
        pairs = ((item, right.get(key, UNFINISHED)) for key, item in left.items())
    else:
        return equal_within(left, right, Room())
    pace.room.enter(0, depth)
    for item, other in pairs:
        if isinstance(other, Marker):
            return False
        same = attempt(pace, lambda room, item=item, other=other: equal_within(item, other, room, depth + 1))  # type: ignore[misc]
        if same is UNFINISHED:
            yield 0
            same = yield from _equal(item, other, depth + 1, pace)
        if not same:
            return False
        pace.spend(1)
        if pace.tired():
            yield 0
    return True


# Validation


def problem_walk(value: Value, schema: Schema) -> Walk[str | None]:
    """What `find_problem` gives."""
    return (yield from _problem(value, schema, "$", 0, Pace()))


def _problem(value: Value, schema: Value, path: str, depth: int, pace: Pace) -> Walk[str | None]:
    problem = attempt(pace, lambda room: find_problem(value, schema, path, depth, room))
    if problem is None or isinstance(problem, str):
        return problem
    yield 0
    pace.room.enter(1, depth)
    if not isinstance(schema, dict):
        return None
    arms = schema.get("anyOf")
    if isinstance(arms, list):
        for arm in arms:
            if (yield from _problem(value, arm, path, depth + 1, pace)) is None:
                return None
        return union_problem(value, arms, path)
    found = shape_problem(value, schema, path)
    if found is not None:
        return found
    for item, inner, place in parts_of(value, schema, path):
        found = yield from _problem(item, inner, place, depth + 1, pace)
        if found is not None:
            return found
        if pace.tired():
            yield 0
    return None
