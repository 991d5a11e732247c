"""Rows of recovery: requests before workers, parents that wait for children, waits that outlive workers (X)."""

from __future__ import annotations

import asyncio

import lash
from lash.base.messages import ProcessOrigin
from lash.processes.events import cancel_requested
from lash.processes.inputs import EngineInput
from lash.processes.outputs import CancelledOutput, ProcessAwaitOutput, SuccessOutput
from lash.processes.registration import ProcessRegistration
from lash.processes.scopes import ProcessProvenance, SessionScope
from lash.runtime.worker.engines import EngineOutcome, ProcessParts
from lash.runtime.worker.run import Park, ProcessRun
from lash.runtime.worker.worker import ProcessWorker
from lash.sessions.graph import ActivePath, Conversation
from lash.testing.conformance.laws import Rows, Suite
from lash.testing.conformance.process_drafts import event, external, wake
from lash.testing.conformance.worker_drafts import (
    Engine,
    Tools,
    core_over,
    ended,
    engine_process,
    eventually,
    tool_process,
    worker_of,
)
from lash.testing.script import says
from lash.testing.scripted import ScriptedModel

WORKER_RECOVERY: Suite[lash.Store] = Suite("worker_recovery")
law = WORKER_RECOVERY.law

PARENTS, BOUND = 200, 8


@law("X-21")
async def a_request_before_any_worker_is_honoured(store: lash.Store, row: Rows) -> None:
    tools = Tools()
    async with core_over(store, tools.all()) as core:
        await store.processes.register_process(await tool_process(store, "p", "gate"))
        await store.processes.append_event("p", cancel_requested("p", "never mind"))
        worker_of(core).poke()
        output = await ended(store, "p")
        record = await store.processes.get_process("p")
        is_cancelled = record is not None and record.status.state == "cancelled"
        row("X-21", is_cancelled and isinstance(output, CancelledOutput), output)


@law("X-22", stores="MS")
async def parents_that_wait_for_children_never_block_them(store: lash.Store, row: Rows) -> None:
    at_once = most = 0

    async def parent(run: ProcessRun, parts: ProcessParts) -> EngineOutcome:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        child_id = f"child-of-{run.process_id}"
        await parts.processes.register_process(_child(run.registration, child_id))
        at_once -= 1
        if run.process_id.endswith("0"):  # some as tasks, the others as rows
            async with run.waiting():
                output: ProcessAwaitOutput | None = await parts.processes.await_process(child_id)
        else:
            record = await parts.processes.get_process(child_id)
            output = None if record is None else record.status.await_output
            if output is None:
                return Park(awaited=(child_id,))
        assert output is not None
        return output

    async def child(run: ProcessRun, _parts: ProcessParts) -> EngineOutcome:
        await asyncio.sleep(0)
        return SuccessOutput(run.process_id)

    async with core_over(store) as core:
        drafts = [await engine_process(store, f"p{number}", "parent") for number in range(PARENTS)]
        await store.processes.register_processes(drafts)
        worker_of(core, {"parent": Engine(parent), "child": Engine(child)}, concurrency=BOUND).poke()
        outputs = [await ended(store, one.id) for one in drafts]
        row("X-22", outputs == [SuccessOutput(f"child-of-{one.id}") for one in drafts] and most <= BOUND, most)


@law("X-33", stores="SP")
async def a_wait_outlives_its_workers(store: lash.Store, row: Rows) -> None:
    tools = Tools()
    async with core_over(store, tools.all()) as core:
        await store.processes.register_process(await tool_process(store, "p", "order"))
        # The first leaves while it waits as a task, the second when it waits as a row.
        first = worker_of(core, park_after_ms=60_000)
        first.poke()
        await _open_wait(core)
        await first.drain(0)
        second = worker_of(core)
        second.poke()
        await _until_parked(store, second)
        await second.drain(0)
        [order] = await core.completions.pending()
        is_still_open = (await store.processes.events_after("p", 0)) == []
        await core.completions.complete(order.key, "no sugar")
        worker_of(core).poke()
        output = await ended(store, "p")
        row("X-33", is_still_open and output == SuccessOutput("no sugar"), output)


@law("X-34")
async def a_request_ends_a_wait(store: lash.Store, row: Rows) -> None:
    tools = Tools()
    async with core_over(store, tools.all()) as core:
        await store.processes.register_process(await tool_process(store, "p", "order"))
        worker = worker_of(core)
        worker.poke()
        await _open_wait(core)
        if core.tier == "durable":
            await _until_parked(store, worker)
        await worker.request_process_cancel("p", "enough")
        output = await ended(store, "p")
        row("X-34", isinstance(output, CancelledOutput) and await core.completions.pending() == [], output)


@law("R-127")
async def a_wake_runs_a_turn_of_a_closed_session(store: lash.Store, row: Rows) -> None:
    model = ScriptedModel([says("I see.")])
    async with core_over(store, model=model) as core:
        draft = external("p", wake("news"), wake_target=SessionScope("s"))
        await store.processes.register_process(draft)
        await store.processes.append_event("p", event("news", {"wake_input": "the report is there"}, key="k"))
        await store.processes.append_event("p", event("news", {"wake_input": "the report is there"}, key="k"))
        worker_of(core).poke()

        async def is_told() -> bool:
            session = await store.sessions.open_existing_store("s")
            return session is not None and await session.load_session(ActivePath()) is not None

        await eventually(is_told)
        session = await store.sessions.open_existing_store("s")
        assert session is not None
        stored = await session.load_session(ActivePath())
        assert stored is not None
        messages = [node.payload.message for node in stored.graph.nodes if isinstance(node.payload, Conversation)]
        first = messages[0]
        is_event = first.role == "event" and first.text.endswith("Wake input:\nthe report is there")
        origin = first.origin
        is_known = isinstance(origin, ProcessOrigin) and (origin.process_id, origin.sequence) == ("p", 1)
        row("R-127", is_event and is_known and len(messages) == 2 and len(model.requests) == 1, messages)


def _child(parent: ProcessRegistration, child_id: str) -> ProcessRegistration:
    return ProcessRegistration(child_id, EngineInput("child"), ProcessProvenance.host(), env_ref=parent.env_ref)


async def _open_wait(core: lash.LashCore) -> None:
    async def is_open() -> bool:
        return bool(await core.completions.pending())

    await eventually(is_open)


async def _until_parked(store: lash.Store, worker: ProcessWorker) -> None:
    async def is_parked() -> bool:
        # A leased one is due when its lease expires, a parked one when its wait ends.
        due_in_ms = (await store.processes.look_for_work("nobody")).due_in_ms
        return worker.running == [] and due_in_ms is not None and due_in_ms > 60_000

    await eventually(is_parked)
