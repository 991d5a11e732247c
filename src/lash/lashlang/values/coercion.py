"""The four coercions of specification §3.3, and truth."""

from __future__ import annotations

import re
from typing import Final

from lash.lashlang.errors import RuntimeFailure
from lash.lashlang.syntax.lexer import WHITE_SPACE
from lash.lashlang.values.kinds import Value, kind_name
from lash.lashlang.values.text import display_number, plain_decimal

_NUMBER: Final = re.compile(
    r"[+-]?(?:[0-9]+\.?[0-9]*(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?|inf|infinity|nan)", re.IGNORECASE
)
# The character class of the lexer, with its ranges written out for str.strip.
_BLANKS: Final = WHITE_SPACE.replace("\u2000-\u200a", "".join(map(chr, range(0x2000, 0x200B))))


def truthy(value: Value) -> bool:
    """False for null, false, zero, NaN and the empty string only."""
    if value is None or value is False:
        return False
    kind = type(value)
    if kind is float:
        return value == value and value != 0.0
    if kind is str:
        return value != ""
    return value != 0 if kind is int else True


def trimmed(text: str) -> str:
    """`text` without Unicode white space at its ends."""
    return text.strip(_BLANKS)


def as_number(value: Value) -> float:
    """*As number*: numbers, booleans, null and numeric text."""
    kind = type(value)
    if kind is float:
        return value  # type: ignore[return-value]
    if kind is int:
        return exact_to_float(value)  # type: ignore[arg-type]
    if value is None or value is False:
        return 0.0
    if value is True:
        return 1.0
    if isinstance(value, str):
        text = trimmed(value)
        if not text:
            return 0.0
        if _NUMBER.fullmatch(text) is None:
            raise RuntimeFailure("expected a number")
        return float(text)
    raise RuntimeFailure(f"expected a number, got {kind_name(value)}")


def exact_to_float(number: int) -> float:
    """The nearest double, infinite when there is none."""
    try:
        return float(number)
    except OverflowError:
        return float("inf") if number > 0 else float("-inf")


def as_text(value: Value) -> str:
    """*As text*: strings and scalars; never containers."""
    kind = type(value)
    if kind is str:
        return value  # type: ignore[return-value]
    if kind is float:
        return plain_decimal(value)  # type: ignore[arg-type]
    if value is None:
        return "null"
    if value is True or value is False:
        return "true" if value else "false"
    if kind is int:
        return display_number(value)  # type: ignore[arg-type]
    raise RuntimeFailure(f"expected text, got {kind_name(value)}")


def as_index(value: Value) -> int:
    """*As index*: a number that is integral."""
    number = value if type(value) is float else as_number(value)
    try:
        whole = int(number)
    except (OverflowError, ValueError):
        raise RuntimeFailure("index must be an integer") from None
    if whole != number:
        raise RuntimeFailure("index must be an integer")
    return whole
