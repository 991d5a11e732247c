"""Reading rows for work that must go on: one damaged row is told and stops no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, NamedTuple, TypeVar

from lash.base.canonical import parse_json
from lash.base.json import Json
from lash.sessions.errors import StoredDataCorrupt

T = TypeVar("T")
R = TypeVar("R")


class Readable(NamedTuple, Generic[T]):
    """What could be read, and what is wrong with the rest."""

    found: list[T]
    problems: list[str]


def readable(rows: Iterable[R], read: Callable[[R], T]) -> Readable[T]:
    """Each row as a value, apart from those that raise `StoredDataCorrupt`."""
    found: list[T] = []
    problems: list[str] = []
    for row in rows:
        try:
            found.append(read(row))
        except StoredDataCorrupt as error:
            problems.append(str(error))
    return Readable(found, problems)


def decoded_json(what: str, text: str) -> Json:
    """Stored JSON; raises `StoredDataCorrupt` that names it."""
    try:
        return parse_json(text)
    except ValueError as error:
        raise StoredDataCorrupt(f"{what} cannot be read: {error}") from error
