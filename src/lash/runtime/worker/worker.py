"""The worker of a core: claims what is due, runs it, ends it, and sees to wakes.

```
          look ──due──► turn over ──claimed──► run ──► output ─┐
           ▲  ▲             ▲                   │              │
   changes,│  └─────────────┴───── ended ◄──────┼──────────────┘
   timer   └────────────────────── parked ◄─────┘
```

One loop does all writing of ends and claims: what ended since its last transaction ends
in the next one, which also takes what comes next, and a little more where runs are short
(`ahead.py`). Nothing is polled: the change feed says that something happened, the due time
of the next row says when something will.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
from collections.abc import Coroutine
from typing import Any, NamedTuple

from lash.base.cancel import CancelToken
from lash.base.waiting import first_of
from lash.processes.errors import ProcessError, ProcessLeaseHeld, ProcessLeaseLost
from lash.processes.events import cancel_requested
from lash.processes.outputs import FailureOutput
from lash.processes.registry import ClaimedProcess, ProcessEnd, WorkTurnOver
from lash.runtime.leases import Holding
from lash.runtime.recovery import see_to_turns
from lash.runtime.worker.ahead import LONG_MS, Ahead
from lash.runtime.worker.attempt import Attempts
from lash.runtime.worker.config import ProcessWorkerConfig
from lash.runtime.worker.run import CURRENT_RUN, Park
from lash.runtime.worker.slots import Slots
from lash.runtime.worker.standby import stand_by
from lash.runtime.worker.ticking import TriggerTicking
from lash.sessions.errors import StoreError

logger = logging.getLogger("lash.worker")

# A store that cannot be reached is asked again after so long.
STORE_PAUSE_MS = 500
# While others hold leases their executors are looked at so often: one that is dead loses them at once.
PROBE_MS = 1_000
# A process that cannot go on here and now (doubt, trouble of the store) is looked at again after so long.
LATER_MS = 30_000
# A worker without a free slot looks for wakes so often.
BUSY_LOOK_MS = 100
# How long the feed must be quiet before the worker looks who wants what cancelled.
CANCEL_LOOK_MS = 20


class Ended(NamedTuple):
    """An end that is not written yet. Its lease is kept until it is: nobody runs again what has ended here."""

    end: ProcessEnd
    holding: Holding


class ProcessWorker:
    """Runs the processes of one store. Several workers, in one process or many, are always safe."""

    def __init__(self, config: ProcessWorkerConfig) -> None:
        self._config = config
        self._engine = config.engine
        self._registry = config.processes
        self._stirred = asyncio.Event()
        self.slots = Slots(config.concurrency, self._slot_given)
        self._ahead = Ahead(config.concurrency)
        self._attempts = Attempts(config, self.slots)
        self._loop: asyncio.Task[None] | None = None
        self._runs: dict[str, asyncio.Task[None]] = {}
        # Runs whose task has not come to its first step: one that is cancelled there does nothing of itself.
        self._unbegun: dict[str, tuple[ClaimedProcess, Holding]] = {}
        self._holdings: dict[str, Holding] = {}
        self._watcher: asyncio.Task[None] | None = None
        self._seeing_to_turns: asyncio.Task[None] | None = None
        self._ended: list[Ended] = []
        self._may_be_due = True
        self._is_draining = False
        self._looked_at = 0.0
        self._claim_token = config.engine.ids.new_token()
        # The clock of triggers runs where processes run.
        self.ticking: TriggerTicking | None = None

    @property
    def is_started(self) -> bool:
        """Whether it looks for work."""
        return self._loop is not None and not self._loop.done()

    @property
    def running(self) -> list[str]:
        """The processes that run here now, by id."""
        return sorted(self._runs)

    def poke(self) -> None:
        """There may be work: look now. Starts the worker. A hint: what it misses the change feed tells."""
        self._may_be_due = True
        self._stirred.set()
        if not self.is_started and not self._engine.is_closing and not self._is_draining:
            context = contextvars.copy_context()  # whoever pokes may be a process itself, the worker is not
            context.run(CURRENT_RUN.set, None)
            self._loop = context.run(self._engine.spawn, self._work(), "process worker")
            if self.ticking is not None:
                self.ticking.start()

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
        self._is_draining = True
        if self.ticking is not None:
            await self.ticking.stop()
        if self._seeing_to_turns is not None:
            self._seeing_to_turns.cancel()
        await self._give_back()
        deadline = self._engine.clock.monotonic() + timeout_ms / 1000
        while self._runs or self._ended:
            left_ms = round((deadline - self._engine.clock.monotonic()) * 1000)
            if left_ms <= 0:
                break
            await first_of(self._until_idle(), self._engine.clock.sleep(left_ms))
        await self._end_runs()
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.wait([self._loop])
            await self._end_runs()  # what it has just taken

    async def _end_runs(self) -> None:
        runs = list(self._runs.values())
        for run in runs:
            run.cancel()
        if runs:
            await asyncio.wait(runs)
        await self._give_back_unbegun()

    async def _give_back_unbegun(self) -> None:
        unbegun, self._unbegun = list(self._unbegun.values()), {}
        for claimed, holding in unbegun:
            self._engine.keeper.drop(holding)
            del self._holdings[claimed.record.id], self._runs[claimed.record.id]
            self.slots.give()
        await self._return([claimed for claimed, _ in unbegun])

    async def _until_idle(self) -> None:
        if self._runs:
            await asyncio.wait(list(self._runs.values()))
        while self._ended:
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
            if self._ended:  # what ended here is not to be run again
                with contextlib.suppress(Exception):
                    await asyncio.shield(self._turn_over())
            if self._ahead:
                with contextlib.suppress(Exception):
                    await asyncio.shield(self._give_back())
            if self._engine.is_closing and self._unbegun:  # then every run is cancelled, too
                with contextlib.suppress(Exception):
                    await asyncio.shield(self._give_back_unbegun())

    async def _pause(self, error: Exception) -> None:
        logger.warning("the worker tries again in %d ms: %s", STORE_PAUSE_MS, error)
        await self._engine.clock.sleep(STORE_PAUSE_MS)

    async def _round(self) -> None:
        """Does what there is to do, then waits for more."""
        changes = self._engine.store.changes
        generation = changes.generation()
        self._stirred.clear()
        if self._ended and (rest_ms := self._ahead.rest_ms) and not self._is_leaving:
            await self._engine.clock.sleep(rest_ms)
        if self._ended or (self._may_be_due and self._wanted):
            await self._turn_over()
            if self._ended or (self._may_be_due and self._wanted):
                return
        if self._ahead.is_stuck(self._engine.clock.monotonic()):
            await self._give_back()
        if not self._room and not self._is_time_to_look:
            await first_of(self._stirred.wait(), self._engine.clock.sleep(BUSY_LOOK_MS))
            return
        self._looked_at = self._engine.clock.monotonic()
        outlook = await self._registry.look_for_work(self._engine.executor_id)
        if outlook.has_wakes:
            await self._deliver_wakes()
        if outlook.has_queued:
            self._see_to_turns()
        if outlook.due_in_ms is not None and outlook.due_in_ms <= 0 and self._room:
            self._may_be_due = True
            return
        waits: list[Coroutine[Any, Any, object]] = [self._stirred.wait(), changes.changed(generation)]
        if outlook.due_in_ms is not None and self._room:
            waits.append(self._engine.clock.sleep(outlook.due_in_ms))
        if outlook.has_other_workers:
            waits.append(self._probe())
        if self._ahead:
            waits.append(self._engine.clock.sleep(LONG_MS))
        await first_of(*waits)

    @property
    def _is_time_to_look(self) -> bool:
        return (self._engine.clock.monotonic() - self._looked_at) * 1000 >= BUSY_LOOK_MS

    @property
    def _room(self) -> int:
        return 0 if self._is_leaving else self.slots.free

    @property
    def _is_leaving(self) -> bool:
        return self._is_draining or self._engine.is_closing

    @property
    def _wanted(self) -> int:
        """How many processes it would claim now: for free slots, and a few that will soon have one."""
        return 0 if self._is_leaving else self.slots.free + self._ahead.room

    async def _turn_over(self) -> None:
        """Ends what ended and takes what is due, in one transaction."""
        ended, self._ended = self._ended, []
        ends = [each.end for each in ended]
        limit = self._wanted
        writing = asyncio.ensure_future(
            self._registry.turn_over(
                ends, self._engine.executor_id, self._claim_token, self._engine.options.timings.ttl_ms, limit
            )
        )
        try:
            turned = await asyncio.shield(writing)
        except asyncio.CancelledError:
            await self._undo(writing, ended)
            raise
        except StoreError:
            self._ended = [*ended, *self._ended]
            raise
        except Exception:
            if not ended:
                raise
            logger.exception("what ended cannot be written together; each is written by itself")
            for each in ended:
                await self._end_alone(each.end)
                self._engine.keeper.drop(each.holding)
            return
        for each in ended:
            self._engine.keeper.drop(each.holding)
        self._claim_token = self._engine.ids.new_token()
        self._may_be_due = limit > 0 and len(turned.claimed) + len(turned.unreadable) == limit
        for process_id in turned.lost:
            logger.warning("process %s was taken over; what came of it here is dropped", process_id)
        for why in turned.unreadable:
            logger.error("%s; the others go on", why)
        for claimed in turned.claimed:
            self._take(claimed)
        if self._is_leaving:
            await self._give_back()

    async def _undo(self, writing: asyncio.Future[WorkTurnOver], ended: list[Ended]) -> None:
        """This worker is leaving: what it has just taken is given back."""
        await asyncio.wait([writing])
        if writing.cancelled() or writing.exception() is not None:
            self._ended = [*ended, *self._ended]
            return
        if claimed := writing.result().claimed:
            with contextlib.suppress(Exception):  # the leases run out by themselves otherwise
                await self._registry.give_back(claimed)

    async def _give_back(self) -> None:
        """What waits for a slot is given back, for others to run."""
        waiting = self._ahead.clear()
        for claimed, holding in waiting:
            self._engine.keeper.drop(holding)
            del self._holdings[claimed.record.id]
        await self._return([claimed for claimed, _ in waiting])

    async def _return(self, claimed: list[ClaimedProcess]) -> None:
        """Gives leases back, also while whoever does it is cancelled: what nobody runs must not be held."""
        if not claimed:
            return
        writing = asyncio.ensure_future(self._registry.give_back(claimed))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            await asyncio.wait([writing])
            raise
        except StoreError as error:  # the leases run out by themselves
            logger.warning("%d processes could not be given back: %s", len(claimed), error)

    async def _end_alone(self, end: ProcessEnd) -> None:
        """Ends one process. What cannot be stored is a failure; if that cannot either, the lease is given back."""
        lease = end.lease
        try:
            await self._registry.complete_process_with_lease(lease, end.output)
        except ProcessLeaseLost:
            logger.warning("process %s was taken over; what came of it here is dropped", lease.process_id)
        except Exception as error:
            logger.exception("the end of process %s cannot be stored", lease.process_id)
            with contextlib.suppress(Exception):
                failure = FailureOutput("execution", "process_recovery_failed", str(error) or type(error).__name__)
                await self._registry.complete_process_with_lease(lease, failure)
                return
            with contextlib.suppress(Exception):  # it runs out by itself otherwise
                later_ms = self._engine.clock.now_ms() + LATER_MS
                await self._registry.complete_process_lease(lease.completion(), due_at_ms=later_ms)

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
        for session_id in drained.session_ids:
            self._config.actor_of(session_id).poke()

    def _see_to_turns(self) -> None:
        """Whoever is at the queue of a session may die, and nobody opens a core for that."""
        if self._is_draining or (self._seeing_to_turns is not None and not self._seeing_to_turns.done()):
            return
        if self._config.recovers and self._config.host.durability_tier() == "durable":
            seeing = see_to_turns(self._engine, self._config.actor_of, PROBE_MS)
            self._seeing_to_turns = self._engine.spawn(seeing, "turns of others")

    # one process

    def _take(self, claimed: ClaimedProcess) -> None:
        """Runs what was claimed, or lets it wait for a slot; either way its lease is kept."""
        holding = Holding(claimed.lease.as_lease(), CancelToken(), process=claimed.lease)
        self._holdings[claimed.record.id] = holding
        self._engine.keeper.hold(holding)
        if self._room:
            self._start(claimed, holding)
        else:
            self._ahead.put(claimed, holding, self._engine.clock.monotonic())

    def _slot_given(self) -> None:
        self._stirred.set()
        while self._room and (waiting := self._ahead.take(self._engine.clock.monotonic())) is not None:
            claimed, holding = waiting
            if holding.cancel.reason == "lease_lost":  # others run it
                self._engine.keeper.drop(holding)
                del self._holdings[claimed.record.id]
            else:
                self._start(claimed, holding)

    def _start(self, claimed: ClaimedProcess, holding: Holding) -> None:
        process_id = claimed.record.id
        self.slots.take()
        self._unbegun[process_id] = (claimed, holding)
        self._runs[process_id] = self._engine.spawn(self._run(claimed, holding), f"process {process_id}")
        if self._watcher is None or self._watcher.done():
            self._watcher = self._engine.spawn(self._watch_cancels(), "process cancels")

    async def _run(self, claimed: ClaimedProcess, holding: Holding) -> None:
        """One run under its lease. Whatever happens, the lease is ended, parked or given back."""
        process_id, lease = claimed.record.id, claimed.lease
        del self._unbegun[process_id]
        later_ms = 0
        is_kept = True
        has_ended = False
        began = self._engine.clock.monotonic()
        try:
            outcome = await self._attempts.outcome(claimed, holding)
            if isinstance(outcome, Park):
                is_kept = not await self._registry.park_process(
                    lease,
                    seen_sequence=(
                        claimed.record.last_sequence if outcome.seen_sequence is None else outcome.seen_sequence
                    ),
                    until_ms=outcome.until_ms,
                    awaited=outcome.awaited,
                    wait_ids=outcome.wait_ids,
                )
            elif outcome is not None:
                self._ended.append(Ended(ProcessEnd(lease, outcome, claimed.record), holding))
                has_ended, is_kept = True, False
            else:
                is_kept = holding.cancel.reason != "lease_lost"
                later_ms = LATER_MS
        except ProcessLeaseLost:
            is_kept = False
        except (StoreError, ProcessError) as error:
            logger.warning("process %s is left for a while: %s", process_id, error)
            later_ms = LATER_MS
        finally:
            if not has_ended:
                self._engine.keeper.drop(holding)
            del self._holdings[process_id], self._runs[process_id]
            self._ahead.pace.note((self._engine.clock.monotonic() - began) * 1000)
            self.slots.give()
            self._stirred.set()
            if is_kept:
                due_at_ms = self._engine.clock.now_ms() + later_ms if later_ms else 0
                with contextlib.suppress(Exception):  # the lease runs out by itself otherwise
                    await asyncio.shield(self._registry.complete_process_lease(lease.completion(), due_at_ms=due_at_ms))

    async def _watch_cancels(self) -> None:
        """While something runs: looks after changes who wants what cancelled. The heartbeat looks too."""
        changes = self._engine.store.changes
        seen: set[Holding] = set()
        while self._holdings:
            generation = changes.generation()
            await self._engine.clock.sleep(CANCEL_LOOK_MS)
            if not self._holdings:
                return
            with contextlib.suppress(StoreError):
                # Who began after the last look had nothing to hear then.
                await self._engine.keeper.look_for_cancels([one for one in self._holdings.values() if one in seen])
            seen = set(self._holdings.values())
            await changes.changed(generation)
