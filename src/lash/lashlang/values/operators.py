"""Operators on values of any kind.

Python's own operators are wrong for nearly every pair: truth, equality of
booleans and numbers, remainders, division by zero, ordering and `+` all differ
(§3.2-§3.4). Generated code uses them only where it has proved both kinds; all
other cases come here.
"""

from __future__ import annotations

from math import fmod, inf, nan
from typing import Final

from lash.lashlang.errors import RuntimeFailure
from lash.lashlang.values.coercion import as_number
from lash.lashlang.values.kinds import Value, kind_name
from lash.lashlang.values.meter import ITEM_BYTES, Meter
from lash.lashlang.values.room import Room
from lash.lashlang.values.text import display

# Texts shorter than this are not worth an entry in the account.
SMALL_TEXT: Final = 4096
SMALL_LIST: Final = 512
_SCALARS: Final = frozenset((float, str, bool, type(None)))


def add(meter: Meter, left: Value, right: Value) -> Value:
    """`+`: numbers, text with anything, or two lists."""
    kind, other = type(left), type(right)
    if kind is float and other is float:
        return left + right  # type: ignore[operator]
    if kind is str:
        return concat(meter, left, right if other is str else display(right, exact=meter.exact))  # type: ignore[arg-type]
    if other is str:
        return concat(meter, display(left, exact=meter.exact), right)  # type: ignore[arg-type]
    if kind is list and other is list:
        return join_lists(meter, left, right)  # type: ignore[arg-type]
    return as_number(left) + as_number(right)


def concat(meter: Meter, left: str, right: str) -> str:
    """Two texts as one, within the limits."""
    size = len(left) + len(right)
    if size > SMALL_TEXT:
        meter.check_text(size)
        meter.allocate(size if left.isascii() and right.isascii() else 4 * size)
    return left + right


def concat_number(meter: Meter, left: str, right: float) -> str:
    """A text and a number's display form."""
    if -1e15 < right < 1e15 and meter.exact:
        shown = f"{right:.0f}" if right.is_integer() and right else display(right)
    else:
        shown = display(right, exact=meter.exact)
    if len(left) > SMALL_TEXT:
        return concat(meter, left, shown)
    return left + shown


def join_lists(meter: Meter, left: list[Value], right: list[Value]) -> list[Value]:
    """Two lists as one, within the limits."""
    size = len(left) + len(right)
    if size > SMALL_LIST:
        meter.check_items(size)
        meter.allocate(size * ITEM_BYTES)
    return left + right


def subtract(left: Value, right: Value) -> float:
    """`-` on whatever coerces to numbers."""
    return as_number(left) - as_number(right)


def multiply(left: Value, right: Value) -> float:
    """`*` on whatever coerces to numbers."""
    return as_number(left) * as_number(right)


def divide(left: Value, right: Value) -> float:
    """`/` as IEEE has it: by zero gives an infinity or NaN."""
    dividend, divisor = as_number(left), as_number(right)
    if divisor:
        return dividend / divisor
    if divisor != divisor:
        return nan
    if dividend == 0.0 or dividend != dividend:
        return nan
    negative = (dividend < 0.0) != (str(divisor)[0] == "-")
    return -inf if negative else inf


def remainder(left: Value, right: Value) -> float:
    """`%` with the dividend's sign; by zero, and of an infinity, NaN."""
    try:
        return fmod(as_number(left), as_number(right))
    except ValueError:
        return nan


def negate(value: Value) -> float:
    """Unary `-`."""
    return -as_number(value)


def equal(left: Value, right: Value) -> bool:
    """`==`: no coercion, deep, records without regard to order."""
    return equal_within(left, right, Room())


def unequal(left: Value, right: Value) -> bool:
    """`!=`."""
    return not equal_within(left, right, Room())


def equal_within(left: Value, right: Value, room: Room, depth: int = 0) -> bool:
    """`==`, spending from `room`."""
    kind, other = type(left), type(right)
    if kind is not other:
        return ((kind is int and other is float) or (kind is float and other is int)) and left == right
    if kind is list:
        return _equal_lists(left, right, room, depth)  # type: ignore[arg-type]
    if kind is dict:
        if len(left) != len(right):  # type: ignore[arg-type]
            return False
        room.enter(len(left), depth)  # type: ignore[arg-type]
        return all(
            key in right and equal_within(item, right[key], room, depth + 1)  # type: ignore[operator,index]
            for key, item in left.items()  # type: ignore[union-attr]
        )
    return left == right


def _equal_lists(left: list[Value], right: list[Value], room: Room, depth: int) -> bool:
    if len(left) != len(right):
        return False
    room.enter(len(left), depth)
    for item, other in zip(left, right, strict=True):
        kind = type(item)
        if kind in _SCALARS and kind is type(other):
            if item != other:
                return False
        elif not equal_within(item, other, room, depth + 1):
            return False
    return True


def less(left: Value, right: Value) -> bool:
    """`<`: two texts by code point, otherwise as numbers."""
    if type(left) is str and type(right) is str:
        return left < right
    return as_number(left) < as_number(right)


def less_equal(left: Value, right: Value) -> bool:
    """`<=`."""
    if type(left) is str and type(right) is str:
        return left <= right
    return as_number(left) <= as_number(right)


def greater(left: Value, right: Value) -> bool:
    """`>`."""
    if type(left) is str and type(right) is str:
        return left > right
    return as_number(left) > as_number(right)


def greater_equal(left: Value, right: Value) -> bool:
    """`>=`."""
    if type(left) is str and type(right) is str:
        return left >= right
    return as_number(left) >= as_number(right)


def unwrap(value: Value) -> Value:
    """`?` on a stored wrapper."""
    if type(value) is not dict:
        raise RuntimeFailure(f"`?` expected a tool result wrapper, got {kind_name(value)}")
    ok = value.get("ok")
    if ok is True:
        if "value" not in value:
            raise RuntimeFailure("`?` found a successful tool result wrapper missing `value`")
        return value["value"]
    if ok is not False:
        raise RuntimeFailure("`?` expected a tool result wrapper with boolean `ok`")
    text = display(value["error"]) if "error" in value else "unknown error"
    raise RuntimeFailure(f"`?` unwrapped failed tool result: {text}")
