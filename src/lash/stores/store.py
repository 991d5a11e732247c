"""`Store`: one database, all facets.

```python
store = await Store.open("agent.db")          # or ":memory:", or "postgresql://…"
```

Facets share one driver and therefore transactions. A fresh database is built on
open; one of another schema version is refused by name.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from lash.base.clock import Clock, SystemClock
from lash.base.ids import IdSource, SystemIds
from lash.base.tier import DurabilityTier
from lash.sessions.errors import UnsupportedSchemaVersion
from lash.stores.journal import SqlJournal
from lash.stores.sessions import SqlSessions
from lash.stores.sql import migrate as schema_sql
from lash.stores.sqlite import SqliteDriver


class Store:
    """A database and its facets. Open it with `Store.open`, leave it with `close` or `async with`."""

    def __init__(self, driver: SqliteDriver, clock: Clock, ids: IdSource) -> None:
        self._driver = driver
        self.clock = clock
        self.ids = ids
        self.sessions = SqlSessions(driver, clock, ids)
        self.journal = SqlJournal(driver, clock, ids)

    @staticmethod
    async def open(
        where: str,
        *,
        schema: str | None = None,
        clock: Clock | None = None,
        ids: IdSource | None = None,
        read_only: bool = False,
    ) -> Store:
        """Opens a database and checks its schema."""
        clock = clock or SystemClock()
        driver = SqliteDriver(where, clock, read_only=read_only)
        await driver.open()
        try:
            version = await driver.run(schema_sql.read_version())
            if version == 0 and not read_only:
                await driver.run(schema_sql.migrate(where, upgrade=False))
            elif version != schema_sql.newest():
                raise UnsupportedSchemaVersion(where, version, schema_sql.newest())
        except BaseException:
            await driver.close()
            raise
        return Store(driver, clock, ids or SystemIds())

    def durability_tier(self) -> DurabilityTier:
        """`inline` for `:memory:`, else `durable`."""
        return self._driver.tier

    async def close(self) -> None:
        """Waits for what was submitted, then lets go of the database."""
        await self._driver.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
