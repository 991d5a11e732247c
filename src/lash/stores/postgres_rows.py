"""The arguments of a statement that PostgreSQL runs once for many rows.

Each argument travels as one text, which the server splits. The library would also take lists, but
it looks at every element several times, which costs twice as much as all the rest; and it asks the
catalogue for the types of lists on every new connection.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Final

from lash.stores.dialect import Statement
from lash.stores.program import Row, Value

_FIRST_MARK: Final = 0x1D


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

    Any character may stand in a value, so the marks are the first two that stand in none.
    """
    columns = list(zip(*rows, strict=True))
    for first in count(_FIRST_MARK, 2):
        separator, null = chr(first), chr(first + 1)
        # A value that is neither text nor NULL is a number; a function for it would cost as much as all else here.
        texts = [
            separator.join(
                [value if isinstance(value, str) else null if value is None else str(value) for value in column]
            )
            for column in columns
        ]
        if all(
            text.count(separator) == len(rows) - 1 and text.count(null) == column.count(None)
            for text, column in zip(texts, columns, strict=True)
        ):
            return [*texts, separator, null]
    raise AssertionError("no two characters are left")
