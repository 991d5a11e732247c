"""Starting where there is room: the process is stored with the lease of this worker, and runs at once.

```
start ──room here──► stored and claimed in one write ──► run
  └─────no room────► stored ──► due ──► whichever worker looks first
```

So what a core starts for itself costs one write instead of two and waits for nobody. Older work goes
first: while there may be more that is due than there is room for, what is new waits behind it.
"""

from __future__ import annotations

import asyncio

from lash.processes.handles import ProcessStartGrant
from lash.processes.leases import ProcessLease
from lash.processes.record import ProcessRecord
from lash.processes.registration import ProcessRegistration
from lash.processes.registry import ClaimedProcess
from lash.runtime.worker.config import ProcessWorkerConfig
from lash.runtime.worker.gathering import Gathering
from lash.runtime.worker.runs import Runs
from lash.runtime.worker.turnover import TurnOver
from lash.sessions.errors import StoreError


class StartsHere:
    """Starts what the worker of these runs takes itself."""

    def __init__(self, config: ProcessWorkerConfig, gathering: Gathering, runs: Runs, turn_over: TurnOver) -> None:
        self._engine = config.engine
        self._registry = config.processes
        self._gathering = gathering
        self._runs = runs
        self._turn_over = turn_over
        self._doubtful: list[ClaimedProcess] = []

    async def start(self, registration: ProcessRegistration, grant: ProcessStartGrant | None) -> ProcessRecord:
        """Registers and takes. Raises as `ProcessRegistry.register_process` does."""
        engine, runs = self._engine, self._runs
        token = engine.ids.new_token()
        self._gathering.starts += 1
        try:
            registered = await self._registry.register_and_claim(
                registration, engine.executor_id, token, engine.options.timings.ttl_ms, grant=grant
            )
        except (asyncio.CancelledError, StoreError):
            self._doubtful.append(self._claim_of(registration, token))
            if engine.is_closing:  # what is spawned now is not awaited by anybody
                await self.give_back_doubtful()
            else:
                engine.spawn(self.give_back_doubtful(), f"start of {registration.id}, given back")
            raise
        finally:
            self._gathering.starts -= 1
        if registered.claimed is not None:
            if runs.is_leaving:
                await self._turn_over.give_back([registered.claimed])
            else:
                runs.take(registered.claimed)
        return registered.record

    async def give_back_doubtful(self) -> None:
        """Gives back what may be stored with a lease that nobody keeps."""
        doubtful, self._doubtful = self._doubtful, []
        await self._turn_over.give_back(doubtful)

    def _claim_of(self, registration: ProcessRegistration, token: str) -> ClaimedProcess:
        lease = ProcessLease(registration.id, self._engine.executor_id, token, 1, 0, 0)
        record = ProcessRecord.from_registration(registration, self._engine.clock.now_ms())
        return ClaimedProcess(lease, record, is_first=True)
