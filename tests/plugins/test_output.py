"""What the model says, on its way out: stream and response hooks (docs/spec/runtime.md §7.2)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

import lash
from face.places import Gate, Place, texts
from lash.base.cancel import CancelToken
from lash.machine.llm import LlmRequest, LlmResponse
from lash.machine.outcome import AssistantMessage, Stopped
from lash.models.provider import StreamSink
from lash.plugins import (
    EmitRuntimeEvents,
    PluginRegistrar,
    PluginRegistrationError,
    ResponseContext,
    StatusEvent,
    StreamAnswer,
    StreamChunk,
)
from lash.runtime.activity import AssistantProseDelta, PluginRuntime, ReasoningDelta
from lash.testing import ScriptedModel, calls, says
from lash.testing.script import Step
from lash.turn import TurnOutput

EVENT = StatusEvent("k", "masked")


def upper(chunk: StreamChunk) -> str:
    return chunk.text.upper()


async def run(place: Place, *plugins: lash.Plugin, text: str = "the secret word") -> tuple[TurnOutput, list[str]]:
    """A watched turn that says `text`, and what is kept of it."""
    core = await place.core(ScriptedModel([says(text)]), plugins=plugins)
    async with core.session("s") as session:
        return await session.turn("go", turn_id="t").collect(), texts(session.messages)


def told(output: TurnOutput) -> str:
    deltas = [activity.event for activity in output.activities]
    return "".join(event.text for event in deltas if isinstance(event, AssistantProseDelta))


async def test_text_is_changed_before_it_is_told(memory: Place) -> None:
    output, kept = await run(memory, lash.Plugin("p").stream(upper))

    assert told(output) == "THE SECRET WORD"
    assert kept == ["user: go", "assistant: the secret word"]


async def test_stream_hooks_chain_in_order(memory: Place) -> None:
    plugins = [
        lash.Plugin("a").stream(lambda chunk: chunk.text.replace("secret", "hidden")),
        lash.Plugin("b").stream(lambda chunk: None),
        lash.Plugin("c").stream(upper),
    ]
    output, _ = await run(memory, *plugins, text="secret")

    assert "secret" not in told(output).lower()


async def test_a_stream_hook_may_think_aloud_and_tell_events(memory: Place) -> None:
    output, _ = await run(
        memory, lash.Plugin("p").stream(lambda chunk: StreamAnswer("", reasoning="hm", events=[EVENT]))
    )
    events = [activity.event for activity in output.activities]

    assert told(output) == ""
    assert ReasoningDelta("hm") in events
    assert PluginRuntime("p", EVENT) in events


async def test_a_stream_may_be_cut_and_what_was_told_is_the_answer(memory: Place) -> None:
    def cut(chunk: StreamChunk) -> StreamAnswer:
        return StreamAnswer(chunk.text[:3], abort_stream=True)

    output, kept = await run(memory, lash.Plugin("p").stream(cut))

    assert output.result.outcome == AssistantMessage("the")
    assert told(output) == "the"
    assert kept[-1] == "assistant: the"


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_stream_hook_that_fails_ends_the_turn_by_name(memory: Place, asynchronous: bool) -> None:
    def broken(_: StreamChunk) -> str:
        raise ZeroDivisionError("oops")

    async def late(_: StreamChunk) -> str:
        return "too late"

    output, _ = await run(memory, lash.Plugin("the-culprit").stream(late if asynchronous else broken))  # type: ignore[arg-type]

    assert output.result.outcome == Stopped("runtime_error")
    assert "the-culprit" in output.result.errors[0].message


async def test_an_answer_may_be_replaced_before_it_is_kept(memory: Place) -> None:
    seen: list[ResponseContext] = []

    async def mask(context: ResponseContext) -> object:
        seen.append(context)
        return [context.response.full_text.replace("secret", "***"), EmitRuntimeEvents([EVENT])]

    output, kept = await run(memory, lash.Plugin("p").response(mask))

    assert output.result.text == "the *** word"
    assert kept[-1] == "assistant: the *** word"
    assert PluginRuntime("p", EVENT) in [activity.event for activity in output.activities]
    assert [(context.turn_id, context.iteration) for context in seen] == [("t", 0)]


async def test_calls_of_a_replaced_answer_stay(memory: Place) -> None:
    @lash.tool
    async def look() -> str:
        return "seen"

    model = ScriptedModel([[says("let me look"), calls("look")], says("done")])
    core = await memory.core(model, tools=[look], plugins=[lash.Plugin("p").response(lambda _: "masked")])
    async with core.session("s") as session:
        turn = await session.run("go")

        assert [call.tool for call in turn.tool_calls] == ["look"]
        assert texts(session.messages)[1] == "assistant: masked + <tool_call look>"


async def test_a_response_hook_that_returns_nonsense_is_told_so(memory: Place) -> None:
    output, _ = await run(memory, lash.Plugin("p").response(lambda _: 7))

    assert output.result.outcome == Stopped("runtime_error")
    assert "return text, LlmResponse" in output.result.errors[0].message


async def test_a_replay_tells_what_was_told_and_runs_no_hook_again(file: Place) -> None:
    gate, ran = Gate(), list[str]()

    def noting(name: str, hook: Callable[[StreamChunk], str]) -> Callable[[StreamChunk], str]:
        def noted(chunk: StreamChunk) -> str:
            ran.append(name)
            return hook(chunk)

        return noted

    @lash.tool(repeat="idempotent")
    async def work() -> str:
        if not gate.visits:
            await gate.wait()
        return "worked"

    def plugin(name: str) -> lash.Plugin:
        return lash.Plugin("p").stream(noting(name, upper))

    script: list[Step] = [[says("secret"), calls("work")], says("done")]
    dying = await file.core(ScriptedModel(script), tools=[work], plugins=[plugin("before")])
    session = await dying.session("s").open()
    lost = asyncio.create_task(session.turn("go", turn_id="t").collect())
    await gate.arrival()
    await file.crash(dying)
    await asyncio.gather(lost, return_exceptions=True)

    ran.clear()
    core = await file.core(ScriptedModel(script), tools=[work], plugins=[plugin("after")], recover=False)
    async with core.session("s") as again:
        output = await again.turn("go", turn_id="t").collect()

    assert told(output) == "SECRETDONE"
    assert set(ran) == {"after"}
    assert "secret" not in told(output)


class Shaping(lash.Plugin):
    """Shapes prose that is told whole."""

    def __init__(self, plugin_id: str, shape: Callable[[str], str]) -> None:
        super().__init__(plugin_id)
        self._shape = shape

    def register(self, registrar: PluginRegistrar) -> None:
        registrar.output.assistant_prose_projector(self._shape)


class Unstreamed(ScriptedModel):
    """Answers in one piece."""

    async def complete(
        self, request: LlmRequest, stream: StreamSink | None = None, cancel: CancelToken | None = None
    ) -> LlmResponse:
        return await super().complete(request, None, cancel)


async def test_prose_that_is_told_whole_may_be_shaped(memory: Place) -> None:
    loud = Shaping("loud", str.upper)
    core = await memory.core(Unstreamed([says("hello")]), plugins=[loud])
    async with core.session("s") as session:
        output = await session.turn("go").collect()

        assert told(output) == "HELLO"
        assert session.messages[-1].text == "hello"
        with pytest.raises(PluginRegistrationError, match="both register the assistant prose projector"):
            lash.StandardCore(
                model=ScriptedModel([]),
                plugins=[loud, Shaping("second", str.lower)],
            )


async def test_prose_that_was_streamed_is_told_as_it_was(memory: Place) -> None:
    loud = Shaping("loud", str.upper)
    core = await memory.core(ScriptedModel([says("hello")]), plugins=[loud])
    async with core.session("s") as session:
        output = await session.turn("go").collect()

    assert told(output) == "hello"
