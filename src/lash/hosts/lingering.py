"""Rows that may wait a little: one timer for all the outboxes of a host.

Most are taken back before they are due, because the commit is their record. A timer for each of
them would be pushed through the event loop's heap for nothing, and would keep the context of a
run that is over.
"""

from __future__ import annotations

import asyncio
import contextvars
from typing import Final, Protocol

# Long enough for a model call's row to meet the next barrier or the commit, also on a busy
# machine (a turn whose rows leave early pays for another transaction just when it is slow);
# short enough that a crash in between repeats one call and no more.
LINGER_S: Final = 0.02


class Flushes(Protocol):
    """What has rows that linger."""

    def flush(self) -> None:
        """Sends them, without waiting."""
        ...


class Lingering:
    """Flushes each after `LINGER_S` unless it is taken out before."""

    __slots__ = ("_context", "_due", "_loop", "_timer")

    def __init__(self) -> None:
        # All wait for the same time, so the first to come is the first to be due.
        self._due: dict[Flushes, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        # That of whoever opened the host, not of the run whose row comes first.
        self._context = contextvars.copy_context()

    def put(self, outbox: Flushes) -> None:
        """Starts the time of an outbox; one whose time has begun keeps it."""
        if outbox in self._due:
            return
        loop = asyncio.get_running_loop()
        due = self._due[outbox] = loop.time() + LINGER_S
        if self._timer is None or self._loop is not loop:
            self._loop = loop
            self._timer = loop.call_at(due, self._ring, loop, context=self._context)

    def take_out(self, outbox: Flushes) -> None:
        """There is nothing left that lingers in it. The timer goes on: the next one needs it."""
        self._due.pop(outbox, None)

    def _ring(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        for outbox, due in list(self._due.items()):
            if due > now:
                self._timer = loop.call_at(due, self._ring, loop, context=self._context)
                return
            del self._due[outbox]
            outbox.flush()
