"""`await` of values that are not calls (specification §3.8).

A handle is a record with a `__handle__` or `handle` key. Lists and records are
awaited leaf by leaf, in order, keeping their shape.
"""

from __future__ import annotations

from collections.abc import Generator

from lash.lashlang.values.kinds import Value
from lash.lashlang.values.room import Room

Request = tuple[object, ...]


def is_handle(value: Value) -> bool:
    """Whether `value` is a run handle."""
    return type(value) is dict and ("__handle__" in value or "handle" in value)


def await_value(line: int, value: Value, plain_is_itself: bool) -> Generator[Request, Value, Value]:
    """Awaits `value`; under `plain_is_itself` only handles inside containers reach the host."""
    if is_handle(value) or (type(value) is not list and type(value) is not dict):
        return (yield ("await", line, value))
    return (yield from _await_leaves(line, value, plain_is_itself, 0, Room()))


def _await_leaves(line: int, value: Value, plain: bool, depth: int, room: Room) -> Generator[Request, Value, Value]:
    room.enter(len(value) if isinstance(value, list | dict) else 0, depth)
    if type(value) is list:
        if plain and not _holds_handle(value):
            return value
        items = list(value)
        for at, item in enumerate(items):
            items[at] = yield from _await_leaves(line, item, plain, depth + 1, room)
        return items
    if type(value) is dict and not is_handle(value):
        if plain and not _holds_handle(value):
            return value
        record: dict[str, Value] = {}
        for key, item in value.items():
            record[key] = yield from _await_leaves(line, item, plain, depth + 1, room)
        return record
    if plain and not is_handle(value):
        return value
    return (yield ("await", line, value))


def _holds_handle(value: Value) -> bool:
    seen: set[int] = set()
    stack: list[Value] = [value]
    while stack:
        item = stack.pop()
        if is_handle(item):
            return True
        if isinstance(item, list | dict) and id(item) not in seen:
            seen.add(id(item))
            stack.extend(item if isinstance(item, list) else item.values())
    return False
