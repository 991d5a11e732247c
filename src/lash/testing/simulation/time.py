"""Time and ids of a simulated world: both follow from the seed."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Final

from lash.base.ids import uuid7

# Any day will do, as long as it is the same one.
BEGINNING_MS: Final = 1_700_000_000_000


class WorldClock:
    """The world's time. `step` moves the wall clock alone, as an administrator does; deadlines do not notice."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._offset_ms = 0

    def now_ms(self) -> int:
        """The wall clock."""
        return BEGINNING_MS + self._offset_ms + int(self._loop.time() * 1_000)

    def monotonic(self) -> float:
        """Seconds since the world began."""
        return self._loop.time()

    async def sleep(self, ms: int) -> None:
        """Waits in virtual time."""
        await asyncio.sleep(max(0, ms) / 1_000)

    def step(self, ms: int) -> None:
        """Sets the wall clock forward, or back."""
        self._offset_ms += ms


class SeededIds:
    """Ids, tokens and secrets from the seed."""

    def __init__(self, clock: WorldClock, random: Random) -> None:
        self._clock = clock
        self._random = random

    def new_id(self) -> str:
        """A UUID of version 7."""
        return uuid7(self._clock.now_ms(), self._random.randbytes(10))

    def new_token(self) -> str:
        """32 hex digits."""
        return self._random.randbytes(16).hex()

    def new_secret(self) -> bytes:
        """32 bytes."""
        return self._random.randbytes(32)
