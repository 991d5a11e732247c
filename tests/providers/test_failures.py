"""What goes wrong on the wire, and what each provider makes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from msgspec.structs import replace

from lash.base.cancel import CancelToken
from lash.machine.capability import ModelCapability
from lash.machine.llm import (
    AttemptReset,
    LlmCallError,
    LlmResponse,
    LlmStreamEvent,
    RetryStatus,
    TextDelta,
    UsageSoFar,
)
from lash.models import ModelRetry, Provider, ProviderFailure, ProviderOptions, Reliability, call_model
from lash.providers import OpenAIChat
from providers.dialects import DIALECTS, Call, Dialect, Said, Text
from providers.wire_server import QUICK, REQUEST, Reply, WireServer, refuses, streams

ANSWER = [Text("half")]


@dataclass(frozen=True)
class Spoken:
    """A wire, and how the server on its other end speaks."""

    provider: Provider
    dialect: Dialect


@pytest.fixture(params=DIALECTS, ids=lambda dialect: dialect.kind)
async def wire(request: pytest.FixtureRequest, server: WireServer) -> AsyncIterator[Spoken]:
    dialect: Dialect = request.param
    provider = dialect.make(server, QUICK)
    yield Spoken(provider, dialect)
    await provider.aclose()


async def failure_of(provider: Provider) -> ProviderFailure:
    with pytest.raises(ProviderFailure) as caught:
        await provider.complete(REQUEST)
    return caught.value


REFUSALS = [
    (500, "internal", "oops", "http", True, "provider_error"),
    (503, "unavailable", "overloaded", "http", True, "provider_error"),
    (529, "overloaded_error", "Overloaded", "http", True, "provider_error"),
    (429, "rate_limit_error", "Rate limit reached", "http", True, "provider_error"),
    (429, "insufficient_quota", "pay", "quota", False, "provider_error"),
    (401, "authentication_error", "wrong key", "auth", False, "provider_error"),
    (403, "permission_error", "not yours", "auth", False, "provider_error"),
    (400, "context_length_exceeded", "too long", "validation", False, "context_overflow"),
    (400, "invalid_request_error", "prompt is too long: 9 tokens > 8 maximum", "validation", False, "context_overflow"),
    (400, "content_filter", "no", "validation", False, "content_filter"),
    (404, "model_not_found", "m", "unsupported", False, "provider_error"),
    (400, "invalid", "bad field", "validation", False, "provider_error"),
]


@pytest.mark.parametrize(("status", "code", "message", "kind", "retryable", "reason"), REFUSALS)
async def test_a_refusal_is_classified(
    server: WireServer, wire: Spoken, status: int, code: str, message: str, kind: str, retryable: bool, reason: str
) -> None:
    server.plays(wire.dialect.refuses(status, code, message))

    failure = await failure_of(wire.provider)

    assert (failure.kind, failure.retryable, failure.terminal_reason) == (kind, retryable, reason)
    assert failure.status == status
    assert message in failure.message
    assert len(server.asked) == 1, "a provider makes one attempt"


@pytest.mark.parametrize("page", ["<html>bad gateway</html>", ["a", "list"], None, 7])
async def test_a_refusal_in_any_other_shape_is_told_by_its_status(
    server: WireServer, wire: Spoken, page: object
) -> None:
    server.plays(refuses(502, page))

    failure = await failure_of(wire.provider)

    assert (failure.kind, failure.retryable, failure.status) == ("http", True, 502)


async def test_retry_after_is_kept(server: WireServer, wire: Spoken) -> None:
    server.plays(wire.dialect.refuses(429, "rate_limit_error", "slow down", retry_after="7"))

    assert (await failure_of(wire.provider)).retry_after_ms == 7_000


@pytest.mark.parametrize("ending", ["end", "abort"])
async def test_a_stream_without_terminal_evidence_may_be_tried_again(
    server: WireServer, wire: Spoken, ending: Any
) -> None:
    server.plays(wire.dialect.breaks_off(*ANSWER, ending=ending))

    failure = await failure_of(wire.provider)

    assert failure.kind == ("stream" if ending == "end" else "transport")
    assert failure.retryable


async def test_the_sentinel_alone_is_no_evidence(server: WireServer, wire: Spoken) -> None:
    server.plays(streams(*wire.dialect.opening(*ANSWER)))

    failure = await failure_of(wire.provider)

    assert (failure.kind, failure.retryable) == ("stream", True)


@pytest.mark.parametrize("ending", ["end", "abort"])
async def test_a_finished_stream_stands_however_the_connection_ends(
    server: WireServer, wire: Spoken, ending: Any
) -> None:
    server.plays(wire.dialect.plays(*ANSWER, ending=ending))

    assert (await wire.provider.complete(REQUEST)).full_text == "half"


@pytest.mark.parametrize("said", [[Text("ü🙂"), Call("c0", "one", {"n": 1})]], ids=["text and a call"])
async def test_a_stream_may_be_cut_between_any_two_bytes(server: WireServer, wire: Spoken, said: list[Said]) -> None:
    [stream] = wire.dialect.plays(*said).pieces
    server.plays(Reply([stream]))
    whole = await wire.provider.complete(REQUEST)
    assert whole.full_text == "ü🙂"
    assert [(call.call_id, call.tool_name) for call in whole.tool_calls] == [("c0", "one")]

    for cut in range(1, len(stream)):
        server.plays(Reply([stream[:cut], stream[cut:]]))

        assert await wire.provider.complete(REQUEST) == whole, f"cut at {cut}: {stream[:cut]!r}"


async def test_a_disconnect_at_any_byte_is_the_answer_or_a_failure_that_may_be_tried_again(
    server: WireServer, wire: Spoken
) -> None:
    [stream] = wire.dialect.plays(*ANSWER).pieces
    outcomes: list[str] = []
    for cut in range(1, len(stream) + 1):
        server.plays(Reply([stream[:cut]], ending="abort"))
        try:
            outcomes.append((await wire.provider.complete(REQUEST)).full_text)
        except ProviderFailure as failure:
            outcomes.append("may be tried again" if failure.retryable else str(failure))

    # Up to some byte a failure, from there on the answer, never anything in between.
    turning = outcomes.index("half")
    assert outcomes == ["may be tried again"] * turning + ["half"] * (len(outcomes) - turning)
    assert turning > stream.index(b"half"), "the text alone is no evidence that it is whole"


@pytest.mark.parametrize(
    "garbage", [b"data: {nonsense\n\n", b"data: [1]\n\n", b"data: \xff\xfe\n\n", b"<html>hello</html>", b"", b"\0" * 99]
)
async def test_garbage_may_be_tried_again(server: WireServer, wire: Spoken, garbage: bytes) -> None:
    server.plays(Reply([garbage] if garbage else []))

    failure = await failure_of(wire.provider)

    assert (failure.kind, failure.retryable) == ("stream", True)


async def test_what_came_instead_of_a_stream_is_quoted(server: WireServer, wire: Spoken) -> None:
    server.plays(Reply([b"<html>please log in</html>"]))

    assert "please log in" in str(await failure_of(wire.provider))


@pytest.mark.parametrize(
    ("code", "message", "kind", "retryable"),
    [
        ("overloaded_error", "Overloaded", "stream", True),
        ("internal", "broke off", "stream", True),
        ("context_length_exceeded", "x", "validation", False),
    ],
)
async def test_an_error_inside_the_stream_is_classified(
    server: WireServer, wire: Spoken, code: str, message: str, kind: str, retryable: bool
) -> None:
    server.plays(streams(*wire.dialect.opening(*ANSWER), wire.dialect.error(500, code, message), done=False))

    failure = await failure_of(wire.provider)

    assert (failure.kind, failure.retryable) == (kind, retryable)


async def test_nobody_listening_is_a_transport_failure(server: WireServer) -> None:
    provider = OpenAIChat(base_url="http://127.0.0.1:1/v1", api_key="k")

    failure = await failure_of(provider)
    await provider.aclose()

    assert (failure.kind, failure.retryable) == ("transport", True)


async def test_silence_ends_the_attempt(server: WireServer, wire: Spoken) -> None:
    provider = wire.dialect.make(server, ProviderOptions(Reliability(5_000, 50, ModelRetry(attempts=1))))
    server.plays(wire.dialect.breaks_off(*ANSWER, ending="hang"))

    call = await call_model(provider, REQUEST)
    await provider.aclose()

    assert call.result == LlmCallError("timeout", "nothing received for 50 ms")


async def test_a_cancelled_call_leaves_the_connection(server: WireServer, wire: Spoken) -> None:
    token = CancelToken()
    server.plays(wire.dialect.breaks_off(*ANSWER, ending="hang"))

    call = await call_model(wire.provider, REQUEST, stream=lambda event: token.cancel(), cancel=token)

    assert isinstance(call.result, LlmCallError)
    assert call.result.code == "cancelled"
    async with asyncio.timeout(5):
        await server.idle()


async def test_bytes_that_say_nothing_new_are_a_sign_of_life(server: WireServer, wire: Spoken) -> None:
    server.plays(Reply([b": processing\n\n", *wire.dialect.plays(*ANSWER).pieces]))
    heard: list[LlmStreamEvent] = []

    await wire.provider.complete(REQUEST, heard.append)

    assert isinstance(heard[0], UsageSoFar)


async def test_a_broken_attempt_is_retracted_and_the_next_one_answers(server: WireServer, wire: Spoken) -> None:
    options = ProviderOptions(Reliability(60_000, 30_000, ModelRetry(attempts=2, base_ms=0)))
    provider = wire.dialect.make(server, options)
    server.plays(wire.dialect.breaks_off(*ANSWER, ending="abort"), wire.dialect.plays(*ANSWER))
    heard: list[LlmStreamEvent] = []

    call = await call_model(provider, REQUEST, stream=heard.append)
    await provider.aclose()

    assert isinstance(call.result, LlmResponse)
    assert call.result.full_text == "half"
    assert [type(event) for event in heard if isinstance(event, TextDelta | RetryStatus | AttemptReset)] == [
        TextDelta,
        RetryStatus,
        AttemptReset,
        TextDelta,
    ]
    [failed] = call.failed
    assert (failed.attempt, failed.kind, failed.streamed_parts, failed.waited_ms) == (1, "transport", 1, 0)


async def test_a_server_that_never_says_that_it_is_done_may_be_believed(server: WireServer, wire: Spoken) -> None:
    server.plays(wire.dialect.breaks_off(*ANSWER))
    trusting = replace(REQUEST, capability=ModelCapability(stream_termination="eof"))

    assert (await wire.provider.complete(trusting)).full_text == "half"

    server.plays(wire.dialect.breaks_off(*ANSWER, ending="abort"))
    with pytest.raises(ProviderFailure, match="broke off"):
        await wire.provider.complete(trusting)
