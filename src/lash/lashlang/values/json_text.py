"""`json_parse`: text to value, with positions in its errors."""

from __future__ import annotations

import json
import re
from math import isinf
from typing import Final

from lash.base.json import Json
from lash.lashlang.errors import RuntimeFailure
from lash.lashlang.values.json_errors import OUT_OF_RANGE, explain, explain_surrogate
from lash.lashlang.values.json_form import from_json
from lash.lashlang.values.kinds import Value
from lash.lashlang.values.meter import ITEM_BYTES, RECORD_BYTES, Meter
from lash.lashlang.values.operators import SMALL_TEXT

_SURROGATE = re.compile("[\ud800-\udfff]")
# An integer of fewer digits is a double for certain.
_LONG: Final = 309
_EXPONENT: Final = re.compile(r"[eE]\+?[0-9]{3}")
# With an exponent of two digits this many are needed.
_DIGITS: Final = re.compile(r"(?<![0-9])[0-9]{200}")


def parse_json_text(meter: Meter, text: str) -> Value:
    """The value that `text` encodes; raises `invalid json: …`."""
    return from_json(decode_json_text(meter, text), sort_keys=not meter.ordered)


def decode_json_text(meter: Meter, text: str) -> Json:
    """The JSON of `text`, within the limits."""
    charge(meter, text)
    try:
        whole, broken = (as_integer, as_float) if may_overflow(text) else (int, float)
        data: Json = json.loads(text, parse_constant=refuse, parse_int=whole, parse_float=broken)
    except json.JSONDecodeError as error:
        raise RuntimeFailure(f"invalid json: {explain(error, text)}") from None
    except RecursionError:
        raise RuntimeFailure("invalid json: recursion limit exceeded") from None
    if "\\u" in text:
        refuse_surrogates(data, text)
    if isinstance(data, list | dict):
        meter.check_items(len(data))
    return data


def charge(meter: Meter, text: str) -> None:
    """Counts what the value of `text` may need, before it is made."""
    if len(text) > SMALL_TEXT:
        records = text.count("{")
        entries = text.count(",") + text.count("[") + records
        meter.allocate(len(text) + entries * ITEM_BYTES + records * RECORD_BYTES)


def as_integer(digits: str) -> Json:
    """The number that `digits` write."""
    return int(digits) if len(digits) < _LONG else as_float(digits)


def may_overflow(text: str) -> bool:
    """Whether a number in `text` may be beyond every double; a cheap look that says yes too often."""
    return _EXPONENT.search(text) is not None or _DIGITS.search(text) is not None


def as_float(digits: str) -> float:
    """The double that `digits` write; refuses what is beyond every one."""
    value = float(digits)
    if isinf(value):
        raise json.JSONDecodeError(OUT_OF_RANGE, digits, 0)
    return value


def refuse(name: str) -> Json:
    """Refuses `NaN` and `Infinity`."""
    raise json.JSONDecodeError("Expecting value", name, 0)


def refuse_surrogates(data: Json, text: str) -> None:
    """Refuses half characters, which no text may hold, in what was read from `text`."""
    stack: list[Json] = [data]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            if _SURROGATE.search(item):
                raise RuntimeFailure(f"invalid json: {explain_surrogate(text)}")
        elif isinstance(item, list):
            stack.extend(item)
        elif isinstance(item, dict):
            stack.extend(item)
            stack.extend(item.values())
