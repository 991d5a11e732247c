"""A core in memory; that hooks replay is shown on a file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from face.places import Place
from lash.stores.store import Store


@pytest.fixture
async def memory() -> AsyncIterator[Place]:
    """One store in memory."""
    store = await Store.open(":memory:")

    async def open_store() -> Store:
        return store

    place = Place("memory", open_store)
    yield place
    await place.close()
    await store.close()


@pytest.fixture
async def file(tmp_path: Path) -> AsyncIterator[Place]:
    """A SQLite file."""
    place = Place("sqlite", lambda: Store.open(str(tmp_path / "agent.db")))
    yield place
    await place.close()
