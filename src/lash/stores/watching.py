"""Waiting for rows of one kind (processes, durable waits): one reader for everybody who waits.

Whoever waits registers, reads, then waits; so nothing that happens in between is
missed. The hub runs while somebody waits: when the store's change feed moves it
reads which rows changed, once, and wakes only those who wait for them. A
thousand waiting tasks cost one sleeping reader. Waiting goes on while the store cannot
be reached: who does not want that sets a timeout.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Final, NamedTuple, TypeVar

from lash.effects.ports import ChangeFeed
from lash.sessions.errors import StoreUnavailable

T = TypeVar("T")
logger = logging.getLogger("lash.stores")

# A store that is away is asked again after so long.
AWAY_S: Final = 0.5


class News(NamedTuple):
    """Which rows changed, by their id and with the number of the change, and where to read on."""

    changes: Iterable[tuple[str, int]]
    resume: int


class Watch:
    """One waiter's view of one row."""

    __slots__ = ("_event", "_failure", "seen")

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.seen = 0
        self._failure: Exception | None = None

    async def changed(self) -> None:
        """Waits for a change since the last call; raises what kept the hub from looking."""
        await self._event.wait()
        self._event.clear()
        self.check()

    def check(self) -> None:
        """Raises what ended the looking."""
        if self._failure is not None:
            raise self._failure

    def notice(self, change_seq: int) -> None:
        """The row changed, or may have."""
        if change_seq != self.seen:
            self.seen = change_seq
            self._event.set()

    def fail(self, failure: Exception) -> None:
        """Nobody looks any more."""
        self._failure = failure
        self._event.set()


class Hub:
    """See the module docstring. `news` reads what changed from a number on, None for where that begins.

    `kind` is what is waited for, with its article.
    """

    def __init__(self, kind: str, feed: ChangeFeed, news: Callable[[int | None], Awaitable[News]]) -> None:
        self._kind = kind
        self._feed = feed
        self._news = news
        self._watches: dict[str, dict[Watch, None]] = {}
        self._reader: asyncio.Task[None] | None = None
        self._is_ready: asyncio.Future[None] | None = None

    async def first(self, row_id: str, read: Callable[[], Awaitable[T | None]]) -> T:
        """What `read` answers as soon as it answers something; it is asked again after each change."""
        with self._watching(row_id) as watch:
            found = await read()
            if found is not None:
                return found
            watch.check()  # the store may have been closed meanwhile
            await self._ready()
            while True:
                try:
                    found = await read()
                except StoreUnavailable:
                    await asyncio.sleep(AWAY_S)
                    watch.check()
                    continue
                if found is not None:
                    return found
                await watch.changed()

    async def close(self) -> None:
        """Ends the reader; whoever still waits hears that the store was closed."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reader
        if self._is_ready is not None and not self._is_ready.done():
            self._is_ready.set_result(None)  # the reader was cancelled before its first step
        self._fail(StoreUnavailable(f"the store was closed while {self._kind} was awaited; open it again"))

    @property
    def watched(self) -> list[str]:
        """The rows that somebody waits for."""
        return list(self._watches)

    def is_watched(self, row_id: str) -> bool:
        """Whether somebody waits for this row."""
        return row_id in self._watches

    @property
    def waiting(self) -> int:
        """How many wait."""
        return sum(len(watches) for watches in self._watches.values())

    @contextlib.contextmanager
    def _watching(self, row_id: str) -> Iterator[Watch]:
        watch = Watch()
        self._watches.setdefault(row_id, {})[watch] = None
        try:
            yield watch
        finally:
            watches = self._watches[row_id]
            del watches[watch]
            if not watches:
                del self._watches[row_id]
            if not self._watches and self._reader is not None:
                self._reader.cancel()

    async def _ready(self) -> None:
        """Returns when changes from now on will be noticed."""
        if self._reader is None or self._reader.done() or self._reader.cancelling():
            ready = self._is_ready = asyncio.get_running_loop().create_future()
            self._reader = asyncio.create_task(self._read(ready), name=f"lash watch of {self._kind}")
        assert self._is_ready is not None
        await asyncio.shield(self._is_ready)

    async def _read(self, ready: asyncio.Future[None]) -> None:
        resume: int | None = None
        try:
            while True:
                generation = self._feed.generation()
                try:
                    if resume is None:
                        resume = (await self._news(None)).resume
                        ready.set_result(None)
                    changes, resume = await self._news(resume)
                    for row_id, change_seq in changes:
                        for watch in self._watches.get(row_id, ()):
                            watch.notice(change_seq)
                    await self._feed.changed(generation)
                except StoreUnavailable as error:
                    logger.warning("who waits for %s waits on while the store is away: %s", self._kind, error)
                    await asyncio.sleep(AWAY_S)
        except asyncio.CancelledError:
            if not ready.done():  # nobody waits any more
                ready.set_result(None)
            raise
        except Exception as error:
            # Whoever waits must hear of it: nobody else looks at this task.
            if not ready.done():
                ready.set_result(None)
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        for watches in self._watches.values():
            for watch in watches:
                watch.fail(error)
