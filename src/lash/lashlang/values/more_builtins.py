"""The later builtins: sort sort_by sum min max replace lower upper unique reverse.

Linked only where the host turns the feature on.
"""

from __future__ import annotations

from functools import cmp_to_key
from typing import Final

from lash.lashlang.errors import RuntimeFailure
from lash.lashlang.values.access import field, index
from lash.lashlang.values.builtins import Builtin
from lash.lashlang.values.coercion import as_number, as_text
from lash.lashlang.values.kinds import Value
from lash.lashlang.values.meter import ITEM_BYTES, Meter
from lash.lashlang.values.operators import SMALL_TEXT, equal_within, less
from lash.lashlang.values.room import Room
from lash.lashlang.values.text import display


def _list(name: str, meter: Meter, items: Value) -> list[Value]:
    if type(items) is not list:
        raise RuntimeFailure(f"`{name}` requires a list as the first argument")
    meter.work(len(items))
    return items


def compare(left: Value, right: Value) -> int:
    """The order of `<`, as `sorted` wants it."""
    return -1 if less(left, right) else int(less(right, left))


def has_native_order(keys: list[Value]) -> bool:
    """Whether Python orders these keys as the language does."""
    kinds = set(map(type, keys))
    return kinds <= {str} or (kinds <= {float} and all(key == key for key in keys))


def sort_keys(items: list[Value], key: Value) -> list[Value]:
    """What `sort_by` compares."""
    return [field(item, key) if type(key) is str and type(item) is dict else index(item, key) for item in items]


def _sorted(meter: Meter, items: list[Value], keys: list[Value]) -> list[Value]:
    meter.allocate(len(items) * ITEM_BYTES)
    meter.work(len(items) * 8)
    order = range(len(items))
    if has_native_order(keys):
        return [items[at] for at in sorted(order, key=keys.__getitem__)]  # type: ignore[arg-type]
    wrapped = cmp_to_key(compare)
    return [items[at] for at in sorted(order, key=lambda at: wrapped(keys[at]))]


def sort(meter: Meter, items: Value) -> list[Value]:
    """`sort(l)`: ascending by `<`, stable."""
    whole = _list("sort", meter, items)
    return _sorted(meter, whole, whole)


def sort_by(meter: Meter, items: Value, key: Value) -> list[Value]:
    """`sort_by(l, key)`: by a field name or list index, stable."""
    whole = _list("sort_by", meter, items)
    return _sorted(meter, whole, sort_keys(whole, key))


def sum_(meter: Meter, items: Value) -> float:
    """`sum(l)` as numbers; 0 for an empty list."""
    total = 0.0
    for item in _list("sum", meter, items):
        total += item if type(item) is float else as_number(item)
    return total


def _extreme(name: str, meter: Meter, args: tuple[Value, ...]) -> list[Value]:
    return _list(name, meter, args[0]) if len(args) == 1 else list(args)


def min_(meter: Meter, *args: Value) -> Value:
    """`min(l)` or `min(a, b, …)`; null for an empty list."""
    items = _extreme("min", meter, args)
    best = items[0] if items else None
    for item in items[1:]:
        if less(item, best):
            best = item
    return best


def max_(meter: Meter, *args: Value) -> Value:
    """`max(l)` or `max(a, b, …)`; null for an empty list."""
    items = _extreme("max", meter, args)
    best = items[0] if items else None
    for item in items[1:]:
        if less(best, item):
            best = item
    return best


def replace(meter: Meter, text: Value, old: Value, new: Value) -> str:
    """`replace(s, old, new)`: every occurrence."""
    whole, part, other = as_text(text), as_text(old), as_text(new)
    if not part:
        raise RuntimeFailure("`replace` needle must not be empty")
    size = len(whole) + whole.count(part) * max(0, len(other) - len(part))
    if size > SMALL_TEXT:
        meter.check_text(size)
        meter.allocate(size)
    return whole.replace(part, other)


def lower(meter: Meter, text: Value) -> str:
    """`lower(s)`."""
    return _cased(meter, as_text(text).lower())


def upper(meter: Meter, text: Value) -> str:
    """`upper(s)`."""
    return _cased(meter, as_text(text).upper())


def _cased(meter: Meter, text: str) -> str:
    if len(text) > SMALL_TEXT:
        meter.check_text(len(text))
        meter.allocate(len(text))
    return text


def unique(meter: Meter, items: Value) -> list[Value]:
    """`unique(l)`: the first of each equal item, in order."""
    found: list[Value] = []
    # Equal items have equal text, so only items of one text need comparing.
    buckets: dict[str, list[Value]] = {}
    room = Room()
    for item in _list("unique", meter, items):
        text = display(item) if item != 0.0 else "0"
        meter.work(len(text))
        bucket = buckets.setdefault(text, [])
        if any(equal_within(item, other, room) for other in bucket):
            continue
        bucket.append(item)
        found.append(item)
    return found


def reverse(meter: Meter, items: Value) -> Value:
    """`reverse(x)` of a list or a string."""
    if type(items) is str:
        meter.work(len(items))
        return items[::-1]
    whole = _list("reverse", meter, items)
    meter.allocate(len(whole) * ITEM_BYTES)
    return whole[::-1]


MORE_BUILTINS: Final[dict[str, Builtin]] = {
    "sort": sort,
    "sort_by": sort_by,
    "sum": sum_,
    "min": min_,
    "max": max_,
    "replace": replace,
    "lower": lower,
    "upper": upper,
    "unique": unique,
    "reverse": reverse,
}
MORE_ARITIES: Final[dict[str, tuple[int, int, str]]] = {
    "sort": (1, 1, "1"),
    "sort_by": (2, 2, "2"),
    "sum": (1, 1, "1"),
    "min": (1, 1_000_000, "at least 1"),
    "max": (1, 1_000_000, "at least 1"),
    "replace": (3, 3, "3"),
    "lower": (1, 1, "1"),
    "upper": (1, 1, "1"),
    "unique": (1, 1, "1"),
    "reverse": (1, 1, "1"),
}
