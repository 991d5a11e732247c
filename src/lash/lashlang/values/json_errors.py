"""What is wrong with a JSON text, in the words and at the place of the reference's parser (specification §4).

Python's scanner says where it stopped and what it wanted; the rest follows from
the characters around. Columns count bytes; at the end of the text the last
character is meant.
"""

from __future__ import annotations

import re
from json import JSONDecodeError
from math import isinf
from typing import Final

# Beyond this much text nobody looks for the container that is open.
_LOOKED_THROUGH: Final = 1_000_000
_PARTS: Final = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)
_CONSTANTS: Final = re.compile(r'"(?:[^"\\]|\\.)*"?|-?(?:NaN|Infinity)', re.DOTALL)
_STRINGS: Final = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_ESCAPES: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)
_NUMBERS: Final = re.compile(r'"(?:[^"\\]|\\.)*"?|-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?', re.DOTALL)
_HEX: Final = re.compile("[0-9a-fA-F]{4}")
OUT_OF_RANGE: Final = "number out of range"
_END_OF_VALUE: Final = "EOF while parsing a value"
_LITERALS: Final = {"n": "null", "t": "true", "f": "false"}


def explain(error: JSONDecodeError, text: str) -> str:
    """`MESSAGE at line L column C`."""
    at = error.pos
    if error.doc in {"NaN", "Infinity", "-Infinity"} and error.doc != text:
        at = next((item.start() for item in _CONSTANTS.finditer(text) if item[0] == error.doc), 0)
    message, at = _told(error.msg, text, at)
    return _placed(message, text, at)


def explain_surrogate(text: str) -> str:
    """`MESSAGE at line L column C` for the first half of a character in a text that reads well otherwise."""
    for string in _STRINGS.finditer(text):
        open_at = -1
        for escape in _ESCAPES.finditer(text, string.start(), string.end()):
            code = int(escape[1], 16) if escape[1] else 0
            follows = escape.start() == open_at
            if open_at >= 0 and not follows:
                break
            if 0xDC00 <= code < 0xE000:
                if not follows:
                    return _placed("lone leading surrogate in hex escape", text, escape.end() - 1)
                open_at = -1
                continue
            if follows:
                if escape[1]:
                    return _placed("lone leading surrogate in hex escape", text, escape.end() - 1)
                return _placed("unexpected end of hex escape", text, escape.end() - 1)
            open_at = escape.end() if 0xD800 <= code < 0xDC00 else -1
        if open_at >= 0:
            return _placed("unexpected end of hex escape", text, open_at)
    return _placed("unexpected end of hex escape", text, len(text))


def _placed(message: str, text: str, at: int) -> str:
    if text[at : at + 1] == "\n":
        # The line break was read before it was found wrong.
        return f"{message} at line {text.count(chr(10), 0, at) + 2} column 0"
    start = text.rfind("\n", 0, at) + 1
    column = len(text[start:at].encode("utf-8", "surrogatepass")) + (at < len(text))
    return f"{message} at line {text.count(chr(10), 0, at) + 1} column {column}"


def _told(wanted: str, text: str, at: int) -> tuple[str, int]:
    here = text[at : at + 1]
    before = text[:at].rstrip(" \t\n\r")[-1:] if at < _LOOKED_THROUGH else text[at - 64 : at].rstrip(" \t\n\r")[-1:]
    match wanted.split()[:2]:
        case ["Unterminated", _]:
            return "EOF while parsing a string", len(text)
        case ["number", _]:
            return OUT_OF_RANGE, next((item.end() for item in _NUMBERS.finditer(text) if _is_huge(item[0])), 1) - 1
        case ["Invalid", escape] if escape.startswith("\\u"):
            return _bad_escape(text, text.find("u", at))
        case ["Invalid", "control"]:
            return "control character (\\u0000-\\u001F) found while parsing a string", at
        case ["Invalid", _]:
            return "invalid escape", at + 1
        case ["Expecting", "property"]:
            if not here:
                return ("EOF while parsing an object" if before == "{" else _END_OF_VALUE), at
            return ("trailing comma" if here == "}" and before == "," else "key must be a string"), at
        case ["Expecting", "value"]:
            return _no_value(text, at, here, before)
        case _:
            return _after_value(wanted, text, at, here)


def _is_huge(token: str) -> bool:
    try:
        return token[0] != '"' and isinf(float(token))
    except ValueError:
        return False


def _bad_escape(text: str, at: int) -> tuple[str, int]:
    """Four digits are read at once, and blamed together."""
    digits = text[at + 1 : at + 5]
    if len(digits) < 4 or (at + 5 == len(text) and _HEX.fullmatch(digits)):
        return "EOF while parsing a string", len(text)
    return "invalid escape", at + 4


def _no_value(text: str, at: int, here: str, before: str) -> tuple[str, int]:
    if not here:
        return ("EOF while parsing a list" if before == "[" else _END_OF_VALUE), at
    if here == "]" and before == ",":
        return "trailing comma", at
    if here == "-":
        return ("invalid number", at + 1) if at + 1 < len(text) else (_END_OF_VALUE, at + 1)
    for step, letter in enumerate(_LITERALS.get(here, "")):
        if text[at + step : at + step + 1] != letter:
            return ("expected ident" if at + step < len(text) else _END_OF_VALUE), at + step
    return "expected value", at


def _after_value(wanted: str, text: str, at: int, here: str) -> tuple[str, int]:
    if here and at and text[at - 1].isdigit() and here in ".eE0123456789":
        # Python reads a number as far as it goes and stops before what does not belong.
        past = at if here.isdigit() else at + 1 + (here in "eE" and text[at + 1 : at + 2] in {"+", "-"})
        return ("invalid number" if past < len(text) else _END_OF_VALUE), past
    if wanted.startswith("Extra"):
        return "trailing characters", at
    if "':'" in wanted:
        return ("expected `:`" if here else "EOF while parsing an object"), at
    opened = _opened(text, at)
    if not here:
        return f"EOF while parsing {'an object' if opened == '{' else 'a list'}", at
    return f"expected `,` or {'`}`' if opened == '{' else '`]`' if opened else 'a closing bracket'}", at


def _opened(text: str, at: int) -> str:
    """The bracket of the container that is open at `at`, or nothing in a text too long to look through."""
    if at > _LOOKED_THROUGH:
        return ""
    stack: list[str] = []
    for part in _PARTS.finditer(text, 0, at):
        if part[0] in "[{":
            stack.append(part[0])
        elif part[0] in "]}" and stack:
            stack.pop()
    return stack[-1] if stack else ""
