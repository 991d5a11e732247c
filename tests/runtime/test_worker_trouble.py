"""A worker meets trouble: its store is away for a moment, its own code stumbles. It goes on, and loses nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import apsw
import pytest

import lash
from lash.effects.scope import ExecutionScope
from lash.processes.outputs import SuccessOutput
from lash.runtime.engine import DoubtfulEffect
from lash.runtime.worker import worker as room
from lash.runtime.worker.worker import ProcessWorker
from lash.sessions.errors import StoreUnavailable
from lash.testing.conformance.worker_drafts import Tools, core_over, ended, soon, tool_process, worker_of

LIMIT_S = 20


@pytest.fixture
async def store(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[lash.Store]:
    """A store in memory, asked again at once after trouble."""
    monkeypatch.setattr(room, "STORE_PAUSE_MS", 1)
    async with await lash.Store.open(":memory:") as store:
        yield store


class Troubled:
    """A registry whose method raises, once or as often as it is asked while `is_on`."""

    def __init__(self, inner: object, method: str, error: Exception) -> None:
        self._inner = inner
        self._method = method
        self._error: Exception | None = error
        self.raised = asyncio.Event()
        self.only_if: Callable[..., bool] = lambda *_: True

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return self._once if name == self._method else found

    async def _once(self, *args: Any, **options: Any) -> object:
        if self._error is not None and self.only_if(*args):
            error, self._error = self._error, None
            self.raised.set()
            raise error
        return await getattr(self._inner, self._method)(*args, **options)


def troubled_worker(core: lash.LashCore, trouble: Troubled) -> ProcessWorker:
    return worker_of(core, change=lambda config: replace(config, processes=cast("Any", trouble)))


@pytest.mark.parametrize("error", [StoreUnavailable("away"), RuntimeError("a bug")], ids=["store", "bug"])
@pytest.mark.parametrize("method", ["list_lease_owners", "look_for_work", "turn_over"])
async def test_a_worker_outlives_trouble_in_its_loop(store: lash.Store, method: str, error: Exception) -> None:
    tools = Tools()
    async with core_over(store, tools.all()) as core:
        trouble = Troubled(store.processes, method, error)
        worker = troubled_worker(core, trouble)
        worker.poke()
        await soon(trouble.raised)
        await store.processes.register_process(await tool_process(store, "p", "echo", {"value": "x"}))

        async with asyncio.timeout(LIMIT_S):
            assert await ended(store, "p") == SuccessOutput({"payload": "raw:x"})
        assert worker.is_started


async def test_a_worker_that_leaves_writes_its_ends_though_the_store_was_away(store: lash.Store) -> None:
    tools = Tools()
    async with core_over(store, tools.all()) as core:
        trouble = Troubled(store.processes, "turn_over", StoreUnavailable("away"))
        trouble.only_if = lambda ends, *_: bool(ends)
        worker = troubled_worker(core, trouble)
        await store.processes.register_process(await tool_process(store, "p", "gate"))
        worker.poke()
        await soon(tools.arrived)

        leaving = asyncio.create_task(worker.drain())
        await asyncio.sleep(0)
        tools.opened.set()
        async with asyncio.timeout(LIMIT_S):
            await leaving

        record = await store.processes.get_process("p")
        assert record is not None
        assert record.is_terminal


async def test_a_process_that_cannot_be_read_keeps_no_other_from_running(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tools, path = Tools(), str(tmp_path / "agent.db")
    async with await lash.Store.open(path) as store, core_over(store, tools.all()) as core:
        for name in ("bad", "good"):
            await store.processes.register_process(await tool_process(store, name, "echo", {"value": name}))
        # Not `sqlite3`: a second copy of SQLite in a process takes the first one's locks away when it closes the file.
        with contextlib.closing(apsw.Connection(path)) as database:
            database.execute("UPDATE lash_processes SET registration_json = '{}' WHERE process_id = 'bad'")
        worker_of(core, concurrency=1).poke()

        async with asyncio.timeout(LIMIT_S):
            assert await ended(store, "good") == SuccessOutput({"payload": "raw:good"})
        told = [record.getMessage() for record in caplog.records if "process bad cannot be read" in record.getMessage()]
        assert len(told) == 1


async def test_what_is_settled_while_another_looks_at_its_process_is_settled_all_the_same(tmp_path: Path) -> None:
    started = asyncio.Event()

    @lash.tool(repeat="never")
    async def pay() -> str:
        """Pays, and never comes back."""
        started.set()
        await asyncio.Event().wait()
        return "paid"

    async with await lash.Store.open(str(tmp_path / "agent.db")) as store, core_over(store, [pay]) as core:
        await store.processes.register_process(await tool_process(store, "p", "pay"))
        first = worker_of(core)
        first.poke()
        await soon(started)
        await first.drain(0)
        await store.liveness.hold("rival")
        held = await store.processes.claim_process_lease("p", "rival", 60_000)

        await core.settle(DoubtfulEffect("", "", await _doubtful_key(store), "p"), lash.ToolResult.ok("it was paid"))
        await store.processes.complete_process_lease(held.completion())

        async with asyncio.timeout(LIMIT_S):
            assert await ended(store, "p") == SuccessOutput("it was paid")


async def _doubtful_key(store: lash.Store) -> str:
    [row] = [row for row in await store.journal.load(ExecutionScope.process("p")) if row.status == "in_progress"]
    return row.replay_key
