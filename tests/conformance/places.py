"""Where conformance suites run: memory, a SQLite file, a PostgreSQL schema. Opened stores are closed at the end."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal, TypeAlias

from lash.stores import Store
from lash.stores.sql import migrate
from lash.testing.conformance.bundles import StorePair
from services.shared import PgSchema

Kind: TypeAlias = Literal["memory", "sqlite", "postgres"]


class Place:
    """Fresh databases of one kind, and every store that was opened on them."""

    def __init__(self, kind: Kind, folder: Path, postgres: PgSchema | None) -> None:
        self._kind = kind
        self._folder = folder
        self._postgres = postgres
        self._opened: list[Store] = []

    async def fresh(self) -> Store:
        """A store on an empty database."""
        return await self._open(*self._where())

    async def pair(self) -> tuple[Store, Store]:
        """Two stores on one empty database."""
        where = self._where()
        return await self._open(*where), await self._open(*where)

    async def bundle(self) -> StorePair:
        """A store with a second way in."""
        where = self._where()
        store = await self._open(*where)

        async def reopen() -> Store:
            return await self._open(*where)

        async def set_schema_version(version: int) -> None:
            await store._driver.run(migrate.set_version(version))

        return StorePair(store, None if self._kind == "memory" else reopen, set_schema_version)

    async def close(self) -> None:
        """Closes every store."""
        for store in self._opened:
            await store.close()

    def _where(self) -> tuple[str, str | None]:
        if self._kind == "memory":
            return ":memory:", None
        if self._kind == "sqlite":
            return str(self._folder / f"{uuid.uuid4().hex}.db"), None
        assert self._postgres is not None
        return self._postgres.url, self._postgres.schema

    async def _open(self, where: str, schema: str | None) -> Store:
        store = await Store.open(where, schema=schema)
        self._opened.append(store)
        return store


@contextlib.asynccontextmanager
async def place(kind: Kind, folder: Path, postgres: PgSchema | None = None) -> AsyncIterator[Place]:
    """A place for one test."""
    found = Place(kind, folder, postgres)
    try:
        yield found
    finally:
        await found.close()
