"""Errors as people read them: message, position, the line with a caret, a hint (§8.5)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from lash.lashlang.dialect import IMPROVED, Dialect
from lash.lashlang.errors import LanguageError, LinkError, ParseError, RuntimeFailure, Span
from lash.lashlang.hints import STARTS, better_hint, is_about_arguments, suggestion
from lash.lashlang.host.environment import HostEnvironment

_HINTS: Final = (
    ("unexpected `if`", "use `cond ? yes : no` for inline conditionals"),
    (
        "unexpected `for`",
        "`for` is a statement. Put it on its own line, not inside an expression or record literal.",
    ),
    (
        "declarative trigger syntax has been removed",
        "construct a host-provided trigger source value and call the trigger registry register operation",
    ),
    (
        "`?` unwrapped failed tool result:",
        "remove `?` and inspect `.ok` or `.error` when you need to handle failures",
    ),
    (
        "`validate` requires a Type literal",
        "pass `Type { ... }` or a variable that holds a Type literal",
    ),
)
_READONLY: Final = re.compile(r"`[^`]*` is a read-only projected binding")


def render(
    error: LanguageError,
    source: str,
    *,
    dialect: Dialect = IMPROVED,
    environment: HostEnvironment | None = None,
    variables: Iterable[str] = (),
) -> str:
    """The full diagnostic of `error` for the program `source`.

    With its `environment` and the names of its `variables` it also says what there is in place of what is not.
    """
    text = str(error)
    lines = [text]
    offset = position(error, dialect)
    if offset is not None:
        number, column, line = locate(source, offset)
        lines += [f"--> line {number}, column {column}", line, " " * (column - 1) + "^"]
    hint = hint_for(text, dialect)
    if dialect.expression_spans:
        hint = hint or better_hint(text, source, offset)
        if hint is None and environment is not None:
            hint = suggestion(text, environment, variables)
    if hint is not None:
        lines.append(f"hint: {hint}")
    return "\n".join(lines)


def position(error: LanguageError, dialect: Dialect = IMPROVED) -> int | None:
    """The byte offset to point at, if there is one."""
    if isinstance(error, ParseError):
        return error.offset
    span: Span | None = None
    if isinstance(error, LinkError):
        span = error.at or error.span if dialect.expression_spans else error.span
    elif isinstance(error, RuntimeFailure):
        span = error.span if dialect.expression_spans else error.statement
    return None if span is None or span == (0, 0) else span[0]


def locate(source: str, offset: int) -> tuple[int, int, str]:
    """Line, column (both from 1, columns in characters) and text of the line at a byte offset."""
    data = source.encode("utf-8", "surrogatepass")
    before = data[:offset].decode("utf-8", "replace")
    line = before.count("\n")
    text = (source.split("\n") or [""])[line] if line <= source.count("\n") else ""
    return line + 1, len(before) - (before.rfind("\n") + 1) + 1, text.rstrip("\r")


def hint_for(text: str, dialect: Dialect = IMPROVED) -> str | None:
    """What to try instead, for the mistakes that have a name."""
    if _READONLY.match(text):
        return "copy the projected value into a new variable before changing it"
    hints = _HINTS + STARTS if dialect.expression_spans and not is_about_arguments(text) else _HINTS
    return next((hint for start, hint in hints if text.startswith(start)), None)
