"""A store in a file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import lash


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[lash.Store]:
    """A store in a file."""
    async with await lash.Store.open(str(tmp_path / "agent.db")) as store:
        yield store
