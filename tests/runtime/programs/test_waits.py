"""Programs that wait are rows: for a moment, a signal, a child, an outsider. Going on repeats nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import lash
from lash.base.causes import ProcessCause
from lash.base.json import JsonObject
from lash.lashlang.execution.effects import CallSite, StartProcess
from lash.lashlang.execution.keys import child_run_id
from lash.lashlang.tracking.static_map import static_map
from lash.processes.errors import InvalidEventPayload
from lash.processes.event_types import RESUMED, WAITING
from lash.processes.inputs import LashlangProcessInput
from lash.processes.outputs import CancelledOutput, FailureOutput, SuccessOutput
from lash.processes.scopes import ProcessProvenance
from lash.testing.conformance.program_drafts import waking_nobody
from lash.testing.conformance.worker_drafts import ended, eventually
from runtime.programs.stage import Counter, order, parked, run, stage


async def test_a_sleeping_program_is_a_row(store: lash.Store) -> None:
    source = 'process main() { tools.say({ text: "a" })  sleep for "10m"  tools.say({ text: "b" }) }'
    counter = Counter()
    async with stage(store, [counter.tool()]) as (core, worker):
        handle = await core.processes.start(lash.LangProcess(source))
        worker.poke()
        await parked(store, worker, handle.id)
        await handle.cancel("enough")

        assert await ended(store, handle.id) == CancelledOutput("lashlang process was cancelled")
    assert counter.said == ["a"]


async def test_every_run_of_a_program_begins_at_its_start_and_repeats_nothing(store: lash.Store) -> None:
    source = """
    process main() {
      said = []
      for n in range(5) {
        said = push(said, await tools.say({ text: format("{}", n) })?)
        sleep for "30ms"
      }
      finish said
    }
    """
    counter = Counter()
    async with stage(store, [counter.tool()], park_after_ms=1) as (core, worker):
        output = await run(core, worker, source, id="p")
        lease = await store.processes.get_process_lease("p")

    assert output == SuccessOutput(["0", "1", "2", "3", "4"])
    assert counter.said == ["0", "1", "2", "3", "4"]
    assert lease is None


async def test_a_program_goes_on_under_other_tools_as_long_as_its_own_are_there(store: lash.Store) -> None:
    source = """
    process main() signals { go: any } {
      a = await tools.say({ text: "a" })?
      wait_signal("go")
      b = await tools.say({ text: "b" })?
      wait_signal("go")
      finish [a, b, await tools.say({ text: "c" })?]
    }
    """

    @lash.tool
    async def other() -> str:
        """Something else."""
        return ""

    counter = Counter()
    async with stage(store, [counter.tool(), other]) as (core, worker):
        await core.processes.start(lash.LangProcess(source), id="p")
        worker.poke()
        await parked(store, worker, "p")
    async with stage(store, [order, counter.tool()]) as (core, worker):
        await (await core.processes.get("p")).signal("go")
        worker.poke()
        await parked(store, worker, "p", waits_for=2)
        assert counter.said == ["a", "b"]
    async with stage(store, [order]) as (core, worker):
        await (await core.processes.get("p")).signal("go")
        worker.poke()
        output = await ended(store, "p")

    assert isinstance(output, FailureOutput)
    assert output.code == "process_host_environment_incompatible"
    assert counter.said == ["a", "b"]


async def test_signals_are_heard_in_order_sent_early_or_late(store: lash.Store) -> None:
    source = """
    process main() signals { word: { text: str }, other: any } {
      first = wait_signal("word")
      second = wait_signal("word")
      third = wait_signal("word")
      finish [first.text, second.text, third.text]
    }
    """
    async with stage(store) as (core, worker):
        handle = await core.processes.start(lash.LangProcess(source), id="p")
        for text in ("one", "two"):
            await handle.signal("word", {"text": text})
        worker.poke()
        await parked(store, worker, "p", waits_for=3)
        record = await handle.record()
        assert record.wait is not None
        assert record.wait.kind.name == "word"
        with pytest.raises(InvalidEventPayload):
            await handle.signal("word", {"text": 7})
        await handle.signal("other")  # not what it waits for
        await handle.signal("word", {"text": "three"})

        assert await handle.result(timeout=20) == ["one", "two", "three"]
        events = [event async for event in handle.events(follow=False)]

    keys = [event.invocation.replay.key for event in events if event.event_type in (WAITING, RESUMED)]  # type: ignore[union-attr]
    assert keys == ["process:p:waiting:signal.word:3", "process:p:resumed:signal.word:3"]
    assert (await store.processes.get_process("p")).wait is None  # type: ignore[union-attr]


async def test_the_older_spelling_of_signals_is_the_signal_default(store: lash.Store) -> None:
    source = """
    process waits() { finish wait signal }
    process main() {
      h = start waits()
      signal run h with { n: 1 }
      finish await h
    }
    """
    async with stage(store) as (core, worker):
        assert await run(core, worker, source) == SuccessOutput({"ok": True, "value": {"n": 1}})


async def test_a_child_has_an_id_that_every_run_finds_again(store: lash.Store) -> None:
    source = """
    process child(n: int) { sleep for "30ms"  finish n }
    process main() {
      first = start child(n: 1)
      both = await [first, start child(n: 2)]
      finish { ids: [first.id], both: both }
    }
    """
    async with stage(store, park_after_ms=1, concurrency=1) as (core, worker):
        output = await run(core, worker, source, id="parent")
        found = await core.processes.list(status="any", definition="child")

    assert isinstance(output, SuccessOutput)
    value: Any = output.value
    assert value["both"] == [{"ok": True, "value": 1}, {"ok": True, "value": 2}]
    assert len(found) == 2
    first = next(record for record in found if record.id == value["ids"][0])
    work = first.input
    assert isinstance(work, LashlangProcessInput)
    record = await store.processes.get_process("parent")
    assert record is not None
    assert first.provenance == ProcessProvenance.host(caused_by=ProcessCause("parent"))
    assert (first.wake_target, first.env_ref) == (record.wake_target, record.env_ref)
    artifact = await store.artifacts.get_module_artifact(work.module_ref)
    assert artifact is not None
    nodes = [node.id for node in static_map(artifact, "main").nodes.values() if node.kind == "child_process"]
    starts = [
        StartProcess(
            work.module_ref, artifact.exports["child"], work.host_requirements_ref, "child", {"n": n}, _site(node)
        )
        for n, node in enumerate(nodes, 1)
    ]
    assert {child_run_id("parent-process:parent", start) for start in starts} == {record.id for record in found}


def _site(node_id: str) -> CallSite:
    return CallSite(node_id, "child_process", "start child", 1)


async def test_what_a_child_came_to_is_a_wrapper(store: lash.Store) -> None:
    source = """
    process bad() { fail { reason: "no" } }
    process forever() { sleep for "10m" }
    process quick() { finish 1 }
    process main(stranger: any) {
      long = start forever()
      cancel long
      done = start quick()
      value = (await done)?
      cancel done
      finish [value, await start bad(), await long, await stranger, await 5, await { __handle__: "process", id: "p" }]
    }
    """
    async with stage(store) as (core, worker):
        stranger: JsonObject = {"__handle__": "process", "id": "nobody"}
        output = await run(core, worker, source, {"stranger": stranger}, id="p")

    assert output == SuccessOutput(
        [
            1,
            {"ok": False, "error": '{"reason":"no"}'},
            {"ok": False, "error": "lashlang process was cancelled"},
            {"ok": False, "error": "process handle `nobody` is not live or visible in this session"},
            {"ok": False, "error": "Invalid process handle: missing `__handle__`"},
            {"ok": False, "error": "a process cannot await itself"},
        ]
    )


async def test_calls_of_a_batch_run_side_by_side(store: lash.Store) -> None:
    source = """
    process main() {
      finish await [tools.say({ text: "a" })?, tools.say({ text: "b" })?, tools.say({ text: "c" })?, 7]
    }
    """
    counter = Counter()
    async with stage(store, [counter.tool()]) as (core, worker):
        assert await run(core, worker, source, id="p") == SuccessOutput(["a", "b", "c", 7])
    assert counter.most_at_once == 3


async def test_a_batch_that_waits_for_outsiders_is_a_row(store: lash.Store) -> None:
    source = """
    process main() { finish await { a: tools.order()?, said: tools.say({ text: "x" })?, b: tools.order()? } }
    """
    counter = Counter()
    async with stage(store, [order, counter.tool()]) as (core, worker):
        handle = await core.processes.start(lash.LangProcess(source), id="p")
        worker.poke()
        await parked(store, worker, "p")
        first, second = await core.completions.pending()
        await core.completions.complete(first.key, 1)
        await core.completions.complete(second.key, 2)

        result = await handle.result(timeout=20)
    assert sorted(result.items()) in (  # type: ignore[union-attr]
        [("a", 1), ("b", 2), ("said", "x")],
        [("a", 2), ("b", 1), ("said", "x")],
    )
    assert counter.said == ["x"]


async def test_an_outsider_who_is_late_is_an_error_that_the_program_reads(store: lash.Store) -> None:
    @lash.tool
    async def hand_out(ctx: lash.ToolContext) -> lash.ToolResult:
        """Nobody does it."""
        await ctx.completion_key()
        return lash.ToolResult.pending(deadline=0.15)

    async with stage(store, [hand_out], park_after_ms=5) as (core, worker):
        await core.processes.start(lash.LangProcess("process main() { finish tools.hand_out() }"), id="p")
        worker.poke()
        await parked(store, worker, "p")
        output = await ended(store, "p")

    assert isinstance(output, SuccessOutput)
    value: Any = output.value
    assert value["ok"] is False
    assert "hand_out" in value["error"]


async def test_a_cancelled_program_leaves_its_children_alone(store: lash.Store) -> None:
    source = """
    process child() signals { go: any } { wait_signal("go")  finish "alone" }
    process main() { finish await start child() }
    """
    async with stage(store) as (core, worker):
        handle = await core.processes.start(lash.LangProcess(source, "main"), id="p")
        worker.poke()
        await parked(store, worker, "p")
        await handle.cancel()
        assert isinstance(await ended(store, "p"), CancelledOutput)
        [child] = await core.processes.list(definition="child")
        await (await core.processes.get(child.id)).signal("go")

        assert await ended(store, child.id) == SuccessOutput("alone")


async def test_an_outsider_hears_that_the_program_was_cancelled(store: lash.Store) -> None:
    async with stage(store, [order]) as (core, worker):
        handle = await core.processes.start(lash.LangProcess("process main() { finish tools.order() }"), id="p")
        worker.poke()
        await parked(store, worker, "p")
        await handle.cancel()

        assert await ended(store, "p") == CancelledOutput("lashlang process was cancelled")
        assert await core.completions.pending() == []


async def test_wakes_reach_the_session_once_however_often_the_program_runs(store: lash.Store) -> None:
    source = """
    process main() {
      wake "one"
      yield 1
      sleep for "40ms"
      wake { n: 2 }
      sleep for "40ms"
      finish
    }
    """
    async with stage(store, park_after_ms=1, change=waking_nobody) as (core, worker), core.session("s"):
        await run(core, worker, source, id="p", wake="s")
        await store.processes.deliver_pending_wakes()
        session = await store.sessions.open_existing_store("s")
        assert session is not None
        batches = await session.list_pending_queued_work("s")
        events = await store.processes.events_after("p", 0)

    assert len(batches) == 2
    told = [(event.event_type, event.payload) for event in events[:-1]]
    assert told == [
        ("process.wake", {"value": "one", "text": "one"}),
        ("process.yield", {"value": 1, "text": "1"}),
        ("process.wake", {"value": {"n": 2}, "text": '{"n":2}'}),
    ]


async def test_many_parents_await_their_children_in_eight_slots(store: lash.Store) -> None:
    source = """
    process child(n: int) { finish n + 1 }
    process main(n: int) { finish (await start child(n: n))? }
    """
    async with stage(store, concurrency=8) as (core, worker):
        work = lash.LangProcess(source, "main")
        handles = [await core.processes.start(work, args={"n": n}) for n in range(60)]
        worker.poke()
        async with asyncio.timeout(60):
            results = [await handle.result() for handle in handles]

    assert results == [n + 1 for n in range(60)]


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("start child()", "takes no signal `go`; it takes none"),
        ("5", "signal_run failed: signal_run expects a process handle"),
        ('{ __handle__: "process" }', "signal_run failed: signal_run process handle is missing `id`"),
        ('{ __handle__: "process", id: "nobody" }', "process handle `nobody` is not live or visible in this session"),
    ],
)
async def test_a_signal_that_reaches_nobody_is_an_error_of_the_sender(
    store: lash.Store, target: str, said: str
) -> None:
    source = f"""
    process child() {{ finish 1 }}
    process main() {{
      h = {target}
      signal_run(h, "go", 1)
    }}
    """
    async with stage(store) as (core, worker):
        output = await run(core, worker, source)

    assert isinstance(output, FailureOutput)
    assert output.code == "process_runtime_error"
    assert said in output.message


async def test_a_payment_in_doubt_is_settled_by_the_host_and_the_program_goes_on(store: lash.Store) -> None:
    paid: list[int] = []

    @lash.tool(repeat="never")
    async def pay(order: int) -> str:
        """Pays, once."""
        paid.append(order)
        await asyncio.Event().wait()
        return ""

    source = "process main() { finish [await tools.pay({ order: 7 })?, 1] }"
    async with stage(store, [pay]) as (core, worker):
        await core.processes.start(lash.LangProcess(source), id="p")
        worker.poke()

        async def is_paying() -> bool:
            return paid == [7]

        await eventually(is_paying)
    async with stage(store, [pay]) as (core, worker):
        worker.poke()

        async def is_in_doubt() -> bool:
            return bool(core.recovery.in_doubt)

        await eventually(is_in_doubt)
        [doubt] = core.recovery.in_doubt
        assert doubt.process_id == "p"
        await core.settle(doubt, lash.ToolResult.ok("paid 7"))

        assert await ended(store, "p") == SuccessOutput(["paid 7", 1])
    assert paid == [7]


async def test_a_run_that_was_cut_off_is_told_again_with_the_same_words(store: lash.Store) -> None:
    """A worker that dies between an event and its record in the journal: the event is there once."""
    source = 'process main() { yield "a"  tools.say({ text: "x" })  yield "b"  sleep for "10m" }'
    counter = Counter()
    async with stage(store, [counter.tool()]) as (core, worker):
        await core.processes.start(lash.LangProcess(source), id="p")
        worker.poke()

        async def has_told() -> bool:
            return len(await store.processes.events_after("p", 0)) == 2

        await eventually(has_told)
        await worker.drain(timeout_ms=0)
    async with stage(store, [counter.tool()]) as (core, worker):
        worker.poke()
        await parked(store, worker, "p")

    assert [event.payload for event in await store.processes.events_after("p", 0)] == [
        {"value": "a", "text": "a"},
        {"value": "b", "text": "b"},
    ]
