"""Source text to tokens.

One compiled pattern finds all tokens at once; they are kept as parallel lists,
because the parser looks at kinds far more often than at anything else. All
positions are byte offsets into the UTF-8 form of the source, as the
specification (§2.1) counts them.
"""

from __future__ import annotations

import re
from itertools import accumulate, chain
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

_WRITTEN: Final = r"""
      (?:r(?!\"\"\"|''')|[A-Za-qs-z_])[A-Za-z0-9_]*+
    | ==|!=|&&|\|\||<=|>=|[{}()\[\],:@?.!=|<>+\-*/%]
    | [0-9]++(?:\.[0-9]*+)?
    | (?!\"\"\")"[^"\\]*(?:\\.[^"\\]*)*"
    | r\"\"\".*?\"\"\"|r'''.*?'''
    | \"\"\"(?:\\.|[^\\])*?\"\"\"
"""
_GAP: Final = rf"[{WHITE_SPACE};]*+(?:(?:\#|//)[^\n]*+[{WHITE_SPACE};]*+)*+"
# White space and comments, then a token; where there is none, all that is left.
_TOKEN: Final = re.compile(f"({_GAP})((?:{_WRITTEN})|.*)", re.VERBOSE | re.DOTALL)
_ONE: Final = re.compile(_WRITTEN, re.VERBOSE | re.DOTALL)
_SYMBOLS: Final = ("==", "!=", "&&", "||", "<=", ">=", *"{}()[],:@?.!=|<>+-*/%")
_DIGITS: Final = frozenset("0123456789")
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED: Final = {"n": "\n", "r": "\r", "t": "\t"}


class _Kinds(dict[str, str]):
    """The kind of each token's text; those of one source, because a program repeats few texts often."""

    def __missing__(self, text: str) -> str:
        # Only strings end in a quote.
        kind = self[text] = STRING if text[-1] in "\"'" else NUMBER if text[0] in _DIGITS else IDENT
        return kind


_FIXED: Final = _Kinds({text: text for text in (*RESERVED, *_SYMBOLS)})


class Tokens:
    """The tokens of one source, as parallel lists that end with `END`.

    `kinds[i]` is `IDENT`, `STRING`, `NUMBER`, `END`, or the token's own text for
    symbols and reserved words; `texts[i]` is the decoded string, or what is written.
    """

    __slots__ = ("ends", "kinds", "source", "starts", "texts")

    def __init__(self, source: str, kinds: list[str], texts: list[str], starts: list[int], ends: list[int]) -> None:
        self.source = source
        self.kinds = kinds
        self.texts = texts
        self.starts = starts
        self.ends = ends

    def found(self, index: int) -> str:
        """How an error message names the token."""
        kind, text = self.kinds[index], self.texts[index]
        if kind == IDENT:
            return f"identifier `{text}`"
        if kind == STRING:
            return f"string {quote(text)}"
        if kind == NUMBER:
            return f"number {_plain_number(float(text))}"
        if kind == END:
            return END
        return f"`{kind}`"


def tokenize(source: str) -> Tokens:
    """The tokens of `source`. Raises `ParseError` at the first bad character."""
    # Everything that is done for each token is done by loops of C.
    found = _TOKEN.findall(source)
    written = [token for _, token in found]
    count = written.index("")
    parts = chain.from_iterable(found[: count + 1])
    positions = list(accumulate(map(len, parts if source.isascii() else map(_utf8, parts))))
    starts, ends = positions[0::2], positions[1::2]
    if count and _ONE.match(rest := written[count - 1]) is None:
        raise _bad_token(rest, starts[count - 1])
    del written[count:]
    known = _Kinds(_FIXED)
    kinds = list(map(known.__getitem__, written))
    if STRING in kinds:
        written = [_decoded(text) if kind is STRING else text for kind, text in zip(kinds, written, strict=True)]
    kinds.append(END)
    written.append("")
    return Tokens(source, kinds, written, starts, ends)


def quote(text: str) -> str:
    """`text` as a quoted literal, escaped so that it reads back as itself."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return '"' + escaped.replace("\r", "\\r").replace("\t", "\\t") + '"'


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _decoded(written: str) -> str:
    if written[0] == "r":
        return written[4:-3]
    body = written[3:-3] if written.startswith('"""') else written[1:-1]
    if "\\" not in body:
        return body
    return _ESCAPE.sub(lambda found: _ESCAPED.get(found.group(1), found.group(1)), body)


def _bad_token(rest: str, offset: int) -> ParseError:
    if rest.startswith(('"', 'r"""', "r'''")):
        return ParseError("unterminated string", offset)
    return ParseError(f"unexpected `{rest[0]}`", offset)


def _plain_number(value: float) -> str:
    from lash.lashlang.values.text import plain_decimal

    return plain_decimal(value)
