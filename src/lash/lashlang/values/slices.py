"""Builtins that give other tasks their turn while they work on a large value.

Each is a generator that yields `0` between slices and gives what its plain
form gives. Small values take the plain form at once.
"""

from __future__ import annotations

from collections.abc import Generator
from functools import cmp_to_key
from heapq import merge
from typing import Final

from lash.lashlang.values.coercion import as_text
from lash.lashlang.values.json_slices import read_in_windows
from lash.lashlang.values.json_text import parse_json_text
from lash.lashlang.values.kinds import Value
from lash.lashlang.values.meter import ITEM_BYTES, Meter
from lash.lashlang.values.more_builtins import compare, has_native_order, sort, sort_by, sort_keys

Slices = Generator[int, object, Value]

# Items sorted between two looks around: about 5 ms.
_SLICE: Final = 10_000
_SMALL: Final = 50_000
_SMALL_TEXT: Final = 64 * 1024


def is_large(value: Value) -> bool:
    """Whether work on `value` goes in slices."""
    return len(value) > (_SMALL_TEXT if type(value) is str else _SMALL) if isinstance(value, str | list) else False


def sliced_sort(meter: Meter, items: Value) -> Slices:
    """`sort(l)`."""
    if type(items) is not list or len(items) <= _SMALL:
        return sort(meter, items)
    return (yield from _sorted(meter, items, items))


def sliced_sort_by(meter: Meter, items: Value, key: Value) -> Slices:
    """`sort_by(l, key)`."""
    if type(items) is not list or len(items) <= _SMALL:
        return sort_by(meter, items, key)
    keys: list[Value] = []
    for at in range(0, len(items), _SLICE):
        keys += sort_keys(items[at : at + _SLICE], key)
        yield 0
    return (yield from _sorted(meter, items, keys))


def _sorted(meter: Meter, items: list[Value], keys: list[Value]) -> Slices:
    meter.allocate(2 * len(items) * ITEM_BYTES)
    wrap = None if has_native_order(keys) else cmp_to_key(compare)

    def place(at: int) -> object:
        return keys[at] if wrap is None else wrap(keys[at])

    runs: list[list[int]] = []
    for at in range(0, len(items), _SLICE):
        runs.append(sorted(range(at, min(at + _SLICE, len(items))), key=place))  # type: ignore[arg-type]
        yield 0
    found: list[Value] = []
    for at in merge(*runs, key=place):  # type: ignore[arg-type]
        found.append(items[at])
        if not len(found) % _SLICE:
            yield 0
    return found


def sliced_json_parse(meter: Meter, text: Value) -> Slices:
    """`json_parse(s)`."""
    source = as_text(text)
    if len(source) <= _SMALL_TEXT or not meter.ordered:
        return parse_json_text(meter, source)
    return (yield from read_in_windows(meter, source))
