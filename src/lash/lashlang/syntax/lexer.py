"""Source text to tokens.

One compiled pattern finds every token; the tokens are kept as parallel lists,
because the parser looks at kinds far more often than at anything else. All
positions are byte offsets into the UTF-8 form of the source, as the
specification (§2.1) counts them.
"""

from __future__ import annotations

import re
from typing import Final

from lash.lashlang.errors import ParseError

RESERVED: Final = frozenset(
    (
        "if",
        "else",
        "for",
        "in",
        "await",
        "cancel",
        "submit",
        "print",
        "call",
        "and",
        "or",
        "not",
        "true",
        "false",
        "null",
    )
)
# Unicode's White_Space property, which is not what str.isspace() tests, plus `;`.
WHITE_SPACE: Final = "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"

IDENT: Final = "identifier"
STRING: Final = "string"
NUMBER: Final = "number"
END: Final = "end of input"

# White space and comments, never given back, then a token, the end or nothing that we know.
_TOKEN: Final = re.compile(
    rf"""
    (?>(?:[{WHITE_SPACE};]+|\#[^\n]*|//[^\n]*)*)
  (?:
    (?P<ident>(?!r\"\"\"|r\'\'\')[A-Za-z_][A-Za-z0-9_]*)
  | (?P<symbol>==|!=|&&|\|\||<=|>=|[{{}}()\[\],:@?.!=|<>+\-*/%])
  | (?P<raw>r\"\"\"(?P<raw_double>.*?)\"\"\"|r'''(?P<raw_single>.*?)''')
  | (?P<triple>\"\"\"(?P<triple_text>(?:\\.|[^\\])*?)\"\"\")
  | (?P<open_triple>r?\"\"\"|r''')
  | (?P<string>"(?P<text>[^"\\]*(?:\\.[^"\\]*)*)")
  | (?P<number>[0-9]+(?:\.[0-9]*)?)
  | (?P<end>\Z)
  | (?P<unknown>)
  )
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED: Final = {"n": "\n", "r": "\r", "t": "\t"}


class Tokens:
    """The tokens of one source, as parallel lists that end with `END`.

    `kinds[i]` is `IDENT`, `STRING`, `NUMBER`, `END`, or the token's own text for
    symbols and reserved words; `texts[i]` is the name or the decoded string.
    """

    __slots__ = ("ends", "kinds", "source", "starts", "texts", "values")

    def __init__(self, source: str) -> None:
        self.source = source
        self.kinds: list[str] = []
        self.texts: list[str] = []
        self.values: list[float] = []
        self.starts: list[int] = []
        self.ends: list[int] = []

    def found(self, index: int) -> str:
        """How an error message names the token."""
        kind, text = self.kinds[index], self.texts[index]
        if kind == IDENT:
            return f"identifier `{text}`"
        if kind == STRING:
            return f"string {quote(text)}"
        if kind == NUMBER:
            return f"number {_plain_number(self.values[index])}"
        if kind == END:
            return END
        return f"`{kind}`"


def tokenize(source: str) -> Tokens:
    """The tokens of `source`. Raises `ParseError` at the first bad character."""
    tokens = Tokens(source)
    positions: list[int] = []
    append_kind, append_text, append_value = tokens.kinds.append, tokens.texts.append, tokens.values.append
    cursor, size = 0, len(source)
    match_at = _TOKEN.match
    while cursor < size:
        match = match_at(source, cursor)
        assert match is not None
        kind = match.lastgroup
        start, cursor = match.span(kind)  # type: ignore[arg-type]
        value = 0.0
        if kind == "ident":
            text = source[start:cursor]
            append_kind(text if text in RESERVED else IDENT)
        elif kind == "symbol":
            text = source[start:cursor]
            append_kind(text)
        elif kind == "number":
            text = source[start:cursor]
            value = float(text)
            append_kind(NUMBER)
        elif kind == "end":
            break
        elif kind == "unknown":
            raise _bad_character(source, start)
        elif kind == "open_triple":
            raise ParseError("unterminated string", byte_offset(source, start))
        else:
            text = _decode_string(match)
            append_kind(STRING)
        append_text(text)
        append_value(value)
        positions.append(start)
        positions.append(cursor)
    append_kind(END)
    append_text("")
    append_value(0.0)
    positions.append(size)
    positions.append(size)
    if not source.isascii():
        positions = _byte_offsets(source, positions)
    tokens.starts, tokens.ends = positions[0::2], positions[1::2]
    return tokens


def byte_offset(source: str, index: int) -> int:
    """The byte offset of the character at `index`."""
    return index if source.isascii() else len(source[:index].encode("utf-8", "surrogatepass"))


def quote(text: str) -> str:
    """`text` as a quoted literal, escaped so that it reads back as itself."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return '"' + escaped.replace("\r", "\\r").replace("\t", "\\t") + '"'


def _byte_offsets(source: str, positions: list[int]) -> list[int]:
    """`positions` (ascending) in bytes, in one pass over the text."""
    out: list[int] = []
    at = total = 0
    for position in positions:
        total += len(source[at:position].encode("utf-8", "surrogatepass"))
        at = position
        out.append(total)
    return out


def _decode_string(match: re.Match[str]) -> str:
    for raw in ("raw_double", "raw_single"):
        if (body := match.group(raw)) is not None:
            return body
    body = match.group("text")
    if body is None:
        body = match.group("triple_text")
    if "\\" not in body:
        return body
    return _ESCAPE.sub(lambda found: _ESCAPED.get(found.group(1), found.group(1)), body)


def _bad_character(source: str, cursor: int) -> ParseError:
    offset = byte_offset(source, cursor)
    if source[cursor] == '"':
        return ParseError("unterminated string", offset)
    return ParseError(f"unexpected `{source[cursor]}`", offset)


def _plain_number(value: float) -> str:
    from lash.lashlang.values.text import plain_decimal

    return plain_decimal(value)
