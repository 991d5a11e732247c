"""Operations whose cost grows with their operands, quick where those are small.

`quick_X` gives the result, or `UNFINISHED` for operands too large to hold the
event loop for; `sliced_X` is then the same operation as a generator.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from lash.lashlang.errors import BudgetExceeded
from lash.lashlang.values import builtins, more_builtins, operators
from lash.lashlang.values.coercion import as_text
from lash.lashlang.values.kinds import Value
from lash.lashlang.values.markers import UNFINISHED, Marker
from lash.lashlang.values.meter import ITEM_BYTES, Meter
from lash.lashlang.values.operators import SMALL_TEXT, equal_within
from lash.lashlang.values.room import Room
from lash.lashlang.values.schema import find_problem, valid, validated_schema
from lash.lashlang.values.templates import format_text
from lash.lashlang.values.text import display, integral_display
from lash.lashlang.values.walks import SLICE, Walk, equal_walk, problem_walk, quick_equal, quick_text, text_walk

Maybe: TypeAlias = "Value | Marker"
_LONG: Final = 64 * 1024


def _container(value: Value) -> bool:
    return type(value) is list or type(value) is dict


def _counted(meter: Meter, text: str) -> str:
    if len(text) > SMALL_TEXT:
        meter.check_text(len(text))
        meter.allocate(len(text))
    return text


def _shown(meter: Meter, value: Value) -> Walk[str]:
    if not _container(value):
        return display(value, exact=meter.exact)
    return (yield from text_walk(value, integral_display(meter.exact)))


def quick_to_string(meter: Meter, value: Value) -> Maybe:
    """`to_string(x)`."""
    if not _container(value):
        return display(value, exact=meter.exact)
    text = quick_text(value, integral_display(meter.exact))
    return _counted(meter, text) if isinstance(text, str) else text


def sliced_to_string(meter: Meter, value: Value) -> Walk[Value]:
    """`to_string(x)` of a large container."""
    return _counted(meter, (yield from _shown(meter, value)))


def quick_add(meter: Meter, left: Value, right: Value) -> Maybe:
    """`+`."""
    if type(left) is str and _container(right):
        text = quick_text(right, integral_display(meter.exact))
        return operators.concat(meter, left, text) if isinstance(text, str) else text
    if type(right) is str and _container(left):
        text = quick_text(left, integral_display(meter.exact))
        return operators.concat(meter, text, right) if isinstance(text, str) else text
    return operators.add(meter, left, right)


def sliced_add(meter: Meter, left: Value, right: Value) -> Walk[Value]:
    """`+` of a text and a large container."""
    shown = (yield from _shown(meter, left)), (yield from _shown(meter, right))
    return operators.concat(meter, *shown)


def quick_format(meter: Meter, template: Value, *args: Value) -> Maybe:
    """`format(t, a…)`."""
    shown = list(args)
    for at, arg in enumerate(args):
        if _container(arg):
            text = quick_text(arg, integral_display(meter.exact))
            if isinstance(text, Marker):
                return text
            shown[at] = text
    return format_text(meter, template, *shown)


def sliced_format(meter: Meter, template: Value, *args: Value) -> Walk[Value]:
    """`format(t, a…)` with a large container."""
    shown = list(args)
    for at, arg in enumerate(args):
        shown[at] = yield from _shown(meter, arg)
    return format_text(meter, template, *shown)


def quick_join(meter: Meter, items: Value, separator: Value) -> Maybe:
    """`join(l, sep)`."""
    if type(items) is list and len(items) > 4 * SLICE:
        return UNFINISHED
    return builtins.join(meter, items, separator)


def sliced_join(meter: Meter, items: Value, separator: Value) -> Walk[Value]:
    """`join(l, sep)` of a long list."""
    assert isinstance(items, list)
    mark = as_text(separator)
    texts: list[Value] = []
    for at in range(0, len(items), SLICE):
        texts += [item if type(item) is str else as_text(item) for item in items[at : at + SLICE]]
        yield 0
    return builtins.join(meter, texts, mark)


def quick_equality(left: Value, right: Value) -> Maybe:
    """`==`."""
    if _container(left) and type(left) is type(right):
        return quick_equal(left, right)
    return operators.equal(left, right)


def quick_contains(meter: Meter, holder: Value, needle: Value) -> Maybe:
    """`contains(h, n)`."""
    if type(holder) is not list:
        return builtins.contains(meter, holder, needle)
    if len(holder) > SLICE:
        return UNFINISHED
    try:
        room = Room(SLICE)
        found = any(equal_within(item, needle, room) for item in holder)
    except BudgetExceeded:
        return UNFINISHED
    meter.work(len(holder))
    return found


def sliced_contains(meter: Meter, holder: Value, needle: Value) -> Walk[Value]:
    """`contains(h, n)` of a long list, or one of large items."""
    assert isinstance(holder, list)
    for at, item in enumerate(holder, 1):
        same = quick_equality(item, needle)
        if same is UNFINISHED:
            yield 0
            same = yield from equal_walk(item, needle)
        if same:
            return True
        if not at % SLICE:
            yield 0
    return False


def quick_is_in(meter: Meter, needle: Value, holder: Value) -> Maybe:
    """`needle in holder`."""
    return quick_contains(meter, holder, needle)


def sliced_is_in(meter: Meter, needle: Value, holder: Value) -> Walk[Value]:
    """`needle in holder` of a long list, or one of large items."""
    return (yield from sliced_contains(meter, holder, needle))


def quick_validate(_meter: Meter, value: Value, type_value: Value) -> Maybe:
    """`validate(v, T)`."""
    schema = validated_schema(type_value)
    try:
        problem = find_problem(value, schema, "$", 0, Room(SLICE))
    except BudgetExceeded:
        return UNFINISHED
    return valid(value, problem)


def sliced_validate(_meter: Meter, value: Value, type_value: Value) -> Walk[Value]:
    """`validate(v, T)` of a large value."""
    return valid(value, (yield from problem_walk(value, validated_schema(type_value))))


def quick_grep_text(meter: Meter, text: Value, needle: Value) -> Maybe:
    """`grep_text(s, needle)`."""
    whole = as_text(text)
    return UNFINISHED if len(whole) > _LONG else builtins.grep_text(meter, whole, needle)


def sliced_grep_text(meter: Meter, text: Value, needle: Value) -> Walk[Value]:
    """`grep_text(s, needle)` of a long text."""
    whole, part = as_text(text), as_text(needle)
    found: list[Value] = []
    # Every window ends at a line's end.
    start = lines = 0
    while start < len(whole) or not start:
        end = whole.find("\n", start + _LONG)
        end = len(whole) if end < 0 else end + 1
        window = whole[start:end]
        for match in builtins.grep_text(meter, window, part):
            match["line"] += float(lines)  # type: ignore[index,call-overload,operator]
            found.append(match)
        meter.check_items(len(found))
        lines += window.count("\n")
        start = end
        yield 0
    return found


def quick_unique(meter: Meter, items: Value) -> Maybe:
    """`unique(l)`."""
    if type(items) is list and (len(items) > SLICE // 4 or any(map(_container, items))):
        return UNFINISHED
    return more_builtins.unique(meter, items)


def sliced_unique(meter: Meter, items: Value) -> Walk[Value]:
    """`unique(l)` of a long list, or one of containers."""
    assert isinstance(items, list)
    found: list[Value] = []
    # Equal items have equal text, so only items of one text need comparing.
    buckets: dict[str, list[Value]] = {}
    spent = 0
    for item in items:
        text = yield from _shown(meter, item if item != 0.0 else 0.0)
        bucket = buckets.setdefault(text, [])
        for other in bucket:
            same = quick_equality(item, other)
            if same is UNFINISHED:
                yield 0
                same = yield from equal_walk(item, other)
            if same:
                break
        else:
            bucket.append(item)
            found.append(item)
            meter.allocate(ITEM_BYTES + len(text))
        spent += 4 + len(text) // 8
        if spent > SLICE:
            spent = 0
            yield 0
    return found


def _quick_extreme(function: Callable[..., Value]) -> Callable[..., Maybe]:
    def quick(meter: Meter, *args: Value) -> Maybe:
        if len(args) == 1 and type(args[0]) is list and len(args[0]) > 4 * SLICE:
            return UNFINISHED
        return function(meter, *args)

    return quick


def _sliced_extreme(function: Callable[..., Value]) -> Callable[..., Walk[Value]]:
    def sliced(meter: Meter, items: Value) -> Walk[Value]:
        assert isinstance(items, list)
        best = items[0]
        for at in range(0, len(items), SLICE):
            best = function(meter, [best, *items[at : at + SLICE]])
            yield 0
        return best

    return sliced


QUICK: Final[dict[str, Callable[..., Maybe]]] = {
    "to_string": quick_to_string,
    "format": quick_format,
    "join": quick_join,
    "contains": quick_contains,
    "is_in": quick_is_in,
    "equality": quick_equality,
    "add": quick_add,
    "validate": quick_validate,
    "grep_text": quick_grep_text,
    "unique": quick_unique,
    "min": _quick_extreme(more_builtins.min_),
    "max": _quick_extreme(more_builtins.max_),
}
SLICED: Final[dict[str, Callable[..., Walk[Value]]]] = {
    "to_string": sliced_to_string,
    "format": sliced_format,
    "join": sliced_join,
    "contains": sliced_contains,
    "is_in": sliced_is_in,
    "equality": equal_walk,
    "add": sliced_add,
    "validate": sliced_validate,
    "grep_text": sliced_grep_text,
    "unique": sliced_unique,
    "min": _sliced_extreme(more_builtins.min_),
    "max": _sliced_extreme(more_builtins.max_),
}
