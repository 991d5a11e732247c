"""The change feed: one watcher, however many wait.

Whoever waits for something in the store reads `generation()`, then the data, then
awaits `changed()`. The watcher works only while somebody waits: it asks its source
whether any process has committed, and everybody looks again. Commits of this
process that announce news (`notify` in a program) count at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol


class ChangeSource(Protocol):
    """Where changes of other processes come from."""

    async def wait(self) -> bool:
        """Waits a little; whether something may have changed meanwhile or before."""
        ...

    async def close(self) -> None: ...


class Changes:
    """See the module docstring."""

    def __init__(self, source: Callable[[], Awaitable[ChangeSource]]) -> None:
        self._open_source = source
        self._generation = 0
        self._waiters: dict[asyncio.Future[None], None] = {}
        self._watcher: asyncio.Task[None] | None = None
        self._source: ChangeSource | None = None

    def generation(self) -> int:
        """A number that rises with changes."""
        return self._generation

    async def changed(self, since: int) -> int:
        """Returns a generation above `since` as soon as there is one."""
        while self._generation <= since:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters[waiter] = None
            if self._watcher is None or self._watcher.done():
                self._watcher = asyncio.create_task(self._watch(), name="lash change feed")
            try:
                await waiter
            finally:
                self._waiters.pop(waiter, None)
        return self._generation

    def committed(self) -> None:
        """This process has committed something that others may wait for."""
        self._generation += 1
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def close(self) -> None:
        """Ends the watcher; waiters are cancelled."""
        for waiter in list(self._waiters):
            waiter.cancel()
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
        if self._source is not None:
            await self._source.close()

    async def _watch(self) -> None:
        try:
            if self._source is None:
                self._source = await self._open_source()
            while self._waiters:
                if await self._source.wait():
                    self.committed()
        except Exception as error:
            # Whoever waits must hear of it: nobody else looks at this task.
            for waiter in self._waiters:
                if not waiter.done():
                    waiter.set_exception(error)
