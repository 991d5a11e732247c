"""What the process registry costs: register, claim and complete, jobs per second, in one process.

```console
$ python benchmarks/processes.py agent.db
$ python benchmarks/processes.py postgresql://… --schema bench
```

One worker does a job at a time; then 32 do, each claiming for itself. The jobs are
empty, so the figures are the registry's share: three transactions a job.
"""

from __future__ import annotations

import argparse
import asyncio
import time

from lash.processes.inputs import ToolCallInput
from lash.processes.outputs import SuccessOutput
from lash.processes.registration import ProcessRegistration
from lash.processes.scopes import ProcessProvenance
from lash.stores import Store
from lash.tools.calls import PreparedToolCall

LEASE_MS = 30_000


def job(process_id: str) -> ProcessRegistration:
    """A tool call."""
    call = PreparedToolCall("call", "tool:noop", "noop", {"id": process_id})
    return ProcessRegistration(process_id, ToolCallInput(call), ProcessProvenance.host(), env_ref="process-env:bench")


async def work(store: Store, worker: str, count: int) -> None:
    """Registers, claims and completes jobs, one after another."""
    for number in range(count):
        await store.processes.register_process(job(f"{worker}-{number}"))
        for found in await store.processes.claim_due_processes(worker, LEASE_MS, 1):
            await store.processes.complete_process_with_lease(found.lease, SuccessOutput(number))


async def measure(store: Store, run: str, workers: int, jobs: int) -> float:
    """Jobs per second."""
    before = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(workers):
            group.create_task(work(store, f"{run}-{number}", jobs // workers))
    return jobs / (time.perf_counter() - before)


async def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("where")
    parser.add_argument("--schema")
    parser.add_argument("--jobs", type=int, default=960)
    options = parser.parse_args()
    async with await Store.open(options.where, schema=options.schema) as store:
        run = f"{time.time_ns()}"
        await measure(store, f"{run}-warm", 1, 50)
        for workers in (1, 32):
            rate = await measure(store, f"{run}-{workers}", workers, options.jobs)
            print(f"{workers:2} workers: {rate:6.0f} jobs/s")


if __name__ == "__main__":
    asyncio.run(main())
