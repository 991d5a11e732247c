"""Many programs of every kind of step, under workers that come and go: each ends as it must, and tells what it must."""

from __future__ import annotations

import asyncio
import random
from collections import Counter as Counts

import lash
from lash.base.waiting import first_of
from lash.processes.event_types import RESUMED, WAITING
from runtime.programs.stage import Counter, stage

PROGRAMS = 20
SOURCE = """
process child(n: int) signals { more: int } {
  a = wait_signal("more")
  b = wait_signal("more")
  sleep for "5ms"
  await tools.say({ text: format("c{}", n) })?
  finish n + a + b
}
process main(n: int) signals { go: any } {
  once = await tools.say({ text: format("m{}", n) })?
  yield n
  h = start child(n: n)
  both = await [tools.say({ text: format("x{}", n) })?, tools.say({ text: format("y{}", n) })?]
  signal_run(h, "more", 1)
  sleep for "7ms"
  g = wait_signal("go")
  signal_run(h, "more", g)
  wake { n: n }
  finish { child: (await h)?, both: both, once: once }
}
"""


async def test_programs_end_as_they_must_under_workers_that_come_and_go(store: lash.Store) -> None:
    chance, counter = random.Random(7), Counter()
    is_over = asyncio.Event()

    async def comes_and_goes() -> None:
        while not is_over.is_set():
            park_after_ms = chance.choice([1, 30])
            async with stage(store, [counter.tool()], park_after_ms=park_after_ms, concurrency=3) as (_, worker):
                worker.poke()
                await first_of(is_over.wait(), asyncio.sleep(chance.uniform(0.1, 0.5)))

    async with stage(store, [counter.tool()]) as (core, _), asyncio.TaskGroup() as workers:
        work = lash.LangProcess(SOURCE, "main")
        handles = [await core.processes.start(work, args={"n": n}, id=f"p{n}") for n in range(PROGRAMS)]
        for _ in range(2):
            workers.create_task(comes_and_goes())
        for n in chance.sample(range(PROGRAMS), PROGRAMS):
            await handles[n].signal("go", 10, key="once")
        results = [await handle.result(timeout=25) for handle in handles]
        told = [Counts([event.event_type async for event in handle.events(follow=False)]) for handle in handles]
        is_over.set()

    assert results == [{"child": n + 11, "both": [f"x{n}", f"y{n}"], "once": f"m{n}"} for n in range(PROGRAMS)]
    assert [(one["process.yield"], one["process.wake"]) for one in told] == [(1, 1)] * PROGRAMS
    assert all(one[WAITING] == one[RESUMED] for one in told)
