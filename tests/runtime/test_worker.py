"""The worker of a core: when it runs at all, how it leaves, and what it does about doubt, depth and schedules."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

import lash
from lash.base.json import JsonObject
from lash.processes.inputs import SessionTurnInput
from lash.processes.outputs import CancelledOutput, FailureOutput, SuccessOutput
from lash.processes.registration import ProcessRegistration
from lash.processes.scopes import ProcessProvenance
from lash.runtime.approvals import Approval
from lash.runtime.worker.runner import ProcessRunner
from lash.runtime.worker.slots import Slots
from lash.testing import ScriptedModel, calls, says
from lash.testing.conformance.worker_drafts import (
    Tools,
    core_over,
    ended,
    engine_process,
    eventually,
    session_turn,
    soon,
    tool_process,
    worker_of,
)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[lash.Store]:
    """A store in a file."""
    async with await lash.Store.open(str(tmp_path / "agent.db")) as store:
        yield store


async def test_a_core_without_processes_runs_no_worker(store: lash.Store) -> None:
    async with lash.StandardCore(model=ScriptedModel([says("hi")]), store=store) as core:
        async with core.session("s") as session:
            await session.run("hello")

        assert not core.worker.is_started


async def test_what_was_registered_before_a_core_opens_is_run(store: lash.Store) -> None:
    tools = Tools()
    await store.processes.register_process(await tool_process(store, "p", "echo", {"value": "x"}))
    async with lash.StandardCore(model=ScriptedModel([]), tools=tools.all(), store=store):
        assert await ended(store, "p") == SuccessOutput({"payload": "raw:x"})


async def test_a_draining_worker_lets_what_runs_end_and_takes_nothing_more(store: lash.Store) -> None:
    tools = Tools()
    async with core_over(store, tools.all()) as core:
        await store.processes.register_process(await tool_process(store, "p", "gate"))
        worker = worker_of(core)
        worker.poke()
        await soon(tools.arrived)
        draining = asyncio.create_task(worker.drain())
        await store.processes.register_process(await tool_process(store, "q", "echo", {"value": "x"}))
        worker.poke()
        tools.opened.set()
        await draining

        assert await ended(store, "p") == SuccessOutput("through")
        left = await store.processes.get_process("q")
        assert left is not None
        assert not left.is_terminal
        assert tools.echoes == 0


async def test_what_does_not_end_in_time_is_left_to_others_at_once(store: lash.Store) -> None:
    tools = Tools()
    async with core_over(store, tools.all()) as core:
        await store.processes.register_process(await tool_process(store, "p", "gate"))
        first = worker_of(core)
        first.poke()
        await soon(tools.arrived)
        await first.drain(0)

        assert await store.processes.get_process_lease("p") is None
        tools.opened.set()
        worker_of(core).poke()
        assert await ended(store, "p") == SuccessOutput("through")


async def test_a_call_that_must_not_be_repeated_waits_for_the_hosts_word(store: lash.Store) -> None:
    started = asyncio.Event()

    @lash.tool(repeat="never")
    async def pay() -> str:
        """Pays, and never comes back."""
        started.set()
        await asyncio.Event().wait()
        return "paid"

    async with core_over(store, [pay]) as core:
        await store.processes.register_process(await tool_process(store, "p", "pay"))
        first = worker_of(core)
        first.poke()
        await soon(started)
        await first.drain(0)
        core._running().worker = worker_of(core)
        core.worker.poke()

        async def is_doubtful() -> bool:
            return bool(core.recovery.in_doubt) and core.worker.running == []

        await eventually(is_doubtful)
        [doubt] = core.recovery.in_doubt
        assert doubt.process_id == "p"
        await core.settle(doubt, lash.ToolResult.ok("it was paid"))

        assert await ended(store, "p") == SuccessOutput("it was paid")
        assert core.recovery.in_doubt == []


async def test_the_turn_of_a_process_is_settled_and_counted_once(store: lash.Store) -> None:
    model = ScriptedModel([says("done")], usage=lash.TokenUsage(10, 5))
    async with core_over(store, model=model) as core:
        await store.processes.register_process(session_turn("p", "child"))
        worker = worker_of(core)
        worker.poke()
        first = await ended(store, "p")
        assert isinstance(first, SuccessOutput)
        assert isinstance(first.value, dict)
        turn = first.value["turn"]
        assert isinstance(turn, dict)
        assert (turn["text"], turn["outcome"]) == ("done", "finished.assistant_message")

        # The same process again, as a second worker would run it after a lost acknowledgement.
        again = await ProcessRunner(core.process_worker_config()).run_process(session_turn("p", "child"))
        assert again == first
        assert len(model.requests) == 1


async def test_children_are_so_deep_and_no_deeper(store: lash.Store) -> None:
    async with core_over(store, model=ScriptedModel([says("done")] * 3)) as core:
        worker = worker_of(core, change=lambda config: replace(config, max_depth=2))
        worker.poke()
        parent: str | None = None
        for depth in range(4):
            request: JsonObject = {"session_id": f"s{depth}", "parent_session_id": parent or "root"}
            turn = SessionTurnInput(request, {"items": [{"type": "text", "text": "go"}]})
            draft = ProcessRegistration(f"p{depth}", turn, ProcessProvenance.host())
            await store.processes.register_process(draft)
            worker.poke()
            output = await ended(store, f"p{depth}")
            parent = f"s{depth}"
            if depth < 2:
                assert isinstance(output, SuccessOutput)
            else:
                assert isinstance(output, FailureOutput)
                assert output.code == "process_session_create_failed"
                assert "2 children deep" in output.message
                return


async def test_a_turn_of_a_process_can_be_cancelled(store: lash.Store) -> None:
    tools = Tools()
    async with core_over(store, tools.all(), model=ScriptedModel([calls("gate"), says("over")])) as core:
        await store.processes.register_process(session_turn("p", "child"))
        worker = worker_of(core)
        worker.poke()
        await soon(tools.arrived)
        await worker.request_process_cancel("p")

        assert await ended(store, "p") == CancelledOutput("background session turn was cancelled")


async def test_a_turn_of_a_process_that_waits_for_a_person_keeps_no_slot(store: lash.Store) -> None:
    tools = Tools()

    @lash.tool(approve=True)
    async def deploy() -> str:
        """Deploys."""
        return "deployed"

    async with core_over(store, [deploy, *tools.all()], model=ScriptedModel([calls("deploy"), says("over")])) as core:
        await store.processes.register_process(session_turn("p", "child"))
        worker = worker_of(core, concurrency=1)
        worker.poke()
        asked: list[Approval] = []

        async def has_asked() -> bool:
            asked[:] = await core.approvals.pending("child")
            return bool(asked)

        await eventually(has_asked)
        await store.processes.register_process(await tool_process(store, "q", "echo", {"value": "x"}))
        worker.poke()
        assert isinstance(await ended(store, "q"), SuccessOutput)
        assert worker.running == ["p"]
        await core.approvals.approve(asked[0])

        output = await ended(store, "p")
        assert isinstance(output, SuccessOutput)


async def test_an_input_of_an_unknown_engine_fails_with_its_code(store: lash.Store) -> None:
    async with core_over(store) as core:
        await store.processes.register_process(await engine_process(store, "p", "fancy"))
        worker_of(core).poke()
        expected = FailureOutput("unavailable", "process_engine_missing", "process engine `fancy` is not configured")
        assert await ended(store, "p") == expected


async def test_a_bound_process_fails_when_its_owner_is_lost(store: lash.Store) -> None:
    tools = Tools()
    bound = await tool_process(store, "p", "echo", {"value": "x"})
    await store.processes.register_process(msgspec.structs.replace(bound, recovery="owner_bound"))
    [claimed] = await store.processes.claim_due_processes("somebody", 60_000, 1)
    await store.processes.complete_process_lease(claimed.lease.completion())
    async with core_over(store, tools.all()) as core:
        worker_of(core).poke()
        output = await ended(store, "p")

    assert isinstance(output, FailureOutput)
    assert output.code == "process_owner_lost"
    assert tools.echoes == 0


async def test_a_bound_process_that_waits_stays_with_its_owner(tmp_path: Path, store: lash.Store) -> None:
    tools = Tools()

    @lash.tool(approve=True)
    async def deploy() -> str:
        """Deploys."""
        return "deployed"

    bound = await tool_process(store, "p", "deploy")
    await store.processes.register_process(msgspec.structs.replace(bound, recovery="owner_bound"))
    async with core_over(store, [deploy, *tools.all()]) as core:
        worker = worker_of(core, concurrency=1, park_after_ms=1)
        worker.poke()
        asked: list[Approval] = []

        async def has_asked() -> bool:
            asked[:] = await core.approvals.pending()
            return bool(asked)

        await eventually(has_asked)
        # It gave its slot back, which is taken: only another worker could run it now.
        await store.processes.register_process(await tool_process(store, "q", "gate"))
        worker.poke()
        await soon(tools.arrived)
        async with await lash.Store.open(str(tmp_path / "agent.db")) as same, core_over(same, [deploy]) as other:
            worker_of(other).poke()
            await other.approvals.approve(asked[0])
            await store.processes.register_process(await tool_process(store, "r", "deploy"))
            await eventually(has_asked)
            tools.opened.set()

            assert await ended(store, "p") == SuccessOutput("deployed")


async def test_slots_go_to_whoever_returns_before_fresh_work() -> None:
    freed: list[int] = []
    slots = Slots(1, lambda: freed.append(1))
    slots.take()
    returning = asyncio.create_task(slots.retake())
    await asyncio.sleep(0)
    assert slots.free == 0
    slots.give()
    await returning

    assert (slots.free, freed) == (0, [])
    slots.give()
    assert (slots.free, freed) == (1, [1])


async def test_a_worker_that_is_started_runs_the_clock_of_triggers_too(store: lash.Store) -> None:
    async with lash.StandardCore(model=ScriptedModel([]), store=store) as core:
        ticking = core.worker.ticking
        assert ticking is not None
        running = [ticking.is_running]
        core.worker.poke()
        running.append(ticking.is_running)
        await core.worker.drain(0)
        running.append(ticking.is_running)

    assert running == [False, True, False]
