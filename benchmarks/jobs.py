"""W5: 2,000 no-op durable jobs, enqueued one by one and run to completion by one worker, 1 and 32 at a time.

Two ways: first enqueued, then run, as W5 is written; and run as they come, by a worker that is at
work from the beginning, as a core is by default and DBOS always is.

A job is a process that is one call of an empty tool, on the public API: stored when `start`
returns, claimed under a lease, run with its effect journaled, ended with its result. By itself:

```console
$ python benchmarks/jobs.py                             # SQLite and, with BENCH_PG, PostgreSQL
$ python benchmarks/jobs.py --on agent.db --profile run # one database; where the time goes
```
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import os
import pstats
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "peers"))

import common
from common import CONCURRENCY, emit_jobs, now, postgres_url, scratch

import lash
from lash.processes.registry import ProcessRegistry
from lash.testing import ScriptedModel

done: list[int] = []

# What is due later than any lease ends.
NOT_OURS_MS = 60_000


@lash.tool
async def noop(i: int) -> int:
    """Do nothing."""
    done.append(i)
    return i


class Part:
    """What one part of a run took: seconds, and per job CPU, transactions and statements."""

    def __init__(self, store: lash.Store) -> None:
        self._store = store
        self._began = self._read()
        self.seconds = 0.0

    def end(self, jobs: int) -> dict[str, float]:
        """Per job."""
        wall, loop, process, transactions, statements = (
            after - before for before, after in zip(self._began, self._read(), strict=True)
        )
        self.seconds = wall
        return {
            "loop_us": round(loop / jobs * 1e6),
            "process_us": round(process / jobs * 1e6),
            "transactions": round(transactions / jobs, 3),
            "statements": round(statements / jobs, 3),
        }

    def _read(self) -> tuple[float, float, float, float, float]:
        store = self._store
        return now(), time.thread_time(), time.process_time(), store.transactions, store.statements


async def until_done(processes: ProcessRegistry, jobs: int) -> None:
    """Returns when nothing is left that has not ended; what waits for long is not of this run."""
    while len(done) < jobs:  # noqa: ASYNC110 - as for the peers
        await asyncio.sleep(0.01)
    while await soonest(processes) < NOT_OURS_MS:  # noqa: ASYNC110 - a look in 5 ms
        await asyncio.sleep(0.005)


async def soonest(processes: ProcessRegistry) -> int:
    """In how many milliseconds the next process is due; one that is running, when its lease ends."""
    due_in_ms = (await processes.look_for_work("benchmark")).due_in_ms
    return NOT_OURS_MS if due_in_ms is None else due_in_ms


async def measure(
    where: str, who: str, concurrency: int, jobs: int, profile: str | None, *, as_they_come: bool
) -> None:
    """One figure, and what its two parts took."""
    # A schema of its own on PostgreSQL: no run pays for the rows of another.
    schema = f"jobs_{time.time_ns()}" if where.startswith("postgresql:") else None
    store = await lash.Store.open(where, schema=schema)
    core = lash.StandardCore(
        model=ScriptedModel([]), tools=[noop], store=store, workers=int(as_they_come), worker_concurrency=concurrency
    )
    async with store, core:
        done.clear()
        enqueueing = Part(core.store)
        with profiled(profile == "enqueue"):
            for number in range(jobs):
                await core.processes.start(noop, args={"i": number})
        enqueued = enqueueing.end(jobs)
        running = Part(core.store)
        with profiled(profile == "run"):
            core.worker.poke()
            await until_done(core.store.processes, jobs)
        run = running.end(jobs)
    emit_jobs(
        who,
        concurrency,
        enqueueing.seconds,
        enqueueing.seconds + running.seconds,
        jobs=jobs,
        what="jobs as they come" if as_they_come else "jobs",
        of_start=enqueued,
        of_run=run,
    )


@contextmanager
def profiled(is_wanted: bool) -> Iterator[None]:
    """Prints where the CPU of the event loop goes."""
    if not is_wanted:
        yield
        return
    profile = cProfile.Profile()
    with profile:
        yield
    pstats.Stats(profile, stream=sys.stderr).sort_stats("tottime").print_stats(45)


async def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workload", nargs="?", choices=["w5"])
    parser.add_argument("--on", metavar="WHERE")
    parser.add_argument("--jobs", type=int, default=common.JOBS)
    parser.add_argument("--at-once", type=int, nargs="*", default=CONCURRENCY)
    parser.add_argument("--as-they-come", action=argparse.BooleanOptionalAction, help="only so, or only the other way")
    parser.add_argument("--profile", choices=["enqueue", "run"])
    options = parser.parse_args()
    ways = [False, True] if options.as_they_come is None else [options.as_they_come]
    for concurrency in options.at_once:
        for way in ways:
            places = [(options.on, "lash")] if options.on else [(f"{scratch()}/jobs.db", "lash, SQLite")]
            if not options.on and "BENCH_PG" in os.environ:
                places.append((postgres_url(), "lash, PostgreSQL"))
            for where, who in places:
                await measure(where, who, concurrency, options.jobs, options.profile, as_they_come=way)


if __name__ == "__main__":
    asyncio.run(main())
