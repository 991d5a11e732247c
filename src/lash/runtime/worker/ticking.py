"""The task behind the clock of triggers: it fires schedules and sweeps deliveries, once there is a reason to run."""

from __future__ import annotations

import asyncio

from lash.runtime.engine import Engine
from lash.runtime.schedules import ScheduleClock


class TriggerTicking:
    """Owns the task that runs a clock. It starts with the first poke, or with the worker of its core."""

    def __init__(self, engine: Engine, clock: ScheduleClock) -> None:
        self._engine = engine
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        clock.on_poke = self.start

    @property
    def is_running(self) -> bool:
        """Whether schedules fire here."""
        return self._task is not None and not self._task.done()

    def start(self) -> None:
        """Runs the clock until the core is closed; again is harmless."""
        if not self.is_running and not self._engine.is_closing:
            self._task = self._engine.spawn(self._clock.run(), "trigger clock")

    async def is_needed(self) -> bool:
        """Whether something fires or is to be delivered some day: one read."""
        return await self._engine.store.triggers.next_wake_ms() is not None

    async def stop(self) -> None:
        """Fires nothing more."""
        task, self._task = self._task, None
        self._clock.on_poke = None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
