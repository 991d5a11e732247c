"""What the model is told of its variables: small values whole, large ones by their beginning.

The cost does not depend on how large a value is: a preview stops where its room ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from json.encoder import encode_basestring as quoted
from typing import Final

from lash.lashlang.values.kinds import Image, LazyValue, Resource, Value, kind_name
from lash.lashlang.values.text import display

PREVIEW_CHARS: Final = 160
# Names beyond this are only counted: whoever makes so many variables knows their names.
MAX_SHOWN: Final = 100


def bound_text(
    variables: Mapping[str, Value], projected: Mapping[str, Value], inline_chars: int, *, has_history: bool
) -> str:
    """The variables by name, in the order in which they were made; read-only ones first."""
    lines = ["Bound variables:"]
    if has_history:
        lines.append("- `history` (read-only list): earlier messages and steps")
    lines += [f"- `{name}` (read-only {_described(value, inline_chars)}" for name, value in projected.items()]
    for number, (name, value) in enumerate(variables.items()):
        if number == MAX_SHOWN:
            lines.append(f"- and {len(variables) - MAX_SHOWN} more")
            break
        lines.append(f"- `{name}` ({_described(value, inline_chars)}")
    return "\n".join(lines)


def _described(value: Value, inline_chars: int) -> str:
    if isinstance(value, LazyValue):
        return "projection): fetched when a program reads it"
    kind = kind_name(value)
    text, is_whole = _beginning(value, inline_chars)
    if is_whole:
        return f"{kind}): {text}"
    size = ""
    if isinstance(value, str | list | dict):
        size = f", {len(value)} {'characters' if isinstance(value, str) else 'items'}"
    return f"{kind}{size}): {text[:PREVIEW_CHARS]}…"


def _beginning(value: Value, room: int) -> tuple[str, bool]:
    """The JSON text of a value as far as `room` characters reach, and whether that is all."""
    pieces: list[str] = []
    for piece in _pieces(value, room):
        pieces.append(piece)
        room -= len(piece)
        if room < 0:
            return "".join(pieces), False
    return "".join(pieces), True


def _pieces(value: Value, room: int) -> Iterator[str]:
    if isinstance(value, str):
        # One character too many, if there are more: then it does not fit.
        yield quoted(value[: room + 1])
    elif isinstance(value, list):
        yield "["
        for index, item in enumerate(value):
            if index:
                yield ", "
            yield from _pieces(item, room)
        yield "]"
    elif isinstance(value, dict):
        yield "{"
        for index, (key, item) in enumerate(value.items()):
            if index:
                yield ", "
            yield f"{quoted(key[: room + 1])}: "
            yield from _pieces(item, room)
        yield "}"
    elif isinstance(value, Image):
        yield f"image {value.label}"
    elif isinstance(value, Resource):
        yield f"module {value.alias}"
    elif isinstance(value, LazyValue):
        yield value.name
    else:
        yield display(value)
