"""Workers survive kill -9: what they ran goes on elsewhere, from where it was recorded."""

from __future__ import annotations

import asyncio
import multiprocessing
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import lash
from kill import jobs
from kill.agent import ExecutionLog
from kill.harness import LIFE_LIMIT_S, Database
from lash.effects import Accepted
from lash.effects.scope import ExecutionScope
from lash.processes.outputs import SuccessOutput
from lash.testing import ScriptedModel

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["kill.jobs", "lash.core", "lash.stores.postgres", "lash.stores.sqlite"])


@pytest.fixture(params=["sqlite", "postgres"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """An empty database."""
    if request.param == "sqlite":
        yield Database(str(tmp_path / "jobs.db"))
        return

    import asyncpg

    url: str = request.getfixturevalue("postgres_url")
    name = f"kill_{uuid.uuid4().hex}"
    admin = await asyncpg.connect(url)
    await admin.execute(f"CREATE SCHEMA {name}")
    yield Database(url, name)
    await admin.execute(f"DROP SCHEMA {name} CASCADE")
    await admin.close()


@pytest.fixture
async def store(database: Database) -> AsyncIterator[lash.Store]:
    """The test's own view of it."""
    async with await lash.Store.open(database.url, schema=database.schema) as store:
        yield store


@pytest.fixture
def log(tmp_path: Path) -> ExecutionLog:
    """What really ran, in whatever process."""
    return ExecutionLog(tmp_path / "ran.log")


@pytest.fixture
def worker(database: Database, tmp_path: Path) -> Any:
    """Starts worker processes; kills those that are left."""
    children: list[Any] = []

    def start(host_id: str = "host-a") -> Any:
        receiver, sender = _context.Pipe(duplex=False)
        place = (database.url, database.schema, str(tmp_path / "ran.log"), host_id)
        child = _context.Process(target=jobs.worker_main, args=(*place, sender), daemon=True)
        child.start()
        sender.close()
        receiver.recv()
        children.append(child)
        return child

    yield start
    for child in children:
        kill(child)


def kill(child: Any) -> None:
    child.kill()
    child.join()


async def ran(log: ExecutionLog, line: str) -> None:
    """Returns when it ran."""
    async with asyncio.timeout(LIFE_LIMIT_S):
        while line not in log.lines():  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)


async def end_of(store: lash.Store, process_id: str) -> object:
    async with asyncio.timeout(LIFE_LIMIT_S):
        return await store.processes.await_process(process_id)


async def test_a_worker_killed_in_a_tool_is_taken_over(store: lash.Store, log: ExecutionLog, worker: Any) -> None:
    await jobs.register(store, "p", "hang")
    first = worker()
    await ran(log, "hang:call-p")
    kill(first)
    worker()

    assert await end_of(store, "p") == SuccessOutput("went on")
    assert log.lines() == ["hang:call-p", "hang:call-p"]


async def test_a_rival_takes_over_without_being_started_for_it(
    store: lash.Store, log: ExecutionLog, worker: Any
) -> None:
    await jobs.register(store, "p", "hang")
    first = worker()
    await ran(log, "hang:call-p")
    worker()
    kill(first)

    assert await end_of(store, "p") == SuccessOutput("went on")


async def test_a_worker_killed_in_a_pause_does_not_pause_again(
    store: lash.Store, log: ExecutionLog, worker: Any
) -> None:
    await jobs.register(store, "p", "pause")
    first = worker()
    async with asyncio.timeout(LIFE_LIMIT_S):
        while not await _recorded(store, "sleep"):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)
    kill(first)
    worker()

    assert await end_of(store, "p") == SuccessOutput("after the pause")
    assert log.lines() == ["pause:1", "pause:2"]


@pytest.mark.parametrize("is_parked", [False, True])
async def test_a_worker_killed_in_a_wait_goes_on_with_the_answer(
    store: lash.Store, log: ExecutionLog, worker: Any, is_parked: bool
) -> None:
    await jobs.register(store, "p", "order")
    first = worker()
    async with asyncio.timeout(LIFE_LIMIT_S):
        while not await store.waits.list_open(None):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)
        while is_parked and await store.processes.list_lease_owners():  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)
        while not await _recorded(store, "tool_call"):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)
    kill(first)
    async with lash.StandardCore(model=ScriptedModel([]), store=store, workers=0) as outsider:
        [order] = await outsider.completions.pending()
        assert await outsider.completions.complete(order.key.token, "no sugar") == Accepted()
    worker()

    assert await end_of(store, "p") == SuccessOutput("no sugar")
    assert log.lines() == ["order"]


async def test_two_workers_share_the_jobs_and_one_finishes_alone(
    store: lash.Store, log: ExecutionLog, worker: Any
) -> None:
    workers = [worker("host-a"), worker("host-b")]
    for number in range(60):
        await jobs.register(store, f"p{number}", "job", {"number": number})
    await ran(log, "job:5")
    kill(workers[0])

    ended = [await end_of(store, f"p{number}") for number in range(60)]
    assert ended == [SuccessOutput(number) for number in range(60)]


async def _recorded(store: lash.Store, kind: str) -> bool:
    rows = await store.journal.load(ExecutionScope.process("p"))
    return any(row.kind == kind for row in rows)
