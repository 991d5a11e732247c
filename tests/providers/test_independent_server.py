"""The wires against a model server that is not ours, which judges its clients."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from httpx2 import AsyncClient

import lash
from lash.models import ModelRetry, ProviderOptions, Reliability
from lash.providers import AnthropicMessages, GoogleGemini, OpenAIChat, OpenAIResponses, Wire
from services.models import find_model_server, model_server

OPTIONS = ProviderOptions(Reliability(60_000, 30_000, ModelRetry(attempts=4, base_ms=50)))
MAKERS: dict[str, Callable[[str], Wire[Any]]] = {
    "openai-compatible": lambda url: OpenAIChat(base_url=f"{url}/v1", api_key="k", options=OPTIONS),
    "openai": lambda url: OpenAIResponses(base_url=f"{url}/v1", api_key="k", options=OPTIONS),
    "anthropic": lambda url: AnthropicMessages(base_url=f"{url}/anthropic", api_key="k", options=OPTIONS),
    "google": lambda url: GoogleGemini(base_url=f"{url}/gemini", api_key="k", options=OPTIONS),
}
LOOKED_UP: dict[str, Any] = {"type": "reply", "tool_calls": [{"name": "lookup", "arguments": {"order": 7}}]}
ANSWERED: dict[str, Any] = {"type": "reply", "text": "Order 7 is late, and nobody knows why it is so late."}


@lash.tool
async def lookup(order: int) -> str:
    """Looks an order up."""
    return f"order {order} is late"


@dataclass(frozen=True)
class Other:
    """A wire, and the server on its other end."""

    wire: Wire[Any]
    control: AsyncClient

    async def plays(self, *behaviours: dict[str, Any]) -> None:
        """Forgets the past and behaves so from now on."""
        await self.control.post("/_llmock/reset")
        answer = await self.control.post("/_llmock/scenario", json={"behaviors": behaviours})
        assert answer.status_code < 300, answer.text

    async def run(self, text: str) -> lash.TurnResult:
        """One turn of a fresh core."""
        model = lash.ModelSpec("m", self.wire, context_window_tokens=100_000)
        async with lash.StandardCore(model=model, tools=[lookup]) as core, core.session("s") as session:
            return await session.run(text)

    async def verdict(self) -> dict[str, Any]:
        """What the server thinks of its client."""
        found: dict[str, Any] = (await self.control.get("/_llmock/verdict")).json()
        return found


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    program = find_model_server()
    if program is None:
        reason = "no independent model server is installed (scripts/setup-services.sh)"
        if os.environ.get("REQUIRE_SERVICES"):
            pytest.fail(f"{reason} and REQUIRE_SERVICES is set")
        pytest.skip(reason)
    with model_server(program, tmp_path_factory.mktemp("models") / "log") as url:
        yield url


@pytest.fixture(params=MAKERS)
async def other(request: pytest.FixtureRequest, address: str) -> AsyncIterator[Other]:
    wire = MAKERS[request.param](address)
    async with AsyncClient(base_url=address) as control:
        yield Other(wire, control)
    await wire.aclose()


async def test_a_tool_is_called_and_its_result_answered(other: Other) -> None:
    await other.plays(LOOKED_UP, ANSWERED)

    turn = await other.run("Where is order 7?")

    assert (turn.ok, turn.text) == (True, ANSWERED["text"])
    assert [(call.tool, call.args) for call in turn.tool_calls] == [("lookup", {"order": 7})]
    assert turn.usage.input_tokens > 0
    assert (await other.verdict())["passed"]


FAULTS = [
    {"type": "fail", "status": 429, "retry_after": 0.2},
    {"type": "fail", "status": 500, "retry_after": 0.1},
    {"type": "fail", "status": 503, "retry_after": 0.1, "times": 2},
    {"type": "stream_fault", "kind": "truncate", "after_chunks": 3},
    {"type": "stream_fault", "kind": "disconnect", "after_chunks": 3},
    {"type": "stream_fault", "kind": "malformed", "after_chunks": 3},
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.get('kind', '')}{fault.get('status', '')}")
async def test_a_fault_is_ridden_out_and_the_server_finds_nothing_to_blame(other: Other, fault: dict[str, Any]) -> None:
    await other.plays(fault, {**ANSWERED, "times": None})

    turn = await other.run("Where is order 7?")

    assert (turn.ok, turn.text) == (True, ANSWERED["text"])
    verdict = await other.verdict()
    assert verdict["faults_injected"] == fault.get("times", 1)
    assert verdict["passed"], verdict


async def test_what_cannot_succeed_is_not_tried_again(other: Other) -> None:
    await other.plays({"type": "fail", "status": 401, "times": None})

    turn = await other.run("hi")

    verdict = await other.verdict()
    assert (turn.ok, verdict["attempts"], verdict["passed"]) == (False, 1, True)
