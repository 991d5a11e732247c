"""A worker takes a little work ahead of its slots: what that saves, and that nobody else has to wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

import lash
from lash.base.json import JsonObject
from lash.processes.outputs import SuccessOutput
from lash.processes.registry import ProcessEnd, WorkTurnOver
from lash.runtime.worker.ahead import AHEAD_MS, LONG_MS, MAX_AHEAD, REST_MS, Ahead, Pace
from lash.runtime.worker.worker import ProcessWorker
from lash.testing.conformance.worker_drafts import (
    Tools,
    core_over,
    ended,
    eventually,
    soon,
    tool_process,
    worker_of,
)

JOBS = 12


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[lash.Store]:
    """A store in a file."""
    async with await lash.Store.open(str(tmp_path / "agent.db")) as store:
        yield store


class HeldBack:
    """A registry whose turn-overs wait for the word, after the first one; they are counted."""

    def __init__(self, store: lash.Store) -> None:
        self._registry = store.processes
        self.may_write = asyncio.Event()
        self.calls = 0

    async def turn_over(
        self, ends: Sequence[ProcessEnd], owner_id: str, claim_token: str, ttl_ms: int, limit: int
    ) -> WorkTurnOver:
        """See `ProcessRegistry`."""
        self.calls += 1
        if self.calls > 1:
            await self.may_write.wait()
        return await self._registry.turn_over(ends, owner_id, claim_token, ttl_ms, limit)

    def __getattr__(self, name: str) -> object:
        return getattr(self._registry, name)


async def register(store: lash.Store, count: int, tool: str = "echo") -> list[str]:
    """Jobs, by id."""
    ids = [f"job-{number:02}" for number in range(count)]
    args: JsonObject = {"value": "x"} if tool == "echo" else {}
    await store.processes.register_processes([await tool_process(store, each, tool, args) for each in ids])
    return ids


def quick(worker: ProcessWorker) -> ProcessWorker:
    """A worker whose last runs were short."""
    for _ in range(5):
        worker._runs.ahead.pace.note(1.0)
    return worker


async def test_jobs_go_on_while_the_ends_of_others_are_being_written(store: lash.Store) -> None:
    tools = Tools()
    ids = await register(store, JOBS)
    async with core_over(store, tools.all()) as core:
        held = HeldBack(store)  # a port, but for one method
        worker = quick(
            worker_of(core, concurrency=1, change=lambda config: replace(config, processes=cast("Any", held)))
        )
        worker.poke()

        async def all_have_run() -> bool:
            return tools.echoes == JOBS

        await eventually(all_have_run)
        records = [await store.processes.get_process(each) for each in ids]
        leases = [await store.processes.get_process_lease(each) for each in ids]
        # The law: what has ended is leased until its end is written.
        assert not any(record.is_terminal for record in records if record is not None)
        assert None not in leases
        held.may_write.set()
        for each in ids:
            assert await ended(store, each) == SuccessOutput({"payload": "raw:x"})

        # One that took the work, one with the first end, one with all the others.
        assert held.calls <= 3


async def test_one_slot_runs_one_at_a_time_whatever_is_taken_ahead(store: lash.Store) -> None:
    at_once: list[int] = []
    running: set[int] = set()

    @lash.tool
    async def step(number: int) -> None:
        """Gives others every chance."""
        running.add(number)
        at_once.append(len(running))
        for _ in range(3):
            await asyncio.sleep(0)
        running.discard(number)

    jobs = [await tool_process(store, f"p{number}", "step", {"number": number}) for number in range(JOBS)]
    await store.processes.register_processes(jobs)
    async with core_over(store, [step]) as core:
        quick(worker_of(core, concurrency=1)).poke()
        for number in range(JOBS):
            assert await ended(store, f"p{number}") == SuccessOutput(None)

    assert at_once == [1] * JOBS


async def test_what_waits_behind_a_long_job_is_left_to_others(store: lash.Store, tmp_path: Path) -> None:
    tools, others = Tools(), Tools()
    await store.processes.register_process(await tool_process(store, "a-long-one", "gate"))
    ids = await register(store, 3)
    async with core_over(store, tools.all()) as core:
        quick(worker_of(core, concurrency=1)).poke()
        await soon(tools.arrived)
        async with (
            await lash.Store.open(str(tmp_path / "agent.db")) as second,
            core_over(second, others.all()) as other,
        ):
            worker_of(other).poke()
            for each in ids:
                assert await ended(store, each) == SuccessOutput({"payload": "raw:x"})
        tools.opened.set()
        assert await ended(store, "a-long-one") == SuccessOutput("through")

    assert (tools.echoes, others.echoes) == (0, 3)


async def test_a_draining_worker_gives_back_what_it_took_ahead(store: lash.Store) -> None:
    tools = Tools()
    await store.processes.register_process(await tool_process(store, "a-long-one", "gate"))
    bound = await tool_process(store, "bound", "echo", {"value": "x"})
    await store.processes.register_process(msgspec.structs.replace(bound, recovery="owner_bound"))
    async with core_over(store, tools.all()) as core:
        worker = quick(worker_of(core, concurrency=1))
        worker.poke()
        await soon(tools.arrived)
        await worker.drain(0)

    # It has not started, so whoever it is bound to has not been lost.
    record = await store.processes.get_process("bound")
    assert record is not None
    assert (record.first_started_by, await store.processes.get_process_lease("bound")) == (None, None)
    async with core_over(store, tools.all()) as core:
        tools.opened.set()
        worker_of(core).poke()
        assert await ended(store, "bound") == SuccessOutput({"payload": "raw:x"})


async def test_starting_a_job_is_one_statement_in_one_transaction(store: lash.Store) -> None:
    tools = Tools()
    async with core_over(store, tools.all()) as core:
        await core.processes.start("echo", args={"value": "x"})  # its environment and event types are stored with it
        transactions, statements = store.transactions, store.statements

        for _ in range(5):
            await core.processes.start("echo", args={"value": "x"})

        assert (store.transactions - transactions, store.statements - statements) == (5, 5)


def test_as_much_is_taken_ahead_as_the_slots_get_through_in_a_moment() -> None:
    pace = Pace(2)
    assert pace.ahead == 0
    for _ in range(3):
        pace.note(4.0)
    assert pace.ahead == AHEAD_MS * 2 // 4
    for _ in range(20):
        pace.note(0.0)
    assert pace.ahead == MAX_AHEAD


def test_one_long_run_and_nothing_is_known_any_more() -> None:
    pace = Pace(1)
    for _ in range(9):
        pace.note(1.0)
    assert pace.ahead > 0

    pace.note(LONG_MS + 1)

    assert pace.ahead == 0


def test_ends_gather_only_while_the_slots_have_other_work() -> None:
    ahead = Ahead(1)
    for _ in range(3):
        ahead.pace.note(2.0)
    assert ahead.rest_ms == 0
    for _ in range(3):
        ahead.put(None, None, 0.0)  # type: ignore[arg-type]  # nothing is run
    assert ahead.rest_ms == 3
    for _ in range(9):
        ahead.put(None, None, 0.0)  # type: ignore[arg-type]  # as above
    assert ahead.rest_ms == REST_MS
