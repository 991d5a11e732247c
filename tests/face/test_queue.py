"""Input that waits: injected, edited, cancelled; commands between two turns (runtime.md §9)."""

from __future__ import annotations

import asyncio

import pytest

import lash
from face.places import Gate, Place, drained, texts
from lash.base.errors import InvalidArgument
from lash.sessions.errors import QueuedInputTaken
from lash.sessions.queue import QueuedWorkDraft, SessionCommandPayload
from lash.testing import ScriptedModel, calls, says


async def test_early_input_is_taken_into_the_running_turn_once(place: Place) -> None:
    gate = Gate()

    @lash.tool
    async def wait() -> str:
        await gate.wait()
        return "done"

    model = ScriptedModel([calls("wait"), says("ok")])
    core = await place.core(model, tools=[wait])
    async with core.session("s") as session:
        running = asyncio.create_task(session.run("x"))
        await gate.arrival()
        first = await session.enqueue("hurry", id="a", delivery_policy="earliest_safe_boundary")
        again = await session.enqueue("hurry", id="a", delivery_policy="earliest_safe_boundary")
        gate.open()
        result = await running

        assert again.batch_id == first.batch_id
        assert result.text == "ok"
        assert texts(session.messages).count("user: hurry") == 1
        assert await session.queued_work() == []
        assert (await session.enqueue("hurry", id="a")).batch_id == first.batch_id
        assert len(await session.turns()) == 1


async def test_input_for_later_waits_for_the_commit(place: Place) -> None:
    gate = Gate()
    core = await place.core(ScriptedModel([gate.step(says("one")), says("two"), says("three")]))
    async with core.session("s") as session:
        running = asyncio.create_task(session.run("x"))
        await gate.arrival()
        await session.enqueue("y")
        cancelled = await session.enqueue("never")
        await session.enqueue("z")
        assert await session.cancel_queued(cancelled.batch_id) is not None
        assert await session.cancel_queued(cancelled.batch_id) is None
        gate.open()
        await running
        await drained(session)

        async with asyncio.timeout(20):
            while len(session.messages) < 6:
                await session.refresh()
                await asyncio.sleep(0)
        assert texts(session.messages)[::2] == ["user: x", "user: y", "user: z"]


async def test_waiting_input_is_edited_in_its_place(place: Place) -> None:
    gate = Gate()
    core = await place.core(ScriptedModel([gate.step(says("one")), says("two"), says("three")]))
    async with core.session("s") as session:
        running = asyncio.create_task(session.run("x"))
        await gate.arrival()
        first = await session.enqueue("y", id="a", max_turns=3)
        await session.enqueue("z", id="b")
        edited = await session.edit_queued(first.batch_id, "better y")

        assert (edited.batch_id, edited.enqueue_seq, edited.source_key) == (first.batch_id, first.enqueue_seq, "host:a")
        assert (await session.enqueue("y", id="a")).items == edited.items  # the key still names it, as it stands now
        gate.open()
        await running
        async with asyncio.timeout(20):
            while len(session.messages) < 6:
                await session.refresh()
                await asyncio.sleep(0)
        assert texts(session.messages)[::2] == ["user: x", "user: better y", "user: z"]


async def test_input_that_a_turn_has_taken_cannot_be_edited(place: Place) -> None:
    gate = Gate()
    core = await place.core(ScriptedModel([gate.step(says("one"))]))
    async with core.session("s") as session:
        batch = await session.enqueue("y")
        await gate.arrival()
        with pytest.raises(QueuedInputTaken):
            await session.edit_queued(batch.batch_id, "too late")
        with pytest.raises(QueuedInputTaken):
            await session.edit_queued("unknown", "x")
        gate.open()
        await drained(session)


async def test_the_input_of_a_caller_who_waits_is_not_edited(place: Place) -> None:
    gate = Gate()
    core = await place.core(ScriptedModel([gate.step(says("one")), says("two")]))
    async with core.session("s") as session:
        first = asyncio.create_task(session.run("x"))
        await gate.arrival()
        second = asyncio.create_task(session.run("y", turn_id="t"))
        async with asyncio.timeout(20):
            while not (waiting := await session.queued_work()):  # noqa: ASYNC110 - the store is what is watched
                await asyncio.sleep(0)
        with pytest.raises(InvalidArgument, match="cancel"):
            await session.edit_queued(waiting[0].batch_id, "z")
        gate.open()
        await first
        assert (await second).text == "two"


async def test_a_reset_waits_its_turn_and_leaves_an_empty_session(place: Place) -> None:
    gate = Gate()
    core = await place.core(ScriptedModel([gate.step(says("one")), says("afresh")], order="calls"))
    async with core.session("s") as session:
        running = asyncio.create_task(session.run("x", turn_id="t"))
        await gate.arrival()
        receipt = await session.commands.reset("start over", key="k")
        again = await session.commands.reset("start over", key="k")
        gate.open()
        assert (await running).text == "one"
        await session.commands.applied(receipt)

        assert (receipt.status, again.status, again.batch_id) == ("inserted", "existing", receipt.batch_id)
        assert receipt.source_key == "command:reset_session:k"
        assert session.messages == []
        assert (await session.commands.reset("start over", key="k")).status == "already_settled"
        assert len(await session.turns()) == 1
        result = await session.run("y")
        assert texts(session.messages) == ["user: y", "assistant: afresh"]
        assert result.revision == session.view.revision


async def test_a_direct_turn_runs_after_the_commands_before_it(place: Place) -> None:
    gate = Gate()
    core = await place.core(ScriptedModel([gate.step(says("one")), says("two")], order="calls"))
    async with core.session("s") as session:
        first = asyncio.create_task(session.run("x"))
        await gate.arrival()
        await session.commands.reset("start over")
        refresh = await session.commands.refresh_tool_catalog("new tools")
        second = asyncio.create_task(session.run("y"))
        gate.open()
        await first
        await second
        await session.commands.applied(refresh)

        assert texts(session.messages) == ["user: y", "assistant: two"]


async def test_a_command_survives_a_crash_and_is_applied_once(durable: Place) -> None:
    gate = Gate()
    first = await durable.core(ScriptedModel([says("one"), gate.step(says("never"))]))
    async with first.session("s") as session:
        await session.run("x")
        running = asyncio.create_task(session.run("y", turn_id="t"))
        await gate.arrival()
        receipt = await session.commands.reset("start over", key="k")
        await durable.crash(first)
        with pytest.raises(lash.LashError):
            await running
    second = await durable.core(ScriptedModel([says("two"), says("three")], order="calls"))
    async with second.session("s") as session:
        await session.commands.applied(receipt)
        assert session.messages == []
        await session.run("z")
        assert texts(session.messages) == ["user: z", "assistant: three"]


async def test_a_command_nobody_knows_holds_up_nothing(place: Place) -> None:
    core = await place.core(ScriptedModel([says("one")]))
    async with core.session("s") as session:
        store = await core.store.sessions.open_existing_store("s")
        assert store is not None
        await store.enqueue_queued_work(QueuedWorkDraft("s", [SessionCommandPayload({"kind": "dance"})]))
        assert (await session.run("x")).text == "one"
        assert await session.queued_work() == []


async def test_an_observer_is_told_of_a_reset(place: Place) -> None:
    core = await place.core(ScriptedModel([says("one")]))
    async with core.session("s") as session:
        await session.run("x")
        mirror = lash.SessionMirror()
        observer = session.observe()
        mirror.see(await anext(observer))
        assert len(mirror.messages) == 2
        await session.commands.reset("start over")
        async with asyncio.timeout(20):
            while mirror.messages:
                mirror.see(await anext(observer))
        assert mirror.revision == 2


async def test_a_fanout_tells_every_sink_also_when_one_fails(memory: Place) -> None:
    one: list[lash.TurnActivity] = []
    other: list[lash.TurnActivity] = []

    def broken(activity: lash.TurnActivity) -> None:
        raise RuntimeError("full")

    async def slow(activity: lash.TurnActivity) -> None:
        await asyncio.sleep(0)
        other.append(activity)

    core = await memory.core(ScriptedModel([says("hello there")]))
    async with core.session("s") as session:
        result = await session.turn("x").stream_to(lash.ActivityFanout([one.append, broken, slow]))

    assert result.ok
    assert one == other
    assert len(one) > 2
