"""Suite worker_boundary (WB): what is checked before a process runs, and what a worker does around a run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import lash
from lash.base.tier import DurabilityTier
from lash.effects.scope import ExecutionScope
from lash.hosts.recording import RecordingEffectHost
from lash.plugins.errors import PluginSessionError
from lash.processes.events import cancel_requested
from lash.processes.inputs import ExternalInput
from lash.processes.outputs import CancelledOutput, FailureOutput, SuccessOutput
from lash.processes.registration import ProcessRegistration
from lash.processes.registry import ProcessRegistry
from lash.processes.scopes import ProcessProvenance, SessionScope
from lash.runtime.worker.config import ProcessWorkerConfig
from lash.runtime.worker.engines import EngineOutcome, ProcessParts
from lash.runtime.worker.run import ProcessRun
from lash.runtime.worker.runner import ProcessRunner
from lash.sessions.errors import StoreUnavailable
from lash.testing.conformance.laws import Rows, Suite
from lash.testing.conformance.worker_drafts import (
    Engine,
    Tools,
    core_over,
    ended,
    engine_process,
    eventually,
    soon,
    tool_process,
    worker_of,
)

WORKER_BOUNDARY: Suite[lash.Store] = Suite("worker_boundary")
law = WORKER_BOUNDARY.law

_FACETS = ("attachments", "artifacts", "process_envs", "sessions", "processes", "triggers")
_CODES = ("attachment_store", "artifact_store", "process_env_store", "session_store", "process_registry")
_LABELS = {
    "attachments": ("attachment_store", "attachment store"),
    "artifacts": ("artifact_store", "lashlang artifact store"),
    "sessions": ("session_store", "session store"),
    "processes": ("process_registry", "process registry"),
}
# How errors of this kind begin when they are shown.
_KIND = "plugin session error: "
FAST = lash.LeaseTimings(300, 25)


class _Of:
    """A facet that says another tier of itself."""

    def __init__(self, inner: object, tier: DurabilityTier) -> None:
        self._inner = inner
        self._tier: DurabilityTier = tier

    def durability_tier(self) -> DurabilityTier:
        return self._tier

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)


class _Registry(_Of):
    """A registry whose methods can be replaced."""

    def __init__(self, inner: ProcessRegistry, **instead: Callable[..., Any]) -> None:
        super().__init__(inner, inner.durability_tier())
        self.__dict__.update(instead)


def _durable(config: ProcessWorkerConfig, *ephemeral: str) -> tuple[ProcessWorkerConfig, RecordingEffectHost]:
    """A durable host; all facets durable but some."""
    host = RecordingEffectHost()
    facets = {name: _Of(getattr(config, name), "inline" if name in ephemeral else "durable") for name in _FACETS}
    return replace(config, host=cast("Any", _Of(host, "durable")), **cast("Any", facets)), host


async def _refusal(config: ProcessWorkerConfig, registration: ProcessRegistration) -> str:
    try:
        answer = await ProcessRunner(config).run_process(registration)
    except PluginSessionError as error:
        return error.message.removeprefix(_KIND)
    return f"it ran: {answer}"


@law("WB-01", "WB-02", "WB-03", "WB-04", "WB-07", "WB-08")
async def an_ephemeral_facet_under_a_durable_host_is_refused(store: lash.Store, row: Rows) -> None:
    async with core_over(store) as core:
        config = core.process_worker_config()
        process = await tool_process(store, "p", "echo", {"value": "x"})
        records = []
        for law_id, (name, (code, label)) in zip(("WB-01", "WB-02", "WB-03", "WB-04"), _LABELS.items(), strict=True):
            changed, host = _durable(config, name)
            said = await _refusal(changed, process)
            expected = f"durable_store_required:{code}: durable effect hosts require a durable {label}"
            row(law_id, said == expected, said)
            records += host.records()
        order = []
        for first in range(len(_FACETS)):
            changed, host = _durable(config, *_FACETS[first:])
            order.append((await _refusal(changed, process)).split(":")[1])
            records += host.records()
        row("WB-07", order == [*_CODES, "trigger_store"], order)
        row("WB-08", records == [] and await store.sessions.list_sessions() == [], records)


@law("WB-05", stores="SP")
async def a_durable_host_over_durable_facets_runs(store: lash.Store, row: Rows) -> None:
    async with core_over(store, Tools().all()) as core:
        process = await tool_process(store, "p", "echo", {"value": "x"})
        output = await ProcessRunner(core.process_worker_config()).run_process(process)
        row("WB-05", core.tier == "durable" and isinstance(output, SuccessOutput), output)


@law("WB-06", stores="M")
async def an_inline_host_in_memory_runs(store: lash.Store, row: Rows) -> None:
    async with core_over(store, Tools().all()) as core:
        process = await tool_process(store, "p", "echo", {"value": "x"})
        output = await ProcessRunner(core.process_worker_config()).run_process(process)
        row("WB-06", isinstance(output, SuccessOutput), output)


@law("WB-09", "WB-10", "WB-11", "WB-12", "WB-13")
async def a_run_is_checked_in_order(store: lash.Store, row: Rows) -> None:
    async with core_over(store) as core:
        config = core.process_worker_config()
        runner = ProcessRunner(config)
        outside = ProcessRegistration("p", ExternalInput({"m": 1}), ProcessProvenance.host())
        output = await runner.run_process(outside)
        row("WB-09", output == SuccessOutput({"metadata": {"m": 1}}), output)

        nobody = ProcessProvenance.session(SessionScope(""))
        orphan = await tool_process(store, "p", "echo", {"value": "x"}, provenance=nobody)
        blank = ProcessRegistration("  ", ExternalInput({}), nobody)
        supplied, host = _durable(config, "attachments")
        controller = RecordingEffectHost().scoped(ExecutionScope.process("p"))
        said = []
        for refused, registration in ((config, blank), (supplied, blank), (supplied, outside), (config, orphan)):
            try:
                await ProcessRunner(refused).run_process_with_scoped_effect_controller(registration, controller)
                said.append("ran")
            except PluginSessionError as error:
                said.append(error.message.removeprefix(_KIND))
        row("WB-10", said[0].startswith("missing_process_execution_id"), said[0])
        row("WB-13", said[3] == "process `p` is missing a structured owner scope", said[3])
        in_order = said[1].startswith("missing_process_execution_id") and said[2].startswith("durable_store_required")
        ran = await runner.run_process(ProcessRegistration("p", ExternalInput({}), nobody))
        row("WB-12", in_order and isinstance(ran, SuccessOutput) and host.records() == [], (said, ran))

        static = replace(config, host=cast("Any", _Static(config.host)))
        row("WB-11", await _refusal(static, outside) == _NO_SCOPE, await _refusal(static, outside))


_NO_SCOPE = "process worker effect host must provide a static process scope"


class _Static(_Of):
    """A host that cannot outlive a frame."""

    def __init__(self, inner: object) -> None:
        super().__init__(inner, "inline")

    def scoped_static(self, _scope: object) -> None:
        return None


@law("WB-15")
async def due_processes_run_side_by_side(store: lash.Store, row: Rows) -> None:
    tools = Tools()
    async with core_over(store, tools.all()) as core:
        for number in range(3):
            await store.processes.register_process(await tool_process(store, f"p{number}", "gate"))
        worker = worker_of(core)
        worker.poke()
        is_back_at_once = worker.running == []

        async def all_in() -> bool:
            return tools.arrivals == 3

        await eventually(all_in)
        running = worker.running
        tools.opened.set()
        outputs = [await ended(store, f"p{number}") for number in range(3)]
        row("WB-15", is_back_at_once and len(running) == 3 and outputs == [SuccessOutput("through")] * 3, outputs)


@law("WB-17", "WB-18")
async def what_another_runs_or_what_has_ended_is_left_alone(store: lash.Store, row: Rows) -> None:
    tools = Tools()
    async with core_over(store, tools.all()) as core:
        for name in ("held", "over", "free"):
            await store.processes.register_process(await tool_process(store, name, "echo", {"value": name}))
        await store.liveness.hold("somebody")
        lease = await store.processes.claim_process_lease("held", "somebody", 60_000)
        over = await store.processes.claim_process_lease("over", "somebody", 60_000)
        await store.processes.complete_process_with_lease(over, SuccessOutput("before"))
        worker_of(core).poke()
        await ended(store, "free")
        record = await store.processes.get_process("held")
        still = await store.processes.get_process_lease("held")
        row("WB-17", record is not None and record.last_sequence == 0 and still == lease, (record, still))
        row("WB-18", tools.echoes == 1 and await ended(store, "over") == SuccessOutput("before"), tools.echoes)


@law("WB-19")
async def a_registration_is_rebuilt_from_its_record(store: lash.Store, row: Rows) -> None:
    seen: list[ProcessRegistration] = []

    async def look(run: ProcessRun, _parts: ProcessParts) -> EngineOutcome:
        seen.append(run.registration)
        return SuccessOutput(None)

    async with core_over(store) as core:
        asked = await engine_process(store, "p")
        await store.processes.register_process(asked)
        worker_of(core, {"test": Engine(look)}).poke()
        await ended(store, "p")
        [found] = seen
        same = ("id", "input", "provenance", "env_ref", "wake_target")
        is_same = all(getattr(found, name) == getattr(asked, name) for name in same)
        row("WB-19", is_same and {one.name for one in asked.event_types} <= {one.name for one in found.event_types})


@law("WB-20")
async def a_long_run_renews_its_lease(store: lash.Store, row: Rows) -> None:
    tools = Tools()
    async with core_over(store, tools.all(), lease_timings=FAST) as core:
        await store.processes.register_process(await tool_process(store, "p", "gate"))
        worker_of(core).poke()
        await soon(tools.arrived)
        seen: set[int] = set()

        async def has_renewed_twice() -> bool:
            lease = await store.processes.get_process_lease("p")
            seen.add(0 if lease is None else lease.expires_at_epoch_ms)
            return len(seen) >= 3

        await eventually(has_renewed_twice)
        tools.opened.set()
        output = await ended(store, "p")
        row("WB-20", output == SuccessOutput("through") and tools.arrivals == 1 and 0 not in seen, output)


@law("WB-21")
async def a_run_that_lost_its_lease_writes_nothing(store: lash.Store, row: Rows) -> None:
    tools = Tools()
    async with core_over(store, tools.all(), lease_timings=FAST) as core:
        for name in ("p", "q"):
            await store.processes.register_process(await tool_process(store, name, "gate"))
        worker = worker_of(core)
        worker.poke()

        async def both_in() -> bool:
            return tools.arrivals == 2

        async def nothing_runs() -> bool:
            return worker.running == []

        await eventually(both_in)
        await store.liveness.hold("rival")
        for name in ("p", "q"):
            owner = core.executor_id
            await store.processes.claim_process_lease(name, "rival", 60_000, proven_dead_owner=owner)
        await eventually(nothing_runs)
        await worker.drain(0)
        left = [await store.processes.get_process(name) for name in ("p", "q")]
        nothing = all(record is not None and record.last_sequence == 0 for record in left)
        row("WB-21", tools.cancelled == "lease_lost" and nothing, (tools.cancelled, left))


@law("WB-23")
async def an_end_that_comes_after_the_lease_is_dropped(store: lash.Store, row: Rows) -> None:
    async with core_over(store) as core:

        async def lose(run: ProcessRun, parts: ProcessParts) -> EngineOutcome:
            """Ends, and does not know yet that a rival has taken over."""
            await store.liveness.hold("rival")
            owner = core.executor_id
            await parts.processes.claim_process_lease(run.process_id, "rival", 60_000, proven_dead_owner=owner)
            return SuccessOutput("late")

        await store.processes.register_process(await engine_process(store, "p"))
        worker = worker_of(core, {"test": Engine(lose)})
        worker.poke()

        async def is_taken() -> bool:
            lease = await store.processes.get_process_lease("p")
            return lease is not None and lease.owner_id == "rival"

        await eventually(is_taken)
        await worker.drain()
        record = await store.processes.get_process("p")
        nothing = record is not None and not record.is_terminal and record.last_sequence == 0
        row("WB-23", nothing and await is_taken(), record)


@law("WB-22")
async def a_run_that_raises_fails_its_process(store: lash.Store, row: Rows) -> None:
    async def fall(_run: ProcessRun, _parts: ProcessParts) -> EngineOutcome:
        raise RuntimeError("the engine fell over")

    async with core_over(store) as core:
        await store.processes.register_process(await engine_process(store, "p"))
        worker_of(core, {"test": Engine(fall)}).poke()
        output = await ended(store, "p")
        expected = FailureOutput("execution", "process_recovery_failed", "the engine fell over")
        row("WB-22", output == expected, output)


@law("WB-24")
async def an_end_that_cannot_be_written_gives_the_lease_back(store: lash.Store, row: Rows) -> None:
    tried = asyncio.Event()

    async def refuse(*_args: object, **_kwargs: object) -> object:
        tried.set()
        raise RuntimeError("no")

    async def turn_over(ends: list[object], *rest: Any) -> object:
        if ends:
            raise RuntimeError("no")
        return await store.processes.turn_over([], *rest)

    async def end(_run: ProcessRun, _parts: ProcessParts) -> EngineOutcome:
        return SuccessOutput(1)

    async with core_over(store) as core:
        await store.processes.register_process(await engine_process(store, "p"))
        registry = _Registry(store.processes, turn_over=turn_over, complete_process_with_lease=refuse)

        def change(config: ProcessWorkerConfig) -> ProcessWorkerConfig:
            return replace(config, processes=cast("Any", registry))

        worker_of(core, {"test": Engine(end)}, change=change).poke()
        await soon(tried)

        async def is_free() -> bool:
            return await store.processes.get_process_lease("p") is None

        await eventually(is_free)
        record = await store.processes.get_process("p")
        row("WB-24", record is not None and not record.is_terminal, record)


@law("WB-25", "WB-27")
async def a_request_cancels_the_run(store: lash.Store, row: Rows) -> None:
    tools = Tools()
    async with core_over(store, tools.all()) as core:
        await store.processes.register_process(await tool_process(store, "p", "gate"))
        worker = worker_of(core)
        worker.poke()
        await soon(tools.arrived)
        await worker.request_process_cancel("p", "enough")
        await worker.request_process_cancel("p", "enough")
        output = await ended(store, "p")
        row("WB-25", tools.cancelled == "requested" and isinstance(output, CancelledOutput), (tools.cancelled, output))
        events = await store.processes.events_after("p", 0)
        first = events[0]
        expected = cancel_requested("p", "enough")
        is_helper = (first.event_type, first.payload, first.invocation.replay) == (
            expected.event_type,
            expected.payload,
            expected.replay,
        )
        row("WB-27", is_helper and len(events) == 2, events)


@law("WB-26")
async def a_run_goes_on_when_nobody_can_see_requests(store: lash.Store, row: Rows) -> None:
    tools = Tools()
    asked = asyncio.Event()

    async def fail(_ids: object) -> object:
        asked.set()
        raise StoreUnavailable("no")

    async with core_over(store, tools.all()) as core:
        await store.processes.register_process(await tool_process(store, "p", "gate"))
        core.worker._engine.keeper._processes = cast("Any", _Registry(store.processes, cancel_wanted=fail))
        worker_of(core).poke()
        await soon(tools.arrived)
        await soon(asked)
        tools.opened.set()
        output = await ended(store, "p")
        row("WB-26", output == SuccessOutput("through"), output)


@law("WB-16")
async def every_attempt_claims_under_a_token_of_its_own(store: lash.Store, row: Rows) -> None:
    """The owner is the executor, which can be proven dead (docs/decisions/workers.md); the attempt is its token."""
    tools = Tools()
    leases = []
    async with core_over(store, tools.all()) as core:
        await store.processes.register_process(await tool_process(store, "p", "gate"))
        for attempt in (1, 2):
            worker = worker_of(core)
            worker.poke()
            await _arrived(tools, attempt)
            leases.append(await store.processes.get_process_lease("p"))
            await worker.drain(0)
        first, second = leases
        assert first is not None
        assert second is not None
        is_ours = first.owner_id == second.owner_id == core.executor_id
        rises = first.fencing_token < second.fencing_token
        row("WB-16", is_ours and rises and first.lease_token != second.lease_token, leases)


async def _arrived(tools: Tools, times: int) -> None:
    async def so_often() -> bool:
        return tools.arrivals == times

    await eventually(so_often)


@law("WB-28")
async def a_configuration_of_a_worker_is_made_of_its_core(store: lash.Store, row: Rows) -> None:
    """Sessions of a worker are opened by the core, with its defaults and plugins (docs/decisions/workers.md)."""
    async with core_over(store) as core:
        config = core.process_worker_config()
        alike = ProcessWorkerConfig.of(config.engine, config.actor_of, config.concurrency)
        facets = {name: getattr(config, name) for name in ("artifacts", "process_envs", "sessions", "processes")}
        is_of_store = all(facet is getattr(store, name) for name, facet in facets.items())
        row("WB-28", is_of_store and config.host is config.engine.host and alike == config, config)
