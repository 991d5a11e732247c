"""Questions to a model that belong to no conversation."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import lash
from face.places import Gate, Place
from lash.base.errors import InvalidArgument
from lash.base.json import JsonObject
from lash.base.schema import InvalidSchema
from lash.base.usage import TokenUsage
from lash.direct import DirectClient, DirectCompletionFailed, DirectRequest
from lash.effects.invocation import turn_effect_number
from lash.effects.scope import ExecutionScope
from lash.machine.llm import LlmRequest
from lash.testing import ScriptedModel, calls, fails, says
from lash.testing.script import Answer
from lash.tools.context import NoDirectCompletions

COLOUR: JsonObject = {
    "type": "object",
    "properties": {"colour": {"type": "string"}},
    "required": ["colour"],
    "additionalProperties": False,
}


async def test_a_client_asks_without_a_session() -> None:
    model = ScriptedModel([says("blue")], usage=TokenUsage(5, 1))

    async with DirectClient(model) as client:
        answer = await client.complete(DirectRequest.text("Name a colour.", system="Be brief."))

    assert (answer.text, answer.value, answer.usage, answer.model) == ("blue", None, TokenUsage(5, 1), "scripted")
    [request] = model.requests
    assert [message.text for message in request.messages] == ["Be brief.", "Name a colour."]
    assert (request.tools, request.session_id) == ([], None)


async def test_json_is_parsed_and_checked() -> None:
    model = ScriptedModel([says('{"colour": "blue"}'), says('{"color": 1}'), says("blue"), says("[]")], order="calls")
    client = DirectClient(model)

    answer = await client.complete(DirectRequest.json_schema("Name a colour.", COLOUR))
    assert answer.value == {"colour": "blue"}
    sent = model.requests[0].output_spec
    assert sent is not None
    assert (sent.kind, sent.schema, sent.strict) == ("json_schema", COLOUR, True)
    for request in (DirectRequest.json_schema("Again.", COLOUR), DirectRequest.json("?"), DirectRequest.json("!")):
        with pytest.raises(DirectCompletionFailed) as failed:
            await client.complete(request)
        assert failed.value.code == "direct_output_invalid"


async def test_a_failure_of_the_model_is_raised_with_its_code() -> None:
    client = DirectClient(ScriptedModel([fails("validation", "no such model", code="unknown_model")]))

    with pytest.raises(DirectCompletionFailed, match="no such model") as failed:
        await client.complete(DirectRequest.text("?"))

    assert failed.value.error is not None
    assert failed.value.error.kind == "validation"


def test_a_request_that_cannot_be_asked_is_refused() -> None:
    with pytest.raises(InvalidArgument):
        DirectRequest([])
    with pytest.raises(InvalidArgument):
        DirectRequest.text("?", usage_source="a:b")
    with pytest.raises(InvalidArgument):
        DirectRequest.text("?", key="")
    with pytest.raises(InvalidSchema):
        DirectRequest.json_schema("?", {"type": "no such type"})


async def test_outside_a_turn_a_tool_has_no_model_to_ask() -> None:
    context = lash.ToolContext(session_id="s", turn_id="t", tool_call_id="c", tool_name="look")

    with pytest.raises(NoDirectCompletions, match="DirectClient"):
        _ = context.direct_completions


@lash.tool(repeat="idempotent")
async def classify(ctx: lash.ToolContext, text: str) -> str:
    """Classify a text."""
    answer = await ctx.direct_completions.complete(DirectRequest.text(f"classify {text}", usage_source="classifier"))
    return answer.text


def answering(request: LlmRequest) -> Answer:
    """As the agent: classify once, then say so. As the classifier: an answer."""
    last = request.messages[-1].text
    if last.startswith("classify"):
        return says("spam")
    return says("it is spam") if len(request.messages) > 2 else calls("classify", text="buy now")


async def test_a_tool_asks_and_the_session_is_charged(place: Place) -> None:
    model = ScriptedModel(answering, usage=TokenUsage(10, 2))
    core = await place.core(model, tools=[classify])

    async with core.session("s") as session:
        turn = await session.run("Is it spam?", turn_id="t")
        again = await session.run("Is it spam?", turn_id="t")

        assert turn.tool_calls[0].output.value == "spam"
        assert turn.usage == TokenUsage(20, 4)
        assert [(entry.source, entry.usage) for entry in turn.children_usage] == [("classifier", TokenUsage(10, 2))]
        assert turn.total_usage() == TokenUsage(30, 6)
        assert again.children_usage == turn.children_usage
        by_source = {row.source: row.usage for row in session.usage.by_source_model}
        assert by_source == {"turn": TokenUsage(20, 4), "classifier": TokenUsage(10, 2)}
    assert len(model.requests) == 3


async def test_after_a_crash_the_answer_comes_from_the_record_and_is_charged_once(durable: Place) -> None:
    gate = Gate()

    @lash.tool(repeat="idempotent")
    async def weigh(ctx: lash.ToolContext) -> str:
        """Ask, then do something."""
        answer = await ctx.direct_completions.complete(DirectRequest.text("classify this", usage_source="classifier"))
        if not gate.visits:
            await gate.wait()
        return answer.text

    def script(request: LlmRequest) -> Answer:
        if request.messages[-1].text.startswith("classify"):
            return says("heavy")
        return says("weighed") if len(request.messages) > 2 else calls("weigh")

    before, after = (ScriptedModel(script, usage=TokenUsage(10, 2)) for _ in range(2))
    dying = await durable.core(before, tools=[weigh])
    session = await dying.session("s").open()
    lost = asyncio.create_task(session.run("go", turn_id="t"))
    await gate.arrival()
    await durable.crash(dying)
    await asyncio.gather(lost, return_exceptions=True)

    core = await durable.core(after, tools=[weigh])
    async with core.session("s") as again:
        turn = await again.run("go", turn_id="t")

        assert turn.tool_calls[0].output.value == "heavy"
        assert [
            request.messages[-1].text for request in after.requests if "classify" in request.messages[-1].text
        ] == []
        charged = [row.usage for row in again.usage.by_source_model if row.source == "classifier"]
        assert charged == [TokenUsage(10, 2)]


async def test_equal_questions_are_one_and_a_key_asks_again(place: Place) -> None:
    @lash.tool(repeat="idempotent")
    async def roll(ctx: lash.ToolContext) -> list[str]:
        """Ask four times."""
        ask = ctx.direct_completions.complete
        same = [await ask(DirectRequest.text("roll")) for _ in range(2)]
        other = [await ask(DirectRequest.text("roll", key=str(number))) for number in (7, 8)]
        return [answer.text for answer in [*same, *other]]

    rolls = iter("abcdefgh")

    def script(request: LlmRequest) -> Answer:
        if request.messages[-1].text == "roll":
            return says(next(rolls))
        return says("rolled") if len(request.messages) > 2 else calls("roll")

    core = await place.core(ScriptedModel(script), tools=[roll])
    async with core.session("s") as session:
        turn = await session.run("go")

    assert turn.tool_calls[0].output.value == ["a", "a", "b", "c"]


async def test_a_question_without_an_answer_is_asked_anew_by_the_next_attempt(place: Place) -> None:
    failures = iter([fails("validation", "busy")])

    @lash.tool(repeat="idempotent", retry=lash.Retry(attempts=2, base_ms=1))
    async def ask(ctx: lash.ToolContext) -> Any:
        """Ask until it works."""
        try:
            return (await ctx.direct_completions.complete(DirectRequest.text("classify"))).text
        except DirectCompletionFailed as error:
            return lash.ToolResult.retryable("unavailable", "no_answer", error.message)

    def script(request: LlmRequest) -> Answer:
        if request.messages[-1].text == "classify":
            return next(failures, says("done"))
        return says("asked") if len(request.messages) > 2 else calls("ask")

    core = await place.core(ScriptedModel(script), tools=[ask])
    async with core.session("s") as session:
        turn = await session.run("go")

    assert turn.tool_calls[0].output.value == "done"


async def test_another_model_may_be_asked(place: Place) -> None:
    small = ScriptedModel([says("small")])
    spec = lash.ModelSpec("small", small)

    @lash.tool
    async def ask(ctx: lash.ToolContext) -> str:
        """Ask the small one."""
        answer = await ctx.direct_completions.complete(DirectRequest.text("?", model=spec))
        return f"{answer.model}: {answer.text}"

    core = await place.core(ScriptedModel([calls("ask"), says("done")]), tools=[ask])
    async with core.session("s") as session:
        turn = await session.run("go")

    assert turn.tool_calls[0].output.value == "small: small"


def test_a_question_is_no_numbered_effect_of_its_turn() -> None:
    scope = ExecutionScope.turn("s", "t")

    assert turn_effect_number(scope, "s:t:direct:direct:cause:7:request:9") == 0
    assert turn_effect_number(scope, "s:t:1:0:tool_batch:4:child:0:c:attempt:1") == 4
