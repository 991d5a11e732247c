"""A program that runs again finds its own effects: under another clock, after an end that was not written, in time."""

from __future__ import annotations

from typing import Any

import lash
from lash.base.cancel import CancelToken
from lash.effects.scope import ExecutionScope
from lash.lashlang.execution.budgets import Budgets
from lash.processes.outputs import CancelledOutput, FailureOutput, SuccessOutput
from lash.runtime.programs.engine import LashlangEngine
from lash.runtime.worker.attempt import registration_of
from lash.runtime.worker.run import ProcessRun
from lash.runtime.worker.runner import ProcessRunner
from lash.stock.trigger_sources import TriggerSource, TriggerSources
from lash.testing import ScriptedModel, VirtualClock
from lash.testing.conformance.program_drafts import waking_nobody
from lash.testing.conformance.worker_drafts import core_over, ended, worker_of
from runtime.programs.stage import Counter, parked, run, stage

EVERYTHING = """
process child(n: int) { finish n + 1 }
process main() signals { go: any } {
  a = await tools.say({ text: "a" })?
  yield a
  sleep until 1000
  sleep for "2ms"
  h = start child(n: 1)
  b = await [tools.say({ text: "b" })?, tools.say({ text: "c" })?]
  cancel start child(n: 2)
  signal_run({ __handle__: "process", id: "p" }, "go", { n: 1 })
  finish { b: b, child: (await h)?, go: wait_signal("go") }
}
"""


async def test_a_run_under_another_clock_finds_everything(store: lash.Store) -> None:
    counter = Counter()
    async with stage(store, [counter.tool()]) as (core, worker):
        handle = await core.processes.start(lash.LangProcess(EVERYTHING, "main"), id="p")
        config = core.process_worker_config()
        lease = await store.processes.claim_process_lease("p", core.executor_id, 30_000)
        worker.poke()  # its children
        outputs: list[object] = []
        events: list[object] = []
        for clock in (config.engine.clock, VirtualClock(4_000_000_000_000)):
            controller = await config.host.owned(
                ExecutionScope.process("p"), lease.as_lease(), is_fresh=False, on_lost=lambda: None
            )
            attempt = ProcessRun(registration_of(await handle.record()), controller, CancelToken(), clock)
            outputs.append(await ProcessRunner(config).run(attempt))
            await controller.barrier()
            told = await store.processes.events_after("p", 0)
            events.append([(event.event_type, event.payload, event.invocation) for event in told])
        summary = controller.summary()

    assert outputs[0] == outputs[1] == SuccessOutput({"b": ["b", "c"], "child": 2, "go": {"n": 1}})
    assert events[0] == events[1]
    assert sorted(counter.said) == ["a", "b", "c"]
    assert all(effect.replayed for effect in summary)


async def test_a_program_that_computes_can_be_cancelled(store: lash.Store) -> None:
    async with stage(store) as (core, worker):
        handle = await core.processes.start(lash.LangProcess("process main() { while true { x = 1 } }"), id="p")
        worker.poke()
        await handle.cancel()

        assert await ended(store, "p") == CancelledOutput("lashlang process was cancelled")


async def test_what_was_done_in_time_once_is_not_too_late_in_a_replay(store: lash.Store) -> None:
    """The engine of the second run has no time left at all, until the program has come to something new."""
    source = """
    process main() {
      n = 0
      while n < 30000 { n = n + 1 }
      tools.say({ text: "a" })
      sleep for "40ms"
      MORE
    }
    """
    for more, is_late in (("finish n", False), ("while true { n = n + 1 }", True)):
        counter, process_id = Counter(), more
        engine: Any = LashlangEngine()
        async with stage(store, [counter.tool()], engines={"lashlang": engine}, park_after_ms=1) as (core, worker):
            await core.processes.start(lash.LangProcess(source.replace("MORE", more)), id=process_id)
            worker.poke()
            await parked(store, worker, process_id)
            engine._budgets = Budgets(active_ms=0)
            output = await ended(store, process_id)

        assert counter.said == ["a"]
        if is_late:
            assert isinstance(output, FailureOutput)
            assert output.code == "process_execution_bound_exhausted"
        else:
            assert output == SuccessOutput(30_000)


async def test_occurrences_start_programs(store: lash.Store) -> None:
    source = "process main(press: { x: int }, what: str) { finish [what, press.x] }"
    async with core_over(store) as core:
        await core.triggers.subscribe(
            "button.pressed", lash.LangProcess(source), args={"what": "blue"}, inputs={"press": "event"}
        )
        report = await core.triggers.emit("button.pressed", {"x": 7}, key="1")
        [process_id] = report.started_process_ids
    async with stage(store) as (_core, worker):
        worker.poke()
        assert await ended(store, process_id) == SuccessOutput(["blue", 7])


async def test_a_program_registers_a_trigger_for_its_session(store: lash.Store) -> None:
    source = """
    process on_tick(tick: clock.Tick) { finish tick.at }
    process main() {
      h = await triggers.register({
        source: clock.Alarm({ at: "08:00" }), target: on_tick, inputs: { tick: trigger.event }, name: "morning"
      })?
      sleep for "30ms"
      finish len((await triggers.list({ name: "morning" }))?)
    }
    """
    clock = TriggerSource("clock.Alarm", "clock.Tick", emits="{ id: str, at: str }", takes="{ at: str }")
    core = lash.StandardCore(model=ScriptedModel([]), store=store, plugins=[TriggerSources(clock)], workers=0)
    async with core, core.session("s"):
        worker = worker_of(core, park_after_ms=1, change=waking_nobody)
        assert await run(core, worker, source, wake="s") == SuccessOutput(1)
        report = await core.triggers.emit("clock.Alarm", {"id": "1", "at": "08:00"}, source={"at": "08:00"}, key="k")
        worker.poke()
        [process_id] = report.started_process_ids
        assert await ended(store, process_id) == SuccessOutput("08:00")

        refused = await run(core, worker, source)
        await worker.drain()

    assert isinstance(refused, FailureOutput)
    assert "triggers belong to a session" in refused.message
