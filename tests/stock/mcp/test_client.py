"""MCP servers made with the official package, spoken to over real pipes and real HTTP."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp", reason="mcp is not installed")

import lash
from face.places import eventually
from lash.base.errors import InvalidArgument
from lash.base.messages import AttachmentRef
from lash.stock.mcp import McpServer, McpServers, McpServerUnavailable, Stdio, StreamableHttp
from lash.testing import ScriptedModel, calls, says
from lash.tools import ToolResult
from stock.mcp.places import ServerPlace


def core_of(mcp: McpServers, *steps: Any) -> lash.StandardCore:
    return lash.StandardCore(model=ScriptedModel([*steps, says("done")]), plugins=[mcp])


async def outputs(core: lash.StandardCore, session_id: str = "s") -> list[ToolResult]:
    async with core.session(session_id) as session:
        return [call.output for call in (await session.run("go")).tool_calls]


async def connected(mcp: McpServers, name: str = "ex") -> None:
    await eventually(lambda: mcp.status()[name].is_connected, "the server is connected")


async def test_tools_come_with_their_schemas(place: ServerPlace) -> None:
    mcp = McpServers({"ex": place.server()})
    model = ScriptedModel([says("hello")])
    async with lash.StandardCore(model=model, plugins=[mcp]) as core, core.session("s") as session:
        await session.run("hi")

    [request] = model.requests
    [order] = [spec for spec in request.tools if spec.name == "mcp__ex__order"]
    assert order.description == "Finds an order."
    assert order.input_schema["properties"]["number"]["type"] == "integer"  # type: ignore[index, call-overload]
    assert order.output_schema is not None


async def test_results_are_values_text_and_attachments(place: ServerPlace) -> None:
    mcp = McpServers({"ex": place.server()})
    core = core_of(
        mcp,
        calls("mcp__ex__order", number=7),
        calls("mcp__ex__say", text="hello"),
        calls("mcp__ex__picture"),
        calls("mcp__ex__refuse", why="not today"),
    )
    async with core:
        order, said, picture, refused = await outputs(core)

        assert order.value == {"number": 7, "state": "shipped"}
        assert said.value == "hello"
        text, image = picture.value
        assert text == "a pixel:"
        assert isinstance(image, AttachmentRef)
        assert image.media_type == "image/png"
        assert (await core.store.attachments.get(image.id)).data.startswith(b"\x89PNG")
        assert refused.error is not None
        assert (refused.error.kind, refused.error.code) == ("execution", "mcp_tool_error")
        assert "not today" in refused.error.message


async def test_arguments_are_checked_before_they_are_sent(nearby: ServerPlace) -> None:
    mcp = McpServers({"ex": nearby.server()})
    core = core_of(mcp, calls("mcp__ex__order", number="seven"))
    async with core:
        [output] = await outputs(core)

    assert output.error is not None
    assert output.error.kind == "invalid_request"
    assert nearby.done() == []


async def test_headers_are_sent(place: ServerPlace) -> None:
    async with core_of(McpServers({"ex": place.server()})):
        pass

    if place.name != "stdio":
        assert {seen.get("authorization") for seen in place.seen_headers} == {"Bearer secret"}


async def test_a_tool_that_comes_later_is_there_in_the_next_turn(place: ServerPlace) -> None:
    mcp = McpServers({"ex": place.server()})
    core = core_of(mcp, calls("mcp__ex__learn", name="dance"), says("ok"), calls("mcp__ex__dance"))
    async with core:
        [learned] = await outputs(core)
        assert learned.value == "learned dance"
        await eventually(lambda: "mcp__ex__dance" in mcp.status()["ex"].tools, "the tool is learned")

        [danced] = await outputs(core)

    assert danced.value == "dance"


async def test_a_call_that_takes_too_long_fails_and_is_cancelled_at_the_server(place: ServerPlace) -> None:
    mcp = McpServers({"ex": place.server(call_timeout_ms=300)})
    core = core_of(mcp, calls("mcp__ex__slow"), calls("mcp__ex__say", text="still here"))
    async with core:
        slow, said = await outputs(core)
        await eventually(lambda: "slow was cancelled" in place.done(), "the server hears of it")

    assert slow.error is not None
    assert slow.error.kind == "timeout"
    assert said.value == "still here"


async def test_a_cancelled_turn_cancels_its_call(nearby: ServerPlace) -> None:
    mcp = McpServers({"ex": nearby.server()})
    core = core_of(mcp, calls("mcp__ex__slow"))
    async with core, core.session("s") as session:
        running = asyncio.create_task(session.run("go"))
        await eventually(lambda: "slow began" in nearby.done(), "the call began")
        await session.cancel()
        turn = await running
        await eventually(lambda: "slow was cancelled" in nearby.done(), "the server hears of it")

    assert not turn.ok
    assert not turn.tool_calls[0].output.is_success


async def test_progress_is_told(nearby: ServerPlace) -> None:
    mcp = McpServers({"ex": nearby.server(call_timeout_ms=1_000)})
    core = core_of(mcp, calls("mcp__ex__slow"))
    async with core, core.session("s") as session:
        turn = await session.turn("go").collect()

    assert "half of it" in [getattr(told.event, "text", None) for told in turn.activities]


# A server that is cut off in this process leaves streams of its own library unclosed.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_server_that_dies_is_a_typed_failure_and_comes_back(place: ServerPlace) -> None:
    mcp = McpServers({"ex": place.server()})
    before = [calls("mcp__ex__die")] if place.name == "stdio" else [calls("mcp__ex__say", text="before")]
    core = core_of(
        mcp, *before, says("ok"), calls("mcp__ex__say", text="after"), says("ok"), calls("mcp__ex__say", text="at last")
    )
    async with core:
        [first] = await outputs(core)
        if place.name == "stdio":
            assert first.error is not None
            assert (first.error.kind, first.error.code) == ("external", "mcp_connection_lost")
            await connected(mcp)
            [again] = await outputs(core)
            assert again.value == "after"
        else:
            assert first.value == "before"
            await place.stop()
            [failed] = await outputs(core)
            assert failed.error is not None
            assert failed.error.code in ("mcp_connection_lost", "mcp_server_unavailable")
            assert not mcp.status()["ex"].is_connected
            assert mcp.status()["ex"].problem
            await place.start()
            await connected(mcp)
        [last] = await outputs(core)

    if place.name != "stdio":
        assert last.value == "at last"
    assert place.done()[-1].startswith("say")


async def test_servers_come_and_go_at_run_time(nearby: ServerPlace) -> None:
    mcp = McpServers({})
    steps = [
        says("nothing"),
        calls("mcp__ex__say", text="1"),
        says("ok"),
        calls("mcp__ex__say", text="2"),
        says("ok"),
        calls("mcp__ex__say", text="3"),
    ]
    core = core_of(mcp, *steps)
    async with core:
        assert await outputs(core) == []
        status = await mcp.attach("ex", nearby.server())
        assert status.is_connected
        assert "mcp__ex__say" in status.tools
        [first] = await outputs(core)
        await mcp.detach("ex")
        [gone] = await outputs(core)
        await mcp.attach("ex", nearby.server())
        [again] = await outputs(core)

    assert first.value == "1"
    assert gone.error is not None
    assert gone.error.code == "tool_unavailable"
    assert again.value == "3"


async def test_names_and_the_repeat_class_are_the_applications(nearby: ServerPlace) -> None:
    async def offered(**options: Any) -> dict[str, str]:
        mcp = McpServers({"ex": nearby.server(**options)})
        async with core_of(mcp):
            return {manifest.name: manifest.repeat for manifest in mcp._offer.tool_manifests()}

    assert set((await offered()).values()) == {"never"}
    hinted = await offered(repeat="hints", prefix="")
    assert (hinted["order"], hinted["say"]) == ("safe", "never")
    assert await offered(repeat="idempotent", prefix="x.", tools=["say"]) == {"x_say": "idempotent"}


# without a server


async def test_a_server_that_is_not_there_keeps_no_core_from_opening(tmp_path: Path) -> None:
    mcp = McpServers({"gone": Stdio(str(tmp_path / "nothing"))})
    async with core_of(mcp) as core:
        assert await outputs(core) == []
        assert "nothing" in (mcp.status()["gone"].problem or "")


async def test_a_required_server_that_is_not_there_does() -> None:
    mcp = McpServers({"gone": McpServer(StreamableHttp("http://127.0.0.1:1/mcp"), required=True)})

    with pytest.raises(McpServerUnavailable, match="'gone'"):
        await core_of(mcp).open()

    assert mcp.status()["gone"].problem == "the core is not open"


async def test_a_server_that_says_nothing_is_given_up_in_time() -> None:
    mcp = McpServers({"mute": McpServer(Stdio("sleep", ["60"]), startup_timeout_ms=200)})
    async with core_of(mcp):
        assert mcp.status()["mute"].problem == "no answer within 200 ms"


async def test_names_that_could_not_be_told_apart_are_refused() -> None:
    server = Stdio("true")
    for name in ("", "a:b", "a b"):
        with pytest.raises(InvalidArgument, match="name"):
            McpServers({name: server})
    mcp = McpServers({"a": server})
    with pytest.raises(InvalidArgument, match="already"):
        await mcp.attach("a", server)
    with pytest.raises(InvalidArgument, match="there is no"):
        await mcp.detach("b")
    with pytest.raises(InvalidArgument, match="positive"):
        McpServer(server, call_timeout_ms=0)


async def test_a_name_of_two_servers_is_the_first_ones_whoever_answers_first() -> None:
    from mcp.types import Tool

    one, other = (McpServer(Stdio("true"), prefix="same_") for _ in range(2))
    mcp = McpServers({"one": one, "other": other})
    tools = [Tool(name=name, input_schema={"type": "object"}) for name in ("find", "list")]
    mcp._offer.learn("other", other, tools)
    mcp._offer.learn("one", one, tools[:1])

    assert {each.name: each.id for each in mcp._offer.tool_manifests()} == {
        "same_find": "mcp:one:find",
        "same_list": "mcp:other:list",
    }
    assert {name: status.tools for name, status in mcp.status().items()} == {
        "one": ["same_find"],
        "other": ["same_list"],
    }
