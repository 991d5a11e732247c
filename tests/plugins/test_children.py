"""Sessions that plugins make: the directive `create_session`, at every hook (R-089)."""

from __future__ import annotations

import pytest

import lash
from face.places import Place, asked, texts
from lash.base.json import Json
from lash.base.messages import user_message
from lash.machine.outcome import Stopped
from lash.plugins import AfterTurn, CreateSession, PluginSessionContext, PluginSpecFactory, StatefulPlugin
from lash.sessions.frames import SessionPolicy, ToolAccess
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


@pytest.mark.parametrize(("start", "source"), [("parent", "fork"), ("parent", "fresh"), ("empty", "fork")])
async def test_a_child_may_start_as_its_parent_stands(file: Place, start: str, source: str) -> None:
    class Memory(StatefulPlugin):
        id = "memory"
        initial: Json = 0

        @lash.hook.after_turn
        def end(self, context: AfterTurn) -> CreateSession | None:
            if context.session_id != "s":
                return None
            assert isinstance(self.state, int)
            self.update(self.state + 1)
            self.keep_artifact("bytes", b"\x00\xff")
            if self.state < 2:
                return None
            policy = SessionPolicy(max_turns=3)
            asked = {"start": start, "plugin_source": source}
            return CreateSession("child", [user_message("", "you are a child")], policy=policy, **asked)  # type: ignore[arg-type]

    core = await file.core(ScriptedModel(lambda _: says("ok")), plugins=[Memory()])
    async with core.session("s") as session:
        await session.run("one")
        await session.run("two")
    async with core.session("child") as child:
        said = ["user: one", "assistant: ok"] if start == "parent" else []
        assert texts(child.messages) == [*said, "user: you are a child"]
        stored = child._actor.memory.plugin_snapshot
        assert (stored.plugins["memory"].state if stored.plugins else None) == (1 if source == "fork" else None)
        assert list(stored.data.values()) == ([b"\x00\xff"] if source == "fork" else [])
        assert child._actor.memory.policy.max_turns == 3
        assert (await child.run("go")).ok
        assert child.usage.usage.input_tokens > 0
