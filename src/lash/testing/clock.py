"""A clock that stands still until a test moves it.

```python
clock = VirtualClock()
turn = asyncio.create_task(chat.run("go"))
await clock.sleeper(200)  # somebody has gone to sleep for 200 ms
await clock.advance(200)  # and wakes up now
```
"""

from __future__ import annotations

import asyncio
import heapq
from itertools import count

# How often the loop may turn between two wake-ups: what one sleeper starts, it may finish.
TURNS_BETWEEN = 8


class VirtualClock:
    """Time as a number. `sleeps` logs what was asked for, in milliseconds. Added in 0.1."""

    def __init__(self, start_ms: int = 1_700_000_000_000) -> None:
        self._start_ms = start_ms
        self._now_ms = start_ms
        self._order = count()
        self._sleepers: list[tuple[int, int, int, asyncio.Future[None]]] = []
        self._changed = asyncio.Event()
        self.sleeps: list[int] = []

    def now_ms(self) -> int:
        """The wall-clock time the test has reached."""
        return self._now_ms

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return (self._now_ms - self._start_ms) / 1_000

    async def sleep(self, ms: int) -> None:
        """Waits until the test has moved time far enough."""
        if ms <= 0:
            await asyncio.sleep(0)
            return
        waker: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now_ms + ms, next(self._order), ms, waker))
        self.sleeps.append(ms)
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        await waker

    def asleep(self) -> list[int]:
        """The lengths of the sleeps that are going on, the next to end first."""
        return [ms for _, _, ms, waker in sorted(self._sleepers, key=lambda sleeper: sleeper[:2]) if not waker.done()]

    async def sleeper(self, ms: int, *, within_s: float = 20.0) -> None:
        """Returns as soon as somebody sleeps for exactly `ms`. Raises `TimeoutError` when nobody does."""
        try:
            async with asyncio.timeout(within_s):
                while ms not in self.asleep():
                    await self._changed.wait()
        except TimeoutError:
            raise TimeoutError(f"nobody slept for {ms} ms; asleep now: {self.asleep()}") from None

    async def advance(self, ms: int) -> None:
        """Moves time, waking every sleeper at its own moment, in order."""
        target = self._now_ms + ms
        while self._sleepers and self._sleepers[0][0] <= target:
            due, _, _, waker = heapq.heappop(self._sleepers)
            self._now_ms = max(self._now_ms, due)
            if not waker.done():
                waker.set_result(None)
                for _ in range(TURNS_BETWEEN):
                    await asyncio.sleep(0)
        self._now_ms = target

    def __repr__(self) -> str:
        return f"VirtualClock({self._now_ms - self._start_ms} ms, {len(self.asleep())} asleep)"
