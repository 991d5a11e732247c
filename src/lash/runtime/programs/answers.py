"""What a program asks of its host, and the answers (docs/spec/lashlang.md §3.10, durability.md §5.4)."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Final

from lash.base.causes import ProcessCause
from lash.base.codec import to_json
from lash.base.json import Json, JsonObject
from lash.effects.envelope import Impact
from lash.effects.invocation import Replay
from lash.lashlang.execution import effects as asked
from lash.lashlang.execution.durations import InvalidSleep, deadline_ms, duration_ms
from lash.lashlang.execution.effects import Answer, Answered, BatchAnswered, Refused, Request
from lash.lashlang.execution.keys import event_key, operation_key, operation_name, request_key, signal_key
from lash.processes.errors import HandleNotVisible, InvalidProcessHandle, ReplayKeyConflict
from lash.processes.event_types import WAKE, YIELD, signal_event_type
from lash.processes.events import AppendRequest, resumed, waiting
from lash.processes.handles import handle_value, process_id_of
from lash.processes.registration import ProcessRegistration
from lash.processes.scopes import ProcessProvenance, SessionOriginator, SessionScope
from lash.processes.status import SignalWait, WaitState
from lash.runtime.programs.commands import answer_of, refusable, request_cancel, result_of, send_signal, signalled
from lash.runtime.programs.effects import ProgramEffects
from lash.runtime.programs.modules import DEFAULT_SIGNAL, Modules
from lash.runtime.programs.starting import ProgramStart, start_program
from lash.runtime.programs.triggers import ProgramTriggers, is_trigger_operation
from lash.runtime.worker.engines import ProcessParts
from lash.runtime.worker.run import Park, ProcessRun
from lash.tools.result import Cancelled, Failed, Succeeded, ToolCallOutput
from lash.tools.surface import Surface, program_value, tool_arguments


class ProgramAnswers:
    """Answers the requests of one run of a program."""

    def __init__(
        self, run: ProcessRun, parts: ProcessParts, effects: ProgramEffects, surface: Surface, modules: Modules
    ) -> None:
        self._run = run
        self._parts = parts
        self._effects = effects
        self._surface = surface
        self._registry = parts.processes
        self._modules = modules
        # What this run has started: seen without a grant.
        self._children: set[str] = set()

    async def to(self, request: Request) -> Answer:
        """The answer to one request. Raises `RunCut`, and what is no fault of the program."""
        return await _ANSWERS[type(request)](self, request)

    # tools

    async def _operation(self, request: asked.ResourceOperation) -> Answer:
        if is_trigger_operation(request.receiver.alias):
            return await self._trigger(request)
        return _answer(await self._effects.call(*self._call(request, None)))

    async def _batch(self, request: asked.ResourceOperationBatch) -> Answer:
        members = list(enumerate(request.operations))
        calls = [self._call(one, child) for child, one in members if not is_trigger_operation(one.receiver.alias)]
        outputs = iter(await self._effects.call_all(calls) if calls else [])
        answers = [
            await self._trigger(one) if is_trigger_operation(one.receiver.alias) else _answer(next(outputs))
            for _, one in members
        ]
        return BatchAnswered(tuple(answers))

    def _call(self, operation: asked.ResourceOperation, child: int | None) -> tuple[str, str, JsonObject]:
        receiver = operation.receiver
        module = self._surface.environment.resources.module_instances.get(receiver.alias)
        tool = None
        if module is not None and module.resource_type == receiver.type:
            tool = self._surface.tool_of(receiver.alias, operation.operation)
        # A tool that is not there fails as a call, which is recorded like any other.
        named = tool or f"{receiver.alias}.{operation.operation}"
        return operation_name(operation, child=child), named, tool_arguments(operation.payload)

    # triggers

    async def _trigger(self, request: asked.ResourceOperation) -> Answered | Refused:
        owner = _owner(self._run.registration)
        if owner is None:
            return Refused("triggers belong to a session, and no session has started this process")
        env_ref = self._run.registration.env_ref or ""
        triggers = ProgramTriggers(self._parts.triggers, self._modules, owner.session_id, _known(env_ref))
        key = operation_key(self._run.process_id, request)
        catalog = self._surface.environment.resources

        async def perform() -> Json:
            return await triggers.perform(request.operation, request.payload, catalog, key)

        return await self._command(key, {"op": f"triggers.{request.operation}", "request": request.payload}, perform)

    # time

    async def _sleep(self, request: asked.Sleep) -> Answer:
        try:
            if request.kind == "for":
                await self._effects.sleep(request.sequence, duration_ms=duration_ms(request.value))
            else:
                await self._effects.sleep(request.sequence, until_ms=deadline_ms(request.value))
        except InvalidSleep as error:
            return Refused(str(error))
        return Answered()

    # what others hear of

    async def _event(self, request: asked.ProcessEvent) -> Answer:
        event_type = YIELD if request.kind == "yield" else WAKE
        key = event_key(self._run.process_id, request)
        append = AppendRequest(event_type, {"value": request.value, "text": request.text}, Replay(key))

        async def perform() -> Json:
            await self._append(append)
            return None

        body: JsonObject = {"op": request.kind, "payload": append.payload}
        return await self._command(key, body, perform)

    # processes

    async def _start(self, request: asked.StartProcess) -> Answer:
        registration = self._run.registration
        assert registration.env_ref is not None, "programs run in a captured environment"
        target = registration.wake_target
        start = ProgramStart.of(
            request,
            f"parent-process:{self._run.process_id}",
            ProcessProvenance(registration.provenance.originator, ProcessCause(self._run.process_id)),
            registration.env_ref,
            wake_target=target,
            seen_by=target if isinstance(target, SessionScope) else None,
        )

        async def perform() -> Json:
            await start_program(start, self._parts, self._modules)
            return handle_value(start.process_id)

        key = f"process:{self._run.process_id}:process:start:{start.process_id}"
        answer = await self._command(key, {"op": "start", "process_id": start.process_id}, perform)
        if isinstance(answer, Answered):
            self._children.add(start.process_id)
        return answer

    async def _await(self, request: asked.AwaitHandle) -> Answer:
        async def perform() -> Json:
            process_id = await self._visible(process_id_of(request.value))
            if process_id == self._run.process_id:
                raise InvalidProcessHandle("a process cannot await itself")
            output = await self._run.until(self._registry.await_process(process_id), Park(awaited=(process_id,)))
            return to_json(output)

        key, body = request_key(self._run.process_id, request), {"op": "await", "handle": request.value}
        return result_of(await self._command(key, body, perform, "reads"))

    async def _cancel(self, request: asked.CancelHandle) -> Answer:
        async def perform() -> Json:
            return await request_cancel(self._registry, await self._visible(process_id_of(request.value)))

        body: JsonObject = {"op": "cancel", "handle": request.value}
        return await self._command(request_key(self._run.process_id, request), body, perform)

    # signals

    async def _signal(self, request: asked.SignalRun) -> Answer:
        name = request.name or DEFAULT_SIGNAL
        signal_id = signal_key(self._run.process_id, request)

        async def perform() -> Json:
            process_id = await self._visible(signalled(request.run))
            await send_signal(self._registry, process_id, name, request.payload, signal_id)
            return None

        body: JsonObject = {"op": "signal", "handle": request.run, "signal_name": name, "request": request.payload}
        return await self._command(signal_id, body, perform)

    async def _wait(self, request: asked.WaitSignal) -> Answer:
        name = request.name or DEFAULT_SIGNAL
        process_id = self._run.process_id

        async def perform() -> Json:
            event_type = signal_event_type(name)
            wait = SignalWait.of(process_id, name, event_type, request.ordinal)
            is_told = self._run.wait is not None and self._run.wait.kind == wait
            event = await self._registry.nth_event(process_id, event_type, request.ordinal)
            if event is None:
                if not is_told:
                    await self._tell_waiting(wait)
                arrival = self._registry.wait_nth_event(process_id, event_type, request.ordinal)
                event = await self._run.until(arrival, Park())
                is_told = True
            if is_told:
                await self._append(resumed(process_id, wait))
            return event.payload

        key = f"process:{process_id}:signal.{name}:await:{request.ordinal}"
        return await self._command(key, {"op": "wait_signal", "name": name}, perform, "reads")

    async def _tell_waiting(self, wait: SignalWait) -> None:
        state = WaitState(wait, self._run.clock.now_ms())
        with contextlib.suppress(ReplayKeyConflict):  # an earlier run has told it, at its own time
            await self._append(waiting(self._run.process_id, state))

    # ends

    async def _finish(self, request: asked.Finish) -> Answer:
        self._effects.check()
        return Answered(request.value)

    async def _fail(self, request: asked.Fail) -> Answer:
        self._effects.check()
        return Answered(request.value)

    # parts

    async def _command(
        self, key: str, body: JsonObject, perform: Callable[[], Awaitable[Json]], impact: Impact = "changes"
    ) -> Answered | Refused:
        """A command whose refusal is an answer, too: recorded, for the program to read."""

        return answer_of(await self._effects.command(key, body, refusable(perform), impact))

    async def _append(self, request: AppendRequest) -> None:
        result = await self._registry.append_event(self._run.process_id, request)
        if result.is_new:
            self._run.saw_own(result.event.sequence)

    async def _visible(self, process_id: str) -> str:
        """The process itself, if this one may use it. Raises `HandleNotVisible`."""
        if process_id in self._children:
            return process_id
        registration = self._run.registration
        originator, target = registration.provenance.originator, registration.wake_target
        if isinstance(originator, SessionOriginator):
            is_seen = await self._registry.has_handle_grant(originator.scope, process_id)
        else:  # the application sees everything
            is_seen = await self._registry.get_process(process_id) is not None
        if not is_seen and isinstance(target, SessionScope):
            is_seen = await self._registry.has_handle_grant(target, process_id)
        if not is_seen:
            raise HandleNotVisible(process_id)
        return process_id


def _owner(registration: ProcessRegistration) -> SessionScope | None:
    """The session that a process works for: the one that it wakes, else the one that started it."""
    if isinstance(registration.wake_target, SessionScope):
        return registration.wake_target
    originator = registration.provenance.originator
    return originator.scope if isinstance(originator, SessionOriginator) else None


def _known(env_ref: str) -> Callable[[], Awaitable[str]]:
    async def captured() -> str:
        return env_ref

    return captured


def _answer(output: ToolCallOutput) -> Answered | Refused:
    match output.outcome:
        case Succeeded(payload=value):
            return Answered(program_value(value))
        case Failed(payload=failure):
            return Refused(failure.message)
        case Cancelled(payload=cancelled):
            return Refused(cancelled.message)


async def _none(_answers: ProgramAnswers, request: Request) -> Answer:
    return Refused(f"{type(request).__name__} is not available in a process")


_ANSWERS: Final[dict[type, Callable[[ProgramAnswers, Any], Awaitable[Answer]]]] = {
    asked.ResourceOperation: ProgramAnswers._operation,
    asked.ResourceOperationBatch: ProgramAnswers._batch,
    asked.Sleep: ProgramAnswers._sleep,
    asked.ProcessEvent: ProgramAnswers._event,
    asked.StartProcess: ProgramAnswers._start,
    asked.AwaitHandle: ProgramAnswers._await,
    asked.CancelHandle: ProgramAnswers._cancel,
    asked.SignalRun: ProgramAnswers._signal,
    asked.WaitSignal: ProgramAnswers._wait,
    asked.Finish: ProgramAnswers._finish,
    asked.Fail: ProgramAnswers._fail,
    asked.Print: _none,
    asked.Submit: _none,
    asked.ReadValue: _none,
}
