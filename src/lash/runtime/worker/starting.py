"""Starting where there is room: the process is stored with the lease of this worker, and runs at once.

```
start ──room here──► stored and claimed in one write ──► run
  └─────no room────► stored ──► due ──► whichever worker looks first
```

So what a core starts for itself costs one write instead of two and waits for nobody. Older work goes
first: while something is due that nobody has taken, what is new waits behind it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from lash.processes.handles import ProcessStartGrant
from lash.processes.leases import ProcessLease
from lash.processes.record import ProcessRecord
from lash.processes.registration import ProcessRegistration
from lash.processes.registry import ClaimedProcess
from lash.runtime.worker.config import ProcessWorkerConfig
from lash.runtime.worker.runs import Runs
from lash.sessions.errors import StoreError

logger = logging.getLogger("lash.worker")


class StartsHere:
    """Registers processes that this worker runs. `take` is told of each in the worker's own context."""

    def __init__(self, config: ProcessWorkerConfig, runs: Runs, take: Callable[[ClaimedProcess], None]) -> None:
        self._engine = config.engine
        self._registry = config.processes
        self._runs = runs
        self._take = take

    async def start(self, registration: ProcessRegistration, grant: ProcessStartGrant | None) -> ProcessRecord:
        """Registers and takes. Raises as `ProcessRegistry.register_process` does."""
        token = self._engine.ids.new_token()
        self._runs.reserved += 1
        try:
            registered = await self._registry.register_and_claim(
                registration, self._engine.executor_id, token, self._engine.options.timings.ttl_ms, grant=grant
            )
        except (asyncio.CancelledError, StoreError):
            # It may be stored, with a lease that nobody keeps.
            self._engine.spawn(self._give_back(registration, token), f"start of {registration.id}, given back")
            raise
        finally:
            self._runs.reserved -= 1
        if registered.claimed is not None:
            self._take(registered.claimed)
        return registered.record

    async def _give_back(self, registration: ProcessRegistration, token: str) -> None:
        lease = ProcessLease(registration.id, self._engine.executor_id, token, 1, 0, 0)
        record = ProcessRecord.from_registration(registration, self._engine.clock.now_ms())
        with contextlib.suppress(StoreError):  # the lease runs out by itself otherwise
            await self._registry.give_back([ClaimedProcess(lease, record, is_first=True)])
