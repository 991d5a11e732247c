"""The one PostgreSQL connection that is not pooled: it listens, and it holds executor locks.

When it is lost it is made anew and takes its locks again. In between a rival may
think us dead and take a lease over: then we are fenced, and nothing is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final

import asyncpg

from lash.sessions.errors import StoreUnavailable
from lash.stores.postgres import PostgresDriver
from lash.stores.postgres_pool import CONNECTION_LOST, translated

# A notification may be lost with its connection; this is how long that may go unnoticed.
FALLBACK_S: Final = 1.0


class PostgresWatch:
    """`ChangeSource` and `Liveness` on a dedicated connection."""

    def __init__(self, driver: PostgresDriver) -> None:
        self._driver = driver
        self._connection: Any = None
        self._held: set[str] = set()
        self._signal = asyncio.Event()
        self._use = asyncio.Lock()  # one statement at a time on the connection

    async def wait(self) -> bool:
        """Waits for a notification, at most a second; true either way: a look costs one read."""
        with contextlib.suppress(StoreUnavailable):
            async with self._use:
                await self._connected()
        try:
            async with asyncio.timeout(FALLBACK_S):
                await self._signal.wait()
        except TimeoutError:
            pass
        self._signal.clear()
        return True

    async def hold(self, executor_id: str) -> None:
        """Takes the lock of an executor of this process."""
        async with self._use:
            connection = await self._connected()
            if executor_id in self._held:
                return
            if not await self._ask(connection, "SELECT pg_try_advisory_lock($1)", executor_id):
                raise StoreUnavailable(f"executor {executor_id} is alive in another process")
            self._held.add(executor_id)

    async def release(self, executor_id: str) -> None:
        """Gives the lock back when the executor ends in order."""
        async with self._use:
            if executor_id in self._held:
                self._held.discard(executor_id)
                if self._connection is not None and not self._connection.is_closed():
                    await self._ask(self._connection, "SELECT pg_advisory_unlock($1)", executor_id)

    async def is_dead(self, executor_id: str) -> bool:
        """Whether no living process holds the lock of that executor."""
        if executor_id in self._held:
            return False
        async with self._use:
            connection = await self._connected()
            # Shared: two claimants that look at once must not take each other for the holder.
            if not await self._ask(connection, "SELECT pg_try_advisory_lock_shared($1)", executor_id):
                return False
            await self._ask(connection, "SELECT pg_advisory_unlock_shared($1)", executor_id)
            return True

    async def close(self) -> None:
        """Ends the connection; the server releases its locks."""
        async with self._use:
            connection, self._connection = self._connection, None
            self._held.clear()
            if connection is not None and not connection.is_closed():
                await connection.remove_listener(self._driver.channel, self._heard)
                await connection.close(timeout=5)

    async def _connected(self) -> Any:
        if self._connection is not None and not self._connection.is_closed():
            return self._connection
        connection: Any = None
        try:
            connection = await self._driver.pool.connect()
            await connection.add_listener(self._driver.channel, self._heard)
            for executor_id in self._held:
                await self._ask(connection, "SELECT pg_try_advisory_lock($1)", executor_id)
        except BaseException as error:
            if connection is not None:  # a cancelled watcher must not leave it behind
                connection.terminate()
            if isinstance(error, asyncpg.PostgresError | asyncpg.InterfaceError | OSError | TimeoutError):
                raise translated(error, self._driver.where) from error
            raise
        self._connection = connection
        self._signal.set()  # what happened while nobody listened
        return connection

    async def _ask(self, connection: Any, statement: str, executor_id: str) -> bool:
        key = self._driver.lock_key(f"executor:{executor_id}")
        try:
            return bool(await connection.fetchval(statement, key))
        except (asyncpg.PostgresError, asyncpg.InterfaceError, *CONNECTION_LOST) as error:
            raise translated(error, self._driver.where) from error

    def _heard(self, *_: object) -> None:
        self._signal.set()
