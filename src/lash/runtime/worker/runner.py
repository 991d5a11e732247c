"""Runs one process: the checks before anything happens, and the choice of what runs it."""

from __future__ import annotations

import logging

from lash.base.cancel import CancelToken
from lash.base.errors import LashRuntimeError
from lash.effects.errors import EffectInDoubt, EffectLeaseLost, LeaseLost, TransientEffectError
from lash.effects.ports import EffectController
from lash.effects.scope import ExecutionScope
from lash.plugins.errors import PluginSessionError
from lash.processes.inputs import (
    EngineInput,
    ExternalInput,
    LashlangProcessInput,
    SessionTurnInput,
    ToolCallInput,
)
from lash.processes.outputs import CancelledOutput, FailureOutput, ProcessAwaitOutput, SuccessOutput
from lash.processes.registration import ProcessRegistration
from lash.processes.scopes import SessionOriginator
from lash.runtime.worker.config import ProcessWorkerConfig
from lash.runtime.worker.engines import ProcessEngine
from lash.runtime.worker.environment import Environments
from lash.runtime.worker.facets import guard_worker_facets
from lash.runtime.worker.run import CURRENT_RUN, Park, ProcessRun
from lash.runtime.worker.session_turn import run_session_turn
from lash.runtime.worker.tool_call import run_tool_call
from lash.sessions.errors import StoreUnavailable

logger = logging.getLogger("lash.worker")

# What is no fault of the process: it is run again, by whoever may.
NOT_ITS_FAULT = (EffectLeaseLost, LeaseLost, EffectInDoubt, TransientEffectError, StoreUnavailable)


class ProcessRunner:
    """Runs processes for a worker, or one by one for whoever holds a registration."""

    def __init__(self, config: ProcessWorkerConfig) -> None:
        self._config = config
        self._environments = Environments(config)
        self._lashlang: ProcessEngine | None = None
        self._is_guarded = False

    async def run_process(
        self, registration: ProcessRegistration, *, cancel: CancelToken | None = None
    ) -> ProcessAwaitOutput:
        """Runs a process without a lease, under a controller of the host.

        Raises `PluginSessionError` for what no run can begin with; everything later is an output.
        """
        scope = ExecutionScope.process(registration.id)
        try:
            controller = self._config.host.scoped_static(scope)
        except LashRuntimeError as error:
            raise PluginSessionError(str(error)) from error
        if controller is None:
            raise PluginSessionError("process worker effect host must provide a static process scope")
        return await self._run_alone(registration, controller, cancel, is_supplied=False)

    async def run_process_with_scoped_effect_controller(
        self, registration: ProcessRegistration, controller: EffectController, *, cancel: CancelToken | None = None
    ) -> ProcessAwaitOutput:
        """The same under a given controller: every effect of the process and of its child goes through it."""
        return await self._run_alone(registration, controller, cancel, is_supplied=True)

    async def run(self, run: ProcessRun, *, is_supplied: bool = False) -> ProcessAwaitOutput | Park:
        """Checks, then runs. Raises `PluginSessionError`, and what is no fault of the process."""
        registration = run.registration
        if not registration.id.strip():
            raise PluginSessionError(
                "missing_process_execution_id: process execution requires a non-empty persisted process id"
            )
        if not self._is_guarded:  # the facets of a worker never change
            guard_worker_facets(self._config)
            self._is_guarded = True
        if isinstance(registration.input, ExternalInput):
            return SuccessOutput({"metadata": registration.input.metadata})
        originator = registration.provenance.originator
        if isinstance(originator, SessionOriginator) and not originator.scope.session_id:
            raise PluginSessionError(f"process `{registration.id}` is missing a structured owner scope")
        token = CURRENT_RUN.set(run)
        try:
            return await self._dispatch(run, is_supplied=is_supplied)
        finally:
            CURRENT_RUN.reset(token)

    async def _run_alone(
        self,
        registration: ProcessRegistration,
        controller: EffectController,
        cancel: CancelToken | None,
        *,
        is_supplied: bool,
    ) -> ProcessAwaitOutput:
        run = ProcessRun(registration, controller, cancel or CancelToken(), self._config.engine.clock)
        outcome = await self.run(run, is_supplied=is_supplied)
        if isinstance(outcome, Park):
            raise PluginSessionError(f"process `{registration.id}` waits, and only a worker can park it")
        return outcome

    async def _dispatch(self, run: ProcessRun, *, is_supplied: bool) -> ProcessAwaitOutput | Park:
        work = run.registration.input
        if isinstance(work, SessionTurnInput):
            return await run_session_turn(self._config, run, work, is_supplied=is_supplied)
        assert isinstance(work, ToolCallInput | LashlangProcessInput | EngineInput)
        parts = await self._environments.rebuild(run.registration)
        if isinstance(work, ToolCallInput):
            try:
                return await run_tool_call(run, work, parts)
            except NOT_ITS_FAULT:
                raise
            except Exception as error:
                return _not_carried_out(run, work, error)
        kind = work.kind if isinstance(work, EngineInput) else "lashlang"
        engine = self._config.engines.get(kind) or self._own_engine(kind)
        if engine is None:
            return FailureOutput("unavailable", "process_engine_missing", f"process engine `{kind}` is not configured")
        return await engine.run(run, parts)

    def _own_engine(self, kind: str) -> ProcessEngine | None:
        if kind != "lashlang":
            return None
        if self._lashlang is None:
            # The language is large, and most workers never see a program.
            from lash.runtime.programs.engine import LashlangEngine

            self._lashlang = LashlangEngine(sink=self._config.engine.options.execution_sink)
        return self._lashlang


def _not_carried_out(run: ProcessRun, work: ToolCallInput, error: Exception) -> ProcessAwaitOutput | Park:
    """What becomes of a process whose tool call ended with an error of the runtime."""
    if run.parked is not None:
        return run.parked
    if run.cancel.is_cancelled and not run.cancel.is_requested:
        raise error  # the worker knows why
    if run.cancel.is_requested:
        return CancelledOutput(f"tool `{work.call.tool_name}` was cancelled")
    logger.exception("process %s: its tool call could not be carried out", run.process_id)
    return FailureOutput("internal", "process_tool_failed", str(error) or type(error).__name__)
