"""`json_parse`: text to value, with positions in its errors."""

from __future__ import annotations

import json
import re

from lash.base.json import Json
from lash.lashlang.errors import RuntimeFailure
from lash.lashlang.values.json_form import from_json
from lash.lashlang.values.kinds import Value
from lash.lashlang.values.meter import ITEM_BYTES, Meter
from lash.lashlang.values.operators import SMALL_TEXT

_MESSAGES = (
    ("Expecting property name", "key must be a string"),
    ("Expecting ':' delimiter", "expected `:`"),
    ("Expecting ',' delimiter", "expected `,` or a closing bracket"),
    ("Expecting value", "expected value"),
    ("Unterminated string", "EOF while parsing a string"),
    ("Extra data", "trailing characters"),
    ("Invalid control character", "control character found while parsing a string"),
    ("Invalid \\escape", "invalid escape"),
    ("Illegal trailing comma", "trailing comma"),
)
_SURROGATE = re.compile("[\ud800-\udfff]")


def parse_json_text(meter: Meter, text: str) -> Value:
    """The value that `text` encodes; raises `invalid json: …`."""
    return from_json(decode_json_text(meter, text))


def decode_json_text(meter: Meter, text: str) -> Json:
    """The JSON of `text`, within the limits."""
    if len(text) > SMALL_TEXT:
        meter.allocate(len(text))
        entries = text.count(",") + text.count("[") + text.count("{")
        meter.allocate(entries * ITEM_BYTES)
    try:
        data: Json = json.loads(text, parse_constant=_refuse, parse_int=_integer)
    except json.JSONDecodeError as error:
        raise RuntimeFailure(f"invalid json: {_explain(error)}") from None
    except RecursionError:
        raise RuntimeFailure("invalid json: recursion limit exceeded") from None
    if "\\u" in text:
        _refuse_surrogates(data)
    if isinstance(data, list | dict):
        meter.check_items(len(data))
    return data


def _integer(digits: str) -> Json:
    # More digits than Python converts: no double is that large either.
    return int(digits) if len(digits) < 4000 else float(digits)


def _refuse(name: str) -> Json:
    raise json.JSONDecodeError("Expecting value", name, 0)


def _explain(error: json.JSONDecodeError) -> str:
    message = error.msg
    for start, text in _MESSAGES:
        if message.startswith(start):
            message = text
            break
    if error.pos >= len(error.doc):
        message = "EOF while parsing a value" if message == "expected value" else message
    return f"{message} at line {error.lineno} column {error.colno}"


def _refuse_surrogates(data: Json) -> None:
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
