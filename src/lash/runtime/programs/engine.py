"""The process engine of the language: runs a stored program as a durable process (docs/spec/durability.md §5.4).

```
load ─► check references ─► relink ─► compare with the host ─► run ─► output
                 │                            │                 └──► park ──► run again …
                 └────────── failure ◄────────┘
```

A run begins at the start of the program every time: what it did is answered from the journal,
so there is nothing to be saved of its inside.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import replace

from lash.artifacts.store import ArtifactStore
from lash.base.codec import DecodeError, from_json
from lash.effects.errors import EffectControllerError
from lash.lashlang.codegen.bodies import CompiledBody
from lash.lashlang.errors import BudgetExceeded, LanguageError
from lash.lashlang.execution.arguments import argument_problem
from lash.lashlang.execution.budgets import DEFAULT_BUDGETS, Budgets
from lash.lashlang.execution.driver import Execution
from lash.lashlang.execution.outcomes import Breath, Continued, Failed, Faulted, Finished, Outcome, Step
from lash.lashlang.host.environment import ALL_ABILITIES
from lash.lashlang.modules.artifact import ModuleArtifact
from lash.lashlang.modules.caches import Compiler
from lash.lashlang.syntax.features import ALL_FEATURES
from lash.lashlang.values.json_form import from_json as value_of
from lash.lashlang.values.kinds import Value
from lash.processes.inputs import EngineInput, LashlangProcessInput, ProcessInput
from lash.processes.outputs import CancelledOutput, FailureOutput, ProcessAwaitOutput, SuccessOutput
from lash.runtime.programs.answers import ProgramAnswers
from lash.runtime.programs.effects import ProgramEffects
from lash.runtime.programs.linking import Relinked
from lash.runtime.programs.modules import Modules, ProgramUnavailable
from lash.runtime.programs.tracing import ExecutionSink, ExecutionTrace
from lash.runtime.worker.context import RunContextIncomplete
from lash.runtime.worker.engines import EngineOutcome, ProcessParts
from lash.runtime.worker.run import Park, ProcessRun, RunCut
from lash.tools.catalog import ToolCatalog
from lash.tools.surface import Surface, environment_with, offered_by, surface_of

# Catalogs of tools that are kept as surfaces: a worker has a handful of shapes of them.
SURFACES = 32


class LashlangEngine:
    """Runs the processes of stored modules. One for all processes of a worker: what it compiles it keeps."""

    def __init__(self, *, budgets: Budgets = DEFAULT_BUDGETS, sink: ExecutionSink | None = None) -> None:
        """`budgets` hold for a process from its start to its end: a replay spends again what was spent before.

        `sink` hears what programs do.
        """
        self._budgets = budgets
        self._sink = sink
        self._compiler = Compiler()
        self._relinked = Relinked()
        self._modules: Modules | None = None
        self._surfaces: OrderedDict[int, tuple[ToolCatalog, Surface]] = OrderedDict()

    async def run(self, run: ProcessRun, parts: ProcessParts) -> EngineOutcome:
        """See `ProcessEngine`."""
        try:
            work = _input_of(run.registration.input)
            modules = self._modules_of(parts.artifacts)
            artifact = await modules.load(work)
            surface = self._fitting(artifact, work, parts)
            arguments = _arguments(artifact, work)
            body = self._compiled(artifact, work)
        except ProgramUnavailable as error:
            return error.as_output()
        trace = None if self._sink is None else ExecutionTrace.of_process(self._sink, run.registration, body)
        observer = None if trace is None else trace.observed
        execution = Execution(body, arguments=arguments, budgets=self._budgets, observer=observer)
        if trace is not None:
            trace.started()
        try:
            effects = ProgramEffects(run, parts)
        except RunContextIncomplete as error:
            return FailureOutput("internal", error.code, error.message)
        outcome = await self._ended(run, execution, effects, ProgramAnswers(run, parts, effects, surface, modules))
        if trace is not None and not isinstance(outcome, Park):
            trace.ended(outcome)
        return outcome

    async def _ended(
        self, run: ProcessRun, execution: Execution, effects: ProgramEffects, answers: ProgramAnswers
    ) -> EngineOutcome:
        try:
            return _output(await self._driven(execution, effects, answers))
        except (RunCut, EffectControllerError):
            if run.parked is not None:
                return replace(run.parked, seen_sequence=run.last_sequence)
            if run.cancel.is_requested:
                return CancelledOutput("lashlang process was cancelled")
            raise
        finally:
            execution.close()

    async def _driven(self, execution: Execution, effects: ProgramEffects, answers: ProgramAnswers) -> Outcome:
        if not effects.is_live:
            # What was done in time once is not too late now, on a machine that may be slower.
            execution.budgets = replace(self._budgets, active_ms=None)
        step: Step = execution.start()
        while not isinstance(step, Finished | Failed | Continued | Faulted):
            if isinstance(step, Breath):
                effects.check()
                await asyncio.sleep(0)
                step = execution.resume()
                continue
            answer = await answers.to(step)
            if execution.budgets is not self._budgets and effects.is_live:
                self._limit(execution)
            step = execution.resume(answer)
        return step

    def _limit(self, execution: Execution) -> None:
        execution.budgets = self._budgets
        limit_ms = self._budgets.active_ms
        if limit_ms is not None:
            execution.spent.active_ms = min(execution.spent.active_ms, limit_ms)

    def _modules_of(self, artifacts: ArtifactStore) -> Modules:
        if self._modules is None or not self._modules.are_of(artifacts):
            self._modules = Modules(artifacts)
        return self._modules

    def _fitting(self, artifact: ModuleArtifact, work: LashlangProcessInput, parts: ProcessParts) -> Surface:
        """The worker's own surface. Raises `ProgramUnavailable` when the program needs more."""
        try:
            surface = self._surface_of(parts)
        except LanguageError as error:
            raise ProgramUnavailable("process_tool_catalog_failed", error.message, "internal") from error
        missing = surface.environment.missing(artifact.host_requirements)
        if missing is not None:
            raise ProgramUnavailable(
                "process_host_environment_incompatible",
                f"lashlang process `{work.process_name}` is incompatible with this host surface: {missing}",
            )
        return surface

    def _surface_of(self, parts: ProcessParts) -> Surface:
        known = self._surfaces.get(id(parts.catalog))
        if known is not None:  # it keeps its catalog, so the id cannot be another's
            return known[1]
        # What a session may do is no matter here: the program was linked where it was started.
        base = environment_with(ALL_ABILITIES, ALL_FEATURES, parts.surface_contributions)
        surface = surface_of(offered_by(parts.catalog), base)
        self._surfaces[id(parts.catalog)] = (parts.catalog, surface)
        if len(self._surfaces) > SURFACES:
            self._surfaces.popitem(last=False)
        return surface

    def _compiled(self, artifact: ModuleArtifact, work: LashlangProcessInput) -> CompiledBody:
        try:
            self._relinked.check(artifact)
            return self._compiler.compile(artifact, work.process_name, traced=self._sink is not None)
        except LanguageError as error:
            raise ProgramUnavailable(
                "process_compile_failed",
                f"failed to compile process `{work.process_name}`: {error.message}",
                "internal",
            ) from error


def _arguments(artifact: ModuleArtifact, work: LashlangProcessInput) -> dict[str, Value]:
    arguments = {key: value_of(value) for key, value in work.args.items()}
    problem = argument_problem(artifact, work.process_name, arguments)
    if problem is not None:
        raise _invalid(problem)
    return arguments


def _input_of(work: ProcessInput) -> LashlangProcessInput:
    if isinstance(work, LashlangProcessInput):
        return work
    assert isinstance(work, EngineInput)
    payload = work.payload
    try:
        return from_json(
            {**payload, "type": "lashlang_process"} if isinstance(payload, dict) else payload, LashlangProcessInput
        )
    except DecodeError as error:
        raise _invalid(error.message) from error


def _invalid(problem: str) -> ProgramUnavailable:
    return ProgramUnavailable(
        "process_payload_invalid", f"invalid lashlang process payload: {problem}", "invalid_request"
    )


def _output(outcome: Outcome) -> ProcessAwaitOutput:
    match outcome:
        case Finished(value=value):
            return SuccessOutput(value)
        case Failed(value=value, text=text):
            return FailureOutput("execution", "process_failed", text, value)
        case Faulted(error=BudgetExceeded() as error):
            return FailureOutput("resource_limit", "process_execution_bound_exhausted", error.message)
        case Faulted(error=error):
            return FailureOutput("execution", "process_runtime_error", error.message)
        case Continued():
            return SuccessOutput(None)
