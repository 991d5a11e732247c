"""`lash worker` that is told to stop while it is still opening its store."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import apsw
import pytest

import lash
from lash.cli.commands.worker import Stops, _opened
from lash.testing import ScriptedModel

LIMIT_S = 30


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A file without a schema: whoever opens it has to write first."""
    path = str(tmp_path / "agent.db")
    connection = apsw.Connection(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    return path


def threads_of(path: str) -> list[str]:
    """Threads that work on a database."""
    return [thread.name for thread in threading.enumerate() if thread.name.endswith(path)]


async def test_nothing_is_left_half_open(path: str) -> None:
    other = apsw.Connection(path)
    other.execute("BEGIN IMMEDIATE")
    core, stops = lash.StandardCore(model=ScriptedModel([]), store=path), Stops()
    opening = asyncio.create_task(_opened(core, stops))
    async with asyncio.timeout(LIMIT_S):
        while not threads_of(path):  # noqa: ASYNC110 - nobody tells of threads
            await asyncio.sleep(0.01)

        stops.first.set()
        other.execute("COMMIT")

        assert not await opening
    assert threads_of(path) == []
    other.close()


async def test_a_stop_that_comes_with_the_opening_counts(path: str) -> None:
    core, stops = lash.StandardCore(model=ScriptedModel([]), store=path), Stops()
    stops.first.set()

    assert not await _opened(core, stops)
    assert threads_of(path) == []


async def test_without_a_stop_it_is_open(path: str) -> None:
    core = lash.StandardCore(model=ScriptedModel([]), store=path)

    assert await _opened(core, Stops())
    assert core.store.transactions > 0
    await core.close()
    assert threads_of(path) == []


async def test_what_cannot_be_opened_is_said(tmp_path: Path) -> None:
    core = lash.StandardCore(model=ScriptedModel([]), store=str(tmp_path / "none" / "agent.db"))

    with pytest.raises(lash.StoreError, match="does not exist"):
        await _opened(core, Stops())
