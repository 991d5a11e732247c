"""PostgreSQL as a backend; only this module and its neighbours load asyncpg."""

from __future__ import annotations

from typing import Any

import asyncpg

from lash.stores.changes import ChangeSource
from lash.stores.driver import Driver
from lash.stores.liveness import Liveness
from lash.stores.postgres import PostgresDriver
from lash.stores.postgres_pool import CONNECTION_LOST, translated
from lash.stores.postgres_watch import PostgresWatch


class _Feed:
    """The watch as a change source. Its connection stays: it holds executor locks until the store is closed."""

    def __init__(self, watch: PostgresWatch) -> None:
        self._watch = watch

    async def wait(self) -> bool:
        """See `ChangeSource`."""
        return await self._watch.wait()

    async def close(self) -> None:
        """The connection belongs to the store."""


class PostgresBackend:
    """One schema of a PostgreSQL database."""

    def __init__(self, url: str, schema: str | None, *, read_only: bool) -> None:
        self._driver = PostgresDriver(url, schema, read_only=read_only)
        self._watch = PostgresWatch(self._driver)
        self._schema = schema
        self.where = self._driver.where
        self.driver: Driver = self._driver
        self.liveness: Liveness = self._watch

    async def open(self) -> None:
        """See `Backend`."""
        await self._on_connection("SELECT 1")

    async def watch(self) -> ChangeSource:
        """See `Backend`."""
        return _Feed(self._watch)

    async def prepare(self) -> None:
        """See `Backend`. A schema that is there is not created: the role may not be allowed to."""
        if self._schema is not None:
            found = await self._on_connection("SELECT 1 FROM pg_namespace WHERE nspname = current_schema()")
            if not found:
                await self._on_connection(f'CREATE SCHEMA IF NOT EXISTS "{self._schema}"')

    async def problems(self) -> list[str]:
        """See `Backend`: the server checks its own pages; every row is read by the caller."""
        return []

    async def compact(self) -> None:
        """See `Backend`."""
        rows = await self._on_connection("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
        for row in rows:
            if str(row[0]).startswith("lash_"):
                await self._on_connection(f'VACUUM "{row[0]}"')

    async def size_bytes(self) -> int:
        """See `Backend`."""
        rows = await self._on_connection(
            "SELECT coalesce(sum(pg_total_relation_size(format('%I.%I', schemaname, tablename)::regclass)), 0)::bigint"
            " FROM pg_tables WHERE schemaname = current_schema() AND tablename LIKE 'lash\\_%'"
        )
        return int(rows[0][0])

    async def _on_connection(self, statement: str) -> list[Any]:
        try:
            connection = await self._driver.pool.take()
        except (asyncpg.PostgresError, asyncpg.InterfaceError, *CONNECTION_LOST, TimeoutError) as error:
            raise translated(error, self.where) from error
        try:
            rows: list[Any] = await connection.fetch(statement)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, *CONNECTION_LOST) as error:
            self._driver.pool.drop(connection)
            raise translated(error, self.where) from error
        except BaseException:
            self._driver.pool.drop(connection)
            raise
        self._driver.pool.give(connection)
        return rows
