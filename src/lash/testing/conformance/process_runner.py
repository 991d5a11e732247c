"""Suite process_runner (PR): processes as workers run them. The rows of programs are in program_runner.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import lash
from lash.effects.around import ControllerAround
from lash.effects.envelope import EffectEnvelope, EffectOutcome
from lash.effects.errors import EffectControllerError
from lash.effects.invocation import Invocation, RuntimeScope
from lash.effects.local import Branch, Local, together
from lash.effects.scope import ExecutionScope
from lash.hosts.inline import InlineController, InlineEffectHost
from lash.plugins.errors import PluginSessionError
from lash.processes.event_types import CANCEL_REQUESTED
from lash.processes.outputs import FailureOutput, SuccessOutput
from lash.processes.scopes import ProcessProvenance, SessionScope
from lash.runtime.worker.control import ProcessControl, ProcessesUnavailable
from lash.runtime.worker.runner import ProcessRunner
from lash.testing.conformance.laws import Rows, Suite
from lash.testing.conformance.process_drafts import DESCRIPTOR, event, external, plain
from lash.testing.conformance.worker_drafts import Tools, core_over, ended, session_turn, tool_process, worker_of
from lash.testing.script import says
from lash.testing.scripted import ScriptedModel

T = TypeVar("T")

PROCESS_RUNNER: Suite[lash.Store] = Suite("process_runner")
law = PROCESS_RUNNER.law


class Recording(ControllerAround):
    """A controller that performs, and notes what crossed it."""

    def __init__(self, inner: InlineController) -> None:
        super().__init__(inner)
        self.seen: list[EffectEnvelope] = []

    async def execute(self, envelope: EffectEnvelope, local: Local) -> EffectOutcome:
        self.seen.append(envelope)
        return await self._inner.execute(envelope, local)

    async def run_group(self, branches: Sequence[Branch[T]]) -> list[T]:
        return await together(branches, self.execute)


class _Rejecting(InlineEffectHost):
    """A host that refuses every effect of a turn, and counts."""

    attempts = 0

    async def owned(self, scope: ExecutionScope, *args: Any, **kwargs: Any) -> InlineController:
        self.attempts += 1
        raise EffectControllerError("rejected", f"no effects of {scope.id} here")


async def recording_controller(scope: ExecutionScope) -> Recording:
    """A controller of an inline host that notes what crosses it."""
    host = InlineEffectHost()
    await host.open()
    return Recording(host.scoped(scope))


@law("PR-04", "PR-05")
async def a_run_needs_an_owner_and_an_id(store: lash.Store, row: Rows) -> None:
    async with core_over(store, Tools().all()) as core:
        runner = ProcessRunner(core.process_worker_config())
        nobody = ProcessProvenance.session(SessionScope(""))
        said = []
        for process_id, provenance in (("p", nobody), ("", ProcessProvenance.host())):
            process = await tool_process(store, process_id, "echo", {"value": "x"}, provenance=provenance)
            try:
                said.append(str(await runner.run_process(process)))
            except PluginSessionError as error:
                said.append(str(error))
        row("PR-04", "missing a structured owner scope" in said[0], said)
        row("PR-05", "missing_execution_scope_id" in said[1], said)


@law("PR-06", "PR-07", "PR-18")
async def a_poke_runs_what_was_registered(store: lash.Store, row: Rows) -> None:
    tools = Tools()
    async with core_over(store, tools.all()) as core:
        worker = worker_of(core)
        worker.poke()
        await store.processes.register_process(await tool_process(store, "worker-tool", "echo", {"value": "tool"}))
        worker.poke()
        output = await ended(store, "worker-tool")
        row("PR-06", isinstance(output, SuccessOutput), output)
        row("PR-07", tools.echoes == 1, tools.echoes)
        row("PR-18", output == SuccessOutput({"payload": "raw:tool"}), output)


@law("PR-08", "PR-09", "PR-10")
async def two_workers_run_a_process_once(store: lash.Store, row: Rows) -> None:
    tools = Tools()
    async with core_over(store, tools.all()) as first, core_over(store, tools.all()) as second:
        workers = [worker_of(first), worker_of(second)]
        await store.processes.register_process(await tool_process(store, "p", "echo", {"value": "x"}))
        for worker in workers:
            worker.poke()
        output = await ended(store, "p")
        for worker in workers:
            await worker.drain()
        row("PR-08", all(worker.running == [] for worker in workers))
        row("PR-09", isinstance(output, SuccessOutput), output)
        row("PR-10", tools.echoes == 1, tools.echoes)


@law("PR-11", "PR-12", "PR-13", "PR-14")
async def a_supplied_controller_carries_the_child(store: lash.Store, row: Rows) -> None:
    host = _Rejecting()
    model = ScriptedModel([says("done")])
    async with core_over(store, model=model, effect_host=host) as core:
        controller = await recording_controller(ExecutionScope.process("scoped-session-turn"))
        output = await ProcessRunner(core.process_worker_config()).run_process_with_scoped_effect_controller(
            session_turn("scoped-session-turn", "scoped-child"), controller
        )
        turn_ids = {envelope.invocation.scope.turn_id for envelope in controller.seen}
        row("PR-11", isinstance(output, SuccessOutput), output)
        row("PR-12", host.attempts == 0, host.attempts)
        row("PR-13", "scoped-session-turn" in turn_ids, turn_ids)
        row("PR-14", turn_ids == {"scoped-session-turn"}, turn_ids)


@law("PR-15", "PR-16", "PR-17")
async def without_one_the_host_is_asked(store: lash.Store, row: Rows) -> None:
    host = _Rejecting()
    async with core_over(store, model=ScriptedModel([says("done")]), effect_host=host) as core:
        runner = ProcessRunner(core.process_worker_config())
        output = await runner.run_process(session_turn("scoped-session-turn", "scoped-child"))
        is_code = isinstance(output, FailureOutput) and output.code == "process_session_turn_failed"
        row("PR-15", is_code, output)
        row("PR-16", isinstance(output, FailureOutput) and bool(output.message.strip()), output)
        row("PR-17", host.attempts > 0, host.attempts)


@law("PR-21")
async def a_session_turn_names_its_child(store: lash.Store, row: Rows) -> None:
    async with core_over(store, model=ScriptedModel([says("done")])) as core:
        await store.processes.register_process(session_turn("worker-session", "child"))
        worker_of(core).poke()
        output = await ended(store, "worker-session")
        value = output.value if isinstance(output, SuccessOutput) else None
        is_whole = isinstance(value, dict) and "turn" in value and value.get("child_session_id") == "child"
        row("PR-21", is_whole, output)


@law("PR-50", "PR-51", "PR-52", "PR-53", "PR-54", "PR-55")
async def what_nobody_refers_to_is_cancelled(store: lash.Store, row: Rows) -> None:
    processes, root, other = store.processes, SessionScope("root"), SessionScope("other")
    for name in ("keep", "sole", "shared"):
        await processes.register_process(external(name, plain("probe.event")))
        await processes.append_event(name, event("probe.event"))
        await processes.grant_handle(root, name, DESCRIPTOR)
    await processes.grant_handle(other, "shared", DESCRIPTOR)
    controller = await recording_controller(ExecutionScope.runtime_operation("op"))

    cancelled = await ProcessControl(processes, controller, "root").cancel_unreferenced({"keep"})

    row("PR-50", [record.id for record in cancelled] == ["sole"], cancelled)
    grants = [grant.process_id for grant, _ in await processes.list_handle_grants(root)]
    row("PR-51", grants == ["keep"], grants)
    row("PR-52", await processes.handle_grants_for_process("sole") == [])
    left = [grant.session_id for grant in await processes.handle_grants_for_process("shared")]
    row("PR-53", left == ["other"], left)
    counts = [len(await processes.events_after(name, 0)) for name in ("keep", "shared")]
    row("PR-54", counts == [1, 1], counts)
    events = await processes.events_after("sole", 1)
    row(
        "PR-55",
        [(found.event_type, found.payload) for found in events]
        == [(CANCEL_REQUESTED, {"reason": "requested by host"})],
        events,
    )


@law("PR-56", "PR-57", "PR-58", "PR-59", "PR-60")
async def commands_inside_a_turn_are_its_effects(store: lash.Store, row: Rows) -> None:
    processes, root, target = store.processes, SessionScope("root"), SessionScope("target")
    for name in ("transfer-me", "cleanup-me"):
        await processes.register_process(external(name))
        await processes.grant_handle(root, name, DESCRIPTOR)
    await processes.revoke_handle(root, "cleanup-me")
    key = "root:turn-process-scope:process-control"
    parent = Invocation.effect(RuntimeScope("root", "turn-process-scope", 1, 0), "1", "exec_code", key)
    controller = await recording_controller(ExecutionScope.turn("root", "turn-process-scope"))
    control = ProcessControl(processes, controller, "root", parent)

    await control.transfer(target, ["transfer-me"])
    row("PR-56", await processes.has_handle_grant(target, "transfer-me"))
    await processes.grant_handle(root, "cleanup-me", DESCRIPTOR)
    await control.cancel_unreferenced([])

    seen = controller.seen
    row("PR-57", len(seen) == 2, seen)
    row("PR-58", {envelope.kind for envelope in seen} == {"process"}, seen)
    row("PR-59", {envelope.invocation.scope.turn_id for envelope in seen} == {"turn-process-scope"}, seen)
    row("PR-60", all(envelope.replay_key.startswith(f"{key}:process:") for envelope in seen), seen)


@law("PR-61", "PR-62", "PR-63", "PR-64")
async def without_a_registry_nothing_can_be_asked(store: lash.Store, row: Rows) -> None:
    del store
    controller = await recording_controller(ExecutionScope.runtime_operation("op"))
    control = ProcessControl(None, controller, "root")

    async def said(attempt: Callable[[], Any]) -> str:
        try:
            await attempt()
        except ProcessesUnavailable as error:
            return str(error)
        return ""

    row("PR-61", await said(lambda: control.transfer(SessionScope("other"), [])) == "")
    unavailable = "process registry is unavailable"
    row("PR-62", unavailable in await said(lambda: control.validate_visible(["missing"])))
    row("PR-63", unavailable in await said(lambda: control.transfer(SessionScope("other"), ["missing"])))
    row("PR-64", unavailable in await said(lambda: control.cancel_unreferenced([])))
