"""What goes wrong on the wire, and what each provider makes of it."""

from __future__ import annotations

import asyncio
from typing import Any, TypeAlias

import pytest

from lash.base.cancel import CancelToken
from lash.machine.llm import (
    AttemptReset,
    LlmCallError,
    LlmResponse,
    LlmStreamEvent,
    RetryStatus,
    TextDelta,
    TextPart,
    UsageSoFar,
)
from lash.models import ModelRetry, Provider, ProviderFailure, ProviderOptions, Reliability, call_model
from lash.providers import OpenAIChat, OpenAIResponses
from providers.wire_server import REQUEST, Reply, WireServer, refuses, sse, streams

HALF_CHAT = {"choices": [{"index": 0, "delta": {"content": "half"}, "finish_reason": None}]}
END_CHAT = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
HALF_RESPONSES = {"type": "response.output_text.delta", "delta": "half"}
END_RESPONSES = {
    "type": "response.completed",
    "response": {
        "status": "completed",
        "output": [{"type": "message", "content": [{"type": "output_text", "text": "half"}]}],
    },
}
Wire: TypeAlias = tuple[Provider, Any, Any]


@pytest.fixture(params=["openai-compatible", "openai"])
def wire(request: pytest.FixtureRequest, chat: OpenAIChat, responses: OpenAIResponses) -> Wire:
    """A provider, an event that says `half`, and the event that ends its stream."""
    if request.param == "openai":
        return responses, HALF_RESPONSES, END_RESPONSES
    return chat, HALF_CHAT, END_CHAT


async def failure_of(provider: Provider) -> ProviderFailure:
    with pytest.raises(ProviderFailure) as caught:
        await provider.complete(REQUEST)
    return caught.value


@pytest.mark.parametrize(
    ("reply", "kind", "retryable", "reason"),
    [
        (refuses(500, {"error": {"message": "oops"}}), "http", True, "provider_error"),
        (refuses(503, {"error": {"message": "overloaded"}}), "http", True, "provider_error"),
        (refuses(502, "<html>bad gateway</html>"), "http", True, "provider_error"),
        (refuses(429, {"error": {"message": "Rate limit reached"}}), "http", True, "provider_error"),
        (refuses(429, {"error": {"code": "insufficient_quota", "message": "pay"}}), "quota", False, "provider_error"),
        (refuses(401, {"error": {"message": "wrong key"}}), "auth", False, "provider_error"),
        (
            refuses(400, {"error": {"code": "context_length_exceeded", "message": "too long"}}),
            "validation",
            False,
            "context_overflow",
        ),
        (
            refuses(400, {"error": {"code": "content_filter", "message": "no"}}),
            "validation",
            False,
            "content_filter",
        ),
        (refuses(404, {"error": {"code": "model_not_found", "message": "m"}}), "unsupported", False, "provider_error"),
        (refuses(400, {"error": {"message": "bad field", "type": "invalid"}}), "validation", False, "provider_error"),
    ],
)
async def test_a_refusal_is_classified(
    server: WireServer, wire: Wire, reply: Reply, kind: str, retryable: bool, reason: str
) -> None:
    server.plays(reply)

    failure = await failure_of(wire[0])

    assert (failure.kind, failure.retryable, failure.terminal_reason) == (kind, retryable, reason)
    assert failure.status == reply.status
    assert len(server.asked) == 1, "a provider makes one attempt"


async def test_retry_after_is_kept(server: WireServer, wire: Wire) -> None:
    server.plays(refuses(429, {"error": {"message": "slow down"}}, retry_after="7"))

    assert (await failure_of(wire[0])).retry_after_ms == 7_000


@pytest.mark.parametrize("ending", ["end", "abort"])
async def test_a_stream_without_terminal_evidence_may_be_tried_again(
    server: WireServer, wire: Wire, ending: Any
) -> None:
    provider, half, _ = wire
    server.plays(streams(half, ending=ending, done=False))

    failure = await failure_of(provider)

    assert failure.kind == ("stream" if ending == "end" else "transport")
    assert failure.retryable


async def test_the_sentinel_alone_is_no_evidence(server: WireServer, wire: Wire) -> None:
    provider, half, _ = wire
    server.plays(streams(half))

    failure = await failure_of(provider)

    assert (failure.kind, failure.retryable) == ("stream", True)


@pytest.mark.parametrize("ending", ["end", "abort"])
async def test_a_finished_stream_stands_however_the_connection_ends(
    server: WireServer, wire: Wire, ending: Any
) -> None:
    provider, half, end = wire
    server.plays(streams(half, end, ending=ending, done=False))

    assert (await provider.complete(REQUEST)).full_text == "half"


async def test_a_disconnect_at_any_byte_is_an_answer_or_a_failure_that_may_be_tried_again(
    server: WireServer, wire: Wire
) -> None:
    provider, half, end = wire
    stream = sse([half, end], done=False)
    outcomes: dict[int, str] = {}
    for cut in range(1, len(stream) + 1):
        server.plays(Reply([stream[:cut]], ending="abort"))
        try:
            outcomes[cut] = (await provider.complete(REQUEST)).full_text
        except ProviderFailure as failure:
            outcomes[cut] = "may be tried again" if failure.retryable else str(failure)

    assert outcomes == {cut: "half" if cut == len(stream) else "may be tried again" for cut in outcomes}


@pytest.mark.parametrize(
    "garbage", [b"data: {nonsense\n\n", b"data: [1]\n\n", b"data: \xff\xfe\n\n", b"<html>hello</html>", b"", b"\0" * 99]
)
async def test_garbage_may_be_tried_again(server: WireServer, wire: Wire, garbage: bytes) -> None:
    server.plays(Reply([garbage] if garbage else []))

    failure = await failure_of(wire[0])

    assert (failure.kind, failure.retryable) == ("stream", True)


async def test_what_came_instead_of_a_stream_is_quoted(server: WireServer, wire: Wire) -> None:
    server.plays(Reply([b"<html>please log in</html>"]))

    assert "please log in" in str(await failure_of(wire[0]))


@pytest.mark.parametrize(
    ("error", "kind", "retryable"),
    [
        ({"message": "overloaded", "code": 503}, "stream", True),
        ({"message": "broke off"}, "stream", True),
        ({"message": "x", "code": "context_length_exceeded"}, "validation", False),
    ],
)
async def test_an_error_inside_the_stream_is_classified(
    server: WireServer, wire: Wire, error: Any, kind: str, retryable: bool
) -> None:
    provider, half, _ = wire
    server.plays(streams(half, {"error": error}))

    failure = await failure_of(provider)

    assert (failure.kind, failure.retryable) == (kind, retryable)


async def test_nobody_listening_is_a_transport_failure(server: WireServer) -> None:
    provider = OpenAIChat(base_url="http://127.0.0.1:1/v1", api_key="k")

    failure = await failure_of(provider)
    await provider.aclose()

    assert (failure.kind, failure.retryable) == ("transport", True)


async def test_silence_ends_the_attempt(server: WireServer) -> None:
    options = ProviderOptions(Reliability(5_000, 50, ModelRetry(attempts=1)))
    provider = OpenAIChat(base_url=server.base_url, api_key="k", options=options)
    server.plays(streams(HALF_CHAT, ending="hang", done=False))

    call = await call_model(provider, REQUEST)
    await provider.aclose()

    assert call.result == LlmCallError("timeout", "nothing received for 50 ms")


async def test_a_cancelled_call_leaves_the_connection(server: WireServer, wire: Wire) -> None:
    provider, half, _ = wire
    token = CancelToken()
    server.plays(streams(half, ending="hang", done=False))

    call = await call_model(provider, REQUEST, stream=lambda event: token.cancel(), cancel=token)

    assert isinstance(call.result, LlmCallError)
    assert call.result.code == "cancelled"
    async with asyncio.timeout(5):
        await server.idle()


async def test_bytes_that_say_nothing_new_are_a_sign_of_life(server: WireServer, wire: Wire) -> None:
    provider, half, end = wire
    server.plays(Reply([b": processing\n\n", sse([half, end])]))
    heard: list[LlmStreamEvent] = []

    await provider.complete(REQUEST, heard.append)

    assert isinstance(heard[0], UsageSoFar)


async def test_a_broken_attempt_is_retracted_and_the_next_one_answers(server: WireServer) -> None:
    options = ProviderOptions(Reliability(5_000, 2_000, ModelRetry(attempts=2, base_ms=0)))
    provider = OpenAIChat(base_url=server.base_url, api_key="k", options=options)
    server.plays(streams(HALF_CHAT, ending="abort", done=False), streams(HALF_CHAT, END_CHAT))
    heard: list[LlmStreamEvent] = []

    call = await call_model(provider, REQUEST, stream=heard.append)
    await provider.aclose()

    assert isinstance(call.result, LlmResponse)
    assert call.result.parts == [TextPart("half")]
    assert [type(event) for event in heard if isinstance(event, TextDelta | RetryStatus | AttemptReset)] == [
        TextDelta,
        RetryStatus,
        AttemptReset,
        TextDelta,
    ]
