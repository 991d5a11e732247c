"""The worker of a core: claims what is due, runs it, ends it, and sees to wakes.

```
          look ──due──► turn over ──claimed──► run ──► output ─┐
           ▲  ▲             ▲                   │              │
   changes,│  └─────────────┴───── ended ◄──────┼──────────────┘
   timer   └────────────────────── parked ◄─────┘
```

One loop does all writing of ends and claims (`turnover.py`): what ended since its last
transaction ends in the next one, which also takes what comes next, and a little more where
runs are short (`ahead.py`). What was claimed has a room of its own (`runs.py`). Nothing is
polled: the change feed says that something happened, the due time of the next row says when
something will.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

from lash.base.waiting import first_of
from lash.processes.errors import ProcessLeaseHeld
from lash.processes.events import cancel_requested
from lash.processes.handles import ProcessStartGrant
from lash.processes.record import ProcessRecord
from lash.processes.registration import ProcessRegistration
from lash.runtime.recovery import see_to_turns
from lash.runtime.worker.ahead import LONG_MS
from lash.runtime.worker.config import ProcessWorkerConfig
from lash.runtime.worker.gathering import Gathering
from lash.runtime.worker.runs import Runs
from lash.runtime.worker.standby import stand_by
from lash.runtime.worker.starting import StartsHere
from lash.runtime.worker.ticking import TriggerTicking
from lash.runtime.worker.turnover import TurnOver
from lash.sessions.errors import StoreError

logger = logging.getLogger("lash.worker")

# A store that cannot be reached is asked again after so long.
STORE_PAUSE_MS = 500
# While others hold leases their executors are looked at so often: one that is dead loses them at once.
PROBE_MS = 1_000
# A worker without a free slot looks for wakes so often.
BUSY_LOOK_MS = 100
# What ended is written without a look for more that is due, unless nobody has looked for so long.
CLAIM_EVERY_S = 0.02


class ProcessWorker:
    """Runs the processes of one store. Several workers, in one process or many, are always safe."""

    def __init__(self, config: ProcessWorkerConfig) -> None:
        self._config = config = replace(config, start=config.start or self.start)
        self._engine = config.engine
        self._registry = config.processes
        self._stirred = asyncio.Event()
        self._gathering = Gathering()
        self._turn_overs = TurnOver(config, self._gathering)
        self._runs = Runs(config, self._turn_overs, self._stirred.set)
        self._starts_here = StartsHere(config, self._gathering, self._runs, self._turn_overs)
        self._loop: asyncio.Task[None] | None = None
        self._seeing_to_turns: asyncio.Task[None] | None = None
        self._may_be_due = True
        # Whether there may be more that is due than there is room for: then nothing new goes before it.
        self._is_behind = True
        self._looked_at = 0.0
        self._claimed_at = 0.0
        # The clock of triggers runs where processes run.
        self.ticking: TriggerTicking | None = None

    @property
    def is_started(self) -> bool:
        """Whether it looks for work."""
        return self._loop is not None and not self._loop.done()

    @property
    def running(self) -> list[str]:
        """The processes that run here now, by id."""
        return self._runs.ids

    def poke(self) -> None:
        """There may be work: look now. Starts the worker. A hint: what it misses the change feed tells."""
        self._may_be_due = True
        self._gathering.note()
        self._stirred.set()
        if not self.is_started and not self._engine.is_closing and not self._runs.is_closed:
            self._loop = self._runs.context.run(self._engine.spawn, self._work(), "process worker")
            if self.ticking is not None:
                self.ticking.start()

    async def start(self, registration: ProcessRegistration, grant: ProcessStartGrant | None = None) -> ProcessRecord:
        """Registers a process; if there is room it runs here, at once. Raises as `register_process` does."""
        if self.is_started and self._runs.wanted > self._gathering.starts and not self._is_behind:
            return await self._starts_here.start(registration, grant)
        self._is_behind = True
        try:
            return await self._registry.register_process(registration, grant)
        finally:
            self.poke()

    async def go_on(self, process_id: str) -> None:
        """What the process waited for here was settled: it is due now. Whoever runs it already goes on by himself."""
        with contextlib.suppress(ProcessLeaseHeld):
            lease = await self._registry.claim_process_lease(
                process_id, self._engine.executor_id, self._engine.options.timings.ttl_ms
            )
            await self._registry.complete_process_lease(lease.completion())
        self.poke()

    async def start_if_needed(self) -> None:
        """Starts when there is something to do now or later, else stands by: two reads. For the opening of a core."""
        if await self.is_needed():
            self.poke()
        else:
            self._engine.spawn(stand_by(self._engine, self), "process worker, standing by")

    async def is_needed(self) -> bool:
        """Whether the store has something to do now or later, or a schedule."""
        outlook = await self._registry.look_for_work(self._engine.executor_id)
        if outlook.due_in_ms is not None or outlook.has_wakes or outlook.has_other_workers:
            return True
        return self.ticking is not None and await self.ticking.is_needed()

    async def drain(self, timeout_ms: int = 30_000) -> None:
        """Takes nothing more and waits for what runs; what has not ended then is left to others.

        Nothing of what is left is recorded as ended: its lease is given back, whoever claims it goes on.
        """
        runs = self._runs
        runs.is_closed = True
        if self.ticking is not None:
            await self.ticking.stop()
        if self._seeing_to_turns is not None:
            self._seeing_to_turns.cancel()
        await runs.give_back_waiting()
        deadline = self._engine.clock.monotonic() + timeout_ms / 1000
        while runs.ids or self._turn_overs:
            left_ms = round((deadline - self._engine.clock.monotonic()) * 1000)
            if left_ms <= 0:
                break
            await first_of(self._until_idle(), self._engine.clock.sleep(left_ms))
        await runs.end()
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.wait([self._loop])
            await runs.end()  # what it has just taken

    async def _until_idle(self) -> None:
        await self._runs.ended()
        while self._turn_overs:
            try:
                await self._turn_over()
            except StoreError as error:
                await self._pause(error)

    # the loop

    async def _work(self) -> None:
        do = self._free_the_dead
        try:
            while True:
                try:
                    await do()
                    do = self._round
                except StoreError as error:
                    await self._pause(error)
                except Exception as error:  # whatever it is, work must not stand still because of it
                    logger.exception("the worker stumbled")
                    await self._pause(error)
        finally:
            with contextlib.suppress(Exception):
                await asyncio.shield(self._leave())

    async def _leave(self) -> None:
        if self._turn_overs:  # what ended here is not to be run again
            with contextlib.suppress(Exception):
                await self._turn_over()
        await self._runs.give_back_waiting()
        await self._starts_here.give_back_doubtful()
        if self._engine.is_closing:  # then every run is cancelled, too
            await self._runs.give_back_unbegun()

    async def _pause(self, error: Exception) -> None:
        logger.warning("the worker tries again in %d ms: %s", STORE_PAUSE_MS, error)
        await self._engine.clock.sleep(STORE_PAUSE_MS)

    async def _round(self) -> None:
        """Does what there is to do, then waits for more."""
        changes = self._engine.store.changes
        generation = changes.generation()
        self._stirred.clear()
        runs, ended = self._runs, self._turn_overs
        if ended and (rest_ms := runs.ahead.rest_ms) and not runs.is_leaving:
            await self._engine.clock.sleep(rest_ms)
        if ended or (self._may_be_due and runs.wanted):
            await self._gathering.wait(lambda: self._turn_overs.is_awaited)
            await self._turn_over()
            if (ended or (self._may_be_due and runs.wanted)) and not self._is_time_to_look:
                return
        if runs.ahead.is_stuck(self._engine.clock.monotonic()):
            await runs.give_back_waiting()
        if not runs.room and not self._is_time_to_look:
            await first_of(self._stirred.wait(), self._engine.clock.sleep(BUSY_LOOK_MS))
            return
        self._looked_at = self._engine.clock.monotonic()
        outlook = await self._registry.look_for_work(self._engine.executor_id)
        if outlook.has_wakes:
            await self._deliver_wakes()
        if outlook.has_queued:
            self._see_to_turns()
        if outlook.due_in_ms is not None and outlook.due_in_ms <= 0 and runs.room:
            self._may_be_due = True
            return
        waits: list[Coroutine[Any, Any, object]] = [self._stirred.wait(), changes.changed(generation)]
        if outlook.due_in_ms is not None and runs.room:
            waits.append(self._engine.clock.sleep(outlook.due_in_ms))
        if outlook.has_other_workers:
            waits.append(self._probe())
        if runs.ahead:
            waits.append(self._engine.clock.sleep(LONG_MS))
        await first_of(*waits)

    @property
    def _is_time_to_look(self) -> bool:
        return (self._engine.clock.monotonic() - self._looked_at) * 1000 >= BUSY_LOOK_MS

    async def _turn_over(self) -> None:
        """Ends what ended and takes what is due, in one transaction."""
        limit = self._limit()
        if not limit and not self._turn_overs:  # all room is kept for starts, and that is seen again in a moment
            self._gathering.turning()
            return
        turned = await self._turn_overs.write(limit)
        if turned is None:
            return
        if limit:
            self._may_be_due = self._is_behind = len(turned.claimed) + len(turned.unreadable) == limit
        for claimed in turned.claimed:
            self._runs.take(claimed)
        if self._runs.is_leaving:
            await self._runs.give_back_waiting()

    def _limit(self) -> int:
        """How many may be claimed now. Room is kept for what is being started, but a start may hang: not for long."""
        now, wanted = self._engine.clock.monotonic(), self._runs.wanted
        if not self._may_be_due and now - self._claimed_at <= CLAIM_EVERY_S:
            return 0
        is_due_for_long = (now - self._claimed_at) * 1000 >= BUSY_LOOK_MS
        limit = wanted if is_due_for_long else max(0, wanted - self._gathering.starts)
        if limit:
            self._claimed_at = now
        return limit

    async def request_process_cancel(self, process_id: str, reason: str | None = None) -> None:
        """Asks for the end of a process, wherever it runs. Whoever runs it decides how it ends."""
        await self._registry.append_event(process_id, cancel_requested(process_id, reason))

    async def _probe(self) -> None:
        await self._engine.clock.sleep(PROBE_MS)
        await self._free_the_dead()

    async def _free_the_dead(self) -> None:
        """Executors that are provably gone lose their leases at once."""
        for owner in await self._registry.list_lease_owners():
            if owner != self._engine.executor_id and await self._engine.store.liveness.is_dead(owner):
                freed = await self._registry.free_leases_of(owner)
                logger.info("executor %s is gone; %d processes go on", owner, freed)
                self._may_be_due = True

    async def _deliver_wakes(self) -> None:
        """Wakes become queued work, and their sessions run it, open or not."""
        drained = await self._registry.deliver_pending_wakes()
        if drained.discarded:
            logger.warning("%d wakes were dropped: their session is gone, or they waited for a week", drained.discarded)
        for session_id in drained.session_ids:
            self._config.actor_of(session_id).poke()

    def _see_to_turns(self) -> None:
        """Whoever is at the queue of a session may die, and nobody opens a core for that."""
        if self._runs.is_closed or (self._seeing_to_turns is not None and not self._seeing_to_turns.done()):
            return
        if self._config.recovers and self._config.host.durability_tier() == "durable":
            seeing = see_to_turns(self._engine, self._config.actor_of, PROBE_MS)
            self._seeing_to_turns = self._engine.spawn(seeing, "turns of others")
