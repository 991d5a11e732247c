"""`json_parse`: text to value, with positions in its errors."""

from __future__ import annotations

import json
import re

from lash.base.json import Json
from lash.lashlang.errors import RuntimeFailure
from lash.lashlang.values.json_errors import explain
from lash.lashlang.values.json_form import from_json
from lash.lashlang.values.kinds import Value
from lash.lashlang.values.meter import ITEM_BYTES, RECORD_BYTES, Meter
from lash.lashlang.values.operators import SMALL_TEXT

_SURROGATE = re.compile("[\ud800-\udfff]")


def parse_json_text(meter: Meter, text: str) -> Value:
    """The value that `text` encodes; raises `invalid json: …`."""
    return from_json(decode_json_text(meter, text), sort_keys=not meter.ordered)


def decode_json_text(meter: Meter, text: str) -> Json:
    """The JSON of `text`, within the limits."""
    charge(meter, text)
    try:
        data: Json = json.loads(text, parse_constant=refuse, parse_int=as_integer)
    except json.JSONDecodeError as error:
        raise RuntimeFailure(f"invalid json: {explain(error, text)}") from None
    except RecursionError:
        raise RuntimeFailure("invalid json: recursion limit exceeded") from None
    if "\\u" in text:
        refuse_surrogates(data)
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
    # More digits than Python converts: no double is that large either.
    return int(digits) if len(digits) < 4000 else float(digits)


def refuse(name: str) -> Json:
    """Refuses `NaN` and `Infinity`."""
    raise json.JSONDecodeError("Expecting value", name, 0)


def refuse_surrogates(data: Json) -> None:
    """Refuses half characters, which no text may hold."""
    stack: list[Json] = [data]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            if _SURROGATE.search(item):
                raise RuntimeFailure("invalid json: lone surrogate in a string")
        elif isinstance(item, list):
            stack.extend(item)
        elif isinstance(item, dict):
            stack.extend(item)
            stack.extend(item.values())
