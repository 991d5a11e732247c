"""Fresh databases for the lab, one for each case."""

from __future__ import annotations

import tempfile
import uuid
from pathlib import Path
from types import TracebackType
from typing import Self

from lash.base.clock import SystemClock
from lash.base.errors import ConfigurationError
from lash.stores.backend import backend_of
from lash.stores.store import Store
from lash.testing.lab.power import MortalBackend, Power, WriteCut


class LabPlace:
    """One fresh database: `sqlite` is a file in a temporary folder, a `postgresql://` URL a schema of its own."""

    def __init__(self, store: str) -> None:
        self._is_postgres = store.startswith(("postgresql://", "postgres://"))
        if store != "sqlite" and not self._is_postgres:
            raise ConfigurationError(
                f"stores={store!r}: the lab kills over 'sqlite' or a postgresql:// URL; nothing survives in memory"
            )
        self._folder = None if self._is_postgres else tempfile.TemporaryDirectory(prefix="lash-lab-")
        self._schema = f"lab_{uuid.uuid4().hex}" if self._is_postgres else None
        self._where = store if self._folder is None else str(Path(self._folder.name) / "agent.db")

    async def open(self, power: Power | None = None, cut_at: WriteCut | None = None) -> Store:
        """A store over the database; with `power` its process can be killed."""
        if power is None:
            return await Store.open(self._where, schema=self._schema)
        # Built before, so that a life's writes are its own and not the schema's.
        await (await Store.open(self._where, schema=self._schema)).close()
        backend = backend_of(self._where, self._schema, SystemClock(), read_only=False)
        return await Store.over(MortalBackend(backend, power, cut_at))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._folder is not None:
            self._folder.cleanup()
            return
        import asyncpg

        connection = await asyncpg.connect(self._where)
        try:
            await connection.execute(f"DROP SCHEMA IF EXISTS {self._schema} CASCADE")
        finally:
            await connection.close()
