"""Questions to a model that belong to no conversation, as a tool (R-103)."""

from __future__ import annotations

import lash
from face.places import Place
from lash.base.json import Json, JsonObject
from lash.base.usage import TokenUsage
from lash.machine.llm import LlmRequest
from lash.stock import LlmQuery
from lash.testing import Lab, Life, ScriptedModel, calls, fails, says
from lash.testing.script import Answer, Step

COLOURS: JsonObject = {"type": "array", "items": {"$ref": "#/$defs/colour"}, "$defs": {"colour": {"type": "string"}}}
COLOUR: JsonObject = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


async def asked(
    place: Place, *answers: Step, **args: Json
) -> tuple[lash.ToolResult, ScriptedModel, dict[str, TokenUsage]]:
    """What one call gives when the model answers the question so; and what was booked."""
    model = ScriptedModel([calls("llm_query", **args), *answers, says("done")], usage=TokenUsage(10, 2), order="calls")
    core = await place.core(model, plugins=[LlmQuery()])
    async with core.session("s") as session:
        turn = await session.run("go", turn_id="t")
        booked = {row.source: row.usage for row in session.usage.by_source_model}
        return turn.tool_calls[0].output, model, booked


async def test_a_question_is_answered_with_text_and_charged_to_the_session(place: Place) -> None:
    output, model, booked = await asked(place, says("blue"), prompt="Name a colour.", system="Be brief.")

    assert output.value == "blue"
    assert [message.text for message in model.requests[1].messages] == ["Be brief.", "Name a colour."]
    assert booked == {"turn": TokenUsage(20, 4), "llm_query": TokenUsage(10, 2)}


async def test_an_answer_may_be_a_value_of_any_type(place: Place) -> None:
    output, model, _ = await asked(place, says('{"value": ["blue", "red"]}'), prompt="?", output=COLOURS)

    assert output.value == ["blue", "red"]
    spec = model.requests[1].output_spec
    assert spec is not None
    assert spec.schema is not None
    assert spec.schema["type"] == "object"


async def test_an_object_is_asked_for_as_it_is(place: Place) -> None:
    output, model, _ = await asked(place, says('{"name": "blue"}'), prompt="?", output=COLOUR)

    assert output.value == {"name": "blue"}
    spec = model.requests[1].output_spec
    assert spec is not None
    assert spec.schema == COLOUR


async def test_an_answer_of_the_wrong_shape_is_asked_for_once_more(place: Place) -> None:
    output, _, _ = await asked(place, says("blue"), says('{"name": "blue"}'), prompt="?", output=COLOUR)

    assert output.value == {"name": "blue"}


async def test_what_stays_wrong_is_a_failure_that_the_model_reads(place: Place) -> None:
    output, _, _ = await asked(place, says("blue"), says("red"), prompt="?", output=COLOUR)

    assert output.error is not None
    assert output.error.code == "direct_output_invalid"


async def test_a_model_that_does_not_answer_and_a_schema_that_is_none_are_failures(place: Place) -> None:
    output, _, _ = await asked(place, fails("validation", "no such model"), prompt="?")
    assert output.error is not None
    assert "no such model" in output.error.message


async def test_a_schema_that_is_none_is_refused_before_anybody_is_asked(place: Place) -> None:
    output, model, _ = await asked(place, prompt="?", output={"type": "no such type"})

    assert output.error is not None
    assert output.error.code == "invalid_output_schema"
    assert len(model.requests) == 2


async def test_a_recorded_answer_is_not_asked_for_again_after_a_kill() -> None:
    def script(request: LlmRequest) -> Answer:
        last = request.messages[-1].text
        if last == "Name a colour.":
            return says("blue")
        return calls("llm_query", prompt="Name a colour.") if last == "go" else says("done")

    def make(life: Life) -> lash.StandardCore:
        model = ScriptedModel(script, usage=TokenUsage(10, 2))
        return lash.StandardCore(model=model, plugins=[LlmQuery()], store=life.store, effect_host=life.effect_host)

    async def program(core: lash.StandardCore) -> str:
        async with core.session("s") as session:
            turn = await session.run("go", turn_id="t")
            return f"{turn.text} {turn.tool_calls[0].output.value}"

    report = await Lab(make).kill_everywhere(program, limit=16)

    report.raise_for_problems()
