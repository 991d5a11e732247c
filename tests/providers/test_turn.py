"""Whole turns over a real wire, as a host has them."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import pytest

import lash
from lash.providers import MissingApiKey, MissingBaseUrl
from providers.test_openai_chat import call_piece, delta
from providers.test_openai_responses import SAID, THOUGHT, closing
from providers.wire_server import WireServer, streams


@lash.tool
async def double(n: int) -> int:
    """Doubles a number."""
    return 2 * n


@pytest.fixture(autouse=True)
def environment(server: WireServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)


async def test_a_turn_over_chat_completions_calls_tools_in_parallel(server: WireServer, tmp_path: Path) -> None:
    calls = [call_piece(n, f'{{"n":{n}}}', id=f"c{n}", name="double") for n in (0, 1)]
    server.plays(streams(delta(tool_calls=calls), delta("tool_calls")), streams(delta("stop", content="0 and 2")))

    async with (
        lash.StandardCore(model="openai-compatible:m", tools=[double], store=str(tmp_path / "a.db")) as core,
        core.session("s") as session,
    ):
        turn = await session.run("double 0 and 1", turn_id="t")
        again = await session.run("double 0 and 1", turn_id="t")

    assert (turn.ok, turn.text, again.replayed) == (True, "0 and 2", True)
    assert len(server.asked) == 2
    assert [tool["function"]["name"] for tool in server.asked[0].body["tools"]] == ["double"]
    assert server.asked[1].body["messages"][-2:] == [
        {"role": "tool", "tool_call_id": "c0", "content": "0"},
        {"role": "tool", "tool_call_id": "c1", "content": "2"},
    ]


async def test_a_turn_over_responses_replays_the_reasoning(server: WireServer) -> None:
    call = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "double", "arguments": '{"n":4}'}
    server.plays(streams(closing(output=[THOUGHT, call])), streams(closing(output=[SAID])))

    async with lash.StandardCore(model="openai:gpt-5.4-mini", tools=[double]) as core, core.session("s") as session:
        turn = await session.run("double 4")

    assert (turn.ok, turn.text) == (True, "Grüße 🙂")
    assert server.asked[1].body["input"][-3:] == [
        THOUGHT,
        call,
        {"type": "function_call_output", "call_id": "c1", "output": "8"},
    ]


async def test_an_image_of_a_turn_reaches_the_model(server: WireServer) -> None:
    picture = b"\x89PNG\r\n\x1a\n" + b"\0" * 16
    server.plays(streams(delta("stop", content="a cat")))

    async with lash.StandardCore(model="openai-compatible:m") as core, core.session("s") as session:
        turn = await session.run(lash.TurnInput.text("What is this?").image("photo", picture))

    assert turn.ok
    assert server.asked[0].body["messages"][-1]["content"][-1] == {
        "type": "image_url",
        "image_url": {"url": f"data:image/png;base64,{b64encode(picture).decode()}"},
    }


async def test_a_core_closes_its_wires_and_can_be_opened_again(server: WireServer) -> None:
    core = lash.StandardCore(model="openai-compatible:m")
    server.plays(streams(delta("stop", content="hello")))

    for session_id in ("a", "b"):
        async with core, core.session(session_id) as session:
            assert (await session.run("hi")).text == "hello"

    assert server.connections == 2


def test_what_is_not_configured_is_named_before_anything_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL")
    with pytest.raises(MissingBaseUrl, match="OPENAI_BASE_URL"):
        lash.StandardCore(model="openai-compatible:m")

    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(MissingApiKey, match="OPENAI_API_KEY"):
        lash.StandardCore(model="openai:m")
