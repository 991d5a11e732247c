"""Tools that a context transform gives to one turn, and tools that are not shown (R-095, R-076)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import lash
from face.places import Gate, Place, recorded
from lash.plugins import PluginRegistrationError, PreparedContext, ShownTools, TurnContext
from lash.testing import ScriptedModel, calls, says
from lash.tools.decorator import Tool


@lash.tool
async def look() -> str:
    """Looks."""
    return "seen"


@lash.tool
async def touch() -> str:
    """Touches."""
    return "touched"


@lash.tool
async def smell() -> str:
    """Smells."""
    return "smelled"


def offered(model: ScriptedModel, number: int = -1) -> list[str]:
    return [tool.name for tool in model.requests[number].tools]


def giving(*sources: str, include_base: bool = True) -> lash.Plugin:
    """A plugin that gives tools to turns whose input says `please`."""

    def prepare(turn: TurnContext) -> PreparedContext | None:
        if "please" not in turn.input[-1].text:
            return None
        return PreparedContext(turn.messages, tool_sources=sources, include_base_tools=include_base)

    plugin = lash.Plugin("giver").prepare_turn(prepare)
    return plugin.turn_tools("hands", lash.ToolSet([touch])).turn_tools("nose", lash.ToolSet([smell]))


async def test_a_transform_may_add_tools_to_its_turn_alone(memory: Place) -> None:
    model = ScriptedModel([calls("touch"), says("done"), calls("touch"), says("no")])
    core = await memory.core(model, tools=[look], plugins=[giving("hands")])
    async with core.session("s") as session:
        with_tools = await session.run("touch it, please")
        without = await session.run("touch it")

        assert offered(model, 0) == offered(model, 1) == ["look", "touch"]
        assert offered(model, 2) == ["look"]
        assert with_tools.tool_calls[0].output.value == "touched"
        error = without.tool_calls[0].output.error
        assert error is not None
        assert error.code == "tool_unavailable"
        assert await session.tools.names() == ["look"]


async def test_a_transform_may_put_tools_in_the_place_of_all_others(memory: Place) -> None:
    model = ScriptedModel([calls("look"), says("ok")])
    core = await memory.core(model, tools=[look], plugins=[giving("nose", "hands", include_base=False)])
    async with core.session("s") as session:
        turn = await session.run("please")

    assert offered(model) == ["smell", "touch"]
    error = turn.tool_calls[0].output.error
    assert error is not None
    assert error.code == "tool_unavailable"


async def test_prompt_and_authority_see_the_tools_of_the_turn(memory: Place) -> None:
    seen: list[list[str]] = []
    watcher = lash.Plugin("watcher").prompt(lambda context: seen.append(list(context.tool_names)))
    model = ScriptedModel([says("ok")])
    core = await memory.core(model, tools=[look], plugins=[giving("hands", "nose"), watcher])
    async with core.session("s", hidden_tools=["smell"]) as session:
        await session.run("please")

    assert offered(model) == ["look", "touch"]
    assert seen == [["look", "touch"]]


async def test_the_tools_of_a_turn_are_there_when_it_goes_on_elsewhere(file: Place) -> None:
    gate = Gate()
    asked: list[str] = []

    def prepare(turn: TurnContext) -> PreparedContext:
        asked.append(turn.turn_id)
        return PreparedContext(turn.messages, tool_sources=["hands"], include_base_tools=False)

    def plugin() -> lash.Plugin:
        return lash.Plugin("giver").prepare_turn(prepare).turn_tools("hands", lash.ToolSet([touch]))

    dying = await file.core(ScriptedModel([gate.step(calls("touch"))]), tools=[look], plugins=[plugin()])
    session = await dying.session("s").open()
    lost = asyncio.create_task(session.run("go", turn_id="t"))
    await gate.arrival()
    await recorded(dying, "sync_execution_environment")
    await file.crash(dying)
    await asyncio.gather(lost, return_exceptions=True)

    model = ScriptedModel([calls("touch"), says("done")])
    core = await file.core(model, tools=[look], plugins=[plugin()])
    async with core.session("s") as again:
        turn = await again.run("go", turn_id="t")

    assert turn.tool_calls[0].output.value == "touched"
    assert offered(model, 0) == offered(model, 1) == ["touch"]
    assert asked == ["t"]


@pytest.mark.parametrize(
    ("tools", "sources", "said"),
    [([look], ["feet"], "chose tool source 'feet'; registered: hands, nose"), ([touch], ["hands"], "tools that clash")],
)
async def test_tools_that_cannot_be_given_end_the_turn(
    memory: Place, tools: list[Tool[..., Any]], sources: list[str], said: str
) -> None:
    core = await memory.core(ScriptedModel([says("ok")]), tools=tools, plugins=[giving(*sources)])
    async with core.session("s") as session:
        turn = await session.run("please")

    assert said in turn.errors[0].message


async def test_two_sources_of_one_name_are_refused(memory: Place) -> None:
    plugins = [lash.Plugin(name).turn_tools("hands", lash.ToolSet([touch])) for name in ("a", "b")]

    with pytest.raises(PluginRegistrationError, match="both register the tool source 'hands'"):
        await memory.core(ScriptedModel([]), plugins=plugins)


# flat membership: a tool is in the catalog or it is not; what is shown is another matter


async def test_a_tool_that_is_not_shown_may_be_called_and_one_that_is_off_may_not(memory: Place) -> None:
    def hide(shown: ShownTools) -> list[str]:
        return [name for name in shown.tool_names if name != "look"]

    model = ScriptedModel([[calls("touch"), calls("smell")], says("ok")])
    core = await memory.core(model, tools=[look, touch, smell], plugins=[lash.Plugin("p").conceal(hide)])
    async with core.session("s") as session:
        await session.tools.set_availability("smell", "off")
        turn = await session.run("go")

        assert offered(model) == ["look"]
        assert await session.tools.names() == ["look", "touch"]
    assert [call.output.is_success for call in turn.tool_calls] == [True, False]
    error = turn.tool_calls[1].output.error
    assert error is not None
    assert error.message == "there is no tool 'smell'; available: look, touch"


async def test_a_conceal_hook_that_fails_ends_the_turn_by_name(memory: Place) -> None:
    def broken(_shown: ShownTools) -> list[str]:
        raise ValueError("no")

    core = await memory.core(ScriptedModel([says("ok")]), tools=[look], plugins=[lash.Plugin("p").conceal(broken)])
    async with core.session("s") as session:
        turn = await session.run("go")

    assert "plugin 'p': hook conceal raised" in turn.errors[0].message
