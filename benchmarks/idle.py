"""What waiting costs: 1,000 parked processes and 100 schedules, and how soon new work is taken up.

A process is one call that somebody outside answers; parked, it is a row. The worker is this
process, then another one. By itself:

```console
$ python benchmarks/idle.py                          # SQLite and, with BENCH_PG, PostgreSQL
$ python benchmarks/idle.py --seconds 60 idle.db     # one database
```
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "peers"))

from common import emit, postgres_url, scratch

import lash
from lash.testing import ScriptedModel

PARKED = 1_000
SCHEDULES = 100
PICKUPS = 50


@lash.tool
async def hand_out(ctx: lash.ToolContext) -> lash.ToolResult:
    """Has somebody outside do it."""
    await ctx.completion_key()
    return lash.ToolResult.pending(deadline=86_400)


@lash.tool
async def begin() -> int:
    """Tells when it began."""
    return time.time_ns()


def core_over(where: str, workers: int) -> lash.StandardCore:
    """A core with the two tools."""
    return lash.StandardCore(model=ScriptedModel([]), tools=[hand_out, begin], store=where, workers=workers)


async def park(core: lash.StandardCore, parked: int, schedules: int) -> None:
    """Starts everything that waits; returns when nothing of it is at work any more."""
    for number in range(parked):
        await core.processes.start(hand_out, id=f"parked-{number}")
    for number in range(schedules):
        await core.triggers.every(timedelta(days=365), start=begin, key=f"schedule-{number}")
    while len(await core.completions.pending()) < parked or await core.store.processes.list_lease_owners():  # noqa: ASYNC110
        await asyncio.sleep(0.1)


async def picked_up(core: lash.StandardCore, label: str) -> list[float]:
    """Seconds from the start of a job being asked for to its tool, one job after another."""
    seconds: list[float] = []
    for number in range(PICKUPS):
        await asyncio.sleep(0.05)
        asked = time.time_ns()
        job = await core.processes.start(begin, id=f"{label}-{number}")
        began = await job.result()
        assert isinstance(began, int)
        seconds.append((began - asked) / 1e9)
    return seconds


def resident_mib() -> float:
    """Memory of this process as it is now."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def idle(where: str, who: str, seconds: float) -> None:
    """The worker over a database where everything waits; nothing of how it came to be so is in its memory."""
    before = resident_mib()
    async with core_over(where, 1) as core:
        core.worker.poke()
        await asyncio.sleep(2)
        used, started = time.process_time(), time.monotonic()
        await asyncio.sleep(seconds)
        busy = (time.process_time() - used) / (time.monotonic() - started)
        emit("idle", who, "of a core", busy * 100, "%", parked=PARKED, schedules=SCHEDULES)
        emit("idle", who, "memory", resident_mib(), "MiB", imports=round(before, 1))
        emit("idle", who, "new work, in process", [1_000 * each for each in await picked_up(core, "here")], "ms")


async def across(where: str, who: str) -> None:
    """This process asks, another one works."""
    worker = await asyncio.create_subprocess_exec(sys.executable, __file__, "--work", where)
    try:
        async with core_over(where, 0) as core:
            first = await core.processes.start(begin, id="first")
            await first.result(timeout=60)
            emit("idle", who, "new work, across", [1_000 * each for each in await picked_up(core, "there")], "ms")
    finally:
        worker.kill()
        await worker.wait()


async def work(where: str) -> None:
    """A worker in a process of its own."""
    async with core_over(where, 1) as core:
        core.worker.poke()
        await asyncio.Event().wait()


def in_own_process(*arguments: str) -> None:
    """Runs one part in a fresh process, so that its figures are its own."""
    subprocess.run([sys.executable, __file__, *arguments], check=True)


async def fill(where: str) -> None:
    """Parks everything."""
    async with core_over(where, 1) as core:
        await park(core, PARKED, SCHEDULES)


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("where", nargs="?")
    parser.add_argument("--seconds", type=float, default=20.0)
    for part in ("fill", "idle", "work"):
        parser.add_argument(f"--{part}", metavar="WHERE")
    parser.add_argument("--who", default="lash")
    options = parser.parse_args()
    if options.work:
        asyncio.run(work(options.work))
    elif options.fill:
        asyncio.run(fill(options.fill))
    elif options.idle:
        asyncio.run(idle(options.idle, options.who, options.seconds))
    else:
        places = [(options.where, "lash")] if options.where else [(f"{scratch()}/idle.db", "lash, SQLite")]
        if not options.where and "BENCH_PG" in os.environ:
            places.append((postgres_url(), "lash, PostgreSQL"))
        for where, who in places:
            in_own_process("--fill", where)
            in_own_process("--idle", where, "--who", who, "--seconds", str(options.seconds))
            asyncio.run(across(where, who))


if __name__ == "__main__":
    main()
