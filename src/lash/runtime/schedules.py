"""The clock loop: fires schedules when they are due, and sweeps deliveries whose time has come.

It sleeps until the next moment at which there is something to do, which is one read of
two indexes. A hundred idle schedules cost nothing, and no schedule at all costs the
same. Several loops may run over one store: a firing compares and advances in one
transaction, so one of them makes it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

import msgspec

from lash.base.clock import Clock
from lash.base.errors import LashError
from lash.base.waiting import first_of
from lash.runtime.trigger_router import SweepReport, TriggerEmitReport, TriggerRouter
from lash.triggers.schedules import Firing, Schedule, plan_firing
from lash.triggers.store import TriggerStore

logger = logging.getLogger("lash.triggers")

# The longest sleep: schedules that another process put, and a wall clock that was set, are noticed then.
LOOK_AGAIN_MS: Final = 5_000

# How many schedules one transaction fires: others shall not wait long behind it.
BATCH: Final = 50

# How many due schedules are read at a time.
READ: Final = 1_000


class TickReport(msgspec.Struct, frozen=True):
    """What one look at the clock did."""

    emitted: list[TriggerEmitReport]
    swept: SweepReport


class ScheduleClock:
    """Turns due times into occurrences. `run` it in a task that somebody owns; `poke` it after changes."""

    def __init__(
        self, store: TriggerStore, router: TriggerRouter, clock: Clock, *, look_again_ms: int = LOOK_AGAIN_MS
    ) -> None:
        self._store = store
        self._router = router
        self._clock = clock
        self._look_again_ms = look_again_ms
        self._poked = asyncio.Event()
        # Told of every poke: whoever owns the task that runs this may have to start it.
        self.on_poke: Callable[[], None] | None = None

    def poke(self) -> None:
        """A schedule was put, or a run ended that others queue behind: look now."""
        self._poked.set()
        if self.on_poke is not None:
            self.on_poke()

    def now_ms(self) -> int:
        """The time by which schedules are due."""
        return self._clock.now_ms()

    async def run(self) -> None:
        """Works until it is cancelled. Trouble of the store is told and waited out."""
        while True:
            self._poked.clear()
            looked_ms = self._clock.now_ms()
            try:
                await self.tick()
                wake_ms = await self._store.next_wake_ms()
            except LashError as error:
                logger.warning("the clock of triggers tries again in %d ms: %s", self._look_again_ms, error)
                wake_ms = None
            except Exception:  # whatever it is, time does not stand still because of it
                logger.exception("the clock of triggers tries again in %d ms", self._look_again_ms)
                wake_ms = None
            pause = self._look_again_ms
            # What was due before this look and still is cannot be helped by looking again at once.
            if wake_ms is not None and wake_ms > looked_ms:
                pause = max(1, min(pause, wake_ms - self._clock.now_ms()))
            await first_of(self._poked.wait(), self._clock.sleep(pause))

    async def tick(self) -> TickReport:
        """Fires everything that is due now, then sweeps. Raises what the store raises."""
        emitted: list[TriggerEmitReport] = []
        now_ms = self._clock.now_ms()
        while True:
            due = await self._store.due_schedules(now_ms, READ)
            firings = self._planned(due, now_ms)
            for start in range(0, len(firings), BATCH):
                fired = await self._store.fire(firings[start : start + BATCH])
                emitted += [await self._router.deliver(found) for found in fired]
            if len(due) < READ or not firings:
                break
        swept = await self._router.sweep()
        return TickReport(emitted, swept)

    def _planned(self, due: list[Schedule], now_ms: int) -> list[Firing]:
        """A schedule that cannot be computed any more (its zone is gone) stops nobody else."""
        firings: list[Firing] = []
        for schedule in due:
            try:
                firing = plan_firing(schedule, now_ms)
            except Exception as error:
                logger.error("schedule %s cannot be computed: %s", schedule.schedule_id, error)
                continue
            if firing is not None:
                firings.append(firing)
        return firings
