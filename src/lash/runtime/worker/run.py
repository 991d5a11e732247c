"""One process at work: its record, its lease, its slot, and how it waits.

A run that waits holds no slot. A wait that lasts is no task either: where the host is
durable the run ends, its row is parked until there is something to do, and another run
comes back to the same place through the journal.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TypeVar

from lash.base.cancel import CancelToken
from lash.base.clock import Clock
from lash.base.tier import DurabilityTier
from lash.effects.envelope import EffectEnvelope, EffectOutcome
from lash.effects.errors import SleepCut
from lash.effects.journal import JournalRow
from lash.effects.local import Branch, Local
from lash.effects.ports import EffectController, EffectSummary
from lash.effects.scope import ExecutionScope
from lash.effects.waits import AwaitEventKey, WaitIdentity
from lash.processes.registration import ProcessRegistration
from lash.runtime.worker.slots import Slots

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Park:
    """A run ended because it waits: for a moment, for processes, for durable waits of its scope (their key ids)."""

    until_ms: int | None = None
    awaited: tuple[str, ...] = ()
    wait_ids: tuple[str, ...] = ()


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
    last_sequence: int = 0
    parked: Park | None = None
    _waits: int = field(default=0)

    @property
    def process_id(self) -> str:
        """The process."""
        return self.registration.id

    @asynccontextmanager
    async def waiting(self) -> AsyncIterator[None]:
        """While the run waits for somebody else and does nothing: it holds no slot meanwhile."""
        self._waits += 1
        if self.slots is not None and self._waits == 1:
            self.slots.give()
        try:
            yield
        finally:
            self._waits -= 1
            if self.slots is not None and self._waits == 0:
                await self._come_back(self.slots)

    async def _come_back(self, slots: Slots) -> None:
        if self.cancel.is_cancelled:
            slots.take()  # it is about to end, nobody waits for that
            return
        try:
            await slots.retake()
        except asyncio.CancelledError:
            slots.take()
            raise


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


class ParkingController:
    """The controller of a run that does one thing at a time: while it sleeps or waits, the process may be parked."""

    def __init__(self, run: ProcessRun) -> None:
        self._run = run
        self._inner = run.controller

    def execution_scope(self) -> ExecutionScope:
        """See `EffectController`."""
        return self._inner.execution_scope()

    def scope_id(self) -> str:
        """See `EffectController`."""
        return self._inner.scope_id()

    def turn_id(self) -> str | None:
        """See `EffectController`."""
        return self._inner.turn_id()

    def durability_tier(self) -> DurabilityTier:
        """See `EffectController`."""
        return self._inner.durability_tier()

    async def execute(self, envelope: EffectEnvelope, local: Local) -> EffectOutcome:
        """Executes; a pause or a wait holds no slot, and a long one ends the run."""
        if envelope.kind not in ("sleep", "await_event"):
            return await self._inner.execute(envelope, local)
        async with self._run.waiting():
            alarm = self._alarm()
            try:
                return await self._inner.execute(envelope, local)
            except SleepCut as cut:
                self._note(Park(cut.due_ms))
                raise
            except Exception:
                if envelope.kind == "await_event":
                    key = envelope.command.body["key"]
                    assert isinstance(key, dict)
                    self._note(Park(local.deadline_ms, wait_ids=(str(key["key_id"]),)))
                raise
            finally:
                if alarm is not None:
                    alarm.cancel()

    async def run_group(self, branches: Sequence[Branch[T]]) -> list[T]:
        """One branch after another: a run that parks does one thing at a time."""
        return [await self._through(branch) for branch in branches]

    async def barrier(self) -> None:
        """See `EffectController`."""
        await self._inner.barrier()

    async def retract(self) -> list[JournalRow]:
        """See `EffectController`."""
        return await self._inner.retract()

    def restore(self, rows: list[JournalRow]) -> None:
        """See `EffectController`."""
        self._inner.restore(rows)

    def summary(self) -> list[EffectSummary]:
        """See `EffectController`."""
        return self._inner.summary()

    async def load_blob(self, ref: str) -> bytes | None:
        """See `EffectController`."""
        return await self._inner.load_blob(ref)

    def has_recorded(self, replay_key: str) -> bool:
        """See `EffectController`."""
        return self._inner.has_recorded(replay_key)

    def has_recorded_beyond(self, effect_number: int) -> bool:
        """See `EffectController`."""
        return self._inner.has_recorded_beyond(effect_number)

    def completion_key(self, wait: WaitIdentity) -> AwaitEventKey:
        """See `EffectController`."""
        return self._inner.completion_key(wait)

    def _alarm(self) -> asyncio.TimerHandle | None:
        after_ms = self._run.park_after_ms
        if after_ms is None:
            return None
        return asyncio.get_running_loop().call_later(after_ms / 1000, self._run.cancel.cancel, "parked")

    def _note(self, park: Park) -> None:
        if self._run.cancel.reason == "parked":
            self._run.parked = park

    async def _through(self, branch: Branch[T]) -> T:
        try:
            request = next(branch)
            while True:
                try:
                    outcome = await self.execute(request.envelope, request.local)
                except Exception as error:
                    request = branch.throw(error)
                else:
                    request = branch.send(outcome)
        except StopIteration as stop:
            result: T = stop.value
            return result
        finally:
            branch.close()
