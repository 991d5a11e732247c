"""What a worker holds: processes that run, each in a slot and a task, and those that wait for a slot.

Whatever is held has a lease that is kept, until the process is ended, parked or given back.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
from collections.abc import Callable, Sequence

from lash.base.cancel import CancelToken
from lash.processes.errors import ProcessError, ProcessLeaseLost
from lash.processes.registry import ClaimedProcess, ProcessEnd
from lash.runtime.leases import Holding
from lash.runtime.worker import turnover
from lash.runtime.worker.ahead import Ahead
from lash.runtime.worker.attempt import Attempts
from lash.runtime.worker.config import ProcessWorkerConfig
from lash.runtime.worker.run import CURRENT_RUN, Park
from lash.runtime.worker.slots import Slots
from lash.runtime.worker.turnover import Ended, TurnOver
from lash.sessions.errors import StoreError

logger = logging.getLogger("lash.worker")

# How long the feed must be quiet before the worker looks who wants what cancelled.
CANCEL_LOOK_MS = 20


class Runs:
    """The processes of one worker. `stir` is called when a slot may be free or something has ended."""

    def __init__(self, config: ProcessWorkerConfig, turn_over: TurnOver, stir: Callable[[], None]) -> None:
        self._engine = config.engine
        self._registry = config.processes
        self._turn_over = turn_over
        self._stir = stir
        self.slots = Slots(config.concurrency, self._slot_given)
        self.ahead = Ahead(config.concurrency)
        self._attempts = Attempts(config, self.slots)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        # Runs whose task has not come to its first step: one that is cancelled there does nothing of itself.
        self._unbegun: dict[str, tuple[ClaimedProcess, Holding]] = {}
        self._holdings: dict[str, Holding] = {}
        self._watcher: asyncio.Task[None] | None = None
        # What runs here runs in it, whoever has started it or the worker: in that of whoever opened the core, which may
        # be a process itself.
        self.context = contextvars.copy_context()
        self.context.run(CURRENT_RUN.set, None)
        # Set when the worker takes nothing more.
        self.is_closed = False

    @property
    def is_leaving(self) -> bool:
        """Whether nothing is taken any more."""
        return self.is_closed or self._engine.is_closing

    @property
    def room(self) -> int:
        """Free slots."""
        return 0 if self.is_leaving else self.slots.free

    @property
    def wanted(self) -> int:
        """How many processes would be claimed now: for free slots, and a few that will soon have one."""
        return 0 if self.is_leaving else self.slots.free + self.ahead.room

    @property
    def ids(self) -> list[str]:
        """The processes that run, by id."""
        return sorted(self._tasks)

    def take(self, claimed: ClaimedProcess) -> None:
        """Runs what was claimed, or lets it wait for a slot; either way its lease is kept."""
        holding = Holding(claimed.lease.as_lease(), CancelToken(), process=claimed.lease)
        self._holdings[claimed.record.id] = holding
        self._engine.keeper.hold(holding)
        if self.room:
            self._start(claimed, holding)
        else:
            self.ahead.put(claimed, holding, self._engine.clock.monotonic())

    async def ended(self) -> None:
        """Returns when all that run now have ended."""
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    async def end(self) -> None:
        """Cancels all that run. Nothing of them is recorded as ended: whoever claims them goes on."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self.give_back_unbegun()

    async def give_back_waiting(self) -> None:
        """What waits for a slot is given back, for others to run."""
        await self._give_back(self.ahead.clear())

    async def give_back_unbegun(self) -> None:
        """The same for what was cancelled before its first step."""
        unbegun, self._unbegun = list(self._unbegun.values()), {}
        for claimed, _ in unbegun:
            del self._tasks[claimed.record.id]
            self.slots.give()
        await self._give_back(unbegun)

    async def _give_back(self, held: Sequence[tuple[ClaimedProcess, Holding]]) -> None:
        for claimed, holding in held:
            self._drop(claimed, holding)
        await self._turn_over.give_back([claimed for claimed, _ in held])

    def _drop(self, claimed: ClaimedProcess, holding: Holding) -> None:
        self._engine.keeper.drop(holding)
        del self._holdings[claimed.record.id]

    def _slot_given(self) -> None:
        self._stir()
        while self.room and (waiting := self.ahead.take(self._engine.clock.monotonic())) is not None:
            claimed, holding = waiting
            if holding.cancel.reason == "lease_lost":  # others run it
                self._drop(claimed, holding)
            else:
                self._start(claimed, holding)

    def _start(self, claimed: ClaimedProcess, holding: Holding) -> None:
        process_id = claimed.record.id
        self.slots.take()
        self._unbegun[process_id] = (claimed, holding)
        run = self._run(claimed, holding)
        self._tasks[process_id] = self.context.run(self._engine.spawn, run, f"process {process_id}")
        if self._watcher is None or self._watcher.done():
            self._watcher = self.context.run(self._engine.spawn, self._watch_cancels(), "process cancels")

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
                is_kept = not await self._park(claimed, outcome)
            elif outcome is not None:
                self._turn_over.note(Ended(ProcessEnd(lease, outcome, claimed.record), holding))
                has_ended, is_kept = True, False
            else:
                is_kept = holding.cancel.reason != "lease_lost"
                later_ms = turnover.LATER_MS
        except ProcessLeaseLost:
            is_kept = False
        except (StoreError, ProcessError) as error:
            logger.warning("process %s is left for a while: %s", process_id, error)
            later_ms = turnover.LATER_MS
        finally:
            if not has_ended:
                self._engine.keeper.drop(holding)
            del self._holdings[process_id], self._tasks[process_id]
            self.ahead.pace.note((self._engine.clock.monotonic() - began) * 1000)
            self.slots.give()
            self._stir()
            if is_kept:
                due_at_ms = self._engine.clock.now_ms() + later_ms if later_ms else 0
                with contextlib.suppress(Exception):  # the lease runs out by itself otherwise
                    await asyncio.shield(self._registry.complete_process_lease(lease.completion(), due_at_ms=due_at_ms))

    async def _park(self, claimed: ClaimedProcess, park: Park) -> bool:
        seen = claimed.record.last_sequence if park.seen_sequence is None else park.seen_sequence
        return await self._registry.park_process(
            claimed.lease, seen_sequence=seen, until_ms=park.until_ms, awaited=park.awaited, wait_ids=park.wait_ids
        )

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
