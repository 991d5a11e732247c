"""How many processes run at once. One that waits for others gives its slot back, so nobody can wait in a circle."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable


class Slots:
    """Counted slots. Whoever comes back from a wait goes before fresh work."""

    def __init__(self, count: int, on_free: Callable[[], None]) -> None:
        self.count = count
        self._free = count
        self._on_free = on_free
        self._returning: deque[asyncio.Future[None]] = deque()

    @property
    def free(self) -> int:
        """How many fresh processes may be taken now."""
        return max(0, self._free)

    def take(self) -> None:
        """Takes a slot for fresh work that was claimed for it."""
        self._free -= 1

    def give(self) -> None:
        """Gives a slot back; whoever returns from a wait has it first."""
        while self._returning:
            returning = self._returning.popleft()
            if not returning.done():
                returning.set_result(None)
                return
        self._free += 1
        self._on_free()

    async def retake(self) -> None:
        """Takes a slot again after a wait. When it is cancelled, nothing was taken."""
        if self._free > 0:
            self._free -= 1
            return
        returning: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._returning.append(returning)
        try:
            await returning
        except asyncio.CancelledError:
            if returning.done() and not returning.cancelled():
                self.give()
            raise
