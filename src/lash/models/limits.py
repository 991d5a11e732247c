"""How much a provider may be asked at once and per stretch of time.

Limits live with the provider handle: one limiter serves every session of every core
that uses it, in this process. Whoever comes first is served first. A wait for a limit
is no part of the call's timeouts, is told as `RetryStatus`, and ends with a cancel
(docs/spec/runtime.md §8.3).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol, TypeAlias, runtime_checkable

import msgspec

from lash.base.clock import Clock
from lash.base.errors import InvalidArgument


class RateLimits(msgspec.Struct, frozen=True):
    """Limits that a host sets; None means none. Windows slide. Added in 0.1.

    `tokens_per_window` counts what responses report: a request starts while the window
    is below it, so one window may end above it by what was under way.
    """

    max_concurrency: int | None = None
    requests_per_window: int | None = None
    request_window_ms: int = 60_000
    tokens_per_window: int | None = None
    token_window_ms: int = 60_000

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InvalidArgument(f"RateLimits({name}={value}): give a positive number or leave it out")


# Told how many milliseconds a request has to wait.
Told: TypeAlias = Callable[[int], None]


class RateLimiter:
    """Admits requests within limits, in the order in which they came."""

    def __init__(self, limits: RateLimits) -> None:
        self.limits = limits
        self._queue: deque[asyncio.Event] = deque()
        self._freed = asyncio.Event()
        self._running = 0
        self._starts: deque[float] = deque()
        self._spent: deque[tuple[float, int]] = deque()

    def permit(self, clock: Clock) -> Permit:
        """A permit to be acquired, used for one attempt, and released."""
        return Permit(self, clock)

    def wait_ms(self, now: float) -> int:
        """Milliseconds until the windows have room; 0 when they have. `now` is in seconds."""
        limits = self.limits
        waits = [0.0]
        _forget(self._starts, now - limits.request_window_ms / 1_000)
        if limits.requests_per_window is not None and len(self._starts) >= limits.requests_per_window:
            waits.append(self._starts[-limits.requests_per_window] + limits.request_window_ms / 1_000 - now)
        if limits.tokens_per_window is not None:
            since = now - limits.token_window_ms / 1_000
            while self._spent and self._spent[0][0] <= since:
                self._spent.popleft()
            left = sum(tokens for _, tokens in self._spent)
            for at, tokens in self._spent:
                if left < limits.tokens_per_window:
                    break
                left -= tokens
                waits.append(at + limits.token_window_ms / 1_000 - now)
        # Rounded up: to come a millisecond early would mean to come again.
        return -int(-max(waits) * 1_000 // 1)

    async def _admit(self, clock: Clock, told: Told) -> None:
        ticket = asyncio.Event()
        self._queue.append(ticket)
        try:
            if self._queue[0] is not ticket:
                await ticket.wait()
            most = self.limits.max_concurrency
            while most is not None and self._running >= most:
                self._freed = asyncio.Event()
                await self._freed.wait()
            # Last, because what ends meanwhile adds to the window. Nobody else starts: we are the first in line.
            while (wait := self.wait_ms(clock.monotonic())) > 0:
                told(wait)
                await clock.sleep(wait)
            self._running += 1
            self._starts.append(clock.monotonic())
        finally:
            self._queue.remove(ticket)
            if self._queue:
                self._queue[0].set()

    def _release(self, now: float, tokens: int) -> None:
        self._running -= 1
        if tokens:
            self._spent.append((now, tokens))
        self._freed.set()


class Permit:
    """Leave to make one attempt."""

    __slots__ = ("_clock", "_is_held", "_limiter")

    def __init__(self, limiter: RateLimiter, clock: Clock) -> None:
        self._limiter = limiter
        self._clock = clock
        self._is_held = False

    async def acquire(self, told: Told) -> None:
        """Waits until the attempt may start."""
        await self._limiter._admit(self._clock, told)
        self._is_held = True

    def release(self, tokens: int = 0) -> None:
        """The attempt has ended, or was never made. `tokens` is what it spent."""
        if self._is_held:
            self._is_held = False
            self._limiter._release(self._clock.monotonic(), tokens)


@runtime_checkable
class Limited(Protocol):
    """A provider that carries a limiter."""

    @property
    def limiter(self) -> RateLimiter | None:
        """Where its limits are kept."""
        ...


def _forget(moments: deque[float], since: float) -> None:
    while moments and moments[0] <= since:
        moments.popleft()
