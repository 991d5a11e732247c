"""Looking at what other processes do to observed sessions: one look for all of them.

Whenever the change feed says that something was committed, one read asks where every
observed session stands. A look may take a tenth of the time, so that hundreds of
busy sessions do not turn it into the load.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from lash.base.clock import Clock
from lash.base.waiting import first_of
from lash.effects.ports import ChangeFeed
from lash.runtime.observation.events import QueuedView
from lash.runtime.observation.feed import SessionFeed
from lash.runtime.observation.relay import RelayedTurn, ToldLog
from lash.sessions.errors import SessionDeleted, StoreError, StoreUnavailable
from lash.sessions.store import SessionStanding, SessionStoreFactory

logger = logging.getLogger("lash.runtime")

PAUSE_MS = 50
PAUSE_LIMIT_MS = 500
# A look is at most this share of the time.
SHARE = 10
# How often feeds that nobody reads are looked for while nothing happens.
SWEEP_MS = 10_000


class Followed(Protocol):
    """An observed session."""

    @property
    def session_id(self) -> str: ...

    @property
    def feed(self) -> SessionFeed: ...

    async def catch_up(self, revision: int) -> bool:
        """Takes over what is committed up to `revision`; False when that must wait for a running turn."""
        ...


class StoreWatch:
    """Keeps the feeds of observed sessions up to date with the store."""

    def __init__(
        self,
        sessions: SessionStoreFactory,
        changes: ChangeFeed,
        clock: Clock,
        executor_id: str,
        told: ToldLog | None,
    ) -> None:
        self._told = told
        self._relayed: dict[str, RelayedTurn] = {}
        self._sessions = sessions
        self._changes = changes
        self._clock = clock
        self._executor_id = executor_id
        self._followed: dict[str, Followed] = {}
        self._looking = asyncio.Lock()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is observed."""
        return not self._followed

    def follows(self, session_id: str) -> bool:
        """Whether a session is observed."""
        return session_id in self._followed

    async def look_at(self, session: Followed) -> None:
        """Follows a session from now on, and brings it up to date at once, unless it is followed already."""
        is_followed = session.feed.is_wanted and self._followed.get(session.session_id) is session
        session.feed.open()
        if is_followed:
            return
        self._followed[session.session_id] = session
        await self._look({session.session_id: session})

    async def run(self) -> None:
        """Looks whenever something changes, until nothing is observed any more."""
        seen = -1
        while True:
            self._sweep()
            if self.is_idle:
                return
            try:
                if seen < self._changes.generation():
                    seen = self._changes.generation()
                    started = self._clock.monotonic()
                    if not await self._look(self._followed):
                        seen = -1  # somebody could not be brought up to date
                    took_ms = round((self._clock.monotonic() - started) * 1_000)
                    await self._clock.sleep(max(PAUSE_MS, min(PAUSE_LIMIT_MS, SHARE * took_ms)))
                else:
                    await first_of(self._changes.changed(seen), self._clock.sleep(SWEEP_MS))
            except StoreUnavailable as error:
                logger.warning("observed sessions cannot be looked at: %s", error)
                await self._clock.sleep(PAUSE_LIMIT_MS)

    def end(self, failure: Exception) -> None:
        """Tells every observer that nothing more comes."""
        followed, self._followed = self._followed, {}
        for session in followed.values():
            session.feed.end(failure)

    async def _look(self, sessions: dict[str, Followed]) -> bool:
        """Whether every feed is now as far as the store was."""
        is_whole = True
        async with self._looking:
            followed = dict(sessions)
            for standing in await self._sessions.look(list(followed)):
                session = followed[standing.session_id]
                try:
                    if standing.is_deleted:
                        raise SessionDeleted(standing.session_id)
                    if await session.catch_up(standing.head_revision):
                        await self._bring(session.feed, standing)
                    else:
                        is_whole = False
                except StoreUnavailable:
                    raise
                except StoreError as error:  # of this session alone: the others go on
                    session.feed.end(error)
                    self._followed.pop(standing.session_id, None)
        return is_whole

    async def _bring(self, feed: SessionFeed, standing: SessionStanding) -> None:
        pending = [
            QueuedView(batch.batch_id, batch.source_key, batch.payload_hash)
            for batch in standing.queue
            if not batch.is_claimed
        ]
        feed.queue_seen(pending, {batch.batch_id for batch in standing.queue if batch.is_claimed})
        turn_id = None if standing.owner == self._executor_id else standing.turn_id
        feed.elsewhere(turn_id, is_told=self._told is not None)
        if turn_id is None or self._told is None:
            self._relayed.pop(standing.session_id, None)
        else:
            await self._listen(feed, turn_id, self._told)

    async def _listen(self, feed: SessionFeed, turn_id: str, told: ToldLog) -> None:
        """Hears what a turn of another process has told since."""
        relayed = self._relayed.get(feed.session_id)
        if relayed is None or relayed.turn_id != turn_id or relayed.epoch != feed.epoch:
            relayed = self._relayed[feed.session_id] = RelayedTurn(turn_id, feed.epoch)
        for batch in await told.after(feed.session_id, turn_id, relayed.seq):
            was_broken, is_first = relayed.is_broken, not relayed.has_begun
            begins, news = relayed.hear(batch)
            if relayed.is_broken and not was_broken:
                feed.elsewhere(turn_id, is_told=False, is_anew=True)
            elif begins and not is_first and not relayed.is_broken:
                feed.elsewhere(turn_id, is_told=True, is_anew=True)
            for activity in news:
                feed.hear_elsewhere(turn_id, activity)

    def _sweep(self) -> None:
        for session_id, session in list(self._followed.items()):
            if session.feed.rest():
                del self._followed[session_id]
                self._relayed.pop(session_id, None)
