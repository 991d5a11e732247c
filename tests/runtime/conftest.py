"""Stores of each kind under a clock that the test moves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from conformance.places import Kind
from lash.stores import Store
from lash.testing.clock import VirtualClock
from services.shared import PgSchema

OpenStore: TypeAlias = Callable[[], Awaitable[Store]]


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each kind of database."""
    found: Kind = request.param
    return found


@pytest.fixture
def schema(kind: Kind, request: pytest.FixtureRequest) -> PgSchema | None:
    """A PostgreSQL schema where one is needed."""
    return request.getfixturevalue("pg_store_schema") if kind == "postgres" else None


@pytest.fixture
def clock() -> VirtualClock:
    """Time, moved by the test."""
    return VirtualClock(1_780_000_000_000)


@pytest.fixture
async def open_store(
    kind: Kind, schema: PgSchema | None, tmp_path: Path, clock: VirtualClock
) -> AsyncIterator[OpenStore]:
    """Opens the test's database, again at each call (memory: another one)."""
    opened: list[Store] = []

    async def open_it() -> Store:
        if schema is not None:
            store = await Store.open(schema.url, schema=schema.schema, clock=clock)
        else:
            store = await Store.open(":memory:" if kind == "memory" else str(tmp_path / "a.db"), clock=clock)
        opened.append(store)
        return store

    yield open_it
    for store in opened:
        await store.close()


@pytest.fixture
async def store(open_store: OpenStore) -> Store:
    """One store."""
    return await open_store()
