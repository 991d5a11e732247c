"""Turns through the public face, over every store."""

from __future__ import annotations

import asyncio
import struct

import pytest

import lash
from face.places import Gate, Place, asked, eventually, texts
from lash.base.messages import unsettled_tool_calls
from lash.machine.llm import LlmRequest
from lash.machine.outcome import AssistantMessage, Stopped, ToolValue
from lash.machine.prompt import PromptContribution
from lash.runtime.activity import (
    AssistantProseDelta,
    Error,
    ModelRequestStarted,
    ReasoningDelta,
    ToolCallCompleted,
    ToolCallStarted,
    ToolValueActivity,
    TurnActivity,
    Usage,
)
from lash.testing import ScriptedModel, calls, fails, says, thinks
from lash.testing.script import Answer, Step
from lash.tools import FinishTurn, ToolResult

PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13)


@lash.tool
async def double(number: int) -> int:
    """Twice a number."""
    return number * 2


# run


async def test_a_turn_answers_and_is_kept(place: Place) -> None:
    core = await place.core(ScriptedModel([says("Hello."), says("Again.")]))
    async with core.session("s") as session:
        first = await session.run("Hi")
        second = await session.run("Hi again")

        assert (first.ok, first.text, first.revision, first.replayed) == (True, "Hello.", 1, False)
        assert (second.outcome, second.revision) == (AssistantMessage("Again."), 2)
        assert texts(session.messages) == ["user: Hi", "assistant: Hello.", "user: Hi again", "assistant: Again."]
        assert session.view.revision == 2


async def test_a_turn_sees_what_was_said_before(place: Place) -> None:
    model = ScriptedModel([says("Hello."), says("Again.")])
    core = await place.core(model)
    async with core.session("s") as session:
        await session.run("Hi")
        await session.run("And now?")

    assert asked(model) == ["user: Hi", "assistant: Hello.", "user: And now?"]


async def test_sessions_do_not_see_each_other(place: Place) -> None:
    model = ScriptedModel(lambda request: says(f"{len(request.messages)} messages"))
    core = await place.core(model)
    async with core.session("a") as first, core.session("b") as second:
        answers = await asyncio.gather(first.run("x"), second.run("y"))

    assert [answer.text for answer in answers] == ["2 messages", "2 messages"]


async def test_a_tool_is_run_and_its_result_goes_back(place: Place) -> None:
    model = ScriptedModel([[says("Let me see."), calls("double", number=4)], says("It is 8.")])
    core = await place.core(model, tools=[double])
    async with core.session("s") as session:
        turn = await session.run("Twice four?")

        assert turn.text == "It is 8."
        assert [(call.tool, call.args, call.output.value) for call in turn.tool_calls] == [("double", {"number": 4}, 8)]
        assert turn.execution.had_tool_calls
        assert texts(session.messages) == [
            "user: Twice four?",
            "assistant: Let me see. + <tool_call double>",
            "user: <tool_result double>",
            "assistant: It is 8.",
        ]
        assert unsettled_tool_calls(session.messages) == []
    model.assert_done()


async def test_a_result_says_what_was_spent(place: Place) -> None:
    usage = lash.TokenUsage(100, 7, 40, 3)
    core = await place.core(ScriptedModel([calls("double", number=1), says("2")], usage=usage), tools=[double])
    async with core.session("s") as session:
        turn = await session.run("go")

        assert turn.usage == lash.TokenUsage(200, 14, 80, 6)
        assert turn.total_usage() == turn.usage
        assert turn.children_usage == []
        assert session.usage.usage == turn.usage
        assert [(row.key, row.usage) for row in session.usage.by_source] == [("turn", turn.usage)]
        assert [row.key for row in session.usage.by_model] == ["scripted"]


async def test_the_ledger_grows_by_each_turn_once(place: Place) -> None:
    core = await place.core(ScriptedModel(lambda _: says("x"), usage=lash.TokenUsage(10, 1)))
    async with core.session("s") as session:
        for number in range(3):
            await session.run(f"turn {number}", turn_id=f"t{number}")
        await session.run("turn 0", turn_id="t0")

        assert session.usage.usage == lash.TokenUsage(30, 3)
        assert session.usage.entry_count == 1


async def test_a_stopped_turn_is_a_result_and_raises_only_on_request(place: Place) -> None:
    core = await place.core(ScriptedModel([fails("http", "no credit", status=402, code="billing"), says("fine")]))
    async with core.session("s") as session:
        turn = await session.run("go")

        assert not turn.ok
        assert turn.outcome == Stopped("provider_error")
        assert turn.value is None
        assert [(issue.kind, issue.code) for issue in turn.errors] == [("llm_provider", "billing")]
        with pytest.raises(lash.TurnStopped, match="no credit"):
            turn.raise_for_outcome()
        assert (await session.run("again")).raise_for_outcome().text == "fine"


async def test_a_tool_may_end_the_turn_with_a_value(place: Place) -> None:
    @lash.tool
    async def decide() -> object:
        return ToolResult.ok("noted").with_control(FinishTurn({"answer": 42}))

    core = await place.core(ScriptedModel([calls("decide")]), tools=[decide])
    async with core.session("s") as session:
        turn = await session.turn("decide").collect()

        assert turn.result.outcome == ToolValue("decide", {"answer": 42})
        assert turn.result.value == {"answer": 42}
        assert any(activity.event == ToolValueActivity("decide", {"answer": 42}) for activity in turn.activities)


async def test_max_turns_stops_a_model_that_never_ends(place: Place) -> None:
    core = await place.core(ScriptedModel(lambda _: calls("double", number=1)), tools=[double], max_turns=3)
    async with core.session("s") as session:
        turn = await session.run("go")
        short = await session.run("go", max_turns=1)

        assert turn.outcome == Stopped("max_turns")
        assert len(turn.tool_calls) == 3
        assert len(short.tool_calls) == 1
        assert unsettled_tool_calls(session.messages) == []


async def test_a_sessions_own_limit_beats_the_cores(place: Place) -> None:
    core = await place.core(ScriptedModel(lambda _: calls("double", number=1)), tools=[double], max_turns=5)
    async with core.session("s", max_turns=2) as session:
        turn = await session.run("go")

    assert len(turn.tool_calls) == 2


async def test_a_turn_may_choose_another_model(place: Place) -> None:
    other = ScriptedModel([says("from the other")], order="calls")
    core = await place.core(ScriptedModel([says("from the first"), says("unused")]))
    async with core.session("s") as session:
        await session.run("one")
        turn = await session.run("two", model=other)

    assert turn.text == "from the other"


async def test_prompt_contributions_of_core_session_and_turn_are_layered(place: Place) -> None:
    model = ScriptedModel(lambda _: says("ok"))
    core = await place.core(model, instructions="CORE RULE")
    async with core.session("s", prompt_contributions=[PromptContribution("guidance", "SESSION RULE")]) as session:
        await session.run("one", prompt_contributions=[PromptContribution("guidance", "TURN RULE")])
        await session.run("two")

    first, second = (request.messages[0].text for request in model.requests)
    assert first.index("CORE RULE") < first.index("SESSION RULE") < first.index("TURN RULE")
    assert "SESSION RULE" in second
    assert "TURN RULE" not in second


async def test_wrong_arguments_of_the_face_name_the_remedy(memory: Place) -> None:
    core = await memory.core(ScriptedModel([says("x")]))
    async with core.session("s") as session:
        with pytest.raises(lash.InvalidArgument, match="turn_id"):
            await session.run("x", turn_id=" ")
        with pytest.raises(lash.InvalidArgument, match="timeout"):
            await session.run("x", timeout=0)
        with pytest.raises(lash.InvalidArgument, match="text or TurnInput"):
            await session.run(7)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="no_such_option: no choice of a turn; known: turn_id, timeout"):
            await session.run("x", no_such_option=True)  # type: ignore[call-arg]
    with pytest.raises(lash.InvalidArgument, match="session id"):
        core.session("  ")


# images


async def test_an_image_is_stored_once_and_goes_by_reference(place: Place) -> None:
    model = ScriptedModel([says("a cat"), says("the same cat")])
    core = await place.core(model)
    async with core.session("s") as session:
        await session.run(lash.TurnInput.text("What is this?").image("photo", PNG))
        await session.run(lash.TurnInput.text("And this?").image("copy", PNG))

        refs = [part.attachment for message in session.messages for part in message.parts if part.kind == "image"]
        assert [ref.media_type for ref in refs if ref] == ["image/png", "image/png"]
        assert len({ref.id for ref in refs if ref}) == 1
    assert [type(block).__name__ for block in model.requests[0].messages[-1].blocks] == ["TextBlock", "ImageBlock"]


@pytest.mark.parametrize(
    ("turn_input", "message"),
    [
        (lash.TurnInput(), "empty"),
        (lash.TurnInput.text(""), "empty"),
        (lash.TurnInput.text("look").image("", PNG), "empty id"),
        (lash.TurnInput.text("look").image("x", b"not an image"), "not a PNG"),
    ],
)
async def test_input_that_can_be_no_message_is_a_settled_outcome(
    place: Place, turn_input: lash.TurnInput, message: str
) -> None:
    model = ScriptedModel([says("fine")])
    core = await place.core(model)
    async with core.session("s") as session:
        turn = await session.run(turn_input, turn_id="bad")
        again = await session.run(turn_input, turn_id="bad")

        assert turn.outcome == Stopped("invalid_input")
        assert [(issue.kind, issue.code) for issue in turn.errors] == [("input_validation", "invalid_turn_input")]
        assert message in turn.errors[0].message
        assert (again.outcome, again.replayed) == (turn.outcome, True)
        assert session.messages == []
        assert (await session.run("hello")).text == "fine"
    assert len(model.requests) == 1


async def test_adjacent_texts_are_one_part(memory: Place) -> None:
    core = await memory.core(ScriptedModel([says("ok")]))
    async with core.session("s") as session:
        await session.run(lash.TurnInput.text("a").and_text("").and_text("b").image("i", PNG).and_text("c"))

        assert [(part.kind, part.content) for part in session.messages[0].parts] == [
            ("text", "ab"),
            ("image", ""),
            ("text", "c"),
        ]


# stream, stream_to, collect


def kinds(activities: list[TurnActivity]) -> list[str]:
    return [type(activity.event).__name__ for activity in activities]


async def test_a_stream_tells_everything_in_order(place: Place) -> None:
    script: list[Step] = [[thinks("hm"), says("One moment."), calls("double", number=2)], says("Four.")]
    core = await place.core(ScriptedModel(script), tools=[double])
    async with core.session("s") as session, session.stream("go") as stream:
        activities = [activity async for activity in stream]
        result = await stream.result()

    assert result.text == "Four."
    assert kinds(activities) == [
        "ModelRequestStarted",
        "ReasoningDelta",
        "AssistantProseDelta",
        "Usage",
        "ToolCallStarted",
        "ToolCallCompleted",
        "ModelRequestStarted",
        "AssistantProseDelta",
        "Usage",
    ]
    assert len({activity.id for activity in activities}) == len(activities)


async def test_activities_of_one_thing_share_a_correlation(place: Place) -> None:
    script: list[Step] = [
        [calls("double", number=2), calls("double", number=3)],
        says("A rather long answer, in pieces."),
    ]
    core = await place.core(ScriptedModel(script), tools=[double])
    async with core.session("s") as session:
        output = await session.turn("go").collect()

    tools: dict[str, list[str]] = {}
    for activity in output.activities:
        if isinstance(activity.event, ToolCallStarted | ToolCallCompleted):
            tools.setdefault(activity.correlation_id, []).append(type(activity.event).__name__)
    prose = [activity for activity in output.activities if isinstance(activity.event, AssistantProseDelta)]
    assert len(tools) == 2
    assert all(pair == ["ToolCallStarted", "ToolCallCompleted"] for pair in tools.values())
    assert len(prose) > 1
    assert len({activity.correlation_id for activity in prose}) == 1
    text = "".join(activity.event.text for activity in prose if isinstance(activity.event, AssistantProseDelta))
    assert text == "A rather long answer, in pieces."


async def test_usage_is_told_per_call_and_in_sum(memory: Place) -> None:
    model = ScriptedModel([calls("double", number=2), says("4")], usage=lash.TokenUsage(10, 1))
    core = await memory.core(model, tools=[double])
    async with core.session("s") as session:
        output = await session.turn("go").collect()

    assert [activity.event for activity in output.activities if isinstance(activity.event, Usage)] == [
        Usage(0, lash.TokenUsage(10, 1), lash.TokenUsage(10, 1)),
        Usage(1, lash.TokenUsage(10, 1), lash.TokenUsage(20, 2)),
    ]


async def test_an_error_is_told_and_returned(memory: Place) -> None:
    core = await memory.core(ScriptedModel([fails("http", "no credit", status=402)]))
    async with core.session("s") as session:
        output = await session.turn("go").collect()

    assert [activity.event for activity in output.activities if isinstance(activity.event, Error)] == [
        Error(output.result.errors[0].message)
    ]


async def test_sinks_may_be_plain_or_async_and_may_fail(place: Place) -> None:
    plain: list[TurnActivity] = []
    slow: list[TurnActivity] = []

    async def sink(activity: TurnActivity) -> None:
        await asyncio.sleep(0)
        slow.append(activity)
        raise RuntimeError("a sink of little care")

    core = await place.core(ScriptedModel(lambda _: [thinks("hm"), says("hello")]))
    async with core.session("s") as session:
        result = await session.turn("one").stream_to(plain.append)
        output = await session.turn("two").collect(sink)

    assert result.text == "hello"
    assert kinds(plain) == kinds(slow) == kinds(output.activities)
    assert any(isinstance(activity.event, ReasoningDelta) for activity in plain)


async def test_a_slow_reader_holds_the_turn_back(place: Place) -> None:
    model = ScriptedModel([[says("x" * 200), calls("double", number=1)], says("done")], chunk_chars=1)
    core = await place.core(model, tools=[double])
    async with core.session("s") as session, session.stream("go") as stream:
        await eventually(lambda: len(model.requests) == 1, "the first model call")
        for _ in range(2_000):
            await asyncio.sleep(0)
        held_at = len(model.requests)
        activities = [activity async for activity in stream]
        result = await stream.result()

    assert held_at == 1
    assert result.text == "done"
    assert sum(isinstance(activity.event, ModelRequestStarted) for activity in activities) == 2


async def test_a_result_may_be_awaited_while_another_task_reads(place: Place) -> None:
    gate = Gate()
    core = await place.core(ScriptedModel([gate.step(says("hello"))]))

    async with core.session("s") as session, session.stream("go") as stream:

        async def read() -> None:
            async for _ in stream:
                pass

        reading = asyncio.create_task(read())
        await gate.arrival()
        waiting = asyncio.create_task(stream.result())
        await asyncio.sleep(0)
        gate.open()
        result = await waiting
        async with asyncio.timeout(20):
            await reading

    assert result.text == "hello"


async def test_leaving_a_stream_early_cancels_the_turn_and_waits_for_its_commit(place: Place) -> None:
    gate = Gate()
    core = await place.core(ScriptedModel([gate.step(says("never")), says("fine")]))
    async with core.session("s") as session:
        async with session.stream("go", turn_id="left") as stream:
            async for _ in stream:
                await gate.arrival()
                break
        settled = await session.run("go", turn_id="left")

        assert settled.outcome == Stopped("cancelled")
        assert settled.replayed
        assert (await session.run("next")).text == "fine"


async def test_a_stream_tells_its_reader_that_the_turn_was_refused(place: Place) -> None:
    core = await place.core(ScriptedModel([says("one")]))
    async with core.session("s") as session:
        await session.run("this", turn_id="t")

        async def read() -> None:
            async with session.stream("that", turn_id="t") as stream:
                async for _ in stream:
                    pass

        with pytest.raises(lash.TurnInputConflict):
            await read()


async def test_a_stream_that_was_not_entered_has_no_result(memory: Place) -> None:
    core = await memory.core(ScriptedModel([says("one")]))
    async with core.session("s") as session:
        with pytest.raises(lash.InvalidArgument, match="entered"):
            await session.stream("x").result()


async def test_a_stream_that_was_not_entered_tells_nothing_and_says_so(memory: Place) -> None:
    core = await memory.core(ScriptedModel([]))
    async with core.session("s") as session:
        with pytest.raises(lash.InvalidArgument, match="entered"):
            async for _ in session.stream("x"):
                pass


# cancellation


async def test_a_timeout_cancels_and_commits(place: Place) -> None:
    gate = Gate()

    async def answer(request: LlmRequest) -> Answer:  # by what is asked: on a busy machine "go" may never be
        if request.messages[-1].text == "go":
            await gate.wait()
        return says("fine")

    core = await place.core(ScriptedModel(answer))
    async with core.session("s") as session:
        await session.run("hello")
        turn = await session.run("go", timeout=0.1)

        assert turn.outcome == Stopped("cancelled")
        assert texts(session.messages)[2:] == ["user: go"]
        assert (await session.run("next")).text == "fine"


async def test_cancel_ends_the_running_turn(place: Place) -> None:
    gate = Gate()
    core = await place.core(ScriptedModel([gate.step(says("never")), says("fine")]))
    async with core.session("s") as session:
        running = asyncio.create_task(session.run("go"))
        await gate.arrival()

        is_cancelled = await session.cancel()
        turn = await running

        assert is_cancelled
        assert turn.outcome == Stopped("cancelled")
        assert await session.cancel() is False
        assert (await session.run("next")).text == "fine"


async def test_cancel_in_the_middle_of_tools_leaves_a_valid_history(place: Place) -> None:
    gate = Gate()

    @lash.tool
    async def hang() -> str:
        await gate.wait()
        return "never"

    script: list[Step] = [[calls("hang"), calls("double", number=2), calls("hang")], says("fine")]
    model = ScriptedModel(script)
    core = await place.core(model, tools=[hang, double])
    async with core.session("s") as session:
        running = asyncio.create_task(session.run("go"))
        await gate.arrival()

        await session.cancel()
        turn = await running

        assert turn.outcome == Stopped("cancelled")
        assert unsettled_tool_calls(session.messages) == []
        results = [part.content for part in session.messages[-1].parts]
        assert results[1] == "4"
        assert "cancelled" in results[0]
        assert (await session.run("next")).text == "fine"
    assert unsettled_tool_calls(session.messages) == []


async def test_a_cancelled_token_stops_a_turn_before_it_begins(place: Place) -> None:
    model = ScriptedModel([says("never")])
    core = await place.core(model)
    async with core.session("s") as session:
        turn = session.turn("go")
        turn.cancellation.cancel()

        result = await turn.run()

        assert result.outcome == Stopped("cancelled")
        assert texts(session.messages) == ["user: go"]
    assert model.requests == []


async def test_cancelling_the_task_of_run_settles_the_turn_as_cancelled(place: Place) -> None:
    gate = Gate()
    core = await place.core(ScriptedModel([gate.step(says("never")), says("fine")]))
    async with core.session("s") as session:
        running = asyncio.create_task(session.run("go", turn_id="t"))
        await gate.arrival()

        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        settled = await session.run("go", turn_id="t")

        assert (settled.outcome, settled.replayed) == (Stopped("cancelled"), True)
        assert (await session.run("next")).text == "fine"


async def test_another_core_may_cancel_the_turn(place: Place) -> None:
    gate = Gate()
    timings = lash.LeaseTimings(ttl_ms=3_000, renew_ms=100)
    first = await place.core(ScriptedModel([gate.step(says("never"))]), lease_timings=timings)
    second = await place.core(ScriptedModel([]), recover=False)
    async with first.session("s") as session, second.session("s") as elsewhere:
        running = asyncio.create_task(session.run("go"))
        await gate.arrival()

        is_cancelled = await elsewhere.cancel()
        turn = await running

        assert is_cancelled
        assert turn.outcome == Stopped("cancelled")
        await elsewhere.refresh()
        assert texts(elsewhere.messages) == ["user: go"]


async def test_a_closed_core_says_so(memory: Place) -> None:
    core = await memory.core(ScriptedModel([]))
    await core.close()

    with pytest.raises(lash.ConfigurationError, match="not open"):
        core.session("s")
