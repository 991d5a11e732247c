"""The builtin functions of specification §4.

Each takes the meter first. Arity is checked before the call, by `ARITIES`;
kinds are checked here, with the texts of the specification.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from math import ceil, isfinite, trunc
from typing import Final

from lash.lashlang.errors import RuntimeFailure
from lash.lashlang.values.coercion import as_index, as_number, as_text, trimmed
from lash.lashlang.values.json_text import parse_json_text
from lash.lashlang.values.kinds import Image, LazyValue, Value, kind_name
from lash.lashlang.values.meter import ITEM_BYTES, Meter
from lash.lashlang.values.operators import SMALL_LIST, SMALL_TEXT, equal_within
from lash.lashlang.values.room import Room
from lash.lashlang.values.schema import validate
from lash.lashlang.values.templates import format_text
from lash.lashlang.values.text import display

RANGE_LIMIT: Final = 1_000_000
_NO_SIZE: Final = "requires a string, list, record, or null"


def length(_meter: Meter, value: Value) -> float:
    """`len(x)`."""
    kind = type(value)
    if kind is list or kind is str or kind is dict:
        return float(len(value))  # type: ignore[arg-type]
    if value is None:
        return 0.0
    raise RuntimeFailure(f"`len` {_NO_SIZE}; use `.size` for images")


def empty(_meter: Meter, value: Value) -> bool:
    """`empty(x)`."""
    kind = type(value)
    if kind is list or kind is str or kind is dict:
        return not value
    if value is None:
        return True
    raise RuntimeFailure(f"`empty` {_NO_SIZE}")


def keys(meter: Meter, value: Value) -> list[Value]:
    """`keys(r)` in insertion order."""
    if value is None:
        return []
    if type(value) is not dict:
        raise RuntimeFailure("`keys` requires a record or null")
    _account(meter, len(value))
    return list(value)


def values(meter: Meter, value: Value) -> list[Value]:
    """`values(r)` in insertion order."""
    if value is None:
        return []
    if type(value) is not dict:
        raise RuntimeFailure("`values` requires a record or null")
    _account(meter, len(value))
    return list(value.values())


def contains(meter: Meter, holder: Value, needle: Value) -> bool:
    """`contains(h, n)`: substring, equal item or key."""
    if type(holder) is str:
        meter.work(len(holder) // 16)
        return as_text(needle) in holder
    if type(holder) is list:
        meter.work(len(holder))
        room = Room()
        return any(equal_within(item, needle, room) for item in holder)
    if type(holder) is dict:
        return as_text(needle) in holder
    if holder is None:
        return False
    raise RuntimeFailure("`contains` requires a string/string, list/value, record/key, or null/value pair")


def starts_with(_meter: Meter, text: Value, prefix: Value) -> bool:
    """`starts_with(s, p)`."""
    whole = as_text(text)
    return whole.startswith(as_text(prefix))


def ends_with(_meter: Meter, text: Value, suffix: Value) -> bool:
    """`ends_with(s, p)`."""
    whole = as_text(text)
    return whole.endswith(as_text(suffix))


def trim(_meter: Meter, text: Value) -> str:
    """`trim(s)`."""
    return trimmed(as_text(text))


def split(meter: Meter, text: Value, separator: Value) -> list[Value]:
    """`split(s, sep)`: all pieces; an empty separator gives the characters between two empty texts."""
    whole, mark = as_text(text), as_text(separator)
    if len(whole) > SMALL_LIST:
        pieces = whole.count(mark) + 1 if mark else len(whole) + 2
        meter.check_items(pieces)
        meter.allocate(pieces * ITEM_BYTES + len(whole))
    if not mark:
        return ["", *whole, ""]
    return list(whole.split(mark))


def join(meter: Meter, items: Value, separator: Value) -> str:
    """`join(l, sep)`."""
    if type(items) is not list:
        raise RuntimeFailure("`join` requires a list as the first argument")
    mark = as_text(separator)
    texts = [item if type(item) is str else as_text(item) for item in items]
    if len(texts) > 1:
        size = sum(map(len, texts)) + len(mark) * (len(texts) - 1)
        if size > SMALL_TEXT:
            meter.check_text(size)
            meter.allocate(size)
    return mark.join(texts)


def find(meter: Meter, text: Value, needle: Value, start: Value = 0.0) -> Value:
    """`find(s, needle[, start])`: code-point index or null."""
    whole, part = as_text(text), as_text(needle)
    number = as_number(start)
    if number < 0 or not isfinite(number) or number != trunc(number):
        raise RuntimeFailure("`find` start must be a non-negative integer")
    meter.work(len(whole) // 16)
    at = whole.find(part, int(number)) if number <= len(whole) else -1
    return float(at) if at >= 0 else None


def grep_text(meter: Meter, text: Value, needle: Value) -> list[Value]:
    """`grep_text(s, needle)`: one record per matching line."""
    whole, part = as_text(text), as_text(needle)
    if not part:
        raise RuntimeFailure("`grep_text` needle must not be empty")
    meter.work(len(whole))
    found: list[Value] = []
    if part not in whole:
        return found
    for number, raw in enumerate(_lines(whole), 1):
        line = raw.removesuffix("\r")
        at = line.find(part)
        if at >= 0:
            meter.check_items(len(found) + 1)
            meter.allocate(5 * ITEM_BYTES + len(line))
            found.append(
                {
                    "line": float(number),
                    "text": line,
                    "match": part,
                    "start": float(at),
                    "end": float(at + len(part)),
                }
            )
    return found


def _lines(text: str) -> Iterator[str]:
    # Never as a list: a text may have millions of lines.
    start, size = 0, len(text)
    while start < size:
        end = text.find("\n", start)
        end = size if end < 0 else end
        yield text[start:end]
        start = end + 1


def slice_(meter: Meter, value: Value, start: Value, end: Value) -> Value:
    """`slice(x, start, end)`: end exclusive, negative from the end, clamped."""
    if type(value) is not str and type(value) is not list:
        raise RuntimeFailure("`slice` requires a string or list")
    size = len(value)
    low = 0 if start is None else as_index(start)
    high = size if end is None else as_index(end)
    low = max(0, low + size) if low < 0 else min(low, size)
    high = max(0, high + size) if high < 0 else min(high, size)
    part = value[low:high] if low < high else value[:0]
    if len(part) > SMALL_LIST:
        meter.allocate(len(part) * (ITEM_BYTES if type(part) is list else 1))
    return part


def push(meter: Meter, items: Value, value: Value) -> list[Value]:
    """`push(l, v)`: a new list."""
    if type(items) is not list:
        raise RuntimeFailure("`push` requires a list as the first argument")
    if len(items) >= SMALL_LIST:
        meter.check_items(len(items) + 1)
        meter.allocate(len(items) * ITEM_BYTES)
    return [*items, value]


def range_bounds(start: Value, end: Value, step: Value) -> tuple[int, int, int]:
    """The bounds of a range, checked; at most a million items."""
    low, high, stride = (_whole(bound) for bound in (start, end, step))
    if stride == 0:
        raise RuntimeFailure("`range` step must not be 0")
    distance = high - low if stride > 0 else low - high
    if distance > 0 and -(-distance // abs(stride)) > RANGE_LIMIT:
        raise RuntimeFailure(f"`range` would create more than {RANGE_LIMIT} items")
    return low, high, stride


def _whole(value: Value) -> int:
    if type(value) is not float and type(value) is not int:
        raise RuntimeFailure(f"`range` bounds must be finite integers, got {kind_name(value)}")
    if not isfinite(value) or value != trunc(value):
        raise RuntimeFailure("`range` bounds must be finite integers")
    return int(value)


def range_(meter: Meter, first: Value, second: Value = 0.0, step: Value = 1.0, *, count: int = 1) -> list[Value]:
    """`range` as a list."""
    bounds = range_bounds(0.0, first, 1.0) if count == 1 else range_bounds(first, second, step)
    numbers = range(*bounds)
    _account(meter, len(numbers))
    return list(map(float, numbers))


def _quotient(name: str, dividend: Value, divisor: Value) -> tuple[int, int]:
    whole: list[int] = []
    for role, value in (("dividend", dividend), ("divisor", divisor)):
        if type(value) is not float and type(value) is not int:
            raise RuntimeFailure(f"`{name}` {role} must be a finite integer, got {kind_name(value)}")
        if not isfinite(value) or value != trunc(value):
            raise RuntimeFailure(f"`{name}` {role} must be a finite integer")
        whole.append(int(value))
    if whole[1] == 0:
        raise RuntimeFailure(f"`{name}` divisor must not be 0")
    return whole[0], whole[1]


def ceil_div(_meter: Meter, dividend: Value, divisor: Value) -> float:
    """`ceil_div(a, b)`."""
    over, under = _quotient("ceil_div", dividend, divisor)
    return float(-(-over // under))


def floor_div(_meter: Meter, dividend: Value, divisor: Value) -> float:
    """`floor_div(a, b)`."""
    over, under = _quotient("floor_div", dividend, divisor)
    return float(over // under)


def to_string(meter: Meter, value: Value) -> str:
    """`to_string(x)`: the display form."""
    if type(value) is list or type(value) is dict:
        text = display(value, exact=meter.exact)
        if len(text) > SMALL_TEXT:
            meter.check_text(len(text))
            meter.allocate(len(text))
        return text
    return display(value, exact=meter.exact)


def to_int(_meter: Meter, value: Value) -> float:
    """`to_int(x)`: as number, towards zero."""
    number = as_number(value)
    if not isfinite(number):
        return number
    return float(trunc(number))


def to_float(_meter: Meter, value: Value) -> float:
    """`to_float(x)`: as number."""
    return as_number(value)


def json_parse(meter: Meter, text: Value) -> Value:
    """`json_parse(s)`."""
    return parse_json_text(meter, as_text(text))


def validate_(_meter: Meter, value: Value, type_value: Value) -> Value:
    """`validate(v, T)`."""
    return validate(value, type_value)


def _account(meter: Meter, count: int) -> None:
    if count > SMALL_LIST:
        meter.check_items(count)
        meter.allocate(count * ITEM_BYTES)


Builtin = Callable[..., Value]

BUILTINS: Final[dict[str, Builtin]] = {
    "len": length,
    "empty": empty,
    "keys": keys,
    "values": values,
    "contains": contains,
    "starts_with": starts_with,
    "ends_with": ends_with,
    "trim": trim,
    "split": split,
    "join": join,
    "find": find,
    "grep_text": grep_text,
    "slice": slice_,
    "push": push,
    "range": range_,
    "ceil_div": ceil_div,
    "floor_div": floor_div,
    "to_string": to_string,
    "to_int": to_int,
    "to_float": to_float,
    "json_parse": json_parse,
    "format": format_text,
    "validate": validate_,
}
_ANY_COUNT: Final = 1_000_000
_ONE: Final = ("len", "empty", "keys", "values", "trim", "to_string", "to_int", "to_float", "json_parse")
_TWO: Final = (
    "contains",
    "starts_with",
    "ends_with",
    "split",
    "join",
    "grep_text",
    "push",
    "ceil_div",
    "floor_div",
    "validate",
)
ARITIES: Final[dict[str, tuple[int, int, str]]] = {
    **dict.fromkeys(_ONE, (1, 1, "1")),
    **dict.fromkeys(_TWO, (2, 2, "2")),
    "find": (2, 3, "2 or 3"),
    "slice": (3, 3, "3"),
    "range": (1, 3, "1, 2, or 3"),
    "format": (1, _ANY_COUNT, "at least 1"),
}


def arity_error(name: str, count: int, *_args: Value) -> Value:
    """Raises the arity error of a call whose arguments have been evaluated."""
    if name == "format":
        raise RuntimeFailure("`format` requires at least a template string")
    raise RuntimeFailure(f"`{name}` takes {all_arities()[name][2]} arg(s), got {count}")


@cache
def all_arities() -> dict[str, tuple[int, int, str]]:
    """Arities of every builtin, the later ones included."""
    from lash.lashlang.values.more_builtins import MORE_ARITIES

    return ARITIES | MORE_ARITIES


__all__ = ["ARITIES", "BUILTINS", "Builtin", "Image", "LazyValue", "arity_error", "ceil"]
