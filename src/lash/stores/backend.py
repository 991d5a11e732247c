"""Which database a store stands on: its driver, its watcher, its locks."""

from __future__ import annotations

import re
from typing import Protocol

from lash.base.clock import Clock
from lash.base.errors import ConfigurationError, MissingExtra
from lash.stores.changes import ChangeSource
from lash.stores.driver import Driver
from lash.stores.liveness import FileLocks, Liveness, NobodyDies
from lash.stores.sqlite import SqliteDriver
from lash.stores.sqlite_watch import FileWatch, NobodyElse

_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,62}")


class Backend(Protocol):
    """What a store needs of a database beyond running programs."""

    where: str
    driver: Driver
    liveness: Liveness

    async def open(self) -> None:
        """Connects; raises `StoreUnavailable` or `StoredDataCorrupt`."""
        ...

    async def watch(self) -> ChangeSource:
        """Makes the source of the change feed."""
        ...

    async def prepare(self) -> None:
        """Makes the place for a schema, before it is built."""
        ...

    async def problems(self) -> list[str]:
        """What the database itself finds wrong with its files."""
        ...

    async def compact(self) -> None:
        """Gives unused space back."""
        ...

    async def size_bytes(self) -> int:
        """What the data takes on disk."""
        ...


def backend_of(where: str, schema: str | None, clock: Clock, *, read_only: bool) -> Backend:
    """The backend that `where` names."""
    if where.startswith(("postgresql://", "postgres://")):
        if schema is not None and not _SCHEMA.fullmatch(schema):
            raise ConfigurationError(f"schema={schema!r} must be a plain lower-case name: letters, digits, _")
        try:
            from lash.stores.postgres_backend import PostgresBackend
        except ModuleNotFoundError as error:
            raise MissingExtra("postgres", "a PostgreSQL store") from error
        return PostgresBackend(where, schema, read_only=read_only)
    if schema is not None:
        raise ConfigurationError(f"schema={schema!r} is for PostgreSQL; {where} is a file")
    if "://" in where:
        raise ConfigurationError(
            f"{where.partition('://')[0]}:// is no store; pass a path, ':memory:' or postgresql://"
        )
    return SqliteBackend(where, clock, read_only=read_only)


class SqliteBackend:
    """A SQLite file, or memory."""

    def __init__(
        self, where: str, clock: Clock, *, read_only: bool, vfs: str | None = None, max_pages: int | None = None
    ) -> None:
        self.where = where
        self._driver = SqliteDriver(where, clock, read_only=read_only, vfs=vfs, max_pages=max_pages)
        self.driver: Driver = self._driver
        self.liveness: Liveness = NobodyDies() if self._driver.is_memory else FileLocks(where)

    async def open(self) -> None:
        """See `Backend`."""
        await self._driver.open()

    async def watch(self) -> ChangeSource:
        """See `Backend`."""
        version = await self._driver.watch()
        return NobodyElse() if version is None else FileWatch(version, f"{self.where}-wal")

    async def prepare(self) -> None:
        """See `Backend`: a file needs nothing."""

    async def problems(self) -> list[str]:
        """See `Backend`."""
        return await self._driver.integrity()

    async def compact(self) -> None:
        """See `Backend`."""
        await self._driver.compact()

    async def size_bytes(self) -> int:
        """See `Backend`."""
        return await self._driver.size_bytes()
