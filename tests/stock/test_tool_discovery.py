"""Tools that are shown once they are found (R-084, `discovery.contribute` of R-085)."""

from __future__ import annotations

from typing import Any

import pytest

import lash
from face.places import Place
from lash.base.json import Json
from lash.plugins import CatalogContext
from lash.stock import ToolDiscovery
from lash.testing import Lab, Life, ScriptedModel, calls, cell, says
from lash.tools.catalog import ToolKeywords
from lash.tools.decorator import Tool


@lash.tool(repeat="idempotent")
async def send_email(to: str) -> str:
    """Sends a message to a person."""
    return f"sent to {to}"


@lash.tool(repeat="idempotent")
async def delete_branch(name: str) -> str:
    """Deletes a branch."""
    return f"{name} is gone"


TOOLS: list[Tool[..., Any]] = [send_email, delete_branch]


def offered(model: ScriptedModel, number: int = -1) -> list[str]:
    return sorted(tool.name for tool in model.requests[number].tools)


async def test_search_gives_the_compact_contract_of_what_it_finds(place: Place) -> None:
    model = ScriptedModel([calls("search_tools", query="send a message"), says("ok")])
    core = await place.core(model, tools=TOOLS, plugins=[ToolDiscovery()])
    async with core.session("s") as session:
        turn = await session.run("go")

    value = turn.tool_calls[0].output.value
    assert value == {
        "tools": [
            {
                "name": "send_email",
                "signature": "send_email({ to: str }) -> str",
                "returns": "str",
                "parameters": ["to: str"],
                "return_fields": [],
                "description": "Sends a message to a person.",
                "examples": [],
            }
        ],
        "total": 1,
    }
    assert offered(model, 0) == offered(model, 1) == ["delete_branch", "search_tools", "send_email"]


async def test_a_concealed_tool_is_shown_from_the_moment_it_is_found(place: Place) -> None:
    model = ScriptedModel(
        [calls("search_tools", query="email"), calls("send_email", to="ann"), says("sent"), says("again")]
    )
    core = await place.core(model, tools=TOOLS, plugins=[ToolDiscovery(conceal=["*"])])
    async with core.session("s") as session:
        turn = await session.run("go", turn_id="t1")

        assert turn.tool_calls[1].output.value == "sent to ann"
        assert offered(model, 0) == ["search_tools"]
        assert offered(model, 1) == ["search_tools", "send_email"]
        assert "2 more can be found with `search_tools`" in model.requests[0].messages[0].text
        assert "1 more can be found with `search_tools`" in model.requests[1].messages[0].text
        await session.run("more", turn_id="t2")
        assert offered(model) == ["search_tools", "send_email"]
    if not place.is_durable:
        return
    await place.end(core)
    reopened = ScriptedModel([says("ok")])
    again = await place.core(reopened, tools=TOOLS, plugins=[ToolDiscovery(conceal=["*"])])
    async with again.session("s") as session:
        await session.run("more", turn_id="t3")
    assert offered(reopened) == ["search_tools", "send_email"]


async def test_a_tool_that_is_off_is_not_found(place: Place) -> None:
    model = ScriptedModel([calls("search_tools", query="email"), says("none")])
    core = await place.core(model, tools=TOOLS, plugins=[ToolDiscovery()])
    async with core.session("s") as session:
        await session.tools.set_availability("send_email", "off")
        turn = await session.run("go")

    assert turn.tool_calls[0].output.value == {"tools": [], "total": 0}


async def test_without_the_search_nothing_is_concealed(place: Place) -> None:
    model = ScriptedModel([says("ok")])
    core = await place.core(model, tools=TOOLS, plugins=[ToolDiscovery(conceal=["*"])])
    async with core.session("s", hidden_tools=["search_tools"]) as session:
        await session.run("go")

    assert offered(model) == ["delete_branch", "send_email"]


@pytest.mark.parametrize(
    ("args", "code"), [({"query": " "}, "tool_retry"), ({"query": "a", "limit": 0}, "invalid_tool_args")]
)
async def test_a_search_for_nothing_is_refused(place: Place, args: dict[str, Json], code: str) -> None:
    model = ScriptedModel([calls("search_tools", **args), says("ok")])
    core = await place.core(model, tools=TOOLS, plugins=[ToolDiscovery()])
    async with core.session("s") as session:
        error = (await session.run("go")).tool_calls[0].output.error

    assert error is not None
    assert error.code == code


async def test_plugins_say_what_else_tools_are_found_under(place: Place) -> None:
    def git(context: CatalogContext) -> dict[str, ToolKeywords]:
        assert "delete_branch" in context.tool_names
        return {"delete_branch": ToolKeywords("git", ["prune"]), "unknown": ToolKeywords("git")}

    def more(_context: CatalogContext) -> dict[str, ToolKeywords]:
        return {"delete_branch": ToolKeywords(aliases=["tidy"])}

    model = ScriptedModel([[calls("search_tools", query=query) for query in ("git", "prune", "tidy")], says("ok")])
    plugins = [ToolDiscovery(), lash.Plugin("git").discovery(git), lash.Plugin("more").discovery(more)]
    core = await place.core(model, tools=TOOLS, plugins=plugins)
    async with core.session("s") as session:
        turn = await session.run("go")

    totals = [call.output.value["total"] for call in turn.tool_calls if isinstance(call.output.value, dict)]
    assert totals == [1, 1, 1]


async def test_a_discovery_hook_that_fails_ends_the_turn_by_name(place: Place) -> None:
    def broken(_context: CatalogContext) -> None:
        raise ValueError("no")

    core = await place.core(ScriptedModel([says("ok")]), tools=TOOLS, plugins=[lash.Plugin("b").discovery(broken)])
    async with core.session("s") as session:
        [issue] = (await session.run("go")).errors

    assert "plugin 'b': hook discovery raised ValueError('no')" in issue.message


async def test_what_was_found_survives_a_kill() -> None:
    def make(life: Life) -> lash.StandardCore:
        model = ScriptedModel([calls("search_tools", query="email"), calls("send_email", to="ann"), says("sent")])
        return lash.StandardCore(
            model=model,
            tools=TOOLS,
            plugins=[ToolDiscovery(conceal=["*"])],
            store=life.store,
            effect_host=life.effect_host,
        )

    async def program(core: lash.StandardCore) -> str:
        async with core.session("s") as session:
            turn = await session.run("go", turn_id="t")
            return f"{turn.text} {[call.tool for call in turn.tool_calls]}"

    report = await Lab(make).kill_everywhere(program, limit=16)

    report.raise_for_problems()


def test_an_operation_needs_its_module() -> None:
    with pytest.raises(lash.LashError, match="operation='find'"):
        lash.tool(operation="find")(send_email.__wrapped__)


async def test_programs_are_told_of_concealed_tools_once_they_are_found_and_where_they_are() -> None:
    @lash.tool(module="git", repeat="idempotent")
    async def drop_tag(name: str) -> str:
        """Drops a tag."""
        return f"{name} is gone"

    look = 'found = tools.search({ query: "tag" })?\nprint found.tools[0].in_programs'
    model = ScriptedModel([cell(look), cell('submit git.drop_tag({ name: "v1" })?')])
    core = lash.RlmCore(model=model, tools=[*TOOLS, drop_tag], plugins=[ToolDiscovery(conceal=["*"])])
    async with core, core.session("s") as session:
        turn = await session.run("go")

    before, after = (request.messages[0].text for request in model.requests)
    assert turn.value == "v1 is gone"
    assert model.requests[1].messages[-2].text == "Output 1:\ngit.drop_tag"
    assert ("git.drop_tag" in before, "git.drop_tag" in after) == (False, True)
    assert "tools.delete_branch" not in before + after
    assert "tools.search" in before
