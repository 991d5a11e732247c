"""Time as a port.

Everything that is stored, slept or compared reads an injected `Clock`, so tests
can move time and a replay never depends on when it happens.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Where lash gets its time from."""

    def now_ms(self) -> int:
        """Wall-clock time in epoch milliseconds: what is stored."""
        ...

    def monotonic(self) -> float:
        """Seconds that never step back: what deadlines are measured on."""
        ...

    async def sleep(self, ms: int) -> None:
        """Waits `ms` milliseconds; zero or less only lets other tasks run."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, ms: int) -> None:
        await asyncio.sleep(max(0, ms) / 1000)
