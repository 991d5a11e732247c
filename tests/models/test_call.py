"""A model call: attempts, waits, timeouts, cancellation."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from lash.base.cancel import CancelToken
from lash.machine.llm import (
    AttemptReset,
    LlmCallError,
    LlmRequest,
    LlmResponse,
    LlmStreamEvent,
    RequestPlace,
    RetryStatus,
    TextDelta,
    TextPart,
)
from lash.models import (
    ModelCallLeft,
    ModelRetry,
    Provider,
    ProviderFailure,
    ProviderOptions,
    ProviderWrapper,
    Reliability,
    StreamSink,
    call_model,
)
from lash.models.retry import retry_delay

BUSY = ProviderFailure("http", "busy", retryable=True, status=503)
FINAL = ProviderFailure("auth", "no", status=401)
REQUEST = LlmRequest("m", [], place=RequestPlace(model_call=4))
HELLO = LlmResponse([TextPart("hello")])


class ManualClock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 0
        self.sleepers: list[tuple[int, asyncio.Event]] = []

    def now_ms(self) -> int:
        return self.now

    def monotonic(self) -> float:
        return self.now / 1_000

    async def sleep(self, ms: int) -> None:
        event = asyncio.Event()
        self.sleepers.append((self.now + ms, event))
        await event.wait()

    async def advance(self, ms: int) -> None:
        self.now += ms
        for due, event in self.sleepers:
            if due <= self.now:
                event.set()
        for _ in range(8):
            await asyncio.sleep(0)


class EagerClock(ManualClock):
    """Time that never waits and remembers what it was asked to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[int] = []

    async def sleep(self, ms: int) -> None:
        self.waits.append(ms)
        self.now += ms


PATIENT = Reliability(None, None)


class Plays:
    """A provider that does one thing after another."""

    kind = "plays"

    def __init__(self, *acts: Any, reliability: Reliability = PATIENT) -> None:
        self.acts = list(acts)
        self.options = ProviderOptions(reliability)
        self.requests: list[LlmRequest] = []

    async def complete(
        self, request: LlmRequest, stream: StreamSink | None = None, cancel: CancelToken | None = None
    ) -> LlmResponse:
        self.requests.append(request)
        act = self.acts.pop(0)
        if isinstance(act, Exception):
            raise act
        if isinstance(act, LlmResponse):
            return act
        play: Callable[[StreamSink], Awaitable[LlmResponse]] = act
        return await play(stream or (lambda event: None))


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        await asyncio.sleep(0)


async def forever(stream: StreamSink) -> LlmResponse:
    await asyncio.Event().wait()
    return HELLO


class TestRetries:
    async def test_a_retryable_failure_is_tried_again_at_the_next_place(self) -> None:
        provider, clock = Plays(BUSY, BUSY, HELLO), EagerClock()
        heard: list[LlmStreamEvent] = []

        call = await call_model(provider, REQUEST, stream=heard.append, clock=clock)

        assert (call.result, call.attempts) == (HELLO, 3)
        assert clock.waits == [2_000, 4_000]
        assert heard == [RetryStatus(2.0, 1, 4, "busy"), RetryStatus(4.0, 2, 4, "busy")]
        assert [request.place.model_call for request in provider.requests] == [4, 5, 6]

    async def test_text_of_a_failed_attempt_is_taken_back(self) -> None:
        async def breaks(stream: StreamSink) -> LlmResponse:
            stream(TextDelta("half"))
            raise BUSY

        heard: list[LlmStreamEvent] = []

        await call_model(Plays(breaks, HELLO), REQUEST, stream=heard.append, clock=EagerClock())

        assert heard == [TextDelta("half"), RetryStatus(2.0, 1, 4, "busy"), AttemptReset()]

    async def test_a_final_failure_is_a_value(self) -> None:
        call = await call_model(Plays(FINAL), REQUEST, clock=EagerClock())

        assert call.result == LlmCallError("auth", "no", status=401)

    async def test_the_last_failure_counts_the_attempts(self) -> None:
        call = await call_model(Plays(BUSY, BUSY, BUSY, BUSY), REQUEST, clock=EagerClock())

        assert isinstance(call.result, LlmCallError)
        assert (call.result.attempts, call.attempts) == (4, 4)

    async def test_an_escaped_exception_is_contained(self) -> None:
        call = await call_model(Plays(KeyError("oops")), REQUEST, clock=EagerClock())

        assert call.result == LlmCallError("unknown", "KeyError: 'oops'")

    @pytest.mark.parametrize("part", [TextPart("\ud800"), TextPart(3), "text"])  # type: ignore[arg-type]
    async def test_a_response_that_cannot_be_recorded_is_a_failure(self, part: Any) -> None:
        call = await call_model(Plays(LlmResponse([part])), REQUEST, clock=EagerClock())

        assert isinstance(call.result, LlmCallError)
        assert call.result.kind == "stream"

    @pytest.mark.parametrize(
        ("failure", "attempt", "wait"),
        [
            (BUSY, 1, 2_000),
            (BUSY, 3, 8_000),
            (BUSY, 4, None),
            (FINAL, 1, None),
            (ProviderFailure("http", "x", retryable=True, retry_after_ms=5), 2, 5),
            (ProviderFailure("http", "x", retryable=True, retry_after_ms=10**9), 1, 60_000),
        ],
    )
    def test_the_wait_follows_the_rule(self, failure: ProviderFailure, attempt: int, wait: int | None) -> None:
        assert retry_delay(failure, ModelRetry(), attempt) == wait

    def test_the_wait_is_capped_before_the_jitter(self) -> None:
        assert retry_delay(BUSY, ModelRetry(attempts=9, jitter_ms=100), 8, 0.5) == 10_050


class TestTheStream:
    async def test_what_only_the_stream_knew_is_in_the_result_also_when_nobody_watches(self) -> None:
        async def forgetful(stream: StreamSink) -> LlmResponse:
            stream(TextDelta("hel"))
            stream(TextDelta("lo"))
            return LlmResponse([])

        call = await call_model(Plays(forgetful), REQUEST)

        assert call.result == HELLO


class TestTimeouts:
    async def test_silence_ends_an_attempt(self) -> None:
        clock = ManualClock()
        reliability = Reliability(None, 1_000, ModelRetry(attempts=1))
        sink: list[StreamSink] = []

        async def talks_then_stalls(stream: StreamSink) -> LlmResponse:
            sink.append(stream)
            return await forever(stream)

        running = asyncio.create_task(
            call_model(Plays(talks_then_stalls, reliability=reliability), REQUEST, clock=clock)
        )
        await until(lambda: bool(sink) and bool(clock.sleepers))
        await clock.advance(900)
        sink[0](TextDelta("still here"))
        await clock.advance(900)
        assert not running.done()
        await clock.advance(100)

        assert (await running).result == LlmCallError("timeout", "nothing received for 1000 ms")

    async def test_the_whole_call_has_a_limit_too(self) -> None:
        clock = ManualClock()
        reliability = Reliability(1_000, None, ModelRetry(attempts=1))

        running = asyncio.create_task(call_model(Plays(forever, reliability=reliability), REQUEST, clock=clock))
        await until(lambda: bool(clock.sleepers))
        await clock.advance(1_000)

        assert (await running).result == LlmCallError("timeout", "no answer within 1000 ms")


class TestCancellation:
    async def test_a_requested_cancel_is_a_value(self) -> None:
        token = CancelToken()
        running = asyncio.create_task(call_model(Plays(forever), REQUEST, cancel=token))
        await asyncio.sleep(0)
        token.cancel()

        result = (await running).result
        assert isinstance(result, LlmCallError)
        assert (result.code, result.terminal_reason) == ("cancelled", "cancelled")

    async def test_a_cancel_while_waiting_for_the_next_attempt_ends_it(self) -> None:
        token, clock = CancelToken(), ManualClock()
        running = asyncio.create_task(call_model(Plays(BUSY, HELLO), REQUEST, cancel=token, clock=clock))
        await until(lambda: bool(clock.sleepers))
        token.cancel()

        result = (await running).result
        assert isinstance(result, LlmCallError)
        assert result.code == "cancelled"

    async def test_leaving_the_work_is_not_an_outcome(self) -> None:
        token = CancelToken()
        running = asyncio.create_task(call_model(Plays(forever), REQUEST, cancel=token))
        await asyncio.sleep(0)
        token.cancel("lease_lost")

        with pytest.raises(ModelCallLeft, match="lease_lost"):
            await running

    async def test_cancelling_the_driving_task_ends_the_provider_first(self) -> None:
        ended: list[str] = []

        async def slow(stream: StreamSink) -> LlmResponse:
            try:
                return await forever(stream)
            finally:
                ended.append("provider")

        running = asyncio.create_task(call_model(Plays(slow), REQUEST))
        for _ in range(3):
            await asyncio.sleep(0)
        running.cancel()

        with pytest.raises(asyncio.CancelledError):
            await running
        assert ended == ["provider"]

    async def test_a_provider_that_cancels_itself_is_a_failure(self) -> None:
        async def gives_up(stream: StreamSink) -> LlmResponse:
            raise asyncio.CancelledError

        call = await call_model(Plays(gives_up), REQUEST)

        assert call.result == LlmCallError("unknown", "provider plays cancelled its own call")


async def test_a_wrapper_decorates_a_provider() -> None:
    class Shouting(ProviderWrapper):
        async def complete(
            self, request: LlmRequest, stream: StreamSink | None = None, cancel: CancelToken | None = None
        ) -> LlmResponse:
            response = await super().complete(request, stream, cancel)
            return LlmResponse([TextPart(response.full_text.upper())])

    inner = Plays(HELLO)
    wrapped: Provider = Shouting(inner)

    call = await call_model(wrapped, REQUEST)

    assert isinstance(call.result, LlmResponse)
    assert call.result.full_text == "HELLO"
    assert (wrapped.kind, wrapped.options) == ("plays", inner.options)
