"""`format`: `{}` in order, `{N}` by index, `{{` and `}}` as braces (§4)."""

from __future__ import annotations

from functools import lru_cache

from lash.lashlang.errors import RuntimeFailure
from lash.lashlang.values.kinds import Value, kind_name
from lash.lashlang.values.meter import Meter
from lash.lashlang.values.operators import SMALL_TEXT
from lash.lashlang.values.text import display

# A piece is literal text, the slot number of a placeholder, or a fault.
_Piece = str | int | RuntimeFailure
_USIZE = 2**64


def format_text(meter: Meter, template: Value, *args: Value) -> str:
    """The template with its slots filled; every argument must be used."""
    if type(template) is not str:
        raise RuntimeFailure(f"`format` template must be a string, got {kind_name(template)}")
    pieces = _parse(template) if len(template) > 512 else _parse_cached(template)
    out: list[str] = []
    used = 0
    size = 0
    for piece in pieces:
        if type(piece) is str:
            out.append(piece)
        elif type(piece) is tuple:
            slot, shown = piece
            if slot >= len(args):
                raise RuntimeFailure(f"format slot `{'{}' if shown is None else shown}` is out of range")
            used |= 1 << slot
            out.append(display(args[slot], exact=meter.exact))
        else:
            raise RuntimeFailure(str(piece))
        size += len(out[-1])
        if size > SMALL_TEXT:
            meter.check_text(size)
    for at in range(len(args)):
        if not used >> at & 1:
            raise RuntimeFailure(f"format argument `{at}` is unused")
    text = "".join(out)
    if size > SMALL_TEXT:
        meter.allocate(size)
    return text


def plain_slots(template: str, count: int) -> list[str | int] | None:
    """The literal texts and slots of a faultless template that uses `count` arguments once, in order."""
    found: list[str | int] = []
    for piece in _parse(template):
        if isinstance(piece, str):
            found.append(piece)
        elif isinstance(piece, tuple) and isinstance(piece[0], int):
            found.append(piece[0])
        else:
            return None
    slots = [slot for slot in found if isinstance(slot, int)]
    return found if slots == list(range(count)) else None


def _parse(template: str) -> tuple[object, ...]:
    pieces: list[object] = []
    literal: list[str] = []
    automatic = 0
    style = ""
    at, size = 0, len(template)
    while at < size:
        char = template[at]
        if char not in "{}":
            end = at
            while end < size and template[end] not in "{}":
                end += 1
            literal.append(template[at:end])
            at = end
            continue
        if template[at + 1 : at + 2] == char:
            literal.append(char)
            at += 2
            continue
        if literal:
            pieces.append("".join(literal))
            literal = []
        close = template.find("}", at) if char == "{" else -1
        if close < 0:
            pieces.append(RuntimeFailure(f"unmatched `{char}` in format string"))
            break
        body = template[at + 1 : close]
        at = close + 1
        fault, slot = _slot(body, automatic)
        wanted = "automatic" if body == "" else "indexed"
        if fault is None and style not in {"", wanted}:
            fault = "can't mix `{}` and indexed format placeholders"
        if fault is not None:
            pieces.append(RuntimeFailure(fault))
            break
        style = wanted
        if body == "":
            automatic += 1
        pieces.append((slot, body or None))
    if literal:
        pieces.append("".join(literal))
    return tuple(pieces)


def _slot(body: str, automatic: int) -> tuple[str | None, int]:
    if body == "":
        return None, automatic
    if not (body.isascii() and body.isdigit()):
        return "invalid format placeholder", 0
    number = int(body) if len(body) < 40 else _USIZE
    if number >= _USIZE:
        return f"bad format slot `{body}`", 0
    return None, number


_parse_cached = lru_cache(maxsize=256)(_parse)
