"""The controller of a run: pauses and waits hold no slot, and long ones end the run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

from lash.effects.around import ControllerAround
from lash.effects.envelope import EffectEnvelope, EffectOutcome
from lash.effects.errors import SleepCut
from lash.effects.local import Branch, Local, through
from lash.runtime.worker.run import Park, ProcessRun, RunCut

T = TypeVar("T")

# There is something to do already: the process is due at once.
AT_ONCE = Park(until_ms=0)


class ParkingController(ControllerAround):
    """While everything that a run does sleeps or waits, its process may be parked."""

    def __init__(self, run: ProcessRun) -> None:
        super().__init__(run.controller)
        self._run = run

    async def execute(self, envelope: EffectEnvelope, local: Local) -> EffectOutcome:
        """Executes; a pause or a wait holds no slot, and a long one ends the run."""
        run = self._run
        if run.is_parking and not self._inner.has_recorded(envelope.replay_key):
            # Its wait was over when the others' had lasted: nothing new begins in a run that ends.
            run.note(AT_ONCE)
            raise RunCut
        if envelope.kind not in ("sleep", "await_event"):
            return await self._inner.execute(envelope, local)
        async with run.waiting(may_park=True):
            try:
                return await self._inner.execute(envelope, local)
            except SleepCut as cut:
                run.note(Park(cut.due_ms))
                raise
            except Exception:
                if envelope.kind == "await_event":
                    key = envelope.command.body["key"]
                    assert isinstance(key, dict)
                    run.note(Park(local.deadline_ms, wait_ids=(str(key["key_id"]),)))
                raise

    async def run_group(self, branches: Sequence[Branch[T]]) -> list[T]:
        """Runs branches concurrently; their results in request order.

        When the run is parked each branch says what it waits for; any other exception that leaves a
        branch cancels the others and is raised.
        """
        if len(branches) == 1:
            return [await through(branches[0], self.execute)]
        with self._run.branching(len(branches)) as ended:
            tasks = [asyncio.ensure_future(self._through(branch, ended)) for branch in branches]
            try:
                _, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
                if waiting and self._run.is_parking:
                    await asyncio.wait(waiting)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error
        return [task.result() for task in tasks]

    async def _through(self, branch: Branch[T], ended: Callable[[], None]) -> T:
        try:
            return await through(branch, self.execute)
        finally:
            ended()
