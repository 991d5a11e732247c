"""The controller of a turn that a process runs: while everything in the turn waits, the process holds no slot."""

from __future__ import annotations

from lash.effects.envelope import EffectEnvelope, EffectOutcome
from lash.effects.local import Local
from lash.effects.ports import EffectController
from lash.runtime.worker.parking import ParkingController
from lash.runtime.worker.run import ProcessRun


class YieldingController(ParkingController):
    """Another controller. The turn has a lease of its own, so the process is not parked with it."""

    def __init__(self, run: ProcessRun, inner: EffectController) -> None:
        super().__init__(run)
        self._inner = inner

    async def execute(self, envelope: EffectEnvelope, local: Local) -> EffectOutcome:
        """Executes; a pause or a wait holds no slot."""
        if envelope.kind not in ("sleep", "await_event"):
            return await self._inner.execute(envelope, local)
        async with self._run.waiting():
            return await self._inner.execute(envelope, local)
