"""Telling observers in other processes what a turn here says (decisions 30).

What a turn tells is collected and appended to a log that processes share, a few times a
second and never on the path of the turn. A reader knows the number of the next activity:
when one is missing it stops believing the log, and the text comes with the commit.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from lash.base.clock import Clock
from lash.base.ids import IdSource
from lash.runtime.activity import Sink, TurnActivity
from lash.runtime.observation.replay import RecentEvents
from lash.sessions.errors import StoreError

logger = logging.getLogger("lash.activity")

FLUSH_MS = 50
# More than this is not kept while the store is slow; readers notice.
MAX_UNWRITTEN = 20_000


@dataclass(frozen=True, slots=True)
class ToldBatch:
    """Consecutive activities of one drive of a turn, to be appended. The first has number `first_number`."""

    session_id: str
    turn_id: str
    drive_id: str
    first_number: int
    activities: Sequence[TurnActivity]


@dataclass(frozen=True, slots=True)
class Told:
    """The same, as read back at place `seq`."""

    seq: int
    drive_id: str
    first_number: int
    activities: Sequence[TurnActivity]


class ToldLog(Protocol):
    """A log that processes share. It may lose anything at any time, and never blocks a turn."""

    async def append(self, batches: Sequence[ToldBatch], max_age_ms: int) -> None:
        """Appends batches; what is older than `max_age_ms` may be forgotten."""
        ...

    async def after(self, session_id: str, turn_id: str, seq: int) -> list[Told]:
        """What followed a place in the log, in order."""
        ...


class SharedReplay(RecentEvents):
    """Live replay that processes share: token deltas reach observers wherever the turn runs. Needs PostgreSQL.

    Every turn of such a core is streamed and written to an unlogged table, about twenty times a second, whether
    or not somebody watches.
    """


class Relay:
    """Collects what the turns of one core tell, and writes it to the log."""

    def __init__(
        self,
        log: ToldLog,
        clock: Clock,
        ids: IdSource,
        max_age_ms: int,
        spawn: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]],
    ) -> None:
        self.log = log
        self._clock = clock
        self._ids = ids
        self._max_age_ms = max_age_ms
        self._spawn = spawn
        self._unwritten: list[tuple[_Telling, int, TurnActivity]] = []
        self._flusher: asyncio.Task[None] | None = None

    def sink(self, session_id: str, turn_id: str) -> Sink:
        """A sink for one drive of one turn."""
        return _Telling(self, session_id, turn_id, self._ids.new_token())

    def put(self, telling: _Telling, number: int, activity: TurnActivity) -> None:
        """Takes one activity."""
        if len(self._unwritten) >= MAX_UNWRITTEN:
            return
        self._unwritten.append((telling, number, activity))
        if self._flusher is None or self._flusher.done():
            self._flusher = self._spawn(self._flush(), "live replay")

    async def _flush(self) -> None:
        while self._unwritten:
            await self._clock.sleep(FLUSH_MS)
            entries, self._unwritten = self._unwritten, []
            try:
                await self.log.append(_batches(entries), self._max_age_ms)
            except StoreError as error:
                logger.warning("what %d activities told is not shared: %s", len(entries), error)


class _Telling:
    """The sink of one drive."""

    __slots__ = ("_count", "_relay", "drive_id", "session_id", "turn_id")

    def __init__(self, relay: Relay, session_id: str, turn_id: str, drive_id: str) -> None:
        self._relay = relay
        self.session_id = session_id
        self.turn_id = turn_id
        self.drive_id = drive_id
        self._count = 0

    def __call__(self, activity: TurnActivity) -> None:
        self._relay.put(self, self._count, activity)
        self._count += 1


def _batches(entries: Sequence[tuple[_Telling, int, TurnActivity]]) -> list[ToldBatch]:
    """One batch a drive, split where numbers are missing."""
    by_drive: dict[_Telling, list[tuple[int, list[TurnActivity]]]] = {}
    for telling, number, activity in entries:
        runs = by_drive.setdefault(telling, [])
        if runs and runs[-1][0] + len(runs[-1][1]) == number:
            runs[-1][1].append(activity)
        else:
            runs.append((number, [activity]))
    return [
        ToldBatch(telling.session_id, telling.turn_id, telling.drive_id, first, activities)
        for telling, runs in by_drive.items()
        for first, activities in runs
    ]


class RelayedTurn:
    """How far a turn of another process was heard."""

    def __init__(self, turn_id: str, epoch: str) -> None:
        self.turn_id = turn_id
        self.epoch = epoch
        self.seq = 0
        self.is_broken = False
        self._drive_id: str | None = None
        self._next = 0

    @property
    def has_begun(self) -> bool:
        """Whether anything was heard."""
        return self._drive_id is not None

    def hear(self, told: Told) -> tuple[bool, Sequence[TurnActivity]]:
        """Whether the turn began anew with these, and those that are news."""
        self.seq = told.seq
        begins = told.drive_id != self._drive_id
        if begins:
            self._drive_id, self._next, self.is_broken = told.drive_id, 0, False
        if self.is_broken or told.first_number > self._next:
            self.is_broken = True
            return begins, ()
        news = told.activities[self._next - told.first_number :]
        self._next += len(news)
        return begins, news
