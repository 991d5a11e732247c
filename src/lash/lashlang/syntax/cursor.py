"""A place in the tokens, and the rules every part of the parser shares.

Nesting is counted where the reference counts it (§2.6). Chains of prefix and
postfix operators are not nesting there, but they build deep trees, so along one
path of the tree they are bounded too.
"""

from __future__ import annotations

from typing import Final, NoReturn

from lash.lashlang.dialect import Dialect
from lash.lashlang.errors import ParseError, Span
from lash.lashlang.syntax.features import LanguageFeatures
from lash.lashlang.syntax.lexer import END, IDENT, RESERVED, STRING, Tokens

NESTING_LIMIT: Final = 64
# No program a person reads has a hundred prefix or postfix operators on one
# path; every walker may recurse once per operator, and Python's stack is short.
CHAIN_LIMIT: Final = 100
OPERATOR_LIMIT: Final = 2_000

_CLOSERS: Final = {"(": ")", "[": "]", "{": "}"}
_TOO_DEEP: Final = f"expression nesting too deep (limit {NESTING_LIMIT}); flatten the program"


class NestingTooDeep(ParseError):
    """Never answered by trying another reading."""


class Cursor:
    """The parser's position and state."""

    def __init__(self, tokens: Tokens, dialect: Dialect, features: LanguageFeatures) -> None:
        self.tokens = tokens
        self.kinds = tokens.kinds
        self.texts = tokens.texts
        self.starts = tokens.starts
        self.ends = tokens.ends
        self.dialect = dialect
        self.features = features
        self.at = 0
        self.depth = 0
        self.chain = 0
        self.loops = 0
        self.body = "cell"
        self.colons: dict[int, bool] = {}
        self._partners: list[int] | None = None

    @property
    def kind(self) -> str:
        """The kind of the token at the cursor."""
        return self.kinds[self.at]

    def kind_after(self, count: int = 1) -> str:
        """The kind of a token ahead."""
        index = self.at + count
        return self.kinds[index] if index < len(self.kinds) else END

    def is_word(self, word: str, ahead: int = 0) -> bool:
        """Whether the token is the contextual word `word`."""
        return self.kind_after(ahead) == IDENT and self.texts[self.at + ahead] == word

    def span_from(self, start: int) -> Span:
        """The span from token `start` to the last token consumed."""
        last = self.at - 1
        return (self.starts[start], self.ends[max(start, last)])

    def accept(self, kind: str) -> bool:
        """Consumes the token if it is of `kind`."""
        if self.kinds[self.at] == kind:
            self.at += 1
            return True
        return False

    def expect(self, kind: str) -> None:
        """Consumes a token of `kind`, or fails naming it."""
        if self.kinds[self.at] != kind:
            self.fail_expected(f"`{kind}`")
        self.at += 1

    def identifier(self) -> str:
        """Consumes a name."""
        if self.kinds[self.at] != IDENT:
            self.fail_expected("identifier")
        self.at += 1
        return self.texts[self.at - 1]

    def string(self) -> str:
        """Consumes a string literal."""
        if self.kinds[self.at] != STRING:
            self.fail_expected("string literal")
        self.at += 1
        return self.texts[self.at - 1]

    def key(self) -> str:
        """Consumes a record key: a name, a string or a reserved word."""
        kind = self.kinds[self.at]
        if kind != IDENT and kind != STRING and kind not in RESERVED:
            self.fail_expected("identifier, string key, or keyword key")
        self.at += 1
        return self.texts[self.at - 1]

    def fail_expected(self, expected: str) -> NoReturn:
        """Raises `expected E, found F` at the cursor."""
        raise ParseError(f"expected {expected}, found {self.tokens.found(self.at)}", self.starts[self.at])

    def fail_unexpected(self) -> NoReturn:
        """Raises `unexpected F` at the cursor."""
        raise ParseError(f"unexpected {self.tokens.found(self.at)}", self.starts[self.at])

    def fail(self, text: str, index: int | None = None) -> NoReturn:
        """Raises `text` at a token, by default the one at the cursor."""
        raise ParseError(text, self.starts[self.at if index is None else index])

    def enter(self) -> None:
        """Counts one level of nesting."""
        self.depth += 1
        if self.depth > NESTING_LIMIT:
            self.fail_too_deep()

    def fail_too_deep(self) -> NoReturn:
        """Raises the nesting error at the cursor."""
        raise NestingTooDeep(_TOO_DEEP, self.starts[self.at])

    def lengthen_chain(self, by: int = 1) -> None:
        """Counts operators of a prefix or postfix chain on the current path."""
        self.chain += by
        if self.chain > CHAIN_LIMIT:
            self.fail_too_deep()

    def partner(self, index: int) -> int:
        """The index of the bracket that closes the one at `index`, or the end."""
        if self._partners is None:
            self._partners = _match_brackets(self.kinds)
        return self._partners[index]


def _match_brackets(kinds: list[str]) -> list[int]:
    last = len(kinds) - 1
    partners = [last] * len(kinds)
    open_at: list[int] = []
    for index, kind in enumerate(kinds):
        if kind in _CLOSERS:
            open_at.append(index)
        elif kind in {")", "]", "}"} and open_at and _CLOSERS[kinds[open_at[-1]]] == kind:
            partners[open_at.pop()] = index
    return partners
