"""Where the last events of a session are kept for observers that come back."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Protocol

from lash.base.errors import InvalidArgument
from lash.runtime.observation.events import ObservationEvent


class LiveReplayStore(Protocol):
    """Bounded memory of what sessions told lately (docs/spec/runtime.md §10.2).

    `append` is on the path of a streamed token: it never waits and never raises. One log is named by session
    and epoch; its positions count from 1 without holes.
    """

    def append(self, event: ObservationEvent) -> None:
        """Keeps the next event of its log."""
        ...

    def after(self, session_id: str, epoch: str, position: int, now_ms: int) -> Sequence[ObservationEvent] | None:
        """What followed a position, in order; None when some of it is no longer kept."""
        ...

    def trim(self, session_id: str, epoch: str) -> None:
        """Forgets a log."""
        ...


class RecentEvents:
    """The default: in memory, the last events of each session, for a while.

    `max_events` per session; an event older than `max_age_ms` is not given to observers that come back.
    """

    def __init__(self, max_events: int = 2_048, max_age_ms: int = 120_000) -> None:
        if max_events < 1 or max_age_ms < 1:
            raise InvalidArgument(
                f"max_events={max_events}, max_age_ms={max_age_ms}: give at least 1 or leave them out"
            )
        self.max_events = max_events
        self.max_age_ms = max_age_ms
        self._logs: dict[tuple[str, str], deque[ObservationEvent]] = {}

    def append(self, event: ObservationEvent) -> None:
        """See `LiveReplayStore`."""
        key = (event.session_id, event.epoch)
        log = self._logs.get(key)
        if log is None:
            log = self._logs[key] = deque(maxlen=self.max_events)
        log.append(event)
        if event.told_at_ms - log[0].told_at_ms > self.max_age_ms:
            self._drop_old(log, event.told_at_ms)

    def after(self, session_id: str, epoch: str, position: int, now_ms: int) -> Sequence[ObservationEvent] | None:
        """See `LiveReplayStore`."""
        log = self._logs.get((session_id, epoch))
        if log is None:
            return () if position == 0 else None
        if now_ms - log[0].told_at_ms > self.max_age_ms:
            self._drop_old(log, now_ms)
        missing = log[-1].position - position
        if missing < 0 or missing > len(log):
            return None
        return [log[index] for index in range(len(log) - missing, len(log))]

    def trim(self, session_id: str, epoch: str) -> None:
        """See `LiveReplayStore`."""
        self._logs.pop((session_id, epoch), None)

    def _drop_old(self, log: deque[ObservationEvent], now_ms: int) -> None:
        # The last one stays: it says which positions there were.
        while len(log) > 1 and now_ms - log[0].told_at_ms > self.max_age_ms:
            log.popleft()
