"""The example server over every transport."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from stock.mcp.places import ServerPlace


@asynccontextmanager
async def _running(transport: str, tmp_path: Path) -> AsyncIterator[ServerPlace]:
    pytest.importorskip("mcp", reason="mcp is not installed")
    from stock.mcp.places import ServerPlace

    made = ServerPlace(transport, tmp_path / "notes")
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


@pytest.fixture(params=["stdio", "streamable_http", "sse"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ServerPlace]:
    """A running server, over every transport."""
    async with _running(request.param, tmp_path) as made:
        yield made


@pytest.fixture
async def nearby(tmp_path: Path) -> AsyncIterator[ServerPlace]:
    """A running server, over the transport that starts fastest, where the transport makes no difference."""
    async with _running("streamable_http", tmp_path) as made:
        yield made
