"""The arguments of a statement that PostgreSQL runs once for many rows.

Each argument travels as one text, which the server splits. The library would also take lists, but
it looks at every element several times, which costs twice as much as all the rest; and it asks the
catalogue for the types of lists on every new connection.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, islice
from typing import Final

from lash.stores.dialect import Statement
from lash.stores.program import Row, Value

_MARKS: Final = ("\x1d", "\x1e")


def over(statement: Statement, rows: Sequence[Row]) -> tuple[str, Sequence[Value]]:
    """The rendering for one row or for any other number of rows, and its arguments."""
    if len(rows) == 1:
        return statement.postgres, rows[0]
    assert statement.postgres_rows is not None
    if not rows:
        return statement.postgres_rows, [""] * statement.placeholders + ["", ""]
    return statement.postgres_rows, _listed(rows)


def _listed(rows: Sequence[Row]) -> list[str]:
    """A text for each argument, then what separates the values in it, and what stands for NULL.

    Any character may stand in a value, so the marks are two that stand in none.
    """
    columns = list(zip(*rows, strict=True))
    separator, null = _MARKS
    texts = _joined(columns, separator, null)
    if not all(
        text.count(separator) == len(rows) - 1 and text.count(null) == column.count(None)
        for text, column in zip(texts, columns, strict=True)
    ):
        separator, null = _unused(columns)
        texts = _joined(columns, separator, null)
    return [*texts, separator, null]


def _joined(columns: Sequence[Row], separator: str, null: str) -> list[str]:
    # A value that is neither text nor NULL is a number; a function for it would cost as much as all else here.
    return [
        separator.join([value if isinstance(value, str) else null if value is None else str(value) for value in column])
        for column in columns
    ]


def _unused(columns: Sequence[Row]) -> tuple[str, str]:
    """Two characters that stand in no value. Half of a surrogate pair is none: it cannot travel."""
    used = set("-0123456789").union(*(value for column in columns for value in column if isinstance(value, str)))
    unused = (mark for code in chain(range(1, 0xD800), range(0xE000, 0x110000)) if (mark := chr(code)) not in used)
    marks = list(islice(unused, 2))
    assert len(marks) == 2, "every character stands in a value; write the rows one by one"
    return marks[0], marks[1]
