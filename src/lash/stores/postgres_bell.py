"""When PostgreSQL is asked to notify: with a commit, unless one has notified a moment ago.

```
news ──rested──► the commit notifies itself ─────────────► whoever listens
  └───not yet──► owed ──► the next commit that is rested ──►    "
                   └────► none came: by itself ────────────►    "
```

A commit that notifies waits, on the whole server, for every other one that does, and wakes
whoever listens. Nobody needs that a thousand times a second: for `REST_S` after a notification
commits go without, and what they owe is told together, at the latest `LATE_S` after the
notification before. So few news travel with their commits, and many arrive in bundles.

A program that dies meanwhile leaves what it owes to those who look by themselves, within
`FALLBACK_S` of `postgres_watch.py`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, NewType

from lash.sessions.errors import StoreError

logger = logging.getLogger("lash.stores")

REST_S: Final = 0.004
LATE_S: Final = 0.008

# How many owed news a notification tells, counted from the first one of all.
Told = NewType("Told", int)


class Bell:
    """Decides it for the commits of one driver. `ring` notifies by itself; it raises `StoreError`."""

    def __init__(self, ring: Callable[[], Awaitable[None]]) -> None:
        self._ring = ring
        self._rung_at = float("-inf")
        self._owed = 0
        self._told = 0
        self._timer: asyncio.TimerHandle | None = None
        self._ringing: asyncio.Task[None] | None = None

    def take(self) -> Told | None:
        """Asks for a commit that begins now: None to go without. What it gives is given back with `told` or `kept`."""
        now = asyncio.get_running_loop().time()
        if now - self._rung_at < REST_S:
            return None
        self._rung_at = now
        return Told(self._owed)

    def told(self, taken: Told) -> None:
        """The commit has notified, also for those that had ended before it began."""
        self._told = max(self._told, taken)

    def kept(self) -> None:
        """The commit had no news after all."""
        self._rung_at = float("-inf")

    def owe(self) -> None:
        """A commit with news went without."""
        self._owed += 1
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_at(self._rung_at + LATE_S, self._late)

    async def close(self) -> None:
        """Tells what is owed."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._ringing is not None:
            await asyncio.wait([self._ringing])
        if self._owed > self._told:
            await self._by_itself()

    def _late(self) -> None:
        self._timer = None
        if self._owed <= self._told:
            return
        loop = asyncio.get_running_loop()
        if loop.time() - self._rung_at < LATE_S:  # one has notified since, and left these to the next
            self._timer = loop.call_at(self._rung_at + LATE_S, self._late)
        else:
            self._rung_at = loop.time()
            self._ringing = loop.create_task(self._by_itself(), name="lash notification")

    async def _by_itself(self) -> None:
        taken = Told(self._owed)
        try:
            await self._ring()
        except StoreError as error:
            logger.warning("what changed could not be announced; whoever waits looks within a second: %s", error)
        self.told(taken)
