"""Empty databases to torture."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from torture.app import Place


@pytest.fixture(params=["sqlite", "postgres"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """A database and a folder."""
    if request.param == "sqlite":
        yield Place(str(tmp_path / "torture.db"), None, tmp_path)
        return

    import asyncpg

    url: str = request.getfixturevalue("postgres_url")
    name = f"torture_{uuid.uuid4().hex}"
    admin = await asyncpg.connect(url)
    await admin.execute(f"CREATE SCHEMA {name}")
    yield Place(url, name, tmp_path)
    await admin.execute(f"DROP SCHEMA {name} CASCADE")
    await admin.close()
