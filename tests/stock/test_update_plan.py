"""A plan that the model keeps and a person watches (R-099)."""

from __future__ import annotations

import lash
from face.places import Place
from lash.base.json import Json
from lash.plugins import CustomEvent
from lash.runtime.activity import PluginRuntime
from lash.stock import Plan, PlanStep, UpdatePlan
from lash.testing import ScriptedModel, calls, says

STEPS: list[Json] = [{"step": "look", "status": "completed"}, {"step": "write", "status": "in_progress"}]


async def plan_of(session: lash.Session) -> object:
    return await session.plugins.invoke("update_plan.read", into=Plan)


async def test_the_plan_is_told_remembered_and_read(place: Place) -> None:
    model = ScriptedModel([calls("update_plan", plan=STEPS, explanation="began"), says("ok"), says("on")])
    core = await place.core(model, plugins=[UpdatePlan()])
    async with core.session("s") as session:
        output = await session.turn("go", turn_id="t").collect()
        told = [activity.event.event for activity in output.activities if isinstance(activity.event, PluginRuntime)]
        plan = Plan([PlanStep("look", "completed"), PlanStep("write", "in_progress")], "began")

        assert told == [CustomEvent("update_plan.changed", {"steps": STEPS, "explanation": "began"})]
        assert await plan_of(session) == plan
    assert "Keep a plan with `update_plan`" in model.requests[0].messages[0].text
    if not place.is_durable:
        return
    await place.end(core)
    again = await place.core(ScriptedModel([]), plugins=[UpdatePlan()])
    async with again.session("s") as session:
        assert await plan_of(session) == plan


async def test_a_plan_that_makes_no_sense_is_refused_and_changes_nothing(place: Place) -> None:
    two_at_once: list[Json] = [{"step": "a", "status": "in_progress"}, {"step": "b", "status": "in_progress"}]
    blank: list[Json] = [{"step": "a"}, {"step": " "}]
    unknown: list[Json] = [{"step": "a", "status": "abandoned"}]
    model = ScriptedModel(
        [
            calls("update_plan", plan=[{"step": "a"}]),
            [calls("update_plan", plan=wrong) for wrong in (two_at_once, blank, unknown)],
            says("ok"),
        ]
    )
    core = await place.core(model, plugins=[UpdatePlan()])
    async with core.session("s") as session:
        turn = await session.run("go")

        errors = [call.output.error for call in turn.tool_calls[1:]]
        assert [error.code for error in errors if error is not None] == [
            "tool_retry",
            "tool_retry",
            "invalid_tool_args",
        ]
        assert await plan_of(session) == Plan([PlanStep("a")])


async def test_where_the_tool_is_hidden_the_prompt_does_not_speak_of_it(place: Place) -> None:
    model = ScriptedModel([says("ok")])
    core = await place.core(model, plugins=[UpdatePlan()])
    async with core.session("s", hidden_tools=["update_plan"]) as session:
        await session.run("go")

    assert "update_plan" not in model.requests[0].messages[0].text
