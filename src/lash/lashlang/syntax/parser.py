"""Source to `Program`."""

from __future__ import annotations

from lash.lashlang.dialect import IMPROVED, Dialect
from lash.lashlang.errors import ParseError
from lash.lashlang.syntax import ast
from lash.lashlang.syntax.features import NO_FEATURES, LanguageFeatures
from lash.lashlang.syntax.lexer import tokenize
from lash.lashlang.syntax.parse_statements import StatementReader


def parse(source: str, *, dialect: Dialect = IMPROVED, features: LanguageFeatures = NO_FEATURES) -> ast.Program:
    """The program that `source` spells.

    Raises `ParseError` with the byte offset. Any text either parses or fails
    that way; deep nesting is one of the errors.
    """
    tokens = tokenize(source)
    reader = StatementReader(tokens, dialect, features)
    try:
        return reader.program()
    except ParseError:
        if not reader.retries:
            raise
    # Some `?` was tried both ways and neither parsed. The reader of the message
    # wrote a ternary more likely than not, so report that reading's error.
    plain = StatementReader(tokens, dialect, features)
    plain.settles = True
    return plain.program()
