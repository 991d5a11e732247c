"""Callers who leave: while they wait for others, while the core closes, several for one turn."""

from __future__ import annotations

import asyncio

import pytest

import lash
from face.places import Gate, Place, eventually, settled, texts, until
from lash.core import CoreClosed
from lash.machine.outcome import Stopped
from lash.runtime.activity import AssistantProseDelta, TurnActivity
from lash.runtime.request import TurnInputWithdrawn
from lash.testing import ScriptedModel, says

# Far below the 20 s after which a test gives up, far above what a busy machine needs.
SOON = 0.05


async def _queued(session: lash.Session) -> None:
    async def holds() -> bool:
        return bool(await session.queued_work())

    await until(holds, "input in the queue")


# behind another turn


async def test_a_timeout_behind_another_turn_takes_the_input_back(place: Place) -> None:
    gate = Gate()
    core = await place.core(ScriptedModel([gate.step(says("a")), says("b")]))
    async with core.session("s") as session:
        first = asyncio.create_task(session.run("first"))
        await gate.arrival()

        second = await session.run("second", timeout=SOON)
        gate.open()

        assert second.outcome == Stopped("cancelled")
        assert (await first).text == "a"
        assert await session.queued_work() == []
        assert texts(session.messages) == ["user: first", "assistant: a"]


async def test_a_timeout_ends_a_wait_for_another_core(durable: Place) -> None:
    gate = Gate()
    owner = await durable.core(ScriptedModel([gate.step(says("a"))]))
    other = await durable.core(ScriptedModel([]))
    async with owner.session("s") as session, other.session("s") as waiter:
        first = asyncio.create_task(session.run("first"))
        await gate.arrival()

        second = await waiter.run("second", timeout=SOON)
        gate.open()

        assert second.outcome == Stopped("cancelled")
        assert (await first).text == "a"


async def test_a_timeout_cancels_the_turn_wherever_it_runs(durable: Place) -> None:
    gate = Gate()
    owner = await durable.core(ScriptedModel([gate.step(says("a"))]), lease_timings=lash.LeaseTimings(10_000, 20))
    other = await durable.core(ScriptedModel([]))
    async with owner.session("s") as session, other.session("s") as waiter:
        first = asyncio.create_task(session.run("go", turn_id="t"))
        await gate.arrival()

        second = await waiter.run("go", turn_id="t", timeout=SOON)

        assert second.outcome == Stopped("cancelled")
        assert (await first).outcome == Stopped("cancelled")


async def test_leaving_a_stream_that_waits_returns_at_once(place: Place) -> None:
    gate = Gate()
    core = await place.core(ScriptedModel([gate.step(says("a"))]))
    async with core.session("s") as session:
        first = asyncio.create_task(session.run("first"))
        await gate.arrival()

        async with session.stream("second"):
            await _queued(session)
        still_running = not first.done()
        gate.open()

        assert still_running
        assert await session.queued_work() == []
        assert (await first).text == "a"


async def test_cancelling_the_task_of_a_run_that_waits_takes_its_input_back(place: Place) -> None:
    gate = Gate()
    core = await place.core(ScriptedModel([gate.step(says("a"))]))
    async with core.session("s") as session:
        first = asyncio.create_task(session.run("first"))
        await gate.arrival()
        second = asyncio.create_task(session.run("second"))
        await _queued(session)

        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        gate.open()

        assert await session.queued_work() == []
        assert (await first).text == "a"


async def test_who_leaves_while_driving_earlier_input_does_not_stop_it(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    core = await place.core(ScriptedModel([says("zero")]))
    async with core.session("s") as session:
        await session.run("zero")
    second = await place.core(ScriptedModel([says("zero"), gate.step(says("a")), says("b")]), recover=False)
    async with second.session("s") as session:
        monkeypatch.setattr(session._actor, "poke", lambda: None)
        for text in ("one", "two"):
            await session.enqueue(text)
        monkeypatch.undo()
        running = asyncio.create_task(session.run("three", timeout=SOON))
        await gate.arrival()

        assert (await running).outcome == Stopped("cancelled")
        gate.open()
        await settled(session, 3)

        assert texts(session.messages)[2:] == ["user: one", "assistant: a", "user: two", "assistant: b"]


async def test_a_turn_that_was_taken_back_never_runs_under_its_id(place: Place) -> None:
    gate = Gate()
    core = await place.core(ScriptedModel([gate.step(says("a"))]))
    async with core.session("s") as session:
        first = asyncio.create_task(session.run("first"))
        await gate.arrival()
        await session.run("second", turn_id="t", timeout=SOON)
        gate.open()
        await first

        with pytest.raises(TurnInputWithdrawn):
            await session.run("second", turn_id="t")


# the core closes


async def test_closing_the_core_tells_whoever_waits(durable: Place) -> None:
    gate = Gate()
    core = await durable.core(ScriptedModel([gate.step(says("never"))]))
    session = await core.session("s").open()
    runs = [asyncio.create_task(session.run("first"))]
    await gate.arrival()
    runs.append(asyncio.create_task(session.run("second")))
    await _queued(session)

    await core.close()
    ends = await asyncio.gather(*runs, return_exceptions=True)

    assert [type(end) for end in ends] == [CoreClosed, CoreClosed]
    with pytest.raises(CoreClosed):
        await session.run("third")
    with pytest.raises(CoreClosed):
        await session.enqueue("fourth")


async def test_a_closed_core_does_not_vanish_in_a_task_group(memory: Place) -> None:
    gate = Gate()
    core = await memory.core(ScriptedModel([gate.step(says("never"))]))
    session = await core.session("s").open()

    async def serve() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(session.run("go"))
            await gate.arrival()
            await core.close()

    with pytest.raises(ExceptionGroup) as told:
        await serve()

    assert told.group_contains(CoreClosed, match="is lost")


# several callers of one turn


async def test_two_callers_of_one_turn_both_hear_it(memory: Place) -> None:
    gate = Gate()
    core = await memory.core(ScriptedModel([gate.step(says("a")), says("b")]))
    heard: list[list[TurnActivity]] = [[], []]
    async with core.session("s") as session:
        before = asyncio.create_task(session.run("before"))
        await gate.arrival()
        callers = [
            asyncio.create_task(session.turn("go", turn_id="t").stream_to(activities.append)) for activities in heard
        ]
        await eventually(lambda: len(session._actor._drives._listeners.get("t", [])) == 2, "two listeners")  # type: ignore[union-attr]
        gate.open()

        results = await asyncio.gather(*callers)

        assert [result.text for result in results] == ["b", "b"]
        assert all(any(isinstance(told.event, AssistantProseDelta) for told in activities) for activities in heard)
        await before


async def test_a_timeout_counts_whoever_else_asks_for_the_turn(memory: Place) -> None:
    gate = Gate()
    core = await memory.core(ScriptedModel([gate.step(says("a"))]))
    async with core.session("s") as session:
        hurried = asyncio.create_task(session.run("go", turn_id="t", timeout=SOON))
        patient = asyncio.create_task(session.run("go", turn_id="t"))
        await gate.arrival()

        results = await asyncio.gather(hurried, patient)

        assert [result.outcome for result in results] == [Stopped("cancelled")] * 2
