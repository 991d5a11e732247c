"""One process at work: its record, its lease, its slot, and how it waits.

A run that waits holds no slot. A wait that lasts is no task either: where the host is
durable the run ends, its row is parked until there is something to do, and another run
comes back to the same place through the journal. A run of several branches waits when
each of them does.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

from lash.base.cancel import CancelToken
from lash.base.clock import Clock
from lash.effects.ports import EffectController
from lash.processes.registration import ProcessRegistration
from lash.processes.status import WaitState
from lash.runtime.worker.slots import Slots

T = TypeVar("T")


class RunCut(Exception):
    """The run stops where it is, because its token says so. Nothing of that is recorded."""


@dataclass(frozen=True, slots=True)
class Park:
    """A run ended because it waits: for a moment, for processes, for durable waits of its scope (their key ids).

    `seen_sequence` is the newest event that the run knows of; None for the newest when it began.
    """

    until_ms: int | None = None
    awaited: tuple[str, ...] = ()
    wait_ids: tuple[str, ...] = ()
    seen_sequence: int | None = None

    def beside(self, other: Park | None) -> Park:
        """Waiting for this or for that, whichever comes first."""
        if other is None:
            return self
        moments = [moment for moment in (self.until_ms, other.until_ms) if moment is not None]
        return Park(min(moments, default=None), (*self.awaited, *other.awaited), (*self.wait_ids, *other.wait_ids))


@dataclass(eq=False, slots=True)
class ProcessRun:
    """What a runner knows of the process it runs."""

    registration: ProcessRegistration
    controller: EffectController
    cancel: CancelToken
    clock: Clock
    # None for a run that no worker counts.
    slots: Slots | None = None
    # How long a wait stays a task; None where it has to.
    park_after_ms: int | None = None
    # The newest event that the run knows of, nothing left out before it.
    last_sequence: int = 0
    # What the process waited for when the run began.
    wait: WaitState | None = None
    parked: Park | None = None
    _branches: int = 1
    _waits: int = 0
    _parkable: int = 0
    _has_slot: bool = True
    _returning: asyncio.Lock | None = None
    _giving: asyncio.Handle | None = None
    _alarm: asyncio.TimerHandle | None = None

    @property
    def process_id(self) -> str:
        """The process."""
        return self.registration.id

    @property
    def is_parking(self) -> bool:
        """Whether the run is about to end because all of it waits."""
        return self.cancel.reason == "parked"

    @asynccontextmanager
    async def waiting(self, *, may_park: bool = False) -> AsyncIterator[None]:
        """While a branch of the run waits for somebody else: once all do, the run holds no slot.

        `may_park`: when all of them have waited for a while the token is cancelled with `parked`, and this
        wait says then with `note` what it waits for.
        """
        self._waits += 1
        self._parkable += may_park
        self._look()
        try:
            yield
        finally:
            self._waits -= 1
            self._parkable -= may_park
            self._stay()
            await self._come_back()

    async def until(self, what: Coroutine[Any, Any, T], park: Park) -> T:
        """The result of a wait that may be parked. Raises `RunCut` when the token is cancelled first."""
        async with self.waiting(may_park=True):
            task = asyncio.ensure_future(what)
            undo = self.cancel.on_cancel(_canceller(task))
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):  # nobody hears of it any more
                    await task
                raise
            finally:
                undo()
            if task.cancelled():
                self.note(park)
                raise RunCut
            return task.result()

    def note(self, park: Park) -> None:
        """Says what a wait that is parked was for. Nothing when the run ends for another reason."""
        if self.is_parking:
            self.parked = park.beside(self.parked)

    def saw_own(self, sequence: int) -> None:
        """The run has appended an event; one that somebody else appended before it is not passed over."""
        if sequence == self.last_sequence + 1:
            self.last_sequence = sequence

    @contextmanager
    def branching(self, count: int) -> Iterator[Callable[[], None]]:
        """While the run does `count` things at once; what is yielded is called as each of them ends."""
        before = self._branches
        self._branches += count - 1
        left = count

        def ended() -> None:
            nonlocal left
            left -= 1
            if left:
                self._branches -= 1
                self._look()

        try:
            yield ended
        finally:
            self._branches = before

    def _look(self) -> None:
        """Everything may be waiting now."""
        if self._waits < self._branches:
            return
        loop = asyncio.get_running_loop()
        if self.slots is not None and self._has_slot and self._giving is None:
            # What is answered at once does not come back to the loop, and keeps its slot.
            self._giving = loop.call_soon(self._give)
        if self.park_after_ms is not None and self._parkable == self._waits and self._alarm is None:
            self._alarm = loop.call_later(self.park_after_ms / 1000, self.cancel.cancel, "parked")

    def _stay(self) -> None:
        if self._giving is not None:
            self._giving.cancel()
            self._giving = None
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _give(self) -> None:
        assert self.slots is not None
        self._giving = None
        self._has_slot = False
        self.slots.give()

    async def _come_back(self) -> None:
        if self.slots is not None and not self._has_slot:
            if self._returning is None:  # few runs ever come back from a wait
                self._returning = asyncio.Lock()
            async with self._returning:
                await self._retake(self.slots)

    async def _retake(self, slots: Slots) -> None:
        if self._has_slot:  # another branch was quicker
            return
        try:
            if self.cancel.is_cancelled:
                slots.take()  # it is about to end, nobody waits for that
            else:
                await slots.retake()
        except asyncio.CancelledError:
            slots.take()
            raise
        finally:
            self._has_slot = True


def _canceller(task: asyncio.Future[Any]) -> Callable[[], None]:
    def cancel() -> None:
        task.cancel()

    return cancel


# The run that the current task is part of.
CURRENT_RUN: ContextVar[ProcessRun | None] = ContextVar("lash_process_run", default=None)


@asynccontextmanager
async def waiting_for_others() -> AsyncIterator[None]:
    """Around whatever waits for other processes: gives the slot of the process back that the task runs, if any."""
    run = CURRENT_RUN.get()
    async with contextlib.AsyncExitStack() as stack:
        if run is not None:
            await stack.enter_async_context(run.waiting())
        yield
