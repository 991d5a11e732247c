"""A program as a durable process: what each of its tool calls costs, and what running it again costs.

The program calls a tool so many times and then waits for signals; each signal makes another run,
which begins at the start and is answered from the journal. Figures are per call, less what a run
without calls takes; processor time of this process, because that is what a busy machine leaves
comparable, and wall time beside it. By itself:

```console
$ python benchmarks/lang_process.py                       # memory, SQLite and, with BENCH_PG, PostgreSQL
$ python benchmarks/lang_process.py --calls 200 agent.db  # one database
```
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "peers"))

from common import scratch

import lash
from lash.effects.envelope import EffectEnvelope, durable_step_command
from lash.effects.invocation import Invocation, RuntimeScope
from lash.effects.local import Local
from lash.processes.inputs import EngineInput
from lash.processes.outputs import ProcessAwaitOutput, SuccessOutput
from lash.runtime.worker.engines import ProcessEngine, ProcessParts
from lash.runtime.worker.run import ProcessRun
from lash.runtime.worker.worker import ProcessWorker
from lash.testing import ScriptedModel

CALLS = 1_000
ROUNDS = 5

PROGRAM = """
process main(calls: int) signals { again: any } {
  sum = 0
  for n in range(calls) { sum = sum + await tools.TOOL({ number: n })? }
  while true { wait_signal("again") }
}
"""


@lash.tool
async def looks(number: int) -> int:
    """A call that may be made again: recorded soon after it."""
    return number


@lash.tool(repeat="idempotent")
async def changes(number: int) -> int:
    """A call that changes something: recorded before the next one begins."""
    return number


class Clocks:
    """Processor time and wall time since it was made, in µs."""

    def __init__(self) -> None:
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def read(self) -> tuple[float, float]:
        """Both."""
        return (time.process_time() - self._cpu) * 1e6, (time.perf_counter() - self._wall) * 1e6


@asynccontextmanager
async def working(
    where: str, engines: Mapping[str, ProcessEngine] | None = None
) -> AsyncIterator[tuple[lash.LashCore, ProcessWorker]]:
    """A core and a worker that parks at once."""
    core = lash.StandardCore(model=ScriptedModel([]), tools=[looks, changes], store=where, workers=0)
    async with core:
        worker = ProcessWorker(replace(core.process_worker_config(), park_after_ms=0, engines=engines or {}))
        yield core, worker
        await worker.drain()


async def parked(core: lash.LashCore, process_id: str, ordinal: int) -> None:
    """Returns when the process waits for the n-th signal and nobody holds it."""
    processes = core.store.processes
    while True:
        record = await processes.get_process(process_id)
        waits = record is not None and record.wait is not None and record.wait.kind.ordinal == ordinal
        if waits and (core.tier == "inline" or await processes.get_process_lease(process_id) is None):
            return
        await asyncio.sleep(0.02)


async def measured(where: str, tool: str, calls: int, rounds: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """The first run of a process, and the quickest of its replays."""
    async with working(where) as (core, worker):
        program = lash.LangProcess(PROGRAM.replace("TOOL", tool))
        worker.poke()
        clocks = Clocks()
        handle = await core.processes.start(program, args={"calls": calls})
        await parked(core, handle.id, 1)
        first = clocks.read()
        replays = []
        for number in range(1, rounds + 1 if core.tier == "durable" else 1):
            clocks = Clocks()
            await handle.signal("again")
            await parked(core, handle.id, number + 1)
            replays.append(clocks.read())
        await handle.cancel()
    return first, min(replays, default=(0.0, 0.0))


class Steps:
    """An engine that records so many steps: what a call cannot be cheaper than."""

    def __init__(self, calls: int) -> None:
        self._calls = calls

    async def run(self, run: ProcessRun, parts: ProcessParts) -> ProcessAwaitOutput:
        """One after another, each recorded before the next begins."""
        scope = RuntimeScope(parts.session_id)
        for number in range(self._calls):
            invocation = Invocation.effect(scope, f"s{number}", "durable_step", f"s{number}")
            envelope = EffectEnvelope(invocation, durable_step_command("step"))
            await run.controller.execute(envelope, Local.durable_step(self._step))
        return SuccessOutput(None)

    async def _step(self) -> int:
        return 1


async def stepped(where: str, calls: int) -> tuple[float, float]:
    """A process of bare steps."""
    async with working(where, {"steps": Steps(calls)}) as (core, worker):
        worker.poke()
        clocks = Clocks()
        handle = await core.processes.start(EngineInput("steps", calls))
        await handle.result()
        return clocks.read()


async def compare(where: str, calls: int, rounds: int) -> None:
    """Prints the figures of one database."""
    print(f"{where}: µs of processor time (wall time) per call, {calls} calls")
    await stepped(where, 10)
    for tool in ("looks", "changes"):
        await measured(where, tool, 10, 1)  # imports, plans and caches settle
    bare = await stepped(where, 0)
    steps = [(full - empty) / calls for full, empty in zip(await stepped(where, calls), bare, strict=True)]
    print(f"  {'a step':8} run {steps[0]:7.0f} ({steps[1]:7.0f})")
    for tool in ("looks", "changes"):
        bare, bare_replay = await measured(where, tool, 0, rounds)
        first, replay = await measured(where, tool, calls, rounds)
        run = [(full - empty) / calls for full, empty in zip(first, bare, strict=True)]
        again = [(full - empty) / calls for full, empty in zip(replay, bare_replay, strict=True)]
        print(f"  {tool:8} run {run[0]:7.0f} ({run[1]:7.0f})   replay {again[0]:6.1f} ({again[1]:6.1f})")


async def main() -> None:
    """Every database that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", nargs="?")
    parser.add_argument("--calls", type=int, default=CALLS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    given = parser.parse_args()
    stores = [given.store] if given.store else [":memory:", os.path.join(scratch(), "lang_process.db")]
    if not given.store and os.environ.get("BENCH_PG"):
        stores.append(os.environ["BENCH_PG"])
    for where in stores:
        await compare(where, given.calls, given.rounds)


if __name__ == "__main__":
    asyncio.run(main())
