"""What the model is shown: context transforms, and compaction into a new frame (R-095, R-096)."""

from __future__ import annotations

import asyncio

import pytest

import lash
from face.places import Gate, Place, asked, texts
from lash.base.messages import Message, user_message
from lash.machine.outcome import Stopped
from lash.machine.prompt import PromptContribution
from lash.plugins import (
    CompactContext,
    PluginInvokeError,
    PluginRegistrar,
    PluginSessionContext,
    PluginSessionError,
    PreparedContext,
    TurnContext,
)
from lash.runtime.view import KeptRange, ShownMessage, messages_of, view_of
from lash.testing import ScriptedModel, calls, fails, says
from lash.tools import ToolResult


def last_two(context: TurnContext) -> PreparedContext:
    return PreparedContext(context.messages[-2:])


def talking() -> ScriptedModel:
    return ScriptedModel(lambda request: says(f"answer {request.place.turn_index}"))


# views


async def test_a_view_changes_what_is_shown_and_not_what_is_kept(memory: Place) -> None:
    model = talking()
    core = await memory.core(model, plugins=[lash.Plugin("p").prepare_turn(last_two)])
    async with core.session("s") as session:
        for text in ("one", "two", "three"):
            await session.run(text)

        assert asked(model) == ["user: two", "assistant: answer 2", "user: three"]
        assert len(session.messages) == 6


async def test_transforms_run_by_priority_and_each_sees_the_one_before(memory: Place) -> None:
    seen: list[tuple[str, list[str]]] = []

    def adding(name: str) -> object:
        def transform(context: TurnContext) -> PreparedContext:
            seen.append((name, texts(context.messages)))
            return PreparedContext([*context.messages, user_message("", name)])

        return transform

    plugin = lash.Plugin("p").prepare_turn(adding("low"), priority=1)  # type: ignore[arg-type]
    other = lash.Plugin("q").prepare_turn(adding("high"), priority=9)  # type: ignore[arg-type]
    model = talking()
    core = await memory.core(model, plugins=[plugin, other])
    async with core.session("s") as session:
        await session.run("go")

    assert seen == [("high", []), ("low", ["user: high"])]
    assert asked(model) == ["user: high", "user: low", "user: go"]


async def test_a_transform_sees_the_input_and_may_add_to_the_prompt(memory: Place) -> None:
    def transform(context: TurnContext) -> PreparedContext:
        note = f"INPUT {context.input[0].text}"
        return PreparedContext(context.messages, [PromptContribution("runtime_context", note)])

    @lash.tool
    async def look() -> str:
        return "seen"

    model = ScriptedModel([calls("look"), says("ok")])
    core = await memory.core(model, tools=[look], plugins=[lash.Plugin("p").prepare_turn(transform)])
    async with core.session("s") as session:
        await session.run("go")

    assert all("INPUT go" in request.messages[0].text for request in model.requests)


async def test_a_view_may_not_tear_a_call_from_its_result(memory: Place) -> None:
    @lash.tool
    async def look() -> str:
        return "seen"

    def tear(context: TurnContext) -> PreparedContext | None:
        return PreparedContext(context.messages[2:]) if context.messages else None

    core = await memory.core(
        ScriptedModel([calls("look"), says("ok"), says("never")]),
        tools=[look],
        plugins=[lash.Plugin("the-culprit").prepare_turn(tear)],
    )
    async with core.session("s") as session:
        await session.run("one")
        turn = await session.run("two")

    assert turn.outcome == Stopped("runtime_error")
    assert "the-culprit" in turn.errors[0].message


async def test_a_transform_that_returns_nonsense_is_told_so(memory: Place) -> None:
    core = await memory.core(talking(), plugins=[lash.Plugin("p").prepare_turn(lambda _: "hello")])
    async with core.session("s") as session:
        turn = await session.run("go")

    assert turn.outcome == Stopped("runtime_error")
    assert "return PreparedContext or None" in turn.errors[0].message


async def test_a_view_stays_as_it_was_recorded_when_the_turn_goes_on_elsewhere(file: Place) -> None:
    gate = Gate()

    @lash.tool(repeat="idempotent")
    async def work() -> str:
        if not gate.visits:
            await gate.wait()
        return "worked"

    script = [says("a"), calls("work"), says("done")]
    first = lash.Plugin("p").prepare_turn(lambda _: PreparedContext([user_message("", "THE VIEW")]))
    dying = await file.core(ScriptedModel(script), tools=[work], plugins=[first])
    session = await dying.session("s").open()
    await session.run("before")
    lost = asyncio.create_task(session.run("go", turn_id="t"))
    await gate.arrival()
    await file.crash(dying)
    await asyncio.gather(lost, return_exceptions=True)

    def other(_: TurnContext) -> PreparedContext:
        raise AssertionError("a recorded transform runs again")

    after = ScriptedModel(script)
    core = await file.core(after, tools=[work], plugins=[lash.Plugin("p").prepare_turn(other)])
    async with core.session("s") as again:
        turn = await again.run("go", turn_id="t")

    assert turn.text == "done"
    assert asked(after)[0] == "user: THE VIEW"


def test_a_view_is_stored_as_ranges_of_history() -> None:
    history = [user_message(f"m{number}", f"text {number}") for number in range(6)]
    new = user_message("", "new")
    shown = [history[0], *history[3:5], new]
    view = view_of(history, shown)

    assert view == [KeptRange(0, 1), KeptRange(3, 5), ShownMessage(new)]
    assert messages_of(view, history) == shown
    assert view_of(history, list(history)) is None
    assert view_of([], []) is None
    assert view_of(history, []) == []


# compaction


async def summarise(context: CompactContext) -> list[Message]:
    text = await context.complete([*context.messages, user_message("", f"sum up {context.instructions}")])
    return [user_message("", f"so far: {text}")]


def compacting(seen: list[CompactContext] | None = None) -> lash.Plugin:
    async def compact(context: CompactContext) -> list[Message]:
        if seen is not None:
            seen.append(context)
        return await summarise(context)

    return lash.Plugin("compacting").compact(compact)


async def test_a_compacted_session_goes_on_from_its_summary(memory: Place) -> None:
    model = ScriptedModel([says("a"), says("SUMMARY"), says("b")], usage=lash.TokenUsage(10, 1))
    core = await memory.core(model, plugins=[compacting()])
    async with core.session("s") as session:
        await session.run("one")
        assert await session.compact("in short")
        await session.run("two")

        assert asked(model, 1)[-1] == "user: sum up in short" or model.requests[1].messages[-1].text.startswith("sum")
        assert asked(model) == ["user: so far: SUMMARY", "user: two"]
        assert [frame.reason for frame in session.view.frames] == ["initial", "compaction"]
        assert [frame.status for frame in session.view.frames] == ["superseded", "active"]
        assert texts(session.messages)[0] == "user: one"


async def test_what_a_compaction_costs_is_booked_under_its_name(memory: Place) -> None:
    model = ScriptedModel([says("a"), says("SUMMARY")], usage=lash.TokenUsage(10, 1))
    core = await memory.core(model, plugins=[compacting()])
    async with core.session("s") as session:
        await session.run("one")
        await session.compact()

        assert {row.key: row.usage.input_tokens for row in session.usage.by_source} == {"turn": 10, "compaction": 10}


async def test_a_compaction_asks_the_provider_of_its_own_session(memory: Place) -> None:
    own, other = (ScriptedModel(lambda _, name=name: says(name)) for name in ("own", "other"))  # type: ignore[misc]
    core = await memory.core(own, plugins=[compacting()])
    async with core.session("s") as session, core.session("t") as neighbour:
        await neighbour.configure(provider=other)
        await session.run("one")
        await neighbour.run("one")

        assert await session.compact()
        assert await neighbour.compact()

        assert texts(session.messages)[-1] == "user: so far: own"
        assert texts(neighbour.messages)[-1] == "user: so far: other"


async def test_a_compaction_survives_reopening(file: Place) -> None:
    first = await file.core(ScriptedModel([says("a"), says("SUMMARY")]), plugins=[compacting()])
    async with first.session("s") as session:
        await session.run("one")
        await session.compact()
    await file.crash(first)

    model = ScriptedModel(lambda _: says("b"))
    second = await file.core(model)
    async with second.session("s") as session:
        await session.run("two")

        assert asked(model) == ["user: so far: SUMMARY", "user: two"]


async def test_a_compaction_that_dies_leaves_the_session_as_it_was(file: Place) -> None:
    gate = Gate()
    dying = await file.core(ScriptedModel([says("a"), gate.step(says("never"))]), plugins=[compacting()])
    session = await dying.session("s").open()
    await session.run("one")
    lost = asyncio.create_task(session.compact())
    await gate.arrival()
    await file.crash(dying)
    await asyncio.gather(lost, return_exceptions=True)

    core = await file.core(ScriptedModel(lambda _: says("b")), plugins=[compacting()])
    async with core.session("s") as again:
        await again.run("two")

        assert [frame.frame_id for frame in again.view.frames] == ["initial"]
        assert texts(again.messages) == ["user: one", "assistant: a", "user: two", "assistant: b"]


async def test_without_a_compactor_nothing_happens(memory: Place) -> None:
    core = await memory.core(talking())
    async with core.session("s") as session:
        await session.run("one")

        assert not await session.compact()
        assert session.view.revision == 1


async def test_the_first_compactor_by_priority_that_answers_wins(memory: Place) -> None:
    plugins = [
        lash.Plugin("low").compact(lambda _: [user_message("", "low")]),
        lash.Plugin("high").compact(lambda _: None, priority=9),
        lash.Plugin("middle").compact(lambda _: [user_message("", "middle")], priority=5),
    ]
    model = talking()
    core = await memory.core(model, plugins=plugins)
    async with core.session("s") as session:
        await session.run("one")
        await session.compact()
        await session.run("two")

    assert asked(model) == ["user: middle", "user: two"]


async def test_a_compactor_that_fails_changes_nothing(memory: Place) -> None:
    core = await memory.core(
        ScriptedModel([says("a"), fails("auth", "no key"), says("b")]),
        plugins=[compacting(), lash.Plugin("q").compact(lambda _: "text", priority=-1)],
    )
    async with core.session("s") as session:
        await session.run("one")
        with pytest.raises(PluginSessionError, match="no key"):
            await session.compact()

        assert session.view.revision == 1


async def test_a_compactor_that_returns_nonsense_is_told_so(memory: Place) -> None:
    core = await memory.core(talking(), plugins=[lash.Plugin("p").compact(lambda _: "text")])
    async with core.session("s") as session:
        await session.run("one")
        with pytest.raises(PluginInvokeError, match="list of messages"):
            await session.compact()


async def test_a_compaction_waits_for_the_turn_that_runs(memory: Place) -> None:
    gate, seen = Gate(), list[CompactContext]()
    core = await memory.core(ScriptedModel([gate.step(says("a")), says("SUMMARY")]), plugins=[compacting(seen)])
    async with core.session("s") as session:
        turn = asyncio.create_task(session.run("one"))
        await gate.arrival()
        compaction = asyncio.create_task(session.compact())
        gate.open()
        await turn

        assert await compaction
        assert [texts(context.messages) for context in seen] == [["user: one", "assistant: a"]]


async def test_a_compacted_session_keeps_its_authority_and_options(memory: Place) -> None:
    @lash.tool
    async def touch() -> str:
        return "touched"

    core = await memory.core(ScriptedModel(lambda _: says("x")), tools=[touch], plugins=[compacting()])
    async with core.session("s", hidden_tools=["touch"]) as session:
        await session.run("one")
        await session.compact()

        assert await session.tools.names() == []


# results for the model


async def test_a_default_projector_yields_to_one_of_the_host(memory: Place) -> None:
    class Short:
        id = "short"

        def build(self, context: PluginSessionContext) -> Short:
            return self

        def register(self, registrar: PluginRegistrar) -> None:
            registrar.tool_results.projector(lambda _, text: text[:5])

    @lash.tool
    async def flood() -> lash.ToolResult:
        return ToolResult.ok("x" * 100_000)

    core = await memory.core(ScriptedModel([calls("flood"), says("ok")]), tools=[flood], plugins=[Short()])
    async with core.session("s") as session:
        turn = await session.run("go")

        assert session.messages[2].parts[0].content == "xxxxx"
        assert len(str(turn.tool_calls[0].output.value)) == 100_000
