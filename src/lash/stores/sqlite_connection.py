"""One SQLite connection: how it is opened, and how it runs the asks of a program.

Lives on one thread. Cursors are read to their end (an open one keeps its
snapshot and stops checkpoints), and `changes()` is read right after the write
it counts.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator
from typing import Final, TypeVar, cast

import apsw

from lash.sessions.errors import StoredDataCorrupt, StoreError, StoreUnavailable, ValueTooLarge
from lash.stores.driver import Counters, UniqueViolation
from lash.stores.program import Ask, Program, Value, Write

T = TypeVar("T")

# SQLite's own back-off is unfair: same throughput, waits ten times as long at worst.
BUSY_TIMEOUT_S: Final = 15.0
_BUSY_SLEEP_S: Final = (0.0002, 0.0008)

_STATEMENT_CACHE: Final = 256

_UNAVAILABLE: Final = (
    apsw.BusyError,
    apsw.LockedError,
    apsw.FullError,
    apsw.IOError,
    apsw.CantOpenError,
    apsw.ReadOnlyError,
    apsw.InterruptError,
    apsw.NoMemError,
    apsw.ProtocolError,
    apsw.PermissionsError,
)


class BrokenProgram(Exception):
    """A program broke its contract with the driver; this is a bug in lash."""


def open_connection(
    path: str,
    now_ms: Callable[[], int],
    *,
    access: str = "write",
    vfs: str | None = None,
    max_pages: int | None = None,
) -> apsw.Connection:
    """Opens `path` for `write`, for `query` (beside a writer), or `read_only`.

    `max_pages` caps the file, which is how tests fill the disk.
    """
    flags = apsw.SQLITE_OPEN_READONLY if access == "read_only" else apsw.SQLITE_OPEN_READWRITE
    if access == "write":
        flags |= apsw.SQLITE_OPEN_CREATE
    connection = apsw.Connection(path, flags=flags, vfs=vfs, statementcachesize=_STATEMENT_CACHE)
    try:
        connection.set_busy_handler(_BusyHandler())
        connection.create_scalar_function("lash_now_ms", lambda *_: now_ms(), 0)
        # Plans depend on the statement alone. Without this a build with STAT4 prepares a statement again
        # whenever a value that might change its plan is bound, which costs ten times the statement itself.
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        connection.execute("PRAGMA cache_size = -2000")
        connection.execute("PRAGMA temp_store = MEMORY")
        if access == "query":
            connection.execute("PRAGMA query_only = ON")
        if access == "write":
            _prepare_writer(connection, is_memory=path == ":memory:")
            if max_pages is not None:
                connection.execute(f"PRAGMA max_page_count = {max_pages}").fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


def translated(error: Exception, where: str) -> Exception:
    """The error a caller sees for what SQLite raised; other exceptions stay."""
    if not isinstance(error, apsw.Error):
        return error
    text = str(error)
    if isinstance(error, apsw.ConstraintError):
        return UniqueViolation(text)
    if isinstance(error, apsw.CorruptError | apsw.NotADBError | apsw.FormatError):
        return StoredDataCorrupt(f"{where}: {text}")
    if isinstance(error, _UNAVAILABLE):
        return StoreUnavailable(f"{where}: {text}; nothing was written, try again")
    return StoreError(f"{where}: {text}")


class StepRunner:
    """Runs programs on one connection."""

    __slots__ = ("_connection", "_counters", "_cursor", "has_news")

    def __init__(self, connection: apsw.Connection, counters: Counters) -> None:
        self._connection = connection
        self._cursor = connection.cursor()
        self._counters = counters
        # Whether the program that ran last wants others to look.
        self.has_news = False

    def run(self, program: Program[T], *, is_alone: bool = False) -> T:
        """The value of the program; raises what it raises.

        `is_alone`: there is no transaction around it. One is begun here if its one ask is more than one statement,
        and left to the caller to end.
        """
        steps = program.start()
        self.has_news = False
        answer: object = None
        asked = 0
        ask: Ask | None = None
        try:
            while True:
                ask = steps.send(answer)
                asked += 1
                if asked == 2 and program.mode == "single":
                    raise BrokenProgram(f"{program} asked twice")
                if is_alone and (len(ask.rows) > 1 or ask.parts):
                    self._connection.execute("BEGIN IMMEDIATE")
                answer = self._answer(ask)
        except StopIteration as end:
            return cast("T", end.value)
        except apsw.TooBigError as error:  # only here is it known what was too big
            assert ask is not None
            limit = self._connection.limit(apsw.SQLITE_LIMIT_LENGTH)
            raise ValueTooLarge(self._connection.filename, _largest_row(ask), limit) from error
        finally:
            _finish(steps)

    def _answer(self, ask: Ask) -> object:
        kind = ask.kind
        if kind == "lock":
            return None
        if kind == "notify":
            self.has_news = True
            return None
        if kind == "together":
            return [self._execute(part) for part in ask.parts]
        statement = ask.statement
        assert statement is not None
        self._counters.statements += 1
        if kind == "rows":
            return self._cursor.execute(statement.sqlite, ask.args).fetchall()
        if kind == "announced":
            rows = self._cursor.execute(statement.sqlite, ask.args).fetchall()
            self.has_news = self.has_news or bool(rows)
            return rows
        if kind == "execute":
            self._cursor.execute(statement.sqlite, ask.args)
            return self._connection.changes()
        return self._cursor.executemany(statement.sqlite, ask.rows).fetchall()

    def _execute(self, part: Write) -> int:
        self._counters.statements += 1
        if len(part.rows) == 1:
            self._cursor.execute(part.statement.sqlite, part.rows[0])
            return self._connection.changes()
        before = self._connection.total_changes()
        self._cursor.executemany(part.statement.sqlite, part.rows)
        return self._connection.total_changes() - before


class _BusyHandler:
    """Waits with jitter while another process holds the write lock."""

    __slots__ = ("_give_up_at",)

    def __init__(self) -> None:
        self._give_up_at = 0.0

    def __call__(self, earlier_calls: int) -> bool:
        if earlier_calls == 0:
            self._give_up_at = time.monotonic() + BUSY_TIMEOUT_S
        elif time.monotonic() > self._give_up_at:
            return False
        time.sleep(random.uniform(*_BUSY_SLEEP_S))
        return True


def _prepare_writer(connection: apsw.Connection, *, is_memory: bool) -> None:
    if is_memory:
        return
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:  # the busy handler is not called for the switch to WAL
        try:
            mode = connection.execute("PRAGMA journal_mode = WAL").fetchall()
            break
        except (apsw.BusyError, apsw.LockedError):
            if time.monotonic() > deadline:
                raise
            time.sleep(random.uniform(*_BUSY_SLEEP_S))
    if mode != [("wal",)]:
        raise StoreUnavailable(f"{connection.filename} cannot be switched to WAL; use a local file system")
    # FULL: what was acknowledged survives a power cut, not only a kill.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA wal_autocheckpoint = 1000")


def _largest_row(ask: Ask) -> int:
    """Bytes of the largest row that was to be written: SQLite's limit is one for values and rows."""
    rows = [ask.args, *ask.rows, *(row for part in ask.parts for row in part.rows)]
    return max(sum(_size(value) for value in row) for row in rows)


def _size(value: Value) -> int:
    if isinstance(value, str):
        return len(value.encode(errors="surrogatepass"))
    return len(value) if isinstance(value, bytes) else 8


def _finish(steps: Generator[Ask, object, T]) -> None:
    steps.close()
