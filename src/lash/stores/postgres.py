"""The PostgreSQL driver: programs over pooled asyncpg connections.

`write` is BEGIN, asks, COMMIT; `single` and one-ask reads are the statement alone;
`together` is one statement, each part a data-modifying CTE. A notification rides on
the COMMIT, unless there was one a moment ago (`postgres_bell.py`). There is no order
between connections: whatever must precede something else is awaited first.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final, TypeVar, cast

import asyncpg

from lash.base.tier import DurabilityTier
from lash.base.waiting import here_to_its_end, to_its_end
from lash.sessions.errors import StoreUnavailable
from lash.stores.dialect import Statement, shifted
from lash.stores.driver import Counters
from lash.stores.postgres_bell import Bell
from lash.stores.postgres_pool import CONNECTION_LOST, Pool, translated
from lash.stores.postgres_rows import over
from lash.stores.program import Ask, Program, Value, Write

T = TypeVar("T")

_ATTEMPTS: Final = 3
_RETRY_STEP_S: Final = 0.005
_READ_BEGIN: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


class PostgresDriver:
    """Runs programs on one schema of a PostgreSQL database."""

    def __init__(self, url: str, schema: str | None, *, read_only: bool = False) -> None:
        self.where = f"{_without_password(url)} schema {schema or 'public'}"
        self.counters = Counters()
        self.tier: DurabilityTier = "durable"
        self.on_commit: Callable[[], None] = lambda: None
        self.schema = schema or "public"
        self.pool = Pool(url, schema)
        # Names of read programs that ask more than once.
        self.snapshots: set[str] = set()
        self._read_only = read_only
        self._is_closed = False
        # Where this schema announces changes.
        self.channel = f"lash_{hashlib.sha256(self.schema.encode()).hexdigest()[:16]}"
        self.bell = Bell(self._ring)

    def lock_key(self, name: str) -> int:
        """The 64-bit key of a named lock; hashed here, because the server's hashes change with versions."""
        digest = hashlib.sha256(f"{self.schema}\0{name}".encode()).digest()
        return int.from_bytes(digest[:8], "big", signed=True)

    async def run(self, program: Program[T]) -> T:
        """See `Driver.run`."""
        if self._is_closed:
            raise StoreUnavailable(f"{self.where} was closed; open the store again")
        if self._read_only and program.mode != "read":
            raise StoreUnavailable(f"{self.where} was opened read-only; open it without read_only to write")
        may_repeat_lost = True
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self._run_once(program)
            except (asyncpg.SerializationError, asyncpg.DeadlockDetectedError) as error:
                if attempt > _ATTEMPTS:
                    raise translated(error, self.where) from error
                await asyncio.sleep(attempt * _RETRY_STEP_S * random.uniform(0.5, 2.0))
            except CONNECTION_LOST as error:
                # Even if it was lost during COMMIT: a program that ran may run again.
                if not may_repeat_lost:
                    raise translated(error, self.where) from error
                may_repeat_lost = False
            except (asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
                raise translated(error, self.where) from error

    async def close(self) -> None:
        """Waits for running programs, tells what is owed, then closes all connections."""
        if not self._is_closed:
            self._is_closed = True
            await self.pool.drain()
            await self.bell.close()
            await self.pool.close()

    async def _run_once(self, program: Program[T]) -> T:
        connection = await self.pool.take()  # a cancel here finds nothing started
        # Cancelling asyncpg itself would open a second connection to send the cancel.
        if program.mode == "write":
            return await to_its_end(self._run_on(connection, program))
        return await here_to_its_end(self._run_on(connection, program))  # one statement is hardly worth a task

    async def _run_on(self, connection: Any, program: Program[T]) -> T:
        run = _Run(self, connection)
        try:
            value = await run.drive(program)
        except CONNECTION_LOST:
            self.pool.drop(connection)
            raise
        except asyncpg.InterfaceError as error:
            if connection.is_closed():
                self.pool.drop(connection)
                raise asyncpg.ConnectionDoesNotExistError(str(error)) from error
            await self._roll_back(connection)
            raise
        except BaseException:
            await self._roll_back(connection)
            raise
        self.pool.give(connection)
        if run.has_news:
            self.on_commit()
        return value

    async def _ring(self) -> None:
        """A notification by itself: a transaction that writes nothing, so nothing is synced."""
        try:
            connection = await self.pool.take()
        except (asyncpg.PostgresError, asyncpg.InterfaceError, *CONNECTION_LOST, TimeoutError) as error:
            raise translated(error, self.where) from error
        try:
            await connection.execute(f'NOTIFY "{self.channel}"')
        except (asyncpg.PostgresError, asyncpg.InterfaceError, *CONNECTION_LOST) as error:
            self.pool.drop(connection)
            raise translated(error, self.where) from error
        except BaseException:
            self.pool.drop(connection)
            raise
        self.pool.give(connection)

    async def _roll_back(self, connection: Any) -> None:
        try:
            if connection.is_in_transaction():
                await connection.execute("ROLLBACK")
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            self.pool.drop(connection)
        else:
            self.pool.give(connection)


class _Run:
    """One run of one program on one connection."""

    __slots__ = ("_connection", "_driver", "_has_begun", "has_news")

    def __init__(self, driver: PostgresDriver, connection: Any) -> None:
        self._driver = driver
        self._connection = connection
        self._has_begun = False
        self.has_news = False

    async def drive(self, program: Program[T]) -> T:
        """Runs the program to its end, in a transaction if its mode asks for one."""
        steps = program.start()
        mode = program.mode
        try:
            ask = next(steps)
            if mode == "read":
                if program.name not in self._driver.snapshots:
                    answer = await self._answer(ask)
                    ask = steps.send(answer)  # ends here when one statement was all
                    self._driver.snapshots.add(program.name)
                    return await self._again(program)
                await self._begin(_READ_BEGIN)
            while True:
                if mode == "write" and not self._has_begun:
                    answer = await self._begin_write(ask)
                else:
                    answer = await self._answer(ask)
                ask = steps.send(answer)
                if mode == "single":
                    raise AssertionError(f"{program} asked twice")
        except StopIteration as end:
            if self._has_begun:
                await self._commit()
            counters = self._driver.counters
            counters.programs += 1
            if mode != "read":
                counters.transactions += 1
            return cast("T", end.value)
        finally:
            steps.close()

    async def _again(self, program: Program[T]) -> T:
        """A read that turns out to need a snapshot starts over in one; from now on at once."""
        return await _Run(self._driver, self._connection).drive(program)

    async def _begin(self, text: str) -> None:
        self._has_begun = True
        await self._connection.execute(text)

    async def _begin_write(self, ask: Ask) -> object:
        """BEGIN; a leading lock travels along."""
        if ask.kind == "lock":
            key = self._driver.lock_key(str(ask.args[0]))
            await self._begin(f"BEGIN; SELECT pg_advisory_xact_lock({key})")
            return None
        await self._begin("BEGIN")
        return await self._answer(ask)

    async def _commit(self) -> None:
        bell = self._driver.bell
        taken = bell.take() if self.has_news else None
        if taken is not None:
            await self._connection.execute(f'NOTIFY "{self._driver.channel}"; COMMIT')
            bell.told(taken)
            return
        await self._connection.execute("COMMIT")
        if self.has_news:
            bell.owe()

    async def _answer(self, ask: Ask) -> object:
        connection, kind = self._connection, ask.kind
        if kind == "notify":
            self.has_news = True
            return None
        self._driver.counters.statements += 1
        if kind == "lock":
            key = self._driver.lock_key(str(ask.args[0]))
            await connection.fetch("SELECT pg_advisory_xact_lock($1)", key)
            return None
        if kind == "together":
            return await self._together(ask.parts)
        statement = ask.statement
        assert statement is not None
        if kind == "rows":
            return await connection.fetch(statement.postgres, *ask.args)
        if kind == "announced":
            return await self._announce(statement, ask)
        if kind == "execute":
            return _count(await connection.execute(statement.postgres, *ask.args))
        is_many = kind == "many_each"
        if len(ask.rows) == 1 or statement.postgres_rows is not None:
            text, args = over(statement, ask.rows)
            return await connection.fetch(text, *args) if is_many else await connection.execute(text, *args)
        if is_many:
            return await connection.fetchmany(statement.postgres, ask.rows)
        await connection.executemany(statement.postgres, ask.rows)
        return None

    async def _announce(self, statement: Statement, ask: Ask) -> Sequence[Any]:
        driver, bell = self._driver, self._driver.bell
        taken = bell.take()
        text = statement.postgres if taken is None else _announcing(statement, driver.channel)
        rows: list[Any] = await self._connection.fetch(text, *ask.args)
        if rows:
            self.has_news = True
            bell.owe() if taken is None else bell.told(taken)
        elif taken is not None:
            bell.kept()
        return rows

    async def _together(self, parts: Sequence[Write]) -> list[int]:
        if len(parts) == 1:
            text, args = over(*parts[0])
            return [_count(await self._connection.execute(text, *args))]
        texts: list[str] = []
        values: list[Value] = []
        for part in parts:
            text, args = over(*part)
            texts.append(text)
            values += args
        return list(await self._connection.fetchrow(_joined(tuple(texts)), *values))


@lru_cache(maxsize=512)
def _joined(texts: tuple[str, ...]) -> str:
    """One statement that runs all and answers the changed rows of each."""
    parts: list[str] = []
    offset = 0
    for index, text in enumerate(texts):
        part, offset = shifted(text, offset)
        parts.append(f"s{index} AS ({part} RETURNING 1)")
    counts = ", ".join(f"(SELECT count(*) FROM s{index})" for index in range(len(texts)))
    return f"WITH {', '.join(parts)} SELECT {counts}"


@lru_cache(maxsize=64)
def _announcing(statement: Statement, channel: str) -> str:
    """The statement, which must return rows, with a notification if it returns any."""
    told = f"SELECT pg_notify('{channel}', '') FROM (SELECT 1 FROM changed LIMIT 1) AS news"
    return f"WITH changed AS ({statement.postgres}), told AS ({told}) SELECT changed.* FROM changed, told"


def _count(status: str) -> int:
    """The row count of a command tag such as `UPDATE 3` or `INSERT 0 1`."""
    last = status.rpartition(" ")[2]
    return int(last) if last.isdigit() else 0


def _without_password(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
