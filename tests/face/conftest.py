"""A core over every store there is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from face.places import Place
from lash.stores.store import Store


@asynccontextmanager
async def _place(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    if name == "memory":
        store = await Store.open(":memory:")
        place = Place(name, lambda: _already(store))
    elif name == "sqlite":
        place = Place(name, lambda: Store.open(str(tmp_path / "agent.db")))
    else:
        url, schema = request.getfixturevalue("pg_store_schema")
        place = Place(name, lambda: Store.open(url, schema=schema))
    try:
        yield place
    finally:
        await place.close()


async def _already(store: Store) -> Store:
    return store


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """Every store."""
    async with _place(request.param, request, tmp_path) as made:
        yield made


@pytest.fixture(params=["sqlite", "postgres"])
async def durable(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """Every store that survives a crash."""
    async with _place(request.param, request, tmp_path) as made:
        yield made


@pytest.fixture
async def file(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """A SQLite file, where one is enough."""
    async with _place("sqlite", request, tmp_path) as made:
        yield made


@pytest.fixture
async def memory(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """Memory, where one is enough."""
    async with _place("memory", request, tmp_path) as made:
        yield made
