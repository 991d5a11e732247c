"""Sessions that plugins make: the directive `create_session`, at every hook (R-089)."""

from __future__ import annotations

import pytest

import lash
from face.places import Place, asked, texts
from lash.base.messages import user_message
from lash.machine.outcome import Stopped
from lash.plugins import CreateSession, PluginSessionContext, PluginSpecFactory
from lash.sessions.frames import ToolAccess
from lash.sessions.meta import ChildSession
from lash.testing import ScriptedModel, calls, says

CHILD = CreateSession("child", [user_message("", "you are a child")], usage_source="helpers")


@lash.tool
async def look() -> str:
    """Looks."""
    return "seen"


def model() -> ScriptedModel:
    return ScriptedModel(
        lambda request: calls("look") if request.place.model_call == 0 and request.session_id == "s" else says("ok"),
        usage=lash.TokenUsage(10, 1),
    )


@pytest.mark.parametrize("where", ["before_turn", "checkpoint", "after_turn", "before_tool_call", "after_tool_call"])
async def test_a_session_may_be_made_at_every_hook(file: Place, where: str) -> None:
    plugin = lash.Plugin("p")
    getattr(plugin, where)(lambda context: CHILD if context.session_id == "s" else None)
    script = model()
    core = await file.core(script, tools=[look], plugins=[plugin])
    async with core.session("s") as session:
        assert (await session.run("go")).ok
        assert (await session.run("again")).ok

    relations = {listing.session_id: listing.meta and listing.meta.relation for listing in await core.sessions()}
    assert relations["child"] == ChildSession("s")
    async with core.session("child") as child:
        await child.run("hello")

        assert asked(script) == ["user: you are a child", "user: hello"]
        assert texts(child.messages)[0] == "user: you are a child"
        assert [row.key for row in child.usage.by_source] == ["helpers"]


async def test_a_child_knows_its_parent_and_has_its_own_tools_and_options(file: Place) -> None:
    built: list[tuple[str, str | None, object]] = []

    def build(context: PluginSessionContext) -> lash.Plugin:
        built.append((context.session_id, context.parent_session_id, context.plugin_options.get("p")))
        request = CreateSession("child", plugin_options={"p": 1}, tool_access=ToolAccess(hidden_tools=["look"]))
        return lash.Plugin("p").after_turn(lambda _: request if context.is_root_session else None)

    core = await file.core(model(), tools=[look], plugins=[PluginSpecFactory("p", build)])
    async with core.session("s") as session:
        await session.run("go")
    async with core.session("child") as child:
        assert await child.tools.names() == []

    assert built[1:] == [("s", None, None), ("child", "s", 1)]


async def test_the_session_of_somebody_else_is_not_taken(memory: Place) -> None:
    core = await memory.core(model(), tools=[look], plugins=[lash.Plugin("the-culprit").before_turn(lambda _: CHILD)])
    await core.session("child").open()
    async with core.session("s") as session:
        turn = await session.run("go")

    assert turn.outcome == Stopped("runtime_error")
    assert "the-culprit" in turn.errors[0].message
    assert turn.errors[0].code == "plugin_session"
