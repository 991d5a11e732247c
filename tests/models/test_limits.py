"""Limits of a provider, on a clock of the test's own."""

from __future__ import annotations

import asyncio

import pytest

from lash.base.cancel import CancelToken
from lash.base.errors import ConfigurationError, InvalidArgument
from lash.base.usage import TokenUsage
from lash.machine.llm import LlmCallError, LlmRequest, LlmResponse, LlmStreamEvent, RetryStatus, TextPart
from lash.models import (
    ProviderOptions,
    ProviderWrapper,
    RateLimited,
    RateLimiter,
    RateLimits,
    Reliability,
    StreamSink,
    call_model,
)
from lash.testing import VirtualClock

REQUEST = LlmRequest("m", [])


class Counting:
    """A provider that counts who is inside, and answers when it is let go."""

    kind = "counting"

    def __init__(self) -> None:
        self.options = ProviderOptions(Reliability(None, None))
        self.started: list[float] = []
        self.inside = 0
        self.most = 0
        self.clock: VirtualClock | None = None
        self.entered: asyncio.Queue[None] = asyncio.Queue()
        self.go = asyncio.Event()
        self.go.set()

    async def reached(self, count: int) -> None:
        """Returns when this many have come in."""
        for _ in range(count):
            await self.entered.get()

    async def complete(
        self, request: LlmRequest, stream: StreamSink | None = None, cancel: CancelToken | None = None
    ) -> LlmResponse:
        self.inside += 1
        self.entered.put_nowait(None)
        self.most = max(self.most, self.inside)
        if self.clock is not None:
            self.started.append(round(self.clock.monotonic(), 3))
        try:
            await self.go.wait()
        finally:
            self.inside -= 1
        return LlmResponse([TextPart("x")], usage=TokenUsage(60, 40))


async def run_calls(provider: RateLimited, clock: VirtualClock, calls: int) -> list[float]:
    """When each of `calls` calls made at once had started, from the beginning."""
    inner = provider.inner
    assert isinstance(inner, Counting)
    inner.clock = clock
    begun = clock.monotonic()
    tasks = [asyncio.ensure_future(call_model(provider, REQUEST, clock=clock)) for _ in range(calls)]
    while not all(task.done() for task in tasks):
        for _ in range(50):
            await asyncio.sleep(0)
        if clock.asleep():
            await clock.advance(100)
    return [round(at - begun, 3) for at in inner.started]


async def test_no_more_run_at_once_than_allowed() -> None:
    inner = Counting()
    inner.go.clear()
    provider = RateLimited(inner, RateLimits(max_concurrency=2))
    tasks = [asyncio.ensure_future(call_model(provider, REQUEST)) for _ in range(5)]
    await inner.reached(2)

    inner.go.set()
    await asyncio.gather(*tasks)

    assert inner.most == 2


async def test_requests_of_a_window_are_spread() -> None:
    provider = RateLimited(Counting(), RateLimits(requests_per_window=2, request_window_ms=1_000))

    assert await run_calls(provider, VirtualClock(), 5) == [0, 0, 1, 1, 2]


async def test_tokens_of_a_window_are_counted_as_reported() -> None:
    provider = RateLimited(Counting(), RateLimits(max_concurrency=1, tokens_per_window=150, token_window_ms=1_000))

    # Each call spends 100: the third finds the window full until the first has left it.
    assert await run_calls(provider, VirtualClock(), 4) == [0, 0, 1, 1]


async def test_a_wait_is_told_and_ends_with_a_cancel() -> None:
    provider = RateLimited(Counting(), RateLimits(requests_per_window=1, request_window_ms=60_000))
    await call_model(provider, REQUEST)
    heard: list[LlmStreamEvent] = []
    token = CancelToken()

    def hear(event: LlmStreamEvent) -> None:
        heard.append(event)
        token.cancel("requested")

    call = await call_model(provider, REQUEST, stream=hear, cancel=token)

    assert isinstance(call.result, LlmCallError)
    assert call.result.code == "cancelled"
    [told] = heard
    assert isinstance(told, RetryStatus)
    assert 0 < told.wait_seconds <= 60


async def test_a_cancelled_wait_leaves_its_place_to_others() -> None:
    inner = Counting()
    inner.go.clear()
    provider = RateLimited(inner, RateLimits(max_concurrency=1))
    token = CancelToken()
    first = asyncio.ensure_future(call_model(provider, REQUEST))
    await inner.reached(1)
    left = asyncio.ensure_future(call_model(provider, REQUEST, cancel=token))
    last = asyncio.ensure_future(call_model(provider, REQUEST))
    await asyncio.sleep(0)

    token.cancel("requested")
    inner.go.set()

    assert isinstance((await left).result, LlmCallError)
    assert isinstance((await first).result, LlmResponse)
    assert isinstance((await last).result, LlmResponse)


async def test_wrappers_share_the_limiter_of_what_they_wrap() -> None:
    limited = RateLimited(Counting(), RateLimits(max_concurrency=1))

    assert ProviderWrapper(limited).limiter is limited.limiter


async def test_limits_without_a_place_to_count_are_refused() -> None:
    inner = Counting()
    inner.options = ProviderOptions(Reliability(rate_limits=RateLimits(max_concurrency=1)))

    with pytest.raises(ConfigurationError, match="RateLimited"):
        await call_model(inner, REQUEST)


def test_the_windows_are_rules_without_a_clock() -> None:
    limiter = RateLimiter(RateLimits(requests_per_window=1))

    assert limiter.wait_ms(5.0) == 0


def test_limits_are_positive() -> None:
    with pytest.raises(InvalidArgument, match="max_concurrency"):
        RateLimits(max_concurrency=0)
