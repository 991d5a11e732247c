"""The log of one session in one core: everything observers are told, told once.

Observers pull: each has a position and reads what follows it, so one that is slow
costs nobody anything, and many cost as much as one. While nobody has read for as
long as events are kept, nothing is told at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from lash.base.clock import Clock
from lash.base.ids import IdSource
from lash.base.messages import Message
from lash.machine.outcome import TurnOutcome
from lash.runtime.activity import AssistantProseDelta, ModelAttemptReset, TurnActivity
from lash.runtime.memory import SessionMemory
from lash.runtime.observation.cursor import Cursor, encode_cursor
from lash.runtime.observation.events import (
    Committed,
    FrameSwitched,
    Gap,
    GapReason,
    HistoryReplaced,
    ObservationEvent,
    ObservationPayload,
    QueueChanged,
    QueuedView,
    SessionSnapshot,
    TurnEnded,
    TurnStarted,
    TurnTold,
)
from lash.runtime.observation.mirror import LiveTurn, ends_with
from lash.runtime.observation.replay import LiveReplayStore

# Without a reader for so long a feed stops telling: what it would keep is too old for anybody by then.
RETENTION_MS = 120_000
# Observers are woken at once, and then at most so often: what is told meanwhile they read together.
REST_S = 0.002


class SessionFeed:
    """What one session tells. `is_wanted`: somebody reads, or read lately."""

    def __init__(self, memory: SessionMemory, clock: Clock, ids: IdSource, replay: LiveReplayStore) -> None:
        self.session_id = memory.session_id
        self.is_wanted = False
        self.epoch = ""
        self._memory = memory
        self._clock = clock
        self._ids = ids
        self._replay = replay
        self._position = 0
        self._past_epochs: list[str] = []
        self._wanted_until_ms = 0
        self._waiters: list[asyncio.Future[None]] = []
        self._is_waking = False
        self._woken_at = float("-inf")
        self._failure: Exception | None = None
        # The turn that runs here, whether or not it is told of, and what it has told.
        self._running: str | None = None
        self._turn: LiveTurn | None = None
        self._frame_id = memory.frame_id
        self._queued: list[QueuedView] = []
        memory.on_change = self._history_changed

    # reading

    def open(self) -> None:
        """A new observer comes, also after the feed had ended."""
        self._failure = None
        self.want()

    def want(self) -> None:
        """Somebody reads: from here on everything is told. Raises what ended the feed."""
        if self._failure is not None:
            raise self._failure
        self._wanted_until_ms = self._clock.now_ms() + RETENTION_MS
        if self.is_wanted:
            return
        self.is_wanted = True
        self.epoch, self._position = self._ids.new_token(), 0
        self._frame_id = self._memory.frame_id
        self._turn = None if self._running is None else LiveTurn(self._running)

    def snapshot(self) -> SessionSnapshot:
        """What stands after everything told so far."""
        turn = None if self._turn is None else self._turn.view()
        memory = self._memory
        return SessionSnapshot(memory.head_revision, memory.frame_id, memory.messages, list(self._queued), turn)

    def first(self) -> ObservationEvent:
        """The snapshot as an event: what an observer without a cursor sees first."""
        return self._event(self._position, self.snapshot())

    def gap(self, reason: GapReason, requested: str | None) -> Gap:
        """The snapshot as a gap."""
        cursor = Cursor(self.session_id, self.epoch, self._position, self._memory.head_revision)
        return Gap(self.session_id, reason, requested, encode_cursor(cursor), self.snapshot())

    def after(self, epoch: str, position: int) -> Sequence[ObservationEvent] | None:
        """What was told after a position; None when that is not known any more."""
        self.want()
        if epoch != self.epoch or position > self._position:
            return None
        return self._replay.after(self.session_id, epoch, position, self._clock.now_ms())

    def why_missing(self, epoch: str) -> GapReason:
        """Why the log of this epoch cannot be followed."""
        if epoch == self.epoch or epoch in self._past_epochs:
            return "evicted"
        if self._turn is not None and not self._turn.is_here:
            return "not_live_here"
        return "restarted"

    async def news(self) -> None:
        """Returns when something was told. Raises what ended the feed."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            raise

    def rest(self) -> bool:
        """Stops telling when nobody has read for long; whether it has stopped."""
        if self.is_wanted and not self._waiters and self._clock.now_ms() > self._wanted_until_ms:
            self._stop()
        return not self.is_wanted

    def end(self, failure: Exception) -> None:
        """Nothing more will be told: whoever waits is told why."""
        self._failure = failure
        if self.is_wanted:
            self._stop()
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_exception(failure)

    # telling

    def turn_started(self, turn_id: str) -> None:
        """A turn is driven here."""
        self._running = turn_id
        if self.is_wanted and not self.rest():
            self._turn = LiveTurn(turn_id)
            self._tell(TurnStarted(turn_id))

    def hear(self, activity: TurnActivity) -> None:
        """The running turn told something. This is the path of a token."""
        turn = self._turn
        if turn is None or (not self._waiters and self.rest()):
            return
        turn.hear(activity)
        self._tell(TurnTold(turn.turn_id, activity))

    def hear_elsewhere(self, turn_id: str, activity: TurnActivity) -> None:
        """The turn that another process drives told something."""
        turn = self._turn
        if turn is not None and turn.turn_id == turn_id and not turn.is_here:
            turn.hear(activity)
            self._tell(TurnTold(turn_id, activity))

    def make_whole(self, correlation_id: str, text: str) -> None:
        """The whole of a text whose beginning nobody here heard: what was told of it is void."""
        turn = self._turn
        if turn is None:
            return
        mark = f"{turn.turn_id}:{correlation_id}:whole"
        self.hear(TurnActivity(f"{mark}:reset", correlation_id, ModelAttemptReset([correlation_id])))
        self.hear(TurnActivity(mark, correlation_id, AssistantProseDelta(text)))

    def turn_ended(self, turn_id: str, outcome: TurnOutcome | None) -> None:
        """The turn is not driven here any more; `outcome` if it was settled."""
        self._running = None
        if self.is_wanted:
            self._turn = None
            self._tell(TurnEnded(turn_id, outcome))

    def queue_seen(self, pending: list[QueuedView], taken: set[str]) -> None:
        """What waits in the queue now, and which batches a turn has."""
        if pending == self._queued:
            return
        known = {view.batch_id: view for view in self._queued}
        now = {view.batch_id for view in pending}
        self._queued = pending
        if not self.is_wanted:
            return
        gone = [batch_id for batch_id in known if batch_id not in now]
        self._tell(
            QueueChanged(
                list(pending),
                enqueued=[view.batch_id for view in pending if view.batch_id not in known],
                started=[batch_id for batch_id in gone if batch_id in taken],
                edited=[view.batch_id for view in pending if known.get(view.batch_id, view) != view],
                removed=[batch_id for batch_id in gone if batch_id not in taken],
            )
        )

    def elsewhere(self, turn_id: str | None, *, is_told: bool = False, is_anew: bool = False) -> None:
        """The turn that another process drives, if one does; `is_told`: its activities will be heard.

        `is_anew`: it was begun again, or is told no more, and what was heard of it is void.
        """
        if self._running is not None or not self.is_wanted:
            return
        known = None if self._turn is None else self._turn.turn_id
        if known == turn_id and not is_anew:
            return
        if turn_id is not None:
            self._turn = LiveTurn(turn_id, is_here=False)
            self._tell(TurnStarted(turn_id, is_here=False, is_told=is_told))
        elif known is not None:
            self._turn = None
            self._tell(TurnEnded(known))

    def _stop(self) -> None:
        self.is_wanted = False
        self._turn = None
        self._replay.trim(self.session_id, self.epoch)
        self._past_epochs = [*self._past_epochs[-7:], self.epoch]

    def _history_changed(self, appended: Sequence[Message] | None, turn_id: str | None) -> None:
        """The memory took something over; None: its path is another one."""
        if not self.is_wanted:
            return
        memory = self._memory
        if memory.frame_id != self._frame_id:
            self._frame_id = memory.frame_id
            self._tell(FrameSwitched(memory.frame_id))
        if ends_with(self._turn, turn_id):
            self._turn = None
        if appended is None:
            self._tell(HistoryReplaced(memory.head_revision, memory.messages))
        else:
            self._tell(Committed(memory.head_revision, list(appended), turn_id))

    def _tell(self, payload: ObservationPayload) -> None:
        self._position += 1
        self._replay.append(self._event(self._position, payload))
        if self._waiters and not self._is_waking:
            # Once for all that is told in this round of the loop, and behind it: a turn hands its
            # commit to the store before anybody reads what it said.
            self._is_waking = True
            loop = self._waiters[0].get_loop()
            rested_s = loop.time() - self._woken_at
            if rested_s >= REST_S:
                loop.call_soon(self._wake)
            else:
                loop.call_later(REST_S - rested_s, self._wake)

    def _wake(self) -> None:
        self._is_waking = False
        waiters, self._waiters = self._waiters, []
        if waiters:
            self._woken_at = waiters[0].get_loop().time()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _event(self, position: int, payload: ObservationPayload) -> ObservationEvent:
        return ObservationEvent(
            self.session_id, self.epoch, position, self._memory.head_revision, self._clock.now_ms(), payload
        )
