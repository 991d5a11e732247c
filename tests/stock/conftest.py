"""Plugins that come with lash are shown in memory and on a file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from face.places import Place
from lash.stores.store import Store


@pytest.fixture(params=["memory", "sqlite"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """One store in memory, and one SQLite file."""
    memory = await Store.open(":memory:")

    async def open_store() -> Store:
        return memory if request.param == "memory" else await Store.open(str(tmp_path / "agent.db"))

    made = Place(request.param, open_store)
    yield made
    await made.close()
    await memory.close()


@pytest.fixture
async def file(tmp_path: Path) -> AsyncIterator[Place]:
    """A SQLite file."""
    made = Place("sqlite", lambda: Store.open(str(tmp_path / "agent.db")))
    yield made
    await made.close()
