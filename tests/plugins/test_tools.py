"""The tools of a session: authority, overrides, sources at run time, orphans (R-075 to R-079)."""

from __future__ import annotations

import pytest

import lash
from face.places import Place, texts
from lash.base.errors import InvalidArgument
from lash.plugins import CatalogContext, CatalogContribution
from lash.testing import ScriptedModel, calls, says
from lash.tools.errors import DuplicateTool, ToolStateConflict, UnknownTool


@lash.tool
async def look() -> str:
    """Looks."""
    return "seen"


@lash.tool
async def touch() -> str:
    """Touches."""
    return "touched"


@lash.tool(name="look")
async def look_again() -> str:
    """Looks as well."""
    return "seen again"


def model() -> ScriptedModel:
    return ScriptedModel(lambda _: says("ok"))


def offered(script: ScriptedModel) -> list[str]:
    """The tools of the last request."""
    return [tool.name for tool in script.requests[-1].tools]


# authority


async def test_a_session_may_hide_tools(memory: Place) -> None:
    script = model()
    core = await memory.core(script, tools=[look, touch])
    async with core.session("s", hidden_tools=["touch"]) as session:
        await session.run("go")

        assert offered(script) == ["look"]
        assert await session.tools.names() == ["look"]


async def test_a_session_may_be_given_a_set_that_is_all_it_has(memory: Place) -> None:
    script = model()
    core = await memory.core(script, tools=[look, touch])
    async with core.session("s", tools=["tool:touch"]) as session:
        await session.run("go")

    assert offered(script) == ["touch"]


async def test_a_hidden_tool_cannot_be_called_either(memory: Place) -> None:
    core = await memory.core(ScriptedModel([calls("touch"), says("ok")]), tools=[look, touch])
    async with core.session("s", hidden_tools=["touch"]) as session:
        turn = await session.run("go")

    error = turn.tool_calls[0].output.error
    assert error is not None
    assert error.code == "tool_unavailable"


async def test_an_authority_is_stored_before_the_first_turn(file: Place) -> None:
    first = await file.core(model(), tools=[look, touch])
    await first.session("s", hidden_tools=["touch"]).open()
    await file.crash(first)

    script = model()
    second = await file.core(script, tools=[look, touch])
    async with second.session("s") as session:
        await session.run("go")

    assert offered(script) == ["look"]


async def test_a_set_that_names_what_nobody_offers_ends_the_turn_by_name(memory: Place) -> None:
    core = await memory.core(model(), tools=[look])
    async with core.session("s", tools=["look", "levitate"]) as session:
        turn = await session.run("go")

    assert not turn.ok
    assert "levitate" in turn.errors[0].message


# overrides


async def test_a_tool_may_be_turned_off_for_good(file: Place) -> None:
    first = await file.core(model(), tools=[look, touch])
    async with first.session("s") as session:
        before = (await session.tools.state()).generation
        await session.tools.set_availability("touch", "off")
        assert (await session.tools.state()).generation > before
    await file.crash(first)

    script = model()
    second = await file.core(script, tools=[look, touch])
    async with second.session("s") as session:
        await session.run("go")
        assert offered(script) == ["look"]

        await session.tools.set_availability("tool:touch", None)
        await session.run("go")
        assert offered(script) == ["look", "touch"]


async def test_an_unknown_tool_cannot_be_turned_off(memory: Place) -> None:
    core = await memory.core(model(), tools=[look])
    async with core.session("s") as session:
        with pytest.raises(UnknownTool, match="levitate"):
            await session.tools.set_availability("levitate", "off")


async def test_an_edit_of_an_older_generation_is_refused(memory: Place) -> None:
    core = await memory.core(model(), tools=[look])
    async with core.session("s") as session:
        state = await session.tools.state()
        await session.tools.set_availability("look", "off")
        with pytest.raises(ToolStateConflict):
            await session.tools.edit(state)

        assert await session.tools.names() == []


async def test_the_generation_stays_while_nothing_changes(file: Place) -> None:
    first = await file.core(model(), tools=[look])
    async with first.session("s") as session:
        for _ in range(3):
            await session.run("go")
        state = await session.tools.state()
    await file.end(first)

    second = await file.core(model(), tools=[look])
    async with second.session("s") as session:
        await session.run("go")
        assert await session.tools.state() == state
        assert state.generation == 1


# sources


async def test_a_source_may_come_and_go_while_the_session_is_open(memory: Place) -> None:
    script = model()
    core = await memory.core(script, tools=[look])
    async with core.session("s") as session:
        await session.tools.add_source("late", lash.ToolSet([touch]))
        await session.run("one")
        assert offered(script) == ["look", "touch"]

        assert await session.tools.remove_source("late")
        await session.run("two")
        assert offered(script) == ["look"]
        assert not await session.tools.remove_source("late")


async def test_a_tool_of_an_added_source_is_run(memory: Place) -> None:
    core = await memory.core(ScriptedModel([calls("touch"), says("ok")]))
    async with core.session("s") as session:
        await session.tools.add_source("late", lash.ToolSet([touch]))
        turn = await session.run("go")

        assert turn.tool_calls[0].output.value == "touched"
        assert "user: <tool_result touch>" in texts(session.messages)


async def test_a_source_that_does_not_fit_is_refused_and_changes_nothing(memory: Place) -> None:
    core = await memory.core(model(), tools=[look])
    async with core.session("s") as session:
        with pytest.raises(DuplicateTool, match="look"):
            await session.tools.add_source("late", lash.ToolSet([look_again]))
        await session.tools.add_source("late", lash.ToolSet([touch]))
        with pytest.raises(InvalidArgument, match="'late'"):
            await session.tools.add_source("late", lash.ToolSet([touch]))

        assert await session.tools.names() == ["look", "touch"]


async def test_an_added_source_belongs_to_its_session_alone(memory: Place) -> None:
    core = await memory.core(model(), tools=[look])
    async with core.session("a") as a, core.session("b") as b:
        await a.tools.add_source("late", lash.ToolSet([touch]))

        assert await b.tools.names() == ["look"]


async def test_tools_whose_source_is_gone_stay_as_orphans_and_come_back_as_they_were(file: Place) -> None:
    with_plugin = await file.core(model(), tools=[look], plugins=[lash.Plugin("hands").tool(touch)])
    async with with_plugin.session("s") as session:
        await session.tools.set_availability("touch", "off")
        await session.run("one")
    await file.end(with_plugin)

    script = model()
    without = await file.core(script, tools=[look])
    async with without.session("s") as session:
        await session.run("two")
        orphan = (await session.tools.state()).entries["tool:touch"]
        assert (orphan.orphaned, orphan.source) == (True, "hands")
        assert offered(script) == ["look"]
    await file.end(without)

    back = await file.core(model(), tools=[look], plugins=[lash.Plugin("hands").tool(touch)])
    async with back.session("s") as session:
        bound = (await session.tools.state()).entries["tool:touch"]
        assert not bound.orphaned
        assert await session.tools.names() == ["look"]
        await session.tools.set_availability("touch", None)
        assert await session.tools.names() == ["look", "touch"]


# what plugins say


async def test_a_plugin_may_turn_tools_off_and_note_things_on_them(memory: Place) -> None:
    def contribute(context: CatalogContext) -> CatalogContribution:
        assert list(context.tool_names) == ["look", "touch"]
        return CatalogContribution({"touch": "off"}, {"look": "Look twice."})

    script = model()
    core = await memory.core(script, tools=[look, touch], plugins=[lash.Plugin("p").tool_catalog(contribute)])
    async with core.session("s") as session:
        await session.run("go")

    assert [(tool.name, tool.description) for tool in script.requests[-1].tools] == [("look", "Looks.\n\nLook twice.")]


async def test_off_stays_off_whoever_says_otherwise(memory: Place) -> None:
    plugins = [
        lash.Plugin("strict").tool_catalog(lambda _: CatalogContribution({"touch": "off"})),
        lash.Plugin("lenient").tool_catalog(lambda _: CatalogContribution({"touch": "callable", "look": "callable"})),
    ]
    core = await memory.core(model(), tools=[look, touch], plugins=plugins)
    async with core.session("s") as session:
        await session.tools.set_availability("look", "off")

        assert await session.tools.names() == []


async def test_a_catalog_hook_that_raises_ends_the_turn_by_name(memory: Place) -> None:
    def broken(_: CatalogContext) -> CatalogContribution:
        raise ZeroDivisionError("oops")

    core = await memory.core(model(), tools=[look], plugins=[lash.Plugin("the-culprit").tool_catalog(broken)])
    async with core.session("s") as session:
        turn = await session.run("go")

    assert not turn.ok
    assert "the-culprit" in turn.errors[0].message


async def test_an_authority_holds_also_for_a_session_that_nobody_opened_by_hand(memory: Place) -> None:
    script = model()
    core = await memory.core(script, tools=[look, touch])
    await core.session("s", hidden_tools=["touch"]).run("go")
    assert offered(script) == ["look"]

    await core.session("s", hidden_tools=["look"]).run("go")
    assert offered(script) == ["touch"]

    await core.session("s").run("go")
    assert offered(script) == ["touch"]


async def test_a_session_that_begins_again_may_use_no_more_than_before(file: Place) -> None:
    core = await file.core(ScriptedModel(lambda _: says("ok")), tools=[look])
    async with core.session("s", hidden_tools=["look"]) as session:
        await session.run("go")
        await session.commands.applied(await session.commands.reset("again"))
        assert await session.tools.names() == []
        await session.run("go")
        await session.open_fresh()

        assert await session.tools.names() == []
