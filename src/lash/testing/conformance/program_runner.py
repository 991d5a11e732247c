"""Suite process_runner (PR), the rows of programs: stored, started, run and told of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import lash
from lash.base.cancel import CancelToken
from lash.base.codec import encode
from lash.base.json import JsonObject
from lash.effects.scope import ExecutionScope
from lash.lashlang.errors import LinkError
from lash.lashlang.host.environment import NO_ABILITIES, HostEnvironment
from lash.lashlang.linking.linker import LinkedModule, link
from lash.lashlang.syntax.features import LanguageFeatures
from lash.models.direct import DirectRequest
from lash.processes.event_types import COMPLETED, WAKE, YIELD
from lash.processes.handles import handle_value
from lash.processes.outputs import FailureOutput, SuccessOutput
from lash.processes.scopes import SessionScope
from lash.runtime.worker.attempt import registration_of
from lash.runtime.worker.context import RunContextBuilder, RunContextIncomplete
from lash.runtime.worker.environment import SURFACE_EXTENSION, Environments
from lash.runtime.worker.runner import ProcessRunner
from lash.sessions.queue import ProcessWakePayload
from lash.testing.conformance.laws import Rows, Suite
from lash.testing.conformance.process_runner import recording_controller
from lash.testing.conformance.program_drafts import (
    TOOLS,
    environment,
    linked,
    process_echo,
    program,
    waking_nobody,
)
from lash.testing.conformance.worker_drafts import core_over, ended, worker_of
from lash.testing.script import says
from lash.testing.scripted import ScriptedModel
from lash.tools.surface import environment_with
from lash.tracing.sinks import InMemoryTrace

PROGRAM_RUNNER: Suite[lash.Store] = Suite("program_runner")
law = PROGRAM_RUNNER.law

DISABLED = "lashlang feature `processes` is disabled by this host"


def _link_error(source: str) -> str:
    try:
        linked(source)
    except LinkError as error:
        return str(error)
    return ""


def _relinked(module: LinkedModule, host: HostEnvironment) -> str:
    try:
        link(module.artifact.canonical_ir, host)
    except LinkError as error:
        return str(error)
    return ""


@law("PR-01", "PR-02")
async def a_registration_refers_to_its_program(store: lash.Store, row: Rows) -> None:
    registration = await program(store, "p", linked("process main() { finish 1 }"))
    await store.processes.register_process(registration)
    record = await store.processes.get_process("p")
    texts = [encode(registration), encode(record)]
    for text in texts:
        row("PR-01", all(name in text for name in ("module_ref", "process_ref", "host_requirements_ref")), text)
        row("PR-02", "linked_module" not in text and "canonical_ir" not in text, text)


@law("PR-03")
async def a_program_that_is_not_stored_fails(store: lash.Store, row: Rows) -> None:
    registration = await program(store, "p", linked("process main() { finish 1 }"))
    async with core_over(store) as core, core_over(await lash.Store.open(":memory:")) as empty:
        config = replace(core.process_worker_config(), artifacts=empty.store.artifacts)
        if core.tier == "durable":  # a durable host refuses an artifact store that is not
            await store.artifacts.collect_artifacts(
                [str(registration.env_ref)], older_than_ms=core.process_worker_config().engine.clock.now_ms() + 1
            )
            config = core.process_worker_config()
        output = await ProcessRunner(config).run_process(registration)
        is_code = isinstance(output, FailureOutput) and output.code == "process_module_artifact_missing"
        row("PR-03", is_code, output)


@law("PR-19", "PR-20")
async def a_program_needs_what_its_module_says(store: lash.Store, row: Rows) -> None:
    module = linked("process main(value: str) { finish { value: value } }")
    row("PR-19", DISABLED in _relinked(module, HostEnvironment()))
    async with core_over(store, [process_echo]) as core:
        registration = await program(store, "p", module, args={"value": "linked"})
        output = await ProcessRunner(core.process_worker_config()).run_process(registration)
        row("PR-20", output == SuccessOutput({"value": "linked"}), output)


@law("PR-22", "PR-23", "PR-24", "PR-25", "PR-26", "PR-27", "PR-28", "PR-29")
async def a_program_calls_tells_and_wakes(store: lash.Store, row: Rows) -> None:
    source = """
    process main(root: str, tool: Tools) {
      yield root
      called = await tool.process_echo({ value: root })?
      wake called.payload
      nested = await tool.process_echo({ value: "nested" })?
      finish { first: called.payload, nested: nested.payload }
    }
    """
    async with core_over(store, [process_echo]) as core, core.session("root"):
        worker = worker_of(core, change=waking_nobody)
        work = lash.LangProcess(source)
        await core.processes.start(work, args={"root": "seed", "tool": TOOLS}, id="process-1", wake="root")
        worker.poke()
        output = await ended(store, "process-1")
        await store.processes.deliver_pending_wakes()
        await worker.drain()
        row("PR-22", output == SuccessOutput({"first": "raw:seed", "nested": "raw:nested"}), output)

        events = {event.event_type: event for event in await store.processes.events_after("process-1", 0)}
        told, wake, end = events.get(YIELD), events.get(WAKE), events.get(COMPLETED)
        row("PR-23", told is not None and told.payload == {"value": "seed", "text": "seed"}, told)
        payload = None if wake is None else wake.payload
        row("PR-24", isinstance(payload, dict) and payload["text"] == "raw:seed", wake)
        replay = None if wake is None else wake.invocation.replay
        row("PR-25", replay is not None and replay.key.startswith("process:process-1:event:"), wake)
        row("PR-26", wake is not None and end is not None and wake.sequence < end.sequence, events)

        session_store = await store.sessions.open_existing_store("root")
        assert session_store is not None
        batches = await session_store.list_pending_queued_work("root")
        row("PR-27", len(batches) == 1, batches)
        batch = batches[0]
        row("PR-28", batch.delivery_policy == "earliest_safe_boundary" and len(batch.items) == 1, batch)
        payloads = [item.payload for item in batch.items if isinstance(item.payload, ProcessWakePayload)]
        row("PR-29", [cast("Any", found).wake["input"] for found in payloads] == ["raw:seed"], batch)


@law("PR-30", "PR-31", "PR-32")
async def a_parent_awaits_its_child_in_one_slot(store: lash.Store, row: Rows) -> None:
    module = linked(
        """
        process child(value: str) { finish { value: value } }
        process main() {
          handle = start child(value: "stored")
          done = (await handle)?
          finish { nested: done.value }
        }
        """
    )
    async with core_over(store, [process_echo]) as core:
        added = core.process_worker_config().engine.plugins.contributed(SURFACE_EXTENSION)
        here = environment_with(NO_ABILITIES, LanguageFeatures(), added)
        row("PR-30", not here.abilities.processes, here)
        row("PR-31", DISABLED in _relinked(module, HostEnvironment(environment().resources, here.abilities)))
        worker = worker_of(core, concurrency=1)
        await store.processes.register_process(await program(store, "snapshot-parent", module))
        worker.poke()
        output = await ended(store, "snapshot-parent")
        await worker.drain()
        row("PR-32", output == SuccessOutput({"nested": "stored"}), output)


@law("PR-33", "PR-34", "PR-35", "PR-36", "PR-37", "PR-38", "PR-39", stores="M")
async def an_execution_is_told_to_its_own_sink(store: lash.Store, row: Rows) -> None:
    source = """
    process child() { finish 1 }
    process main(flag: bool) {
      if flag { start child() } else { yield "no" }
      yield "parent"
      finish "parent"
    }
    """
    ordinary, told = InMemoryTrace(), list[JsonObject]()
    async with core_over(store, [process_echo], trace_sink=ordinary, execution_sink=told.append) as core:
        worker = worker_of(core)
        work = lash.LangProcess(source, "main")
        await core.processes.start(work, args={"flag": True}, id="tracking-parent")
        worker.poke()
        output = await ended(store, "tracking-parent")
        await worker.drain()
    row("PR-33", output == SuccessOutput("parent"), output)
    row("PR-34", not any("lashlang" in encode(record) for record in ordinary.records), ordinary.records)
    mine = [event for event in told if cast("Any", event)["identity"]["subject"]["process_id"] == "tracking-parent"]
    by_kind = {str(event["kind"]): cast("Any", event) for event in mine}
    shown = by_kind["execution_started"]["execution_map"]
    has_branch = any(node["kind"] == "branch" for node in shown["nodes"])
    row("PR-35", has_branch and any(edge["label"] == "then" for edge in shown["edges"]), shown)
    row("PR-36", by_kind["branch_selected"]["selected"] == "then", by_kind)
    child = by_kind["child_started"]["child"]
    is_child = child["subject"]["process_id"] != "tracking-parent" and child["entry_name"] == "child"
    row("PR-37", is_child, child)
    completed = [event["label"] for event in mine if event["kind"] == "node_completed"]
    row("PR-38", "result" in completed, completed)
    row("PR-39", by_kind["execution_finished"]["status"] == "completed", by_kind)


@law("PR-40", "PR-41", "PR-42", "PR-43", "PR-44")
async def one_program_signals_another(store: lash.Store, row: Rows) -> None:
    module = linked(
        """
        process target() signals { ready: any } { finish wait_signal("ready") }
        process sender(other: any) {
          sleep for "0ms"
          signal_run(other, "ready", { ok: true })
          finish "sent"
        }
        """
    )
    scope = SessionScope("root")
    async with core_over(store, [process_echo]) as core, core.session("root"):
        worker = worker_of(core, change=waking_nobody)
        await store.processes.register_process(await program(store, "signal-target", module, "target"))
        args: JsonObject = {"other": handle_value("signal-target")}
        sender = await program(store, "signal-sender", module, "sender", args, wake_target=scope)
        controller = await recording_controller(ExecutionScope.process("signal-sender"))
        worker.poke()
        output = await ProcessRunner(core.process_worker_config()).run_process_with_scoped_effect_controller(
            sender, controller
        )
        target = await ended(store, "signal-target")
        await worker.drain()
    row("PR-40", output == SuccessOutput("sent"), output)
    row("PR-41", target == SuccessOutput({"ok": True}), target)
    events = await store.processes.events_after("signal-target", 0)
    signals = [event.payload for event in events if event.event_type == "signal.ready"]
    row("PR-42", signals == [{"ok": True}], events)
    sleeps = [envelope for envelope in controller.seen if envelope.kind == "sleep"]
    row("PR-43", len(sleeps) == 1, controller.seen)
    row("PR-44", all("signal-sender" in envelope.replay_key for envelope in sleeps), sleeps)


@law("PR-45", "PR-46", "PR-47")
async def a_program_fails_with_a_value(store: lash.Store, row: Rows) -> None:
    async with core_over(store, [process_echo]) as core:
        registration = await program(store, "p", linked('process main() { fail { reason: "bad" } }'))
        output = await ProcessRunner(core.process_worker_config()).run_process(registration)
        assert isinstance(output, FailureOutput)
        row("PR-45", output.code == "process_failed", output)
        row("PR-46", output.raw == {"reason": "bad"}, output)
        row("PR-47", "reason" in output.message and "bad" in output.message, output)


@law("PR-48", "PR-49")
async def a_program_knows_its_own_names_only(store: lash.Store, row: Rows) -> None:
    del store
    said = _link_error("parent = 1  process main() { finish parent }")
    row("PR-48", "unknown name `parent`" in said, said)
    said = _link_error('process main() { finish process_echo({ value: "x" }) }')
    row("PR-49", "tools must be called through module paths, e.g. `tools.process_echo`" in said, said)


@law("PR-65", stores="M")
async def a_run_calls_nothing_without_tools_and_journal(store: lash.Store, row: Rows) -> None:
    registration = await program(store, "p", linked("process main() { finish 1 }"))
    async with core_over(store, [process_echo]) as core:
        config = core.process_worker_config()
        parts = await Environments(config).rebuild(registration)
        context = RunContextBuilder("p", parts.session_id, CancelToken(), config.engine.clock)
        said: list[str] = []
        for given in (context, RunContextBuilder("p", "s", CancelToken(), config.engine.clock).tools(parts.catalog)):
            try:
                given.build(parts.plugins, parts.model, "key")
            except RunContextIncomplete as error:
                said.append(f"{error.code}: {error.message}")
        row(
            "PR-65",
            said
            == [
                "process_run_context_failed: process run context requires a tool surface",
                "process_run_context_failed: process run context requires a scoped effect controller",
            ],
            said,
        )


@law("PR-66")
async def what_a_tool_of_a_run_meets(store: lash.Store, row: Rows) -> None:
    met: list[str] = []

    @lash.tool
    async def process_ask(ctx: lash.ToolContext) -> str:
        """Tells a lot, and asks a model."""
        for number in range(200):
            ctx.progress(str(number))
        met.append(ctx.agent_frame_id)
        return str((await ctx.direct_completions.complete(DirectRequest.text("word?"))).text)

    async with core_over(store, [process_ask], model=ScriptedModel([says("word")])) as core:
        work = lash.LangProcess("process main() { finish await tools.process_ask()? }")
        handle = await core.processes.start(work, id="p")
        registration = registration_of(await handle.record())
        controller = await recording_controller(ExecutionScope.process("p"))
        output = await ProcessRunner(core.process_worker_config()).run_process_with_scoped_effect_controller(
            registration, cast("Any", controller)
        )
    row("PR-66", output == SuccessOutput("word") and met == [""], (output, met))
    asked = [envelope for envelope in controller.seen if envelope.kind == "direct"]
    scopes = {(envelope.invocation.scope.session_id, envelope.invocation.scope.turn_id) for envelope in asked}
    row("PR-66", scopes == {("process-env:p", None)}, controller.seen)
