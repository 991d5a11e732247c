"""`await` of values that are not calls (specification §3.8).

A handle is a record with a `__handle__` or `handle` key. Lists and records are
awaited leaf by leaf, in order, keeping their shape.
"""

from __future__ import annotations

from collections.abc import Generator

from lash.lashlang.errors import RuntimeFailure
from lash.lashlang.values.kinds import DEPTH_LIMIT, TOO_DEEP, Value

Request = tuple[object, ...]


def is_handle(value: Value) -> bool:
    """Whether `value` is a run handle."""
    return type(value) is dict and ("__handle__" in value or "handle" in value)


def await_value(line: int, value: Value, plain_is_itself: bool) -> Generator[Request, Value, Value]:
    """Awaits `value`; under `plain_is_itself` only handles inside containers reach the host."""
    if is_handle(value) or (type(value) is not list and type(value) is not dict):
        return (yield ("await", line, value))
    return (yield from _await_leaves(line, value, plain_is_itself, 0))


def _await_leaves(line: int, value: Value, plain: bool, depth: int) -> Generator[Request, Value, Value]:
    if depth > DEPTH_LIMIT:
        raise RuntimeFailure(TOO_DEEP)
    if type(value) is list:
        if plain and not _holds_handle(value, depth):
            return value
        items = list(value)
        for at, item in enumerate(items):
            items[at] = yield from _await_leaves(line, item, plain, depth + 1)
        return items
    if type(value) is dict and not is_handle(value):
        if plain and not _holds_handle(value, depth):
            return value
        record: dict[str, Value] = {}
        for key, item in value.items():
            record[key] = yield from _await_leaves(line, item, plain, depth + 1)
        return record
    if plain and not is_handle(value):
        return value
    return (yield ("await", line, value))


def _holds_handle(value: Value, depth: int) -> bool:
    if depth > DEPTH_LIMIT:
        raise RuntimeFailure(TOO_DEEP)
    if is_handle(value):
        return True
    items = value if type(value) is list else list(value.values()) if type(value) is dict else []
    return any(_holds_handle(item, depth + 1) for item in items if type(item) is list or type(item) is dict)
