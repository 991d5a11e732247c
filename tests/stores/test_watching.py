"""Processes that share a database: who changed something, who is alive, who owns what."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from conformance.places import Kind, Place
from lash.sessions.accept import Owned, Waiting
from lash.sessions.errors import StoreUnavailable
from lash.sessions.store import SessionCreate, SessionStore
from lash.stores import Store
from lash.testing.conformance.drafts import draft
from stores.turns import SESSION, claimant, commit_of, request


async def test_two_stores_never_own_one_session(any_place: Place, kind: Kind) -> None:
    if kind == "memory":
        return
    where = any_place._where()
    stores = [await any_place._open(*where), await any_place._open(*where)]
    sessions = [await store.sessions.create_store(SessionCreate(SESSION)) for store in stores]
    parent: str | None = None
    for turn in range(20):
        asked = [request(f"t{turn}", claimant(f"{turn}-{place}")) for place in range(2)]

        answers = await asyncio.gather(
            *(session.accept_turn(ask) for session, ask in zip(sessions, asked, strict=True))
        )

        [owned] = [answer for answer in answers if isinstance(answer, Owned)]
        [waiting] = [answer for answer in answers if isinstance(answer, Waiting)]
        assert waiting.lease_token == owned.lease.token
        await sessions[turn % 2].commit(commit_of(owned, parent=parent))
        parent = f"t{turn}:1"


async def test_a_waiter_hears_of_changes_here(store: Store, session: SessionStore) -> None:
    seen = store.changes.generation()
    waiter = asyncio.create_task(store.changes.changed(seen))

    await session.enqueue_queued_work(draft(SESSION, "news"))

    async with asyncio.timeout(5):
        assert await waiter > seen


async def test_a_waiter_hears_of_changes_elsewhere(any_place: Place, kind: Kind) -> None:
    if kind == "memory":
        return
    where = any_place._where()
    here, there = await any_place._open(*where), await any_place._open(*where)
    session = await there.sessions.create_store(SessionCreate(SESSION))
    generation = here.changes.generation()
    waiter = asyncio.create_task(_until_queued(here, generation))
    await asyncio.sleep(0.05)

    await session.enqueue_queued_work(draft(SESSION, "news"))

    async with asyncio.timeout(5):
        assert await waiter == 1


async def test_an_executor_is_alive_while_its_process_is(tmp_path: Path) -> None:
    path = str(tmp_path / "a.db")
    async with await Store.open(path) as store:
        child = _holder(path)
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        assert not await store.liveness.is_dead("host/child")
        child.send_signal(signal.SIGKILL)
        child.wait()

        assert await store.liveness.is_dead("host/child")
        child.stdout.close()


async def test_executor_locks_of_two_stores_see_each_other(any_place: Place, kind: Kind) -> None:
    if kind == "memory":
        return
    where = any_place._where()
    here, there = await any_place._open(*where), await any_place._open(*where)
    await here.liveness.hold("host/here")
    await here.liveness.hold("host/here")

    assert not await there.liveness.is_dead("host/here")
    assert not await here.liveness.is_dead("host/here")
    with pytest.raises(StoreUnavailable):
        await there.liveness.hold("host/here")
    await here.liveness.release("host/here")
    assert await there.liveness.is_dead("host/here")


HOLDER = textwrap.dedent(
    """
    import asyncio, sys
    from lash.stores import Store

    async def main() -> None:
        store = await Store.open(sys.argv[1])
        await store.liveness.hold("host/child")
        print("held", flush=True)
        await asyncio.sleep(60)

    asyncio.run(main())
    """
)


def _holder(path: str) -> subprocess.Popen[str]:
    source = str(Path(__file__).parents[2] / "src")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([source, os.environ.get("PYTHONPATH", "")])}
    return subprocess.Popen([sys.executable, "-c", HOLDER, path], stdout=subprocess.PIPE, text=True, env=environment)


async def _until_queued(store: Store, generation: int) -> int:
    session = store.sessions.unbound()
    while not (found := await session.list_queued_work(SESSION)):
        generation = await store.changes.changed(generation)
    return len(found)
