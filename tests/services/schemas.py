"""PostgreSQL schemas that tests use one after another.

Building the tables of a store takes ten times as long as emptying them. So a test that
wants a store, and not an empty schema, gets one that a test before has used: without a
row, with its counters at their beginning, exactly as a new store finds itself.

A schema whose tables are not those of a new store (a test changed its version, or added
a table) is dropped. The schema used last is never the next one: a statement that its
test left on the way meets the lock of the one who empties it, not the next test.
"""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections import deque
from collections.abc import Coroutine
from typing import Any, Final, NamedTuple, TypeVar

import asyncpg

from lash.stores.store import Store

T = TypeVar("T")

# So many are in turn before one is used again.
IN_TURN: Final = 4
# Rows of these come from the migrations; a schema that has others is dropped.
_KEPT: Final = ("lash_schema_versions", "lash_change_clock")

_RELATIONS: Final = """
    SELECT relname, relkind::text, relnatts FROM pg_class
    WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) ORDER BY relname
"""


class _Shape(NamedTuple):
    """What a new store's schema consists of."""

    relations: tuple[tuple[str, str, int], ...]
    kept_rows: tuple[str, ...]


class Schemas:
    """The schemas of one worker. Its connection lives in a thread: every test has a loop of its own."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="schemas", daemon=True)
        self._ready: deque[str] = deque()
        self._shape: _Shape | None = None
        self._admin: Any = None

    def open(self) -> None:
        """Connects. Close it afterwards."""
        self._thread.start()
        self._run(self._connect())

    def take(self) -> str:
        """The name of a schema for one test: empty, or with the empty tables of a store."""
        if len(self._ready) >= IN_TURN:
            return self._ready.popleft()
        return self._run(self._make())

    def give(self, name: str) -> None:
        """Takes a schema back. A test that leaves a transaction open fails here and does not hang."""
        self._run(self._take_back(name))

    def close(self) -> None:
        """Ends the connection. The schemas go with their server."""
        self._run(self._admin.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    async def _connect(self) -> None:
        self._admin = await asyncpg.connect(self._url, server_settings={"lock_timeout": "10s"})

    async def _make(self) -> str:
        name = f"t_{uuid.uuid4().hex}"
        await self._admin.execute(f"CREATE SCHEMA {name}")
        return name

    async def _take_back(self, name: str) -> None:
        if self._shape is None:
            await self._learn_shape()
        assert self._shape is not None
        if await self._shape_of(name) != self._shape:
            await self._admin.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE")
            return
        tables = [f"{name}.{table}" for table, kind, _ in self._shape.relations if kind == "r"]
        counters = [f"{name}.{counter}" for counter, kind, _ in self._shape.relations if kind == "S"]
        await self._admin.execute(
            ";".join(
                [
                    "BEGIN",
                    f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE",
                    *(f"DELETE FROM {table}" for table in tables if not table.endswith(_KEPT)),
                    *(f"SELECT setval('{counter}', 1, false)" for counter in counters),
                    "COMMIT",
                ]
            )
        )
        self._ready.append(name)

    async def _learn_shape(self) -> None:
        name = await self._make()
        async with await Store.open(self._url, schema=name):
            pass
        self._shape = await self._shape_of(name)
        self._ready.append(name)

    async def _shape_of(self, name: str) -> _Shape:
        relations = tuple(tuple(row) for row in await self._admin.fetch(_RELATIONS, name))
        tables = {relation[0] for relation in relations}
        rows = [
            str([tuple(row) for row in await self._admin.fetch(f"SELECT * FROM {name}.{table}")])
            for table in _KEPT
            if table in tables
        ]
        return _Shape(relations, tuple(rows))
