"""One observer: an async iterator over the feed of a session."""

from __future__ import annotations

from collections import deque
from typing import Protocol, Self

from lash.runtime.observation.cursor import decode_cursor
from lash.runtime.observation.events import GapReason, ObservationEvent, Observed, TurnStarted
from lash.runtime.observation.feed import SessionFeed


class Observable(Protocol):
    """A session that can be observed."""

    @property
    def session_id(self) -> str: ...

    async def observed(self) -> SessionFeed:
        """The session's feed, up to date with the store and watched from now on."""
        ...


class SessionObserver:
    """What happens in a session, from a snapshot or a cursor on, for as long as it is read.

    Each item is an `ObservationEvent` or a `Gap`. A reader may be as slow as it likes: when
    it falls further behind than is kept, it gets a gap. Raises `SessionDeleted` when the
    session is deleted and `CoreClosed` when its core is closed.
    """

    def __init__(self, session: Observable, after: str | None) -> None:
        self._session = session
        self._requested = after
        self._cursor = None if after is None else decode_cursor(after, session.session_id)
        self._feed: SessionFeed | None = None
        self._epoch = ""
        self._position = 0
        self._unread: deque[ObservationEvent] = deque()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Observed:
        feed = self._feed
        if feed is None:
            begun = await self._begin()
            if begun is not None:
                return begun
            feed = self._feed
            assert feed is not None
        while not self._unread:
            events = feed.after(self._epoch, self._position)
            if events is None:
                return self._gap(feed, "lagged")
            if events:
                self._unread.extend(events)
            else:
                await feed.news()
        event = self._unread.popleft()
        self._position = event.position
        if isinstance(event.payload, TurnStarted) and not event.payload.is_told:
            return self._gap(feed, "not_live_here")
        self._requested = None
        return event

    async def _begin(self) -> Observed | None:
        """Finds the place to go on from; what to say first, if anything."""
        feed = self._feed = await self._session.observed()
        cursor = self._cursor
        if cursor is not None and feed.after(cursor.epoch, cursor.position) is not None:
            self._epoch, self._position = cursor.epoch, cursor.position
            return None
        if cursor is not None:
            return self._gap(feed, feed.why_missing(cursor.epoch))
        first = feed.first()
        self._epoch, self._position = first.epoch, first.position
        return first

    def _gap(self, feed: SessionFeed, reason: GapReason) -> Observed:
        feed.want()
        gap = feed.gap(reason, self._requested)
        place = decode_cursor(gap.resume_from, gap.session_id)
        self._epoch, self._position = place.epoch, place.position
        self._requested = gap.resume_from
        self._unread.clear()
        return gap
