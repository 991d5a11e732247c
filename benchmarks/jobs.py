"""W5: 2,000 no-op durable jobs, enqueued one by one, then run to completion by one worker, 1 and 32 at a time.

A job is a process that is one call of an empty tool: registered durably, claimed under a
lease, run with its effect journaled, ended with its result. By itself:

```console
$ python benchmarks/jobs.py                        # SQLite and, with BENCH_PG, PostgreSQL
$ python benchmarks/jobs.py --jobs 500 agent.db    # one database
```
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "peers"))

from common import emit, now, postgres_url, scratch

import lash
from lash.artifacts import persist_process_env
from lash.processes.environment import ProcessExecutionEnvSpec
from lash.processes.inputs import ToolCallInput
from lash.processes.registration import ProcessRegistration
from lash.processes.registry import ProcessRegistry
from lash.processes.scopes import ProcessProvenance
from lash.testing import ScriptedModel
from lash.tools.calls import PreparedToolCall

JOBS = 2_000
CONCURRENCY = (1, 32)


@lash.tool
async def noop(i: int) -> int:
    """Do nothing."""
    return i


async def enqueue(store: lash.Store, run: str, jobs: int) -> float:
    """Seconds for registering, one after another."""
    env_ref = await persist_process_env(store.process_envs, ProcessExecutionEnvSpec())
    started = now()
    for i in range(jobs):
        call = PreparedToolCall(f"{run}-{i}", "tool:noop", "noop", {"i": i})
        await store.processes.register_process(
            ProcessRegistration(f"{run}-{i}", ToolCallInput(call), ProcessProvenance.host(), env_ref=env_ref)
        )
    return now() - started


async def until_done(processes: ProcessRegistry) -> None:
    """Returns when nothing is left that has not ended."""
    while (await processes.look_for_work("benchmark")).due_in_ms is not None:  # noqa: ASYNC110 - a look in 5 ms
        await asyncio.sleep(0.005)


async def measure(where: str, who: str, concurrency: int, jobs: int) -> None:
    """One figure with the enqueueing and one without it."""
    async with await lash.Store.open(where) as store:
        run = uuid.uuid4().hex
        enqueue_s = await enqueue(store, run, jobs)
        core = lash.StandardCore(
            model=ScriptedModel([]), tools=[noop], store=store, workers=0, worker_concurrency=concurrency
        )
        async with core:
            before, started = store.transactions, now()
            core.worker.poke()
            await until_done(store.processes)
            run_s = now() - started
            each = round((store.transactions - before) / jobs, 2)
    who = f"{who}, {concurrency} at a time"
    emit("W5", who, "jobs", jobs / (enqueue_s + run_s), "1/s", transactions=each)
    emit("W5", who, "jobs, run only", jobs / run_s, "1/s", enqueued=round(jobs / enqueue_s))


async def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("where", nargs="?")
    parser.add_argument("--jobs", type=int, default=JOBS)
    options = parser.parse_args()
    for concurrency in CONCURRENCY:
        if options.where:
            await measure(options.where, "lash", concurrency, options.jobs)
            continue
        await measure(f"{scratch()}/jobs.db", "lash, SQLite", concurrency, options.jobs)
        if "BENCH_PG" in os.environ:
            await measure(postgres_url(), "lash, PostgreSQL", concurrency, options.jobs)


if __name__ == "__main__":
    asyncio.run(main())
