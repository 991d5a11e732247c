"""What is started where a worker has room runs there at once, and nothing of that is ever left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextvars import ContextVar
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import cast

import pytest

import lash
from lash.processes.outputs import SuccessOutput
from lash.processes.record import ProcessRecord
from lash.processes.registry import ProcessEnd, ProcessRegistry, Registered, WorkTurnOver
from lash.runtime.worker.gathering import QUIET_MS, REST_MS, Gathering
from lash.runtime.worker.worker import ProcessWorker
from lash.sessions.errors import StoreUnavailable
from lash.testing import ScriptedModel, StoreFaults, says
from lash.testing.conformance.worker_drafts import (
    Tools,
    core_over,
    ended,
    eventually,
    soon,
    tool_process,
    worker_of,
)
from lash.testing.simulation.loop import SimulatedLoop


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[lash.Store]:
    """A store in a file."""
    async with await lash.Store.open(str(tmp_path / "agent.db")) as store:
        yield store


class SlowStarts:
    """A registry that answers a claim at the start only when a test says so."""

    def __init__(self, registry: ProcessRegistry) -> None:
        self._registry = registry
        self.stored = asyncio.Event()
        self.may_answer = asyncio.Event()
        # Turn-overs that neither ended nor claimed anything.
        self.idle_turn_overs = 0

    async def turn_over(
        self, ends: Sequence[ProcessEnd], owner_id: str, claim_token: str, ttl_ms: int, limit: int
    ) -> WorkTurnOver:
        """See `ProcessRegistry`."""
        self.idle_turn_overs += not ends and not limit
        return await self._registry.turn_over(ends, owner_id, claim_token, ttl_ms, limit)

    async def register_and_claim(self, *args: object, **options: object) -> Registered:
        """See `ProcessRegistry`."""
        register: Callable[..., object] = self._registry.register_and_claim
        registered = await cast("asyncio.Future[Registered]", register(*args, **options))
        self.stored.set()
        await self.may_answer.wait()
        return registered

    def __getattr__(self, name: str) -> object:
        return getattr(self._registry, name)


async def at_rest(store: lash.Store, worker: ProcessWorker, *, first: str = "first") -> None:
    """The worker has run something, and nothing is due."""
    worker.poke()
    await worker.start(await tool_process(store, first, "echo", {"value": "x"}))
    await ended(store, first)


async def being_started(
    store: lash.Store, core: lash.LashCore, slow: SlowStarts
) -> tuple[ProcessWorker, asyncio.Task[ProcessRecord]]:
    """A worker at rest, and the start of `p` there: it is stored, and nobody knows."""
    worker = worker_of(core, change=lambda config: replace(config, processes=cast("ProcessRegistry", slow)))
    slow.may_answer.set()
    await at_rest(store, worker)
    slow.may_answer.clear()
    slow.stored.clear()
    starting = asyncio.create_task(worker.start(await tool_process(store, "p", "echo", {"value": "y"})))
    await soon(slow.stored)
    return worker, starting


async def owner_of(store: lash.Store, process_id: str) -> str | None:
    lease = await store.processes.get_process_lease(process_id)
    return None if lease is None else lease.owner_id


async def test_a_process_runs_under_the_lease_that_it_was_stored_with(store: lash.Store) -> None:
    tools = Tools()
    async with core_over(store, tools.all()) as core:
        worker = worker_of(core)
        await at_rest(store, worker)
        draft = await tool_process(store, "p", "gate")
        before = store.transactions

        record = await worker.start(draft)

        assert store.transactions - before == 1
        assert await owner_of(store, "p") == core.executor_id
        assert record.first_started_by == core.executor_id
        await soon(tools.arrived)
        assert (await store.processes.get_process("p")) == record
        tools.opened.set()
        assert await ended(store, "p") == SuccessOutput("through")
        assert await owner_of(store, "p") is None
        await worker.drain()


async def test_what_finds_no_room_is_for_whoever_looks_first(store: lash.Store) -> None:
    tools = Tools()
    async with core_over(store, tools.all()) as core:
        worker = worker_of(core, concurrency=1)
        await at_rest(store, worker)
        await worker.start(await tool_process(store, "busy", "gate"))
        await soon(tools.arrived)

        await worker.start(await tool_process(store, "p", "echo", {"value": "x"}))

        assert await owner_of(store, "p") is None
        other = worker_of(core)
        other.poke()
        assert await ended(store, "p") == SuccessOutput({"payload": "raw:x"})
        tools.opened.set()
        await ended(store, "busy")
        await worker.drain()
        await other.drain()


async def test_nothing_new_goes_before_what_has_waited_longer(store: lash.Store) -> None:
    tools = Tools()
    order: list[str] = []

    @lash.tool
    async def note(name: str) -> None:
        """Says that it ran."""
        order.append(name)

    async with core_over(store, [*tools.all(), note]) as core:
        worker = worker_of(core, concurrency=1)
        await at_rest(store, worker)
        await worker.start(await tool_process(store, "busy", "gate"))
        await soon(tools.arrived)
        for name in ("a", "b", "c"):
            await worker.start(await tool_process(store, name, "note", {"name": name}))
        tools.opened.set()
        await worker.start(await tool_process(store, "d", "note", {"name": "d"}))
        await ended(store, "d")

        assert order == ["a", "b", "c", "d"]
        await worker.drain()


async def test_starting_a_known_process_again_neither_claims_nor_runs_it(store: lash.Store) -> None:
    tools = Tools()
    async with core_over(store, tools.all()) as core:
        worker = worker_of(core)
        await at_rest(store, worker)

        again = await worker.start(await tool_process(store, "first", "echo", {"value": "x"}))

        assert again.is_terminal
        assert await owner_of(store, "first") is None
        assert tools.echoes == 1
        await worker.drain()


async def test_a_caller_that_leaves_while_it_starts_leaves_a_process_that_runs(store: lash.Store) -> None:
    tools = Tools()
    slow = SlowStarts(store.processes)
    async with core_over(store, tools.all()) as core:
        worker, starting = await being_started(store, core, slow)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting

        assert await ended(store, "p") == SuccessOutput({"payload": "raw:y"})
        assert tools.echoes == 2
        await worker.drain()


@pytest.mark.parametrize("closes_first", [True, False])
async def test_a_caller_that_leaves_as_the_core_closes_leaves_no_lease_behind(
    store: lash.Store, *, closes_first: bool
) -> None:
    tools = Tools()
    slow = SlowStarts(store.processes)
    async with core_over(store, tools.all()) as core:
        _, starting = await being_started(store, core, slow)

        if closes_first:
            closing = asyncio.create_task(core.close())
            await asyncio.sleep(0)
            starting.cancel()
        else:
            starting.cancel()
            await asyncio.sleep(0)
            closing = asyncio.create_task(core.close())
        with pytest.raises(asyncio.CancelledError):
            await starting
        await closing

    assert await owner_of(store, "p") is None


async def test_a_start_whose_acknowledgement_was_lost_is_run_all_the_same(tmp_path: Path) -> None:
    tools = Tools()
    faults = StoreFaults()
    async with await faults.open(str(tmp_path / "agent.db")) as store, core_over(store, tools.all()) as core:
        worker = worker_of(core)
        await at_rest(store, worker)
        faults.fail("register_one", lost_acknowledgement=True)

        with pytest.raises(StoreUnavailable):
            await worker.start(await tool_process(store, "p", "echo", {"value": "y"}))

        assert await ended(store, "p") == SuccessOutput({"payload": "raw:y"})
        await worker.drain()


async def test_a_worker_that_drains_gives_back_what_is_being_started(store: lash.Store) -> None:
    tools = Tools()
    slow = SlowStarts(store.processes)
    async with core_over(store, tools.all()) as core:
        worker, starting = await being_started(store, core, slow)

        await worker.drain()
        slow.may_answer.set()
        await starting

        assert await owner_of(store, "p") is None
        left = await store.processes.get_process("p")
        assert left is not None
        assert left.first_started_by is None
        other = worker_of(core)
        other.poke()
        assert await ended(store, "p") == SuccessOutput({"payload": "raw:y"})
        await other.drain()


async def test_a_start_that_hangs_keeps_no_work_from_a_free_slot_and_costs_no_transaction(store: lash.Store) -> None:
    tools = Tools()
    slow = SlowStarts(store.processes)
    async with core_over(store, tools.all()) as core:
        change = partial(replace, processes=cast("ProcessRegistry", slow))
        worker = worker_of(core, concurrency=1, change=change)
        slow.may_answer.set()
        await at_rest(store, worker)
        slow.may_answer.clear()
        slow.stored.clear()
        starting = asyncio.create_task(worker.start(await tool_process(store, "p", "echo", {"value": "y"})))
        await soon(slow.stored)

        await store.processes.register_process(await tool_process(store, "old", "echo", {"value": "z"}))

        assert await ended(store, "old") == SuccessOutput({"payload": "raw:z"})
        assert slow.idle_turn_overs == 0
        slow.may_answer.set()
        await starting
        assert await ended(store, "p") == SuccessOutput({"payload": "raw:y"})
        await worker.drain()


async def test_a_cancel_reaches_a_process_that_was_started_here(store: lash.Store) -> None:
    tools = Tools()
    echo, gate, _ = tools.all()
    async with lash.StandardCore(model=ScriptedModel([]), tools=[echo, gate], store=store) as core:
        await (await core.processes.start(echo, args={"value": "x"})).result()
        handle = await core.processes.start(gate)
        await soon(tools.arrived)

        await handle.cancel("enough")

        async def is_cancelled() -> bool:
            return tools.cancelled == "requested"

        await eventually(is_cancelled)
        with pytest.raises(lash.LashError):
            await handle.result()


async def test_what_runs_sees_nothing_of_whoever_started_it_or_the_worker(store: lash.Store) -> None:
    caller: ContextVar[str] = ContextVar("caller", default="nobody")

    @lash.tool
    async def who() -> str:
        """Who called."""
        found = caller.get()
        caller.set("a run")
        return found

    async with lash.StandardCore(model=ScriptedModel([]), tools=[who], store=store) as core:
        for name in ("one", "two"):
            caller.set(name)
            assert await (await core.processes.start(who)).result() == "nobody"
            assert caller.get() == name


async def test_wakes_are_delivered_while_ends_come_without_a_pause(store: lash.Store) -> None:
    """A worker that always has something to write looks for wakes all the same."""
    echo, *_ = Tools().all()
    model = ScriptedModel([says("woken")])
    async with lash.StandardCore(model=model, tools=[echo], store=store, worker_concurrency=4) as core:
        stop = asyncio.Event()

        async def load() -> None:
            while not stop.is_set():
                await core.processes.start(echo, args={"value": "x"})

        loads = [asyncio.create_task(load()) for _ in range(4)]
        async with core.session("s") as session:
            await session.processes.start(echo, args={"value": "x"})

            async def has_spoken() -> bool:
                await session.refresh()
                return any("woken" in str(message) for message in session.messages)

            try:
                await eventually(has_spoken)
            finally:
                stop.set()
                await asyncio.gather(*loads)


def waited_ms(at_first: int, later: list[int], *, starts: int = 0, urgent_after_ms: int = 1_000) -> int:
    """How long ends gather when so many have come since the last turn-over, and so many come each millisecond."""
    loop = SimulatedLoop(Random(0), 10_000)

    async def gather() -> int:
        gathering = Gathering()
        gathering.turning()
        gathering.starts = starts
        for _ in range(at_first):
            gathering.note()
        for ms, news in enumerate(later):
            for _ in range(news):
                loop.call_at((ms + 0.5) / 1000, gathering.note)
        await gathering.wait(lambda: loop.time() >= urgent_after_ms / 1000)
        return round(loop.time() * 1000)

    try:
        return loop.run_until_complete(gather())
    finally:
        loop.close()


@pytest.mark.parametrize(
    ("at_first", "later", "expected_ms"),
    [
        (1, [], 0),  # one end alone
        (2, [], QUIET_MS),  # two, and nothing more
        (2, [1, 2, 0, 5], 3 * QUIET_MS),  # until it is quiet
        (2, [1] * 50, REST_MS),  # and no longer than that
    ],
)
def test_ends_gather_only_while_they_flow(at_first: int, later: list[int], expected_ms: int) -> None:
    assert waited_ms(at_first, later) == expected_ms


def test_an_end_waits_for_what_is_being_started_and_not_for_long() -> None:
    assert waited_ms(1, [], starts=1) == REST_MS


def test_an_end_that_somebody_waits_for_does_not_wait_for_others() -> None:
    assert waited_ms(2, [1] * 50, urgent_after_ms=0) == 0
    assert waited_ms(2, [1] * 50, urgent_after_ms=4) == 4
