"""`Store`: one database, all facets.

```python
async with await Store.open("agent.db") as store:  # or ":memory:", or "postgresql://…"
    chat = await store.sessions.create_store(SessionCreate("chat-42"))
```

Facets share one driver and therefore transactions. A fresh database is built on
open; one of another schema version is refused by name (`Store.migrate` upgrades).
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

import msgspec

from lash.artifacts.environments import ProcessEnvStore
from lash.attachments.store import AttachmentStore
from lash.base.clock import Clock, SystemClock
from lash.base.ids import IdSource, SystemIds
from lash.base.tier import DurabilityTier
from lash.runtime.observation.relay import ToldLog
from lash.sessions.errors import StoredDataCorrupt, UnsupportedSchemaVersion
from lash.stores.artifacts import SqlArtifacts
from lash.stores.attachments import SqlAttachments
from lash.stores.backend import Backend, backend_of
from lash.stores.changes import Changes
from lash.stores.check import CheckReport, find_corrupt_rows
from lash.stores.journal import SqlJournal
from lash.stores.live_replay import SqlToldLog
from lash.stores.processes import SqlProcesses
from lash.stores.scoped import Orphans
from lash.stores.sessions import SqlSessions
from lash.stores.sql import maintenance, process_retention
from lash.stores.sql import migrate as schema_sql
from lash.stores.triggers import SqlTriggers
from lash.stores.waits import SqlWaits


class StoreStats(msgspec.Struct, frozen=True):
    """What is stored, and what this process has done. `rows` is by table."""

    tier: DurabilityTier
    schema_version: int
    size_bytes: int
    rows: dict[str, int]
    transactions: int
    statements: int
    programs: int


class StoreVacuum(msgspec.Struct, frozen=True):
    """What tidying up removed."""

    removed_node_count: int
    deleted_blob_count: int
    size_bytes: int


class Store:
    """A database and its facets. Open it with `Store.open`; leave it with `close` or `async with`.

    Added in 0.1.
    """

    def __init__(self, backend: Backend, clock: Clock, ids: IdSource) -> None:
        self._backend = backend
        self._driver = driver = backend.driver
        self.clock = clock
        self.ids = ids
        self.sessions = SqlSessions(driver, clock, ids)
        self.journal = SqlJournal(driver, clock, ids)
        self.attachments: AttachmentStore = SqlAttachments(driver, clock, ids)
        self.triggers = SqlTriggers(driver, clock, ids)
        self.artifacts = SqlArtifacts(driver, clock, ids)
        self.process_envs: ProcessEnvStore = self.artifacts
        # A file has one machine and one writer: there, what turns tell is not shared.
        is_server = backend.where.startswith(("postgresql://", "postgres://"))
        self.told: ToldLog | None = SqlToldLog(driver, clock, ids) if is_server else None
        self.orphans = Orphans(driver)
        self.changes = Changes(backend.watch)
        self.waits = SqlWaits(driver, clock, ids, self.changes)
        self.processes = SqlProcesses(driver, clock, ids, self.changes)
        self.liveness = backend.liveness
        driver.on_commit = self.changes.committed

    @staticmethod
    async def open(
        where: str,
        *,
        schema: str | None = None,
        clock: Clock | None = None,
        ids: IdSource | None = None,
        read_only: bool = False,
    ) -> Store:
        """Opens a path, `:memory:` or a `postgresql://` URL, and builds the schema of a fresh database.

        `schema` names the PostgreSQL schema to live in. Raises `UnsupportedSchemaVersion`,
        `StoreUnavailable` and `StoredDataCorrupt`.
        """
        clock = clock or SystemClock()
        backend = backend_of(where, schema, clock, read_only=read_only)
        return await Store.over(backend, clock=clock, ids=ids, read_only=read_only)

    @staticmethod
    async def over(
        backend: Backend, *, clock: Clock | None = None, ids: IdSource | None = None, read_only: bool = False
    ) -> Store:
        """Opens a store over a backend that was made by hand."""
        try:
            await backend.open()
            await _check_schema(backend, upgrade=False, read_only=read_only)
            if not read_only:
                await _check_change_clock(backend)
        except BaseException:
            await backend.driver.close()
            raise
        return Store(backend, clock or SystemClock(), ids or SystemIds())

    @staticmethod
    async def migrate(where: str, *, schema: str | None = None) -> tuple[int, int]:
        """Brings a database to this release's schema; answers the versions before and after."""
        backend = backend_of(where, schema, SystemClock(), read_only=False)
        try:
            await backend.open()
            before = await _check_schema(backend, upgrade=True, read_only=False)
        finally:
            await backend.driver.close()
        return before, schema_sql.newest()

    def __repr__(self) -> str:
        return f"Store({self._backend.where!r}, {self.durability_tier()})"

    def durability_tier(self) -> DurabilityTier:
        """`inline` for `:memory:`, else `durable`."""
        return self._driver.tier

    @property
    def transactions(self) -> int:
        """Write transactions that this process has committed."""
        return self._driver.counters.transactions

    @property
    def statements(self) -> int:
        """Statements that this process has run."""
        return self._driver.counters.statements

    async def stats(self) -> StoreStats:
        """Sizes and counts, for people."""
        counters = self._driver.counters
        return StoreStats(
            tier=self.durability_tier(),
            schema_version=await self._driver.run(schema_sql.read_version()),
            size_bytes=await self._backend.size_bytes(),
            rows=await self._driver.run(maintenance.count_rows()),
            transactions=counters.transactions,
            statements=counters.statements,
            programs=counters.programs,
        )

    async def check(self) -> CheckReport:
        """Reads everything: the database's own check, then every row decoded."""
        try:
            problems = await self._backend.problems()
        except StoredDataCorrupt as error:  # too damaged even for that
            problems = [str(error)]
        rows, corrupt = await find_corrupt_rows(self._driver)
        return CheckReport(rows, problems, corrupt)

    async def vacuum(self) -> StoreVacuum:
        """Removes tombstoned nodes and unreachable blobs, and gives their space back."""
        removed = 0
        for listing in await self.sessions.list_sessions():
            removed += (await self._driver.run(maintenance.vacuum(listing.session_id))).removed_node_count
        collected = await self._driver.run(maintenance.collect(self.clock.now_ms()))
        await self._backend.compact()
        return StoreVacuum(removed, collected.deleted_blob_count, await self._backend.size_bytes())

    async def close(self) -> None:
        """Waits for what was submitted, then lets go of the database and of the executor locks."""
        await self.processes.close()
        await self.waits.close()
        await self.changes.close()
        await self._driver.close()
        await self.liveness.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


async def _check_schema(backend: Backend, *, upgrade: bool, read_only: bool) -> int:
    """The version found; a fresh database is built, an older one only on request."""
    version = await backend.driver.run(schema_sql.read_version())
    if version == schema_sql.newest():
        return version
    if read_only or version > schema_sql.newest() or (version > 0 and not upgrade):
        raise UnsupportedSchemaVersion(backend.where, version, schema_sql.newest())
    await backend.prepare()
    return await backend.driver.run(schema_sql.migrate(backend.where, upgrade=upgrade))


async def _check_change_clock(backend: Backend) -> None:
    """Change numbers only rise, also after a dump was restored into a younger server."""
    bounds = await backend.driver.run(process_retention.bounds())
    if bounds.newest >= bounds.unborn:
        await backend.driver.run(process_retention.raise_base(bounds.newest + 1 - bounds.unborn))
