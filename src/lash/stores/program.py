"""Store operations as programs: the whole rule, and no IO.

A program is a generator that yields *asks* (a statement and its arguments) and is
sent the answers. Two thin drivers run it: on SQLite's writer thread, or over a
PostgreSQL connection. The rule is written once.

```python
@program("write")
def renew(lease: Lease, ttl_ms: int) -> Steps[None]:
    if not (yield from execute(RENEW_LEASE, lease.key, lease.token, ttl_ms)):
        raise LeaseLost(lease.kind, lease.key, lease.fence)
```

Contracts:

- Ask with `yield from` a helper below, so that every answer has its own type.
- Every write program may run twice with the same arguments: a driver repeats one
  whose acknowledgement was lost.
- A program reads no clock, id or randomness; lease time is the token `{now}`.

Where to read next: `dialect.py` (one SQL text), `sqlite.py` and `postgres.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from functools import wraps
from typing import Generic, Literal, NamedTuple, ParamSpec, TypeAlias, TypeVar, cast

from lash.stores.dialect import InvalidStatement, Statement

T = TypeVar("T")
R = TypeVar("R")
P = ParamSpec("P")

# write:  one transaction
# single: exactly one ask and no transaction around it; it may raise only when it changed nothing
# read:   a snapshot, no writes
Mode: TypeAlias = Literal["write", "single", "read"]
Value: TypeAlias = str | int | float | bytes | None
Row: TypeAlias = Sequence[Value]
AskKind: TypeAlias = Literal["rows", "announced", "execute", "each", "many_each", "together", "lock", "notify"]


class Ask:
    """One request of a program to its driver."""

    __slots__ = ("args", "kind", "parts", "rows", "statement")

    def __init__(
        self,
        kind: AskKind,
        statement: Statement | None = None,
        args: Row = (),
        rows: Sequence[Row] = (),
        parts: Sequence[Write] = (),
    ) -> None:
        self.kind = kind
        self.statement = statement
        self.args = args
        self.rows = rows
        self.parts = parts


# What a driver sends back: rows, a count, counts, or nothing. Only helpers look inside.
Steps: TypeAlias = Generator[Ask, object, T]


class Query(Generic[R]):
    """A statement that answers rows, and the shape of a row."""

    __slots__ = ("shape", "statement")

    def __init__(self, shape: Callable[..., R], sql: str) -> None:
        self.shape = shape
        self.statement = Statement(sql)


class Write(NamedTuple):
    """One part of `together`: a write, and its arguments once or several times."""

    statement: Statement
    rows: Sequence[Row]


class Program(Generic[T]):
    """A store operation with its arguments. `start()` gives fresh steps, so it may run again."""

    __slots__ = ("mode", "name", "start")

    def __init__(self, name: str, mode: Mode, start: Callable[[], Steps[T]]) -> None:
        self.name = name
        self.mode = mode
        self.start = start

    def __repr__(self) -> str:
        return f"Program({self.name}, {self.mode})"


def program(mode: Mode) -> Callable[[Callable[P, Steps[T]]], Callable[P, Program[T]]]:
    """Makes a generator function answer programs instead of running steps."""

    def wrap(steps: Callable[P, Steps[T]]) -> Callable[P, Program[T]]:
        name = steps.__qualname__

        @wraps(steps)
        def make(*args: P.args, **kwargs: P.kwargs) -> Program[T]:
            return Program(name, mode, lambda: steps(*args, **kwargs))

        return make

    return wrap


class TooManyRows(Exception):
    """`one` met more than one row: the statement is wrong."""


def one(query: Query[R], *args: Value) -> Steps[R | None]:
    """The only row, or None."""
    rows = cast("list[Row]", (yield Ask("rows", query.statement, args)))
    if not rows:
        return None
    if len(rows) > 1:
        raise TooManyRows(query.statement.sql)
    return query.shape(*rows[0])


def announced(query: Query[R], *args: Value) -> Steps[R | None]:
    """`one` of a `single` program: when there is a row, waiting processes are told by the same statement."""
    rows = cast("list[Row]", (yield Ask("announced", query.statement, args)))
    return query.shape(*rows[0]) if rows else None


def many(query: Query[R], *args: Value) -> Steps[list[R]]:
    """All rows."""
    rows = cast("list[Row]", (yield Ask("rows", query.statement, args)))
    shape = query.shape
    return [shape(*row) for row in rows]


def execute(statement: Statement, *args: Value) -> Steps[int]:
    """Runs a write; answers the number of changed rows."""
    return cast("int", (yield Ask("execute", statement, args)))


def each(statement: Statement, rows: Sequence[Row]) -> Steps[None]:
    """Runs one write for many argument rows: at once on PostgreSQL if it takes `{rows: …}`, else one by one."""
    if rows:
        yield Ask("each", statement, rows=rows)


def many_each(query: Query[R], rows: Sequence[Row]) -> Steps[list[R]]:
    """Runs one statement for many argument rows; the returned rows joined. Match them by key."""
    if not rows:
        return []
    answers = cast("list[Row]", (yield Ask("many_each", query.statement, rows=rows)))
    shape = query.shape
    return [shape(*row) for row in answers]


def write(statement: Statement, *args: Value) -> Write:
    """One part of `together`."""
    return Write(statement, (args,))


def write_each(statement: Statement, rows: Sequence[Row]) -> Write:
    """One part of `together` for any number of argument rows; the statement takes `{rows: …}`, see `dialect.py`."""
    if statement.postgres_rows is None:
        raise InvalidStatement(f"{statement} is no statement over rows; write it with {{rows: …}}, or use `each`")
    return Write(statement, rows)


def together(*parts: Write) -> Steps[list[int]]:
    """Independent writes in one round trip; answers the changed rows of each.

    A part may read what a later one changes, never what an earlier one changed.
    """
    if not parts:
        return []
    return cast("list[int]", (yield Ask("together", parts=parts)))


def lock(key: str) -> Steps[None]:
    """Holds a named lock until the transaction ends (SQLite has one writer: nothing to do)."""
    yield Ask("lock", args=(key,))


def notify() -> Steps[None]:
    """Tells waiting processes, when this transaction commits, that something changed."""
    yield Ask("notify")
