"""Drives one turn: takes effects from the machine, puts them through the controller.

The machine decides, the controller executes or replays, this file carries between
them. It holds no rule of its own beyond what each effect needs to run live.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, Final, assert_never

from lash.base.cancel import CancelToken
from lash.base.clock import Clock
from lash.base.messages import Message
from lash.base.usage import LedgerEntry
from lash.effects.envelope import EffectCommand, EffectEnvelope, EffectOutcome
from lash.effects.invocation import Invocation, RuntimeScope, turn_replay_key
from lash.effects.local import Local
from lash.effects.ports import EffectController
from lash.machine.outcome import Stopped, SubmittedValue, ToolValue
from lash.machine.turn import TurnMachine
from lash.machine.values import (
    AnsweredEffect,
    Checkpoint,
    Done,
    Emit,
    ErrorReported,
    ExecCode,
    ExecCompleted,
    LlmCall,
    MachineEvent,
    ModelRequestStarted,
    ModelResponded,
    OutcomeReached,
    Progress,
    SyncEnvironment,
    ToolCalls,
    ToolsCompleted,
    UsageReported,
)
from lash.plugins.errors import PluginError
from lash.plugins.execution import Cell
from lash.plugins.hooks import AtCheckpoint
from lash.plugins.host import PluginSession
from lash.plugins.services import Lend
from lash.plugins.trail import HookTrail, LeftNode
from lash.runtime import activity
from lash.runtime.activity import ActivityStream
from lash.runtime.cell_effects import CellRun
from lash.runtime.checkpoint import CheckpointInbox, Delivery, ask_plugins, checkpoint_command
from lash.runtime.environment import EnvironmentSync, TurnAborted
from lash.runtime.hook_services.asking import LendingTurn
from lash.runtime.inbox import QueueInbox
from lash.runtime.mode_question import ModeQuestion
from lash.runtime.model_call import HistoryRef, llm_answer, llm_command, perform, told_text
from lash.runtime.output import OutputShaping
from lash.runtime.result import TurnIssue
from lash.runtime.tool_batch import ToolBatch, first_suffixes
from lash.runtime.turn_tools import TurnTools
from lash.tools.result import ToolCallRecord
from lash.tracing.turn import TurnTrace

# After so many model calls of one turn others have their turn.
_BREATH: Final = 8


@dataclass(slots=True)
class DrivenTurn:
    """What a drive of a turn came to, before it is committed."""

    done: Done
    issues: list[TurnIssue] = field(default_factory=list)
    tool_calls: list[ToolCallRecord] = field(default_factory=list)
    # Calls of whose results the model saw something else: their full values are kept apart.
    shaped_calls: set[str] = field(default_factory=set)
    # What tools used that asked models themselves.
    direct_usage: list[LedgerEntry] = field(default_factory=list)
    # What hooks appended to the session; committed behind what the turn said.
    appended: list[LeftNode] = field(default_factory=list)
    # Queued batches that came in at checkpoints: the commit settles them with the turn's own.
    delivered: set[str] = field(default_factory=set)


class TurnDriver:
    """One drive of one turn, live or in replay."""

    def __init__(
        self,
        *,
        machine: TurnMachine,
        controller: EffectController,
        environment: EnvironmentSync,
        tools: TurnTools,
        plugins: PluginSession,
        queue: QueueInbox,
        history: HistoryRef,
        scope: RuntimeScope,
        frame_id: str,
        stream: ActivityStream,
        cancel: CancelToken,
        clock: Clock,
        trail: HookTrail | None = None,
        trace: TurnTrace | None = None,
        lent: LendingTurn | None = None,
    ) -> None:
        self._machine = machine
        self._controller = controller
        self._environment = environment
        self._tools = tools
        self._plugins = plugins
        self._queue = queue
        self._history = history
        self._scope = scope
        self._frame_id = frame_id
        self._stream = stream
        self._cancel = cancel
        self._clock = clock
        self._trail = trail
        self._trace = trace
        self._lent = lent
        registered = plugins.registrations
        self._shapes_output = bool(registered.stream.items or registered.response.items)
        self._inbox = CheckpointInbox()
        self.issues: list[TurnIssue] = []
        self.tool_calls: list[ToolCallRecord] = []
        self.shaped_calls: set[str] = set()
        self.direct_usage: list[LedgerEntry] = []

    async def run(self) -> DrivenTurn:
        """Runs until the machine is done.

        Raises what belongs to the driver: a lost lease, a doubt, `TurnAborted`, trouble
        of the store. Everything else ends as an outcome.
        """
        while True:
            effect = self._machine.poll()
            match effect:
                case Done():
                    return DrivenTurn(effect, self.issues, self.tool_calls, self.shaped_calls, self.direct_usage)
                case Emit(event=event):
                    self._tell(event)
                case Progress():
                    pass
                case None:
                    raise AssertionError(f"the machine stands in {self._machine.state} without an effect")
                case _:
                    await self._perform(effect)

    def lend(self, where: str) -> Lend | None:
        """The services of the hooks at one place of the turn; None where no hook could use any."""
        return None if self._lent is None else self._lent.doors.lend(self._lent, where)

    def gather(self, driven: DrivenTurn) -> None:
        """Adds what came in at checkpoints, and what hooks leave for the commit."""
        driven.delivered = self._queue.delivered
        if self._trail is not None:
            driven.direct_usage = [*driven.direct_usage, *self._trail.usage]
            driven.appended = self._trail.nodes

    async def _perform(self, effect: AnsweredEffect) -> None:
        if self._cancel.is_requested and not self._is_recorded(effect):
            self._machine.interrupt(Stopped("cancelled"))
            return
        await self._stream.settled()
        try:
            match effect:
                case SyncEnvironment():
                    await self._sync(effect)
                case LlmCall():
                    await self._call_model(effect)
                case ToolCalls():
                    await self._run_tools(effect)
                case Checkpoint():
                    await self._look_for_input(effect)
                case ExecCode():
                    await self._run_cell(effect)
                case _:
                    assert_never(effect)
        except TurnAborted:
            raise  # the turn is refused as a whole: nothing of it enters history
        except PluginError as error:
            self._machine.interrupt(Stopped("runtime_error"), ErrorReported("plugin", error.code, error.message))

    async def _sync(self, effect: SyncEnvironment) -> None:
        envelope = self._envelope(effect.id, self._environment.command(effect))
        is_new = self._trace is not None and not self._controller.has_recorded(envelope.replay_key)
        outcome = await self._execute(
            envelope,
            Local(
                lambda _: self._recorded(self._environment.prepare(self._machine, self.lend("before_turn"))),
                impact="reads",
            ),
        )
        answer = await self._environment.answer(effect.id, outcome, self._controller)
        if self._trace is not None and is_new and answer.environment is not None:
            self._trace.prompt_built(
                self._machine.iteration, answer.environment.system_prompt, answer.environment.tool_specs
            )
        self._machine.answer(answer)

    async def _call_model(self, effect: LlmCall) -> None:
        if self._machine.iteration % _BREATH == _BREATH - 1:
            # A replay waits for nothing, nor does a model that answers at once: others have their turn all the same.
            await asyncio.sleep(0)
        envelope = self._envelope(effect.id, llm_command(effect.request, self._history))
        if self._plugins.protocol_session is not None:
            asking = ModeQuestion(self._runtime_scope(), effect.id, self._controller, envelope.replay_key)
            switch = await asking.switch(
                self._plugins.protocol_session, lambda: self._environment.request(effect.request, self._machine)
            )
            if switch is not None:
                self._machine.interrupt(switch)
                return
        correlation_id = f"llm:{effect.id}"
        protocol = self._plugins.protocol

        async def call(_envelope: EffectEnvelope) -> EffectOutcome:
            request = self._environment.request(effect.request, self._machine)
            performing = perform(
                self._environment.provider,
                request,
                cancel=self._cancel,
                clock=self._clock,
                stream=self._stream,
                correlation_id=correlation_id,
                shaping=self._shaping(correlation_id) if self._shapes_output else None,
                screen=None if protocol.screen is None else protocol.screen(),
                watch=None if self._trace is None else self._trace.watch(envelope),
            )
            return await self._recorded(performing)

        is_recorded = self._controller.has_recorded(envelope.replay_key)
        hearing = self._stream.hearing
        outcome = await self._execute(envelope, Local(call, impact="reads"))
        answer = llm_answer(effect.id, outcome)
        text = answer.response.full_text if answer.response is not None else ""
        told = told_text(outcome)
        text = text if told is None else told
        if protocol.shown_text is not None:
            text = protocol.shown_text(text)
        projector = self._plugins.registrations.prose_projector.item
        if projector is not None and text and not answer.text_streamed:
            text = projector.value(text)
        if text and (is_recorded or not answer.text_streamed):
            # A replayed or unstreamed answer is told once, whole.
            self._stream.tell(correlation_id, activity.AssistantProseDelta(text))
        elif text and self._stream.hearing != hearing:
            self._stream.make_whole(correlation_id, text)
        self._machine.answer(answer)

    async def _run_tools(self, effect: ToolCalls) -> None:
        batch = self._batch(turn_replay_key(self._runtime_scope(), "tool_batch", effect.id), effect.id)
        result = await batch.run(effect.calls)
        self.tool_calls += result.records
        self.shaped_calls.update(result.shaped)
        self.direct_usage += result.usage
        self._inbox.messages += result.messages
        self._machine.answer(ToolsCompleted(effect.id, result.completed))

    def _batch(self, parent_key: str, effect_number: int, *, is_shown: bool = True) -> ToolBatch:
        return ToolBatch(
            scope=self._runtime_scope(),
            parent_key=parent_key,
            effect_id=str(effect_number),
            frame_id=self._frame_id,
            catalog=self._tools.catalog,
            plugins=self._plugins,
            controller=self._controller,
            stream=self._stream,
            cancel=self._cancel,
            clock=self._clock,
            model=self._environment.direct,
            trail=self._trail,
            is_shown=is_shown,
            lend=self.lend,
        )

    async def _run_cell(self, effect: ExecCode) -> None:
        executor = self._plugins.protocol.executor
        assert executor is not None, "the mode starts cells and registers no executor"
        scope = self._runtime_scope()
        key = turn_replay_key(scope, "exec_code", effect.id)
        cell = CellRun(
            scope=scope,
            replay_key=key,
            number=effect.id,
            controller=self._controller,
            batch=self._batch(key, effect.id, is_shown=False),
            cancel=self._cancel,
        )
        correlation_id = f"code:{effect.id}"
        graph_key = f"effect:{scope.session_id}:{scope.turn_id}:{effect.id}"
        self._stream.tell(correlation_id, activity.CodeBlockStarted(effect.language, effect.code, graph_key))
        started = self._clock.monotonic()
        environment = self._machine.environment
        asked = Cell(
            effect.code,
            scope.turn_index or 0,
            effect.id,
            self._machine.messages,
            () if environment is None else environment.offered,
            scope.turn_id or "",
        )
        response = await executor.execute(asked, cell)
        self.tool_calls += cell.trace.records
        self._inbox.messages += cell.trace.messages
        self.direct_usage += cell.trace.direct_usage
        if self._stream.is_watched:
            output, error = response.get("output"), response.get("error")
            self._stream.tell(
                correlation_id,
                activity.CodeBlockCompleted(
                    effect.language,
                    [str(line) for line in output] if isinstance(output, list) else [],
                    error if isinstance(error, str) else None,
                    error is None,
                    round((self._clock.monotonic() - started) * 1000),
                    [record.call_id or "" for record in cell.trace.records],
                    graph_key,
                ),
            )
        if self._trace is not None and not self._controller.has_recorded_beyond(effect.id):
            mode = self._plugins.registrations.protocol.item
            is_ok, calls = response.get("error") is None, len(cell.trace.records)
            self._trace.stepped(
                self._machine.iteration,
                "" if mode is None else mode.plugin_id,
                {"cell": effect.id, "calls": calls, "is_ok": is_ok},
            )
        self._machine.answer(ExecCompleted(effect.id, response))

    async def _look_for_input(self, effect: Checkpoint) -> None:
        command = checkpoint_command(effect.checkpoint)
        if self._controller.has_recorded(turn_replay_key(self._runtime_scope(), command.kind, effect.id)):
            envelope = self._envelope(effect.id, command)
            delivery = Delivery.of_outcome(await self._execute(envelope, Local.unavailable()))
            self._inbox.take()
            await self._queue.reclaim(delivery.batch_ids)
        elif self._controller.has_recorded_beyond(effect.id):
            delivery = Delivery()
        else:
            delivery = await self._collect(effect)
            if not delivery.is_empty or (self._trail is not None and self._trail.has_moved):
                envelope = self._envelope(effect.id, command)
                await self._execute(envelope, Local(lambda _: self._recorded(_returning(delivery.outcome()))))
        if delivery.injected:
            self._stream.tell(
                f"checkpoint:{effect.id}", activity.QueuedInputAccepted(effect.checkpoint, delivery.injected)
            )
        self._machine.answer(delivery.answer(effect.id))
        self._queue.delivered.update(delivery.batch_ids)

    async def _collect(self, effect: Checkpoint) -> Delivery:
        messages = self._inbox.take()
        if self._plugins.registrations.checkpoint.items:
            context = AtCheckpoint(
                self._scope.session_id, self._scope.turn_id or "", effect.checkpoint, self._machine.messages
            )
            lend = self.lend(f"checkpoint:{effect.id}")
            messages += await ask_plugins(self._plugins, context, self._stream, lend)
        injected: list[Message]
        injected, batch_ids = await self._queue.claim()
        return Delivery(messages, injected, batch_ids)

    async def _execute(self, envelope: EffectEnvelope, local: Local) -> EffectOutcome:
        outcome = await self._controller.execute(envelope, local)
        if self._trail is not None:
            self._trail.follow(outcome.body)
        return outcome

    async def _recorded(self, running: Coroutine[Any, Any, EffectOutcome]) -> EffectOutcome:
        """The live outcome with what plugins remember since the last one."""
        outcome = await running
        if self._trail is None:
            return outcome
        return EffectOutcome(outcome.kind, self._trail.record(outcome.body), outcome.blobs)

    def _shaping(self, correlation_id: str) -> OutputShaping:
        return OutputShaping(
            self._plugins,
            self._stream,
            session_id=self._scope.session_id,
            turn_id=self._scope.turn_id or "",
            iteration=self._machine.iteration,
            correlation_id=correlation_id,
            cancel=self._cancel,
        )

    def _envelope(self, number: int, command: EffectCommand) -> EffectEnvelope:
        scope = self._runtime_scope()
        key = turn_replay_key(scope, command.kind, number)
        return EffectEnvelope(Invocation.effect(scope, str(number), command.kind, key), command)

    def _runtime_scope(self) -> RuntimeScope:
        return RuntimeScope(
            self._scope.session_id, self._scope.turn_id, self._scope.turn_index, self._machine.iteration
        )

    def _is_recorded(self, effect: AnsweredEffect) -> bool:
        """A cancel never cuts into what is recorded: the same history comes out of every drive."""
        if self._controller.has_recorded_beyond(effect.id):
            return True
        if isinstance(effect, ToolCalls):
            # A batch is no effect of its own (decisions 11): what some of its calls did is recorded.
            parent_key = turn_replay_key(self._runtime_scope(), "tool_batch", effect.id)
            return any(
                self._controller.has_recorded(f"{parent_key}:{suffix}")
                for index, call in enumerate(effect.calls)
                for suffix in first_suffixes(index, call)
            )
        if isinstance(effect, ExecCode):
            return self._controller.has_recorded_beyond(effect.id - 1)
        kind = str(effect.__struct_config__.tag)
        return self._controller.has_recorded(turn_replay_key(self._runtime_scope(), kind, effect.id))

    def _tell(self, event: MachineEvent) -> None:
        match event:
            case ModelRequestStarted(protocol_iteration=iteration):
                self._stream.tell("turn", activity.ModelRequestStarted(iteration))
            case UsageReported(protocol_iteration=iteration, usage=usage, cumulative=cumulative):
                self._stream.tell("turn", activity.Usage(iteration, usage, cumulative))
            case ErrorReported(kind=kind, code=code, message=message, terminal_reason=reason, raw=raw):
                self.issues.append(TurnIssue(kind, code, reason, message, raw))
                self._stream.tell("turn", activity.Error(message))
            case OutcomeReached(outcome=outcome):
                if isinstance(outcome, SubmittedValue):
                    self._stream.tell("turn", activity.SubmittedValueActivity(outcome.value))
                elif isinstance(outcome, ToolValue):
                    self._stream.tell("turn", activity.ToolValueActivity(outcome.tool_name, outcome.value))
            case ModelResponded():
                pass
            case _:
                assert_never(event)


async def _returning(outcome: EffectOutcome) -> EffectOutcome:
    return outcome
