"""Tools through a core: batches, retries, failures, controls, frames."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from typing import Any

import pytest

import lash
from face.places import Gate, Place, texts
from lash.base.json import Json
from lash.base.messages import unsettled_tool_calls
from lash.machine.outcome import Stopped, ToolValue
from lash.runtime.activity import ToolCallProgress
from lash.testing import ScriptedModel, VirtualClock, calls, says
from lash.testing.script import Step
from lash.tools import (
    FailTurn,
    FinishTurn,
    SwitchAgentFrame,
    Tool,
    ToolCall,
    ToolContract,
    ToolExecution,
    ToolManifest,
    ToolResult,
)
from lash.tools.errors import DuplicateTool
from lash.tools.result import RetryExhausted, ToolFailure


def error_of(turn: lash.TurnResult, number: int = 0) -> ToolFailure:
    error = turn.tool_calls[number].output.error
    assert error is not None, turn.tool_calls[number]
    return error


def results(session: lash.Session) -> list[str]:
    """What the model was told of its calls."""
    return [part.content for message in session.messages for part in message.parts if part.kind == "tool_result"]


# batches


async def test_parallel_tools_really_run_side_by_side(place: Place) -> None:
    barrier = asyncio.Barrier(3)

    @lash.tool
    async def meet(name: str) -> str:
        await barrier.wait()
        return name

    model = ScriptedModel([[calls("meet", name=name) for name in "abc"], says("met")])
    core = await place.core(model, tools=[meet])
    async with core.session("s") as session:
        async with asyncio.timeout(20):
            turn = await session.run("go")

        assert turn.text == "met"
        assert results(session) == ["a", "b", "c"]


async def test_parallel_idempotent_tools_run_side_by_side_too(place: Place) -> None:
    barrier = asyncio.Barrier(2)

    @lash.tool(repeat="idempotent")
    async def meet(name: str) -> str:
        await barrier.wait()
        return name

    core = await place.core(ScriptedModel([[calls("meet", name=name) for name in "ab"], says("met")]), tools=[meet])
    async with core.session("s") as session:
        async with asyncio.timeout(20):
            await session.run("go")

        assert results(session) == ["a", "b"]


async def test_results_come_back_in_call_order_whoever_ends_first(place: Place) -> None:
    first_is_done = asyncio.Event()

    @lash.tool
    async def slow() -> str:
        await first_is_done.wait()
        return "slow"

    @lash.tool
    async def quick() -> str:
        first_is_done.set()
        return "quick"

    core = await place.core(ScriptedModel([[calls("slow"), calls("quick")], says("ok")]), tools=[slow, quick])
    async with core.session("s") as session:
        await session.run("go")

        assert results(session) == ["slow", "quick"]


async def test_serial_tools_run_one_by_one_after_the_parallel_ones(place: Place) -> None:
    order: list[str] = []

    @lash.tool(scheduling="serial")
    async def one_by_one(name: str) -> str:
        order.append(f"{name} starts")
        await asyncio.sleep(0)
        order.append(f"{name} ends")
        return name

    @lash.tool
    async def beside(name: str) -> str:
        order.append(name)
        return name

    script: list[Step] = [
        [calls("one_by_one", name="a"), calls("beside", name="p"), calls("one_by_one", name="b")],
        says("ok"),
    ]
    core = await place.core(ScriptedModel(script), tools=[one_by_one, beside])
    async with core.session("s") as session:
        await session.run("go")

        assert order == ["p", "a starts", "a ends", "b starts", "b ends"]
        assert results(session) == ["a", "p", "b"]


async def test_one_failing_tool_does_not_fail_its_siblings(place: Place) -> None:
    @lash.tool
    async def broken() -> str:
        raise ValueError("it broke")

    @lash.tool
    async def fine() -> str:
        return "fine"

    core = await place.core(ScriptedModel([[calls("broken"), calls("fine")], says("ok")]), tools=[broken, fine])
    async with core.session("s") as session:
        turn = await session.run("go")

        assert turn.ok
        assert (error_of(turn).kind, error_of(turn).code) == ("execution", "tool_error")
        assert "it broke" in results(session)[0]
        assert results(session)[1] == "fine"


async def test_synchronous_tools_run_in_threads(memory: Place) -> None:
    import threading

    @lash.tool
    def where() -> bool:
        return threading.current_thread() is threading.main_thread()

    core = await memory.core(ScriptedModel([calls("where"), says("ok")]), tools=[where])
    async with core.session("s") as session:
        turn = await session.run("go")

    assert turn.tool_calls[0].output.value is False


# what can be wrong with a call


async def test_an_unknown_tool_is_a_typed_failure_with_the_known_names(place: Place) -> None:
    @lash.tool
    async def known() -> str:
        return "x"

    core = await place.core(ScriptedModel([calls("unknown", a=1), says("sorry")]), tools=[known])
    async with core.session("s") as session:
        turn = await session.run("go")

        assert turn.text == "sorry"
        assert (error_of(turn).kind, error_of(turn).code) == ("unavailable", "tool_unavailable")
        assert "known" in error_of(turn).message


@pytest.mark.parametrize("text", ["{oops", "[1, 2]", "3", '"text"', "null"])
async def test_arguments_that_are_no_object_never_reach_the_tool(memory: Place, text: str) -> None:
    ran: list[Json] = []

    @lash.tool
    async def take(number: int = 0) -> str:
        ran.append(number)
        return "x"

    core = await memory.core(ScriptedModel([calls("take", text), says("ok")]), tools=[take])
    async with core.session("s") as session:
        turn = await session.run("go")

        assert turn.text == "ok"
        assert (error_of(turn).kind, error_of(turn).code) == ("invalid_request", "invalid_tool_args")
        assert ran == []
        assert unsettled_tool_calls(session.messages) == []


async def test_wrong_arguments_are_named_by_their_path(place: Place) -> None:
    @dataclass
    class Item:
        name: str
        count: int

    @lash.tool
    async def order(items: list[Item]) -> int:
        return len(items)

    script: list[Step] = [calls("order", items=[{"name": "a", "count": 1}, {"name": "b", "count": "many"}]), says("ok")]
    core = await place.core(ScriptedModel(script), tools=[order])
    async with core.session("s") as session:
        turn = await session.run("go")

    assert error_of(turn).code == "invalid_tool_args"
    assert "items[1].count" in error_of(turn).message


async def test_empty_arguments_mean_none(memory: Place) -> None:
    @lash.tool
    async def ping() -> str:
        return "pong"

    core = await memory.core(ScriptedModel([calls("ping", ""), says("ok")]), tools=[ping])
    async with core.session("s") as session:
        turn = await session.run("go")

    assert turn.tool_calls[0].output.value == "pong"


async def test_a_result_that_cannot_be_kept_is_a_failure(memory: Place) -> None:
    @lash.tool
    async def odd() -> object:
        return {"x": float("nan")}

    @lash.tool
    async def stranger() -> object:
        return object()

    core = await memory.core(ScriptedModel([[calls("odd"), calls("stranger")], says("ok")]), tools=[odd, stranger])
    async with core.session("s") as session:
        turn = await session.run("go")

    assert [error_of(turn, number).code for number in (0, 1)] == ["tool_result_invalid", "tool_result_invalid"]
    assert turn.text == "ok"


async def test_huge_results_and_arguments_come_through_whole(place: Place) -> None:
    size = 300_000

    @lash.tool(repeat="idempotent")
    async def echo(text: str) -> str:
        return text + text

    model = ScriptedModel([calls("echo", text="x" * size), says("y" * size)])
    core = await place.core(model, tools=[echo])
    async with core.session("s") as session:
        turn = await session.run("z" * size, turn_id="t")
        again = await session.run("z" * size, turn_id="t")

        assert [made.tool_calls[0].output.value for made in (turn, again)] == ["x" * (2 * size)] * 2
        assert (turn.text, again.text) == ("y" * size, "y" * size)


async def test_a_result_beyond_the_limit_is_refused_with_advice(memory: Place) -> None:
    @lash.tool
    async def flood() -> str:
        return "x" * (16 * 1024 * 1024 + 1)

    core = await memory.core(ScriptedModel([calls("flood"), says("ok")]), tools=[flood])
    async with core.session("s") as session:
        turn = await session.run("go")

    assert (error_of(turn).kind, error_of(turn).code) == ("resource_limit", "tool_result_too_large")
    assert "attachment" in error_of(turn).message


async def test_two_tools_of_one_name_are_refused_when_the_core_is_built() -> None:
    @lash.tool(name="look")
    async def first() -> str:
        return "1"

    @lash.tool(name="look")
    async def second() -> str:
        return "2"

    with pytest.raises(DuplicateTool, match="look"):
        lash.StandardCore(
            model=ScriptedModel([]),
            plugins=[lash.Plugin("one").tool(first), lash.Plugin("two").tool(second)],
        )


# attempts


class Flaky:
    """Fails a number of times, then works."""

    def __init__(self, failures: int, after_ms: int | None = None) -> None:
        self.failures = failures
        self.after_ms = after_ms
        self.contexts: list[lash.ToolContext] = []

    async def run(self, context: lash.ToolContext) -> object:
        self.contexts.append(context)
        if len(self.contexts) <= self.failures:
            return ToolResult.retryable("external", "busy", "come back later", self.after_ms)
        return "worked"


async def virtual(
    place: Place, model: ScriptedModel, flaky: Flaky, retry: lash.Retry
) -> tuple[lash.StandardCore, VirtualClock]:
    clock = VirtualClock()

    @lash.tool(retry=retry)
    async def work(context: lash.ToolContext) -> object:
        return await flaky.run(context)

    core = lash.StandardCore(model=model, tools=[work], store=await place.open_store(), clock=clock)
    place.cores.append(core)
    return await core.open(), clock


async def test_a_declared_failure_is_tried_again_after_growing_pauses(place: Place) -> None:
    flaky = Flaky(2)
    core, clock = await virtual(place, ScriptedModel([calls("work"), says("ok")]), flaky, lash.Retry(3, 1_000, 60_000))
    async with core.session("s") as session:
        running = asyncio.create_task(session.run("go"))
        for pause in (1_000, 2_000):
            await clock.sleeper(pause)
            await clock.advance(pause)

        turn = await running

    assert turn.tool_calls[0].output.value == "worked"
    assert [context.attempt_number for context in flaky.contexts] == [1, 2, 3]
    assert len({context.effect_key for context in flaky.contexts}) == 1


async def test_a_failure_may_say_how_long_to_wait(memory: Place) -> None:
    flaky = Flaky(1, after_ms=7_777)
    core, clock = await virtual(memory, ScriptedModel([calls("work"), says("ok")]), flaky, lash.Retry(3, 10, 60_000))
    async with core.session("s") as session:
        running = asyncio.create_task(session.run("go"))
        await clock.sleeper(7_777)
        await clock.advance(7_777)

        assert (await running).tool_calls[0].output.value == "worked"


async def test_the_last_failure_stands_and_says_that_it_is_exhausted(memory: Place) -> None:
    flaky = Flaky(9)
    core, clock = await virtual(memory, ScriptedModel([calls("work"), says("ok")]), flaky, lash.Retry(2, 800, 800))
    async with core.session("s") as session:
        running = asyncio.create_task(session.run("go"))
        await clock.sleeper(800)
        await clock.advance(800)

        turn = await running

    assert error_of(turn).retry == RetryExhausted(2)
    assert len(flaky.contexts) == 2


async def test_a_retry_pause_goes_on_after_a_crash_where_it_was(durable: Place) -> None:
    flaky = Flaky(1)
    script: list[Step] = [calls("work"), says("ok")]
    dying, clock = await virtual(durable, ScriptedModel(script), flaky, lash.Retry(2, 600_000, 600_000))
    session = await dying.session("s").open()
    lost = asyncio.create_task(session.run("go", turn_id="t"))
    await clock.sleeper(600_000)
    await dying.close()
    await asyncio.gather(lost, return_exceptions=True)

    core, later = await virtual(durable, ScriptedModel(script), flaky, lash.Retry(2, 600_000, 600_000))
    async with core.session("s") as again:
        running = asyncio.create_task(again.run("go", turn_id="t"))
        await later.sleeper(600_000)
        await later.advance(600_000)
        turn = await running

    assert turn.tool_calls[0].output.value == "worked"
    assert [context.attempt_number for context in flaky.contexts] == [1, 2]


async def test_a_cancel_during_a_retry_pause_keeps_what_was_said(place: Place) -> None:
    flaky = Flaky(9)
    model = ScriptedModel([[says("I try."), calls("work")], says("fine")], usage=lash.TokenUsage(10, 1))
    core, clock = await virtual(place, model, flaky, lash.Retry(3, 30_000, 60_000))
    async with core.session("s") as session:
        running = asyncio.create_task(session.run("go"))
        await clock.sleeper(30_000)

        await session.cancel()
        async with asyncio.timeout(20):
            turn = await running

        assert turn.outcome == Stopped("cancelled")
        assert texts(session.messages)[:2] == ["user: go", "assistant: I try. + <tool_call work>"]
        assert unsettled_tool_calls(session.messages) == []
        assert turn.usage == lash.TokenUsage(10, 1)
        assert len(flaky.contexts) == 1


async def test_tool_retry_talks_back_to_the_model(place: Place) -> None:
    @lash.tool
    async def pick(colour: str) -> str:
        if colour != "blue":
            raise lash.ToolRetry("pick blue")
        return "picked"

    model = ScriptedModel([calls("pick", colour="red"), calls("pick", colour="blue"), says("ok")])
    core = await place.core(model, tools=[pick])
    async with core.session("s") as session:
        turn = await session.run("go")

        assert (error_of(turn).kind, error_of(turn).code) == ("invalid_request", "tool_retry")
        assert "pick blue" in results(session)[0]
        assert results(session)[1] == "picked"


async def test_a_tool_that_takes_too_long_is_stopped(memory: Place) -> None:
    clock = VirtualClock()
    gate = Gate()

    @lash.tool(timeout=5)
    async def hang() -> str:
        await gate.wait()
        return "never"

    core = lash.StandardCore(
        model=ScriptedModel([calls("hang"), says("ok")]), tools=[hang], store=await memory.open_store(), clock=clock
    )
    memory.cores.append(await core.open())
    async with core.session("s") as session:
        running = asyncio.create_task(session.run("go"))
        await gate.arrival()
        await clock.sleeper(5_000)
        await clock.advance(5_000)
        turn = await running

    assert (error_of(turn).kind, error_of(turn).code) == ("timeout", "tool_timeout")


async def test_a_turns_timeout_follows_the_cores_clock(memory: Place) -> None:
    clock = VirtualClock()
    gate = Gate()
    core = lash.StandardCore(
        model=ScriptedModel([gate.step(says("never"))]), store=await memory.open_store(), clock=clock
    )
    memory.cores.append(await core.open())
    async with core.session("s") as session:
        running = asyncio.create_task(session.run("go", timeout=3_600))
        await gate.arrival()
        await clock.sleeper(3_600_000, within_s=5)
        await clock.advance(3_600_000)

        assert (await running).outcome == Stopped("cancelled")


async def test_progress_is_told_while_the_tool_runs(memory: Place) -> None:
    @lash.tool
    async def work(context: lash.ToolContext) -> str:
        context.progress("half way")
        return "done"

    core = await memory.core(ScriptedModel([calls("work"), says("ok")]), tools=[work])
    async with core.session("s") as session:
        output = await session.turn("go").collect()

    told = [activity.event for activity in output.activities if isinstance(activity.event, ToolCallProgress)]
    assert [(event.name, event.text) for event in told] == [("work", "half way")]


# providers


class Table:
    """Tools from a table, as a bridge to another system would offer them."""

    def __init__(self) -> None:
        self.executed: list[ToolExecution] = []

    def tool_manifests(self) -> list[ToolManifest]:
        return [ToolManifest("tool:remote.get", "remote_get", "Gets a row.")]

    def resolve_contract(self, name: str) -> ToolContract | None:
        schema: dict[str, Json] = {"type": "object", "properties": {"row": {"type": "integer"}}, "required": ["row"]}
        return ToolContract(schema) if name == "remote_get" else None

    async def prepare_tool_call(self, call: ToolCall, manifest: ToolManifest) -> lash.tools.PreparedToolCall:
        return lash.tools.PreparedToolCall(
            call.call_id, manifest.id, manifest.name, call.args, call.replay, {"shard": 7}
        )

    async def execute(self, call: ToolExecution) -> object:
        self.executed.append(call)
        return {"row": call.args["row"], "shard": call.context.prepared_payload}


async def test_a_provider_prepares_and_executes_its_own_tools(place: Place) -> None:
    table = Table()
    model = ScriptedModel([[calls("remote_get", row=3), calls("remote_get")], says("ok")])
    core = await place.core(model, tools=[table])
    async with core.session("s") as session:
        turn = await session.run("go")

    assert turn.tool_calls[0].output.value == {"row": 3, "shard": {"shard": 7}}
    assert error_of(turn, 1).code == "invalid_tool_args"
    assert len(table.executed) == 1
    assert [tool.name for tool in model.requests[0].tools] == ["remote_get"]


# controls and frames


def controlled(result: ToolResult) -> Tool[..., Any]:
    @lash.tool
    async def act() -> object:
        return result

    return act


async def test_the_first_terminal_control_of_a_batch_wins(place: Place) -> None:
    @lash.tool
    async def finish(value: int) -> object:
        return ToolResult.ok("x").with_control(FinishTurn(value))

    script: list[Step] = [[calls("finish", value=1), calls("finish", value=2)]]
    core = await place.core(ScriptedModel(script), tools=[finish])
    async with core.session("s") as session:
        turn = await session.run("go")

        assert turn.outcome == ToolValue("finish", 1)
        assert unsettled_tool_calls(session.messages) == []


async def test_a_failing_tool_may_not_end_the_turn(place: Place) -> None:
    act = controlled(ToolResult.err("no").with_control(FinishTurn(1)))
    core = await place.core(ScriptedModel([calls("act"), says("went on")]), tools=[act])
    async with core.session("s") as session:
        assert (await session.run("go")).text == "went on"


async def test_a_tool_may_fail_the_turn(place: Place) -> None:
    failure = ToolFailure("external", "no_money", "the account is empty")
    act = controlled(ToolResult.ok("see").with_control(FailTurn(failure)))
    core = await place.core(ScriptedModel([calls("act"), says("fine")]), tools=[act])
    async with core.session("s") as session:
        turn = await session.run("go", turn_id="t")
        again = await session.run("go", turn_id="t")

        assert isinstance(turn.outcome, Stopped)
        assert (turn.outcome.reason, turn.outcome.tool_name) == ("tool_error", "act")
        assert again.outcome == turn.outcome
        assert (await session.run("next")).ok


def switch(frame_id: str, task: str | None, nodes: list[Json] | None = None) -> ToolResult:
    return ToolResult.ok("switching").with_control(SwitchAgentFrame(frame_id, nodes or [], task))


async def test_a_frame_switch_is_followed_and_its_last_result_returned(place: Place) -> None:
    act = controlled(switch("plan", "carry on there"))
    model = ScriptedModel([calls("act"), says("done in the new frame"), says("still there")])
    core = await place.core(model, tools=[act])
    async with core.session("s") as session:
        turn = await session.run("go", turn_id="t")
        again = await session.run("go", turn_id="t")
        after = await session.run("and now?")

        assert (turn.text, turn.turn_id) == ("done in the new frame", "t:frame:1")
        assert (again.text, again.replayed) == (turn.text, True)
        assert after.ok
        assert [frame.status for frame in session.view.frames] == ["superseded", "active"]
        assert session.view.frames[-1].reason == "continue_as"
        assert session.view.current_frame_id == "plan"
        assert [stored.turn_id for stored in await session.turns()][:2] == ["t", "t:frame:1"]
    # The new frame does not see the old one.
    shown = [[message.text for message in request.messages[1:] if message.text] for request in model.requests]
    assert shown[1] == ["carry on there"]
    assert shown[2] == ["carry on there", "done in the new frame", "and now?"]


async def test_a_frame_may_start_with_messages_of_its_own(place: Place) -> None:
    note: Json = {"id": "n", "role": "system", "parts": [{"id": "p0", "kind": "text", "content": "you are new here"}]}
    act = controlled(switch("plan", "carry on", [note]))
    model = ScriptedModel([calls("act"), says("ok")])
    core = await place.core(model, tools=[act])
    async with core.session("s") as session:
        await session.run("go")

    assert [message.text for message in model.requests[-1].messages[1:]] == [
        "Runtime note: you are new here",
        "carry on",
    ]


async def test_several_switches_are_followed_one_after_another(place: Place) -> None:
    @lash.tool
    async def act(frame: str) -> object:
        return switch(frame, f"work in {frame}")

    model = ScriptedModel([calls("act", frame="a"), calls("act", frame="b"), says("arrived")])
    core = await place.core(model, tools=[act])
    async with core.session("s") as session:
        turn = await session.run("go", turn_id="t")

        assert (turn.text, turn.turn_id) == ("arrived", "t:frame:2")
        assert session.view.current_frame_id == "b"


@pytest.mark.parametrize(("frame_id", "task"), [("", "task"), ("f", None), ("f", "")])
async def test_a_switch_without_frame_or_task_is_no_switch(memory: Place, frame_id: str, task: str | None) -> None:
    core = await memory.core(ScriptedModel([calls("act"), says("stayed")]), tools=[controlled(switch(frame_id, task))])
    async with core.session("s") as session:
        assert (await session.run("go")).text == "stayed"
        assert len(session.view.frames) == 1


async def test_a_frame_survives_reopening(durable: Place) -> None:
    act = controlled(switch("plan", "carry on"))
    first = await durable.core(ScriptedModel([calls("act"), says("ok")]), tools=[act])
    async with first.session("s") as session:
        await session.run("go")
    await first.close()

    model = ScriptedModel(lambda _: says("hello again"))
    second = await durable.core(model, tools=[act])
    async with second.session("s") as session:
        await session.run("who am I?")

        assert session.view.current_frame_id == "plan"
    assert [message.text for message in model.requests[0].messages[1:]] == ["carry on", "ok", "who am I?"]


async def test_a_crash_between_a_switch_and_its_follow_up_loses_nothing(durable: Place) -> None:
    gate = Gate()
    act = controlled(switch("plan", "carry on"))
    dying = await durable.core(ScriptedModel([calls("act"), gate.step(says("never"))]), tools=[act])
    session = await dying.session("s").open()
    lost = asyncio.create_task(session.run("go", turn_id="t"))
    await gate.arrival()
    await durable.crash(dying)
    await asyncio.gather(lost, return_exceptions=True)

    core = await durable.core(ScriptedModel([says("unused"), says("carried on")]), tools=[act])
    async with core.session("s") as again:
        turn = await again.run("go", turn_id="t")

        assert (turn.text, turn.turn_id) == ("carried on", "t:frame:1")


async def test_an_image_of_a_tool_follows_its_result(place: Place) -> None:
    from lash.attachments.store import AttachmentMeta

    held: list[lash.StandardCore] = []

    @lash.tool
    async def draw() -> object:
        ref = await held[0].store.attachments.put(
            b"\x89PNG\r\n\x1a\nxx", AttachmentMeta("image/png", label="chart.png")
        )
        return {"chart": ref, "title": "sales"}

    model = ScriptedModel([calls("draw"), says("nice")])
    core = await place.core(model, tools=[draw])
    held.append(core)
    async with core.session("s") as session:
        turn = await session.run("draw")

        parts = session.messages[2].parts
        assert [part.kind for part in parts] == ["tool_result", "image"]
        assert "chart.png" in parts[0].content
        assert turn.text == "nice"
    assert [type(block).__name__ for block in model.requests[1].messages[-1].blocks] == [
        "ToolResultBlock",
        "ImageBlock",
    ]


# threads


async def test_synchronous_tools_that_hang_starve_nobody(memory: Place) -> None:
    release, noticed = threading.Event(), threading.Event()

    @lash.tool(timeout=0.01)
    def hang(ctx: lash.ToolContext, number: int) -> None:
        release.wait(20)
        if ctx.cancelled:
            noticed.set()

    @lash.tool
    def well(number: int) -> int:
        return number

    script: list[Step] = [[calls("hang", number=n) for n in range(80)], calls("well", number=7), says("ok")]
    core = await memory.core(ScriptedModel(script), tools=[hang, well])
    async with core.session("s") as session:
        try:
            turn = await session.run("go")

            assert {call.output.error.code for call in turn.tool_calls[:80] if call.output.error} == {"tool_timeout"}
            assert turn.tool_calls[80].output.value == 7
            assert not noticed.is_set()
        finally:
            release.set()
        assert await asyncio.to_thread(noticed.wait, 20)


async def test_a_running_tool_sees_that_its_turn_was_cancelled(memory: Place) -> None:
    started, saw = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    @lash.tool
    def patient(ctx: lash.ToolContext) -> None:
        loop.call_soon_threadsafe(started.set)
        while not ctx.cancelled:
            pause.wait(0.001)
        saw.set()

    pause = threading.Event()
    core = await memory.core(ScriptedModel([calls("patient")]), tools=[patient])
    async with core.session("s") as session:
        running = asyncio.create_task(session.run("go"))
        await started.wait()
        await session.cancel()

        assert (await running).outcome == Stopped("cancelled")
        assert await asyncio.to_thread(saw.wait, 20)


async def test_a_tool_that_waits_for_its_own_session_is_told_so_and_may_leave_input_behind(memory: Place) -> None:
    said: list[str] = []

    @lash.tool
    async def ask_myself(ctx: lash.ToolContext) -> str:
        """Asks the session that waits for it."""
        for other in (core.session("helper"), core.session("s")):
            try:
                said.append((await other.run("and?")).text)
            except lash.LashError as error:
                said.append(error.code)
        await core.session("s").enqueue("later")
        return "asked"

    @lash.tool
    async def ask_back() -> str:
        """Asks the session whose tool asked."""
        try:
            return (await core.session("s").run("you?")).text
        except lash.LashError as error:
            return error.code

    script = [calls("ask_myself"), calls("ask_back"), says("helped"), says("done"), says("later too")]
    core = await memory.core(ScriptedModel(script, order="calls"), tools=[ask_myself, ask_back])
    async with asyncio.timeout(20), core.session("s") as session:
        assert (await session.run("go")).text == "done"
        helper = (await core.session("helper").open()).messages
        while len(session.messages) < 6:  # noqa: ASYNC110 - what is queued runs by itself
            await asyncio.sleep(0.01)

        assert said == ["helped", "turn_waits_for_itself"]
        assert "turn_waits_for_itself" in str(helper)
        assert texts(session.messages)[-2:] == ["user: later", "assistant: later too"]
