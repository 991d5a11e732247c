"""Turn ids: asked twice, done once (decisions 7 and 8)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import lash
from face.places import Gate, Place, settled, texts, until
from lash.base.messages import AttachmentRef, Message, Part
from lash.machine.outcome import AssistantMessage, Stopped
from lash.runtime.request import TurnInputWithdrawn
from lash.runtime.settle import calls_of
from lash.testing import ScriptedModel, calls, fails, says


async def test_the_same_id_and_input_costs_nothing(place: Place) -> None:
    model = ScriptedModel([says("one"), says("two")])
    core = await place.core(model)
    async with core.session("s") as session:
        first = await session.run("x", turn_id="t")
        again = await session.run("x", turn_id="t")

        assert (again.text, again.revision, again.usage, again.turn_id) == (
            first.text,
            first.revision,
            first.usage,
            first.turn_id,
        )
        assert (first.replayed, again.replayed) == (False, True)
        assert len(session.messages) == 2
    assert len(model.requests) == 1


async def test_a_replayed_result_tells_the_calls_of_the_turn(place: Place) -> None:
    @lash.tool
    async def look(where: str) -> str:
        return f"seen {where}"

    core = await place.core(ScriptedModel([calls("look", where="here"), says("ok")]), tools=[look])
    async with core.session("s") as session:
        first = await session.run("x", turn_id="t")
        again = await session.run("x", turn_id="t")

    assert [(call.call_id, call.tool, call.args, call.output.value) for call in again.tool_calls] == [
        (call.call_id, call.tool, call.args, call.output.value) for call in first.tool_calls
    ]
    assert again.outcome == AssistantMessage("ok")


@pytest.mark.parametrize(
    "value",
    [
        "text",
        '{"text": "that looks like JSON"}',
        {"id": 7, "lines": [{"price": 1.5}, None, True], "größe": "42"},
        {"$lash_tool_value": "attachment", "ref": "of the author"},
        [1, "two"],
        2**60,
        2.0,
        None,
        "",
    ],
    ids=repr,
)
async def test_a_replayed_result_has_the_values_that_the_tools_gave(file: Place, value: object) -> None:
    @lash.tool
    async def look() -> Any:
        return value

    core = await file.core(ScriptedModel([calls("look"), says("ok")]), tools=[look])
    async with core.session("s") as session:
        first = await session.run("x", turn_id="t")
        again = await session.run("x", turn_id="t")

        assert again.replayed
        assert [call.output for call in again.tool_calls] == [call.output for call in first.tool_calls]
        again_value = again.tool_calls[0].output.value
        assert (again_value, type(again_value)) == (value, type(value))


async def test_an_attachment_of_a_replayed_result_is_the_one_that_the_tool_gave(file: Place) -> None:
    @lash.tool
    async def draw(ctx: lash.ToolContext) -> Any:
        return {"chart": AttachmentRef("0" * 64, "image/png", 3, label="chart.png"), "points": 2}

    core = await file.core(ScriptedModel([calls("draw"), says("ok")]), tools=[draw])
    async with core.session("s") as session:
        first = await session.run("x", turn_id="t")
        again = await session.run("x", turn_id="t")

        assert again.tool_calls[0].output == first.tool_calls[0].output


async def test_other_input_under_a_settled_id_is_a_conflict(place: Place) -> None:
    core = await place.core(ScriptedModel([says("one"), says("two")]))
    async with core.session("s") as session:
        await session.run("x", turn_id="t")

        with pytest.raises(lash.TurnInputConflict) as conflict:
            await session.run("y", turn_id="t")

        assert conflict.value.code
        assert (await session.run("z")).text == "two"


async def test_other_input_under_a_running_id_is_a_conflict(place: Place) -> None:
    gate = Gate()
    core = await place.core(ScriptedModel([gate.step(says("one"))]))
    async with core.session("s") as session:
        running = asyncio.create_task(session.run("x", turn_id="t"))
        await gate.arrival()

        with pytest.raises(lash.TurnInputConflict):
            await session.run("y", turn_id="t")
        gate.open()

        assert (await running).text == "one"


async def test_the_same_id_while_it_runs_waits_for_it(place: Place) -> None:
    gate = Gate()
    model = ScriptedModel([gate.step(says("one"))])
    core = await place.core(model)
    async with core.session("s") as session:
        first = asyncio.create_task(session.run("x", turn_id="t"))
        await gate.arrival()
        second = asyncio.create_task(session.run("x", turn_id="t"))
        gate.open()

        results = await asyncio.gather(first, second)

    assert [result.text for result in results] == ["one", "one"]
    assert [result.replayed for result in results] == [False, True]
    assert len(model.requests) == 1


async def test_cancelling_one_waiter_leaves_the_turn_to_the_other(place: Place) -> None:
    gate = Gate()
    core = await place.core(ScriptedModel([gate.step(says("one"))]))
    async with core.session("s") as session:
        first = asyncio.create_task(session.run("x", turn_id="t"))
        await gate.arrival()
        second = asyncio.create_task(session.run("x", turn_id="t"))
        await asyncio.sleep(0)

        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        gate.open()

        assert (await first).text == "one"


async def test_two_cores_that_race_for_one_turn_run_it_once(place: Place) -> None:
    model = ScriptedModel([says("one")])
    first = await place.core(model)
    second = await place.core(model)
    async with first.session("s") as here, second.session("s") as there:
        results = await asyncio.gather(here.run("x", turn_id="t"), there.run("x", turn_id="t"))

    assert [result.text for result in results] == ["one", "one"]
    assert sorted(result.replayed for result in results) == [False, True]
    assert len(model.requests) == 1


async def test_two_cores_take_turns_with_their_own_input(place: Place) -> None:
    model = ScriptedModel(lambda _: says("ok"), usage=lash.TokenUsage(1, 1))
    first = await place.core(model)
    second = await place.core(model)
    async with first.session("s") as here, second.session("s") as there:
        results = await asyncio.gather(
            *(session.run(f"{name}{number}") for name, session in (("a", here), ("b", there)) for number in range(4))
        )
        await here.refresh()
        await there.refresh()

        assert sorted(result.revision for result in results) == list(range(1, 9))
        assert here.usage.usage == there.usage.usage == lash.TokenUsage(8, 8)
        assert texts(here.messages) == texts(there.messages)
        users = [text for text in texts(here.messages) if text.startswith("user")]
        assert sorted(users) == sorted(f"user: {name}{number}" for name in "ab" for number in range(4))


async def test_a_stopped_turn_stays_stopped_until_it_is_retried(place: Place) -> None:
    model = ScriptedModel([fails("http", "no credit", status=402), says("fine now")])
    core = await place.core(model)
    async with core.session("s") as session:
        stopped = await session.run("x", turn_id="t")
        again = await session.run("x", turn_id="t")
        retried = await session.run("x", turn_id="t", retry=True)
        settled = await session.run("x", turn_id="t", retry=True)

        assert stopped.outcome == again.outcome == Stopped("provider_error")
        assert (retried.text, retried.turn_id) == ("fine now", "t#2")
        assert (settled.text, settled.replayed) == ("fine now", True)
    assert len(model.requests) == 2


async def test_retry_of_a_turn_that_went_well_returns_it(place: Place) -> None:
    core = await place.core(ScriptedModel([says("one")]))
    async with core.session("s") as session:
        await session.run("x", turn_id="t")
        again = await session.run("x", turn_id="t", retry=True)

    assert (again.text, again.turn_id, again.replayed) == ("one", "t", True)


async def test_turn_ids_belong_to_their_session(place: Place) -> None:
    core = await place.core(ScriptedModel(lambda request: says(request.session_id or "")))
    async with core.session("a") as first, core.session("b") as second:
        answers = [await first.run("x", turn_id="t"), await second.run("y", turn_id="t")]

    assert [answer.text for answer in answers] == ["a", "b"]


# the queue


async def test_queued_input_runs_in_order_by_itself(place: Place) -> None:
    gate = Gate()
    core = await place.core(ScriptedModel([gate.step(says("first")), says("second"), says("third")]))
    async with core.session("s") as session:
        await session.enqueue("one")
        await gate.arrival()
        await session.enqueue("two")
        await session.enqueue("three")
        waiting = [batch.enqueue_seq for batch in await session.queued_work()]
        gate.open()

        assert len(waiting) == 2
        assert waiting == sorted(waiting)
        await settled(session, 3)
        assert [text for text in texts(session.messages) if text.startswith("user")] == [
            "user: one",
            "user: two",
            "user: three",
        ]


async def test_the_same_queue_id_is_the_same_input(place: Place) -> None:
    gate = Gate()
    model = ScriptedModel([gate.step(says("first")), says("second")])
    core = await place.core(model)
    async with core.session("s") as session:
        running = asyncio.create_task(session.run("hold"))
        await gate.arrival()

        first = await session.enqueue("note", id="n1")
        twin = await session.enqueue("another text", id="n1")
        gate.open()
        await running
        await settled(session, 2)
        late = await session.enqueue("note", id="n1")

        assert first.batch_id == twin.batch_id == late.batch_id
        assert [text for text in texts(session.messages) if text.startswith("user")] == ["user: hold", "user: note"]
    assert len(model.requests) == 2


async def test_run_goes_behind_what_was_queued_before(place: Place) -> None:
    gate = Gate()
    core = await place.core(ScriptedModel([gate.step(says("a")), says("b"), says("c")]))
    async with core.session("s") as session:
        await session.enqueue("queued 1")
        await gate.arrival()
        await session.enqueue("queued 2")
        running = asyncio.create_task(session.run("direct"))
        await asyncio.sleep(0)
        gate.open()

        turn = await running

        assert turn.text == "c"
        assert turn.revision == 3
        assert texts(session.messages) == [
            "user: queued 1",
            "assistant: a",
            "user: queued 2",
            "assistant: b",
            "user: direct",
            "assistant: c",
        ]


async def test_queued_input_can_be_withdrawn_until_it_runs(place: Place) -> None:
    gate = Gate()
    model = ScriptedModel([gate.step(says("a")), says("b")])
    core = await place.core(model)
    async with core.session("s") as session:
        running_batch = await session.enqueue("first")
        await gate.arrival()
        waiting = await session.enqueue("second")

        withdrawn = await session.cancel_queued(waiting.batch_id)
        unknown = await session.cancel_queued("no-such-batch")
        too_late = await session.cancel_queued(running_batch.batch_id)
        gate.open()
        await session.run("third")

        assert withdrawn is not None
        assert withdrawn.batch_id == waiting.batch_id
        assert (unknown, too_late) == (None, None)
        assert await session.queued_work() == []
        assert [text for text in texts(session.messages) if text.startswith("user")] == ["user: first", "user: third"]


async def test_a_turn_whose_input_was_withdrawn_says_so(place: Place) -> None:
    gate = Gate()
    core = await place.core(ScriptedModel([gate.step(says("a"))]))
    async with core.session("s") as session:
        await session.enqueue("first")
        await gate.arrival()
        running = asyncio.create_task(session.run("second", turn_id="t"))

        async def is_queued() -> bool:
            return bool(await session.queued_work())

        await until(is_queued, "the second input in the queue")

        await session.cancel_queued((await session.queued_work())[0].batch_id)
        gate.open()

        with pytest.raises(TurnInputWithdrawn):
            await running


async def test_early_input_joins_the_running_turn_at_its_next_checkpoint(place: Place) -> None:
    gate = Gate()

    @lash.tool
    async def work() -> str:
        await gate.wait()
        return "worked"

    model = ScriptedModel([calls("work"), says("all done")])
    core = await place.core(model, tools=[work])
    async with core.session("s") as session:
        running = asyncio.create_task(session.turn("go").collect())
        await gate.arrival()
        await session.enqueue("hurry up", delivery_policy="earliest_safe_boundary")
        gate.open()

        output = await running

        assert output.result.text == "all done"
        assert texts(session.messages) == [
            "user: go",
            "assistant: <tool_call work>",
            "user: <tool_result work>",
            "user: hurry up",
            "assistant: all done",
        ]
        assert [type(activity.event).__name__ for activity in output.activities].count("QueuedInputAccepted") == 1
        assert await session.queued_work() == []
        assert len(await session.turns()) == 1
    assert len(model.requests) == 2


async def test_early_input_before_the_end_extends_the_turn(place: Place) -> None:
    gate = Gate()
    core = await place.core(ScriptedModel([gate.step(says("done?")), says("really done")]))
    async with core.session("s") as session:
        running = asyncio.create_task(session.run("go"))
        await gate.arrival()
        await session.enqueue("one more thing", delivery_policy="earliest_safe_boundary")
        gate.open()

        turn = await running

        assert turn.text == "really done"
        assert texts(session.messages) == [
            "user: go",
            "assistant: done?",
            "user: one more thing",
            "assistant: really done",
        ]


async def test_late_input_never_joins_a_running_turn(place: Place) -> None:
    gate = Gate()
    core = await place.core(ScriptedModel([gate.step(says("done")), says("next")]))
    async with core.session("s") as session:
        running = asyncio.create_task(session.run("go"))
        await gate.arrival()
        await session.enqueue("later")
        gate.open()

        turn = await running
        await settled(session, 2)

        assert turn.text == "done"
        assert texts(session.messages)[2:] == ["user: later", "assistant: next"]


async def test_a_queue_wakes_up_in_the_other_core_too(durable: Place) -> None:
    gate = Gate()
    model = ScriptedModel([gate.step(says("one")), says("two")])
    first = await durable.core(model)
    second = await durable.core(model, recover=False)
    async with first.session("s") as here, second.session("s") as there:
        running = asyncio.create_task(here.run("one"))
        await gate.arrival()
        await there.enqueue("two")
        gate.open()
        await running

        await settled(there, 2)
        await here.refresh()

        assert texts(here.messages) == ["user: one", "assistant: one", "user: two", "assistant: two"]


def test_a_call_whose_result_was_dropped_while_it_was_read_is_told_without() -> None:
    asked = Message("m", "assistant", [Part("p", "tool_call", '{"n":1}', tool_call_id="c", tool_name="look")])

    [call] = calls_of([asked], {}, {"c"})

    assert (call.tool, call.args, call.output.value) == ("look", {"n": 1}, "")
