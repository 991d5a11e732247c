"""PostgreSQL connections: a LIFO stack behind a semaphore, and their error names.

The library's own pool runs a reset query at each release, which is the price of a
second statement.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import asyncpg

from lash.sessions.errors import StoredDataCorrupt, StoreError, StoreUnavailable
from lash.stores.driver import UniqueViolation

MAX_CONNECTIONS: Final = 16
ACQUIRE_TIMEOUT_S: Final = 30.0
CONNECT_TIMEOUT_S: Final = 10.0

_SETTINGS: Final = {
    "lock_timeout": "10s",
    "statement_timeout": "30s",
    "idle_in_transaction_session_timeout": "60s",
    "synchronous_commit": "on",
    # A page of an index costs what any other page does. Plans are made once and kept, often while tables are young:
    # with the default, many rows would be found by reading the whole table.
    "random_page_cost": "1.1",
}

# A statement that met one of these had no effect, and the connection is useless.
CONNECTION_LOST: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.InternalClientError,  # a server that went away at the wrong moment leaves a connection in no known state
    OSError,
)
_UNAVAILABLE: Final = (
    asyncpg.QueryCanceledError,
    asyncpg.LockNotAvailableError,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    TimeoutError,
)


def translated(error: Exception, where: str) -> Exception:
    """The error a caller sees for what asyncpg raised; other exceptions stay."""
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, asyncpg.UniqueViolationError):
        return UniqueViolation(text)
    if isinstance(error, asyncpg.DataCorruptedError | asyncpg.IndexCorruptedError):
        return StoredDataCorrupt(f"{where}: {text}")
    if isinstance(error, (*CONNECTION_LOST, *_UNAVAILABLE)):
        return StoreUnavailable(f"{where}: {text}; nothing was written, try again")
    if isinstance(error, asyncpg.PostgresError | asyncpg.InterfaceError):
        return StoreError(f"{where}: {text}")
    return error


class Pool:
    """At most `MAX_CONNECTIONS` connections; the one used last is used next."""

    def __init__(self, url: str, schema: str | None) -> None:
        self._url = url
        self._settings = dict(_SETTINGS)
        if schema is not None:
            self._settings["search_path"] = f'"{schema}"'
        self._idle: list[Any] = []
        self._room = asyncio.Semaphore(MAX_CONNECTIONS)
        self._is_closed = False

    async def connect(self) -> Any:
        """A connection of its own, outside the pool."""
        # Plans are kept for good: the statements of lash are few and their types fixed.
        return await asyncpg.connect(
            self._url,
            timeout=CONNECT_TIMEOUT_S,
            statement_cache_size=512,
            max_cached_statement_lifetime=0,
            server_settings=self._settings,
        )

    async def take(self) -> Any:
        """A connection, as soon as there is one. Give it back with `give` or `drop`."""
        if self._room.locked():
            await self._wait_for_room()
        else:
            await self._room.acquire()  # at once: every program passes here, and a timer costs more than that
        try:
            while self._idle:
                connection = self._idle.pop()
                if not connection.is_closed():
                    return connection
            return await self.connect()
        except BaseException:
            self._room.release()
            raise

    async def _wait_for_room(self) -> None:
        try:
            async with asyncio.timeout(ACQUIRE_TIMEOUT_S):
                await self._room.acquire()
        except TimeoutError as error:
            raise StoreUnavailable(f"no connection became free in {ACQUIRE_TIMEOUT_S:.0f} s; try again") from error

    def give(self, connection: Any) -> None:
        """Puts a healthy connection back."""
        self._room.release()
        if self._is_closed or connection.is_closed():
            connection.terminate()
        else:
            self._idle.append(connection)

    def drop(self, connection: Any) -> None:
        """Ends a broken connection, and the idle ones: they lost their server too."""
        self._room.release()
        connection.terminate()
        for idle in self._idle:
            idle.terminate()
        self._idle.clear()

    async def drain(self) -> None:
        """Returns when no connection is in use and nobody waits for one."""
        for _ in range(MAX_CONNECTIONS):
            await self._room.acquire()
        for _ in range(MAX_CONNECTIONS):
            self._room.release()

    async def close(self) -> None:
        """Waits for connections in use, then ends all."""
        self._is_closed = True
        for _ in range(MAX_CONNECTIONS):
            await self._room.acquire()
        for connection in self._idle:
            await connection.close(timeout=CONNECT_TIMEOUT_S)
        self._idle.clear()
