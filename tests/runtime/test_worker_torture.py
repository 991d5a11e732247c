"""What the torture found: ends that wait to be written keep their lease; turns of dead workers go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import lash
from lash.processes.registry import ProcessEnd, WorkTurnOver
from lash.sessions.graph import ActivePath, Conversation
from lash.testing import ScriptedModel, says

TIMINGS = lash.LeaseTimings(ttl_ms=600, renew_ms=200)
LIMIT_S = 30.0


@pytest.fixture
def database(tmp_path: Path) -> str:
    """A file."""
    return str(tmp_path / "a.db")


@pytest.fixture
async def store(database: str) -> AsyncIterator[lash.Store]:
    """A store over it."""
    async with await lash.Store.open(database) as store:
        yield store


@lash.tool
async def job() -> str:
    """A job."""
    return "done"


def core_over(store: lash.Store, *, host_id: str = "host-a") -> lash.StandardCore:
    return lash.StandardCore(
        model=ScriptedModel(lambda _request: says("noted")),
        tools=[job],
        store=store,
        host_id=host_id,
        lease_timings=TIMINGS,
    )


async def test_what_has_ended_keeps_its_lease_until_the_end_is_written(store: lash.Store) -> None:
    registry: Any = store.processes
    turn_over = registry.turn_over
    has_ended, may_write = asyncio.Event(), asyncio.Event()

    async def slow(ends: Sequence[ProcessEnd], *rest: Any) -> WorkTurnOver:
        if ends:
            has_ended.set()
            await may_write.wait()
        turned: WorkTurnOver = await turn_over(ends, *rest)
        return turned

    registry.turn_over = slow
    async with asyncio.timeout(LIMIT_S), core_over(store) as core:
        process = await core.processes.start(job, id="p")
        await has_ended.wait()
        first = await store.processes.get_process_lease("p")
        assert first is not None
        renewed = first
        # Longer than any lease that is not renewed.
        while renewed.expires_at_epoch_ms <= first.expires_at_epoch_ms + TIMINGS.ttl_ms:
            await asyncio.sleep(0.05)
            lease = await store.processes.get_process_lease("p")
            assert lease is not None
            renewed = lease
        assert not await store.processes.claim_due_processes("a-rival", TIMINGS.ttl_ms, 10)
        may_write.set()

        assert await process.result() == "done"
        record = await process.record()
    assert record.last_sequence == 1
    assert await store.processes.get_process_lease("p") is None


async def test_a_wake_that_a_worker_left_in_a_queue_is_run_by_the_others(store: lash.Store, database: str) -> None:
    """The worker that enqueued it is gone before it ran it; nobody opens a core for that."""
    async with asyncio.timeout(LIMIT_S), core_over(store) as core:
        core.worker.poke()
        async with await lash.Store.open(database) as other:
            asking = lash.StandardCore(model=ScriptedModel([]), tools=[job], store=other, workers=0, recover=False)
            async with asking:
                await asking.processes.start(lash.External("print"), id="p", wake="inbox")
                # Ends it and enqueues its wake, in the way of a worker that dies right then.
                core.worker._registry = _Deaf(store)
                await asking.processes.complete("p", "printed")
                while not (await other.processes.deliver_pending_wakes()).enqueued:  # noqa: ASYNC110 - a feed of another core
                    await asyncio.sleep(0.01)
                session = None
                while session is None or not await _texts(session):
                    await asyncio.sleep(0.05)
                    session = await other.sessions.open_existing_store("inbox")
                texts = await _texts(session)
    assert [text for text in texts if "Process: p" in text and "print ended" in text]
    assert texts[-1] == "noted"


class _Deaf:
    """The registry of a worker that comes too late for every wake."""

    def __init__(self, store: lash.Store) -> None:
        self._registry = store.processes

    async def look_for_work(self, owner_id: str) -> Any:
        """Everything but wakes."""
        import msgspec

        return msgspec.structs.replace(await self._registry.look_for_work(owner_id), has_wakes=False)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._registry, name)


async def _texts(session: Any) -> list[str]:
    stored = await session.load_session(ActivePath())
    if stored is None:
        return []
    return [node.payload.message.text for node in stored.graph.nodes if isinstance(node.payload, Conversation)]
