"""Numbers and values as text.

*Plain decimal* never uses an exponent. *Display* is what `to_string`, `format`
and `+` use: strings raw, containers as compact JSON with sorted keys. *JSON
text* of a number is the shortest round-trip form with an exponent below 1e-5.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from json.encoder import encode_basestring as json_string
from math import isfinite
from typing import Final

from lash.lashlang.values.kinds import Image, LazyValue, Resource, Value
from lash.lashlang.values.room import LONG_TEXT, Room

_I64_MAX: Final = 2**63 - 1
_U64_MAX: Final = 2**64 - 1
_LITERALS: Final = {None: "null", True: "true", False: "false"}


def plain_decimal(number: float) -> str:
    """Shortest digits that read back as `number`, without an exponent: `-0`, `inf`, `NaN` included."""
    if not isfinite(number):
        return "NaN" if number != number else ("inf" if number > 0 else "-inf")
    text = repr(float(number))
    if "e" in text:
        text = format(Decimal(text), "f")
    return text.removesuffix(".0")


def display_number(number: float) -> str:
    """A number as text; every integral value exactly."""
    if type(number) is int:
        return _digits(number)
    if number.is_integer():
        return f"{number:.0f}" if number else "0"
    return plain_decimal(number)


def show_number(number: float) -> str:
    """`display_number`, for numbers that generated code has proved to be floats."""
    if number.is_integer() and number:
        return f"{number:.0f}"
    return display_number(number)


def saturating_display(number: float) -> str:
    """A number as the reference prints it: saturated at 64 bits, zero-padded beyond."""
    if type(number) is int:
        return _digits(number)
    if number.is_integer():
        if -(2.0**63) <= number <= 2.0**63:
            return str(min(int(number), _I64_MAX))
        if 0 <= number <= 2.0**64:
            return str(min(int(number), _U64_MAX))
    return plain_decimal(number)


def _digits(number: int) -> str:
    # Integers from JSON may exceed the interpreter's digit limit for str().
    return format(Decimal(number), "f")


def integral_display(exact: bool) -> Callable[[float], str]:
    """How integral numbers print."""
    return display_number if exact else saturating_display


def display(value: Value, *, exact: bool = True) -> str:
    """The display form; never fails except for absurd depth.

    Without `exact`, integral numbers beyond 64 bits print as the reference prints them.
    """
    kind = type(value)
    if kind is str:
        return value  # type: ignore[return-value]
    if kind is float or kind is int:
        return display_number(value) if exact else saturating_display(value)  # type: ignore[arg-type]
    if value is None or value is True or value is False:
        return _LITERALS[value]
    parts: list[str] = []
    write_json(value, parts, 0, integral_display(exact), Room())
    return "".join(parts)


def json_number(number: float, integral: Callable[[float], str] = display_number) -> str:
    """A number inside JSON text."""
    if type(number) is int:
        return _digits(number)
    if not isfinite(number):
        return "null"
    if number.is_integer() and (integral is display_number or -(2.0**63) <= number <= 2.0**64):
        return integral(number)
    # The reference writes integers beyond 64 bits with an exponent.
    text = repr(number)
    mantissa, mark, exponent = text.partition("e")
    if not mark:
        return text if not number.is_integer() else _with_exponent(number)
    mantissa = mantissa.removesuffix(".0")
    if exponent == "-05":
        return plain_decimal(number)
    return f"{mantissa}e{int(exponent)}"


def _with_exponent(number: float) -> str:
    digits = str(int(Decimal(repr(number))))
    sign, digits = ("-", digits[1:]) if digits[0] == "-" else ("", digits)
    tail = digits[1:].rstrip("0")
    return f"{sign}{digits[0]}{'.' if tail else ''}{tail}e{len(digits) - 1}"


def write_json(value: Value, parts: list[str], depth: int, integral: Callable[[float], str], room: Room) -> None:
    """Appends the JSON text of `value`, which is `depth` levels down, to `parts`."""
    if isinstance(value, str):
        if len(value) > LONG_TEXT:
            room.text(len(value))
        parts.append(json_string(value))
    elif value is None or value is True or value is False:
        parts.append(_LITERALS[value])
    elif isinstance(value, float | int):
        parts.append(json_number(value, integral))
    elif isinstance(value, list):
        room.enter(len(value), depth)
        lead = "["
        for item in value:
            parts.append(lead)
            write_json(item, parts, depth + 1, integral, room)
            lead = ","
        parts.append("]" if value else "[]")
    elif isinstance(value, dict):
        room.enter(len(value), depth)
        lead = "{"
        for key in sorted(value):
            parts.append(f"{lead}{json_string(key)}:")
            write_json(value[key], parts, depth + 1, integral, room)
            lead = ","
        parts.append("}" if value else "{}")
    elif isinstance(value, Image):
        write_json(image_record(value), parts, depth, integral, room)
    elif isinstance(value, Resource):
        parts.append(f'{{"__resource__":true,"type":{json_string(value.type)},"alias":{json_string(value.alias)}}}')
    else:
        parts.append(json_string(lazy_text(value)))


def image_record(image: Image) -> dict[str, Value]:
    """An image as the record that stands for it in JSON."""
    return {
        "type": "image",
        "id": image.id,
        "label": image.label,
        "size": image.size,
        "width": image.width,
        "height": image.height,
    }


def lazy_text(value: LazyValue) -> str:
    """What a lazy value shows when nobody can resolve it."""
    return (
        f"projected host descriptor `{value.name}` ({value.type_name}) is unavailable "
        "after snapshot restore; rerun the producing tool to recreate it"
    )
