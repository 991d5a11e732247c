"""The turn machine: one turn as a pure, synchronous state machine.

It owns what was said, the counters and the state below, and knows nothing of
clocks, IO or tasks. `poll` gives the next effect; answers come back through
`answer`. Driving it twice with the same answers yields the same effects, which is
what makes replay work (docs/spec/runtime.md §3).

```
preparing ──> waiting_environment ──> prepare_iteration ──> waiting_llm ─┬─> waiting_tools ─┐
    ^                                        ^                           ├─> waiting_exec  ─┤
    │                                        │                           └─> waiting_checkpoint
    └── each iteration that is not synced ───┴────────────── on nothing ─────────┤
                                                                finished <────────┘
```
"""

from __future__ import annotations

from collections import deque
from typing import Literal, assert_never

import msgspec

from lash.base.codec import from_json, to_json
from lash.base.json import Json, JsonObject
from lash.base.messages import Message, Part
from lash.base.usage import PromptUsage
from lash.machine.accounting import counted, reclassified
from lash.machine.conversation import cancelled_call, cause_message, tool_results_message, transient
from lash.machine.driver import (
    Action,
    Advance,
    Append,
    DriverContext,
    Finish,
    ProtocolDriver,
    ScheduleTurnLimit,
    StartCheckpoint,
    StartExec,
    StartLlm,
    StartTools,
    Tell,
    message_id,
)
from lash.machine.llm import LlmCallError
from lash.machine.outcome import Stopped, TurnOutcome
from lash.machine.snapshot import MachineSnapshot, State
from lash.machine.values import (
    AnsweredEffect,
    Checkpoint,
    CheckpointDelivered,
    Done,
    Emit,
    Environment,
    EnvironmentSynced,
    ErrorReported,
    ExecCode,
    ExecCompleted,
    LlmAnswered,
    LlmCall,
    MachineAnswer,
    MachineEffect,
    ModelRequestStarted,
    ModelResponded,
    OutcomeReached,
    Progress,
    Said,
    SyncEnvironment,
    ToolCalls,
    ToolsCompleted,
    TurnCause,
    TurnRecord,
    TurnTotals,
    UsageReported,
)

_HANDED_REASONS = frozenset({"stop", "tool_use", "unknown"})


class MachineConfig(msgspec.Struct, frozen=True):
    """What the host supplies again at every drive; never checkpointed."""

    driver: ProtocolDriver
    turn_index: int
    max_turns: int | None = None
    context_window_tokens: int | None = None
    # For the mode: its options for this turn, and the last model call of the turn before.
    turn_options: JsonObject = {}
    last_prompt: PromptUsage | None = None


class TurnMachine:
    """One turn. `messages` and `causes` are what it starts from."""

    def __init__(self, config: MachineConfig, messages: list[Message], causes: list[TurnCause] | None = None) -> None:
        self._config = config
        self._state: State = "preparing_protocol"
        self._pending: deque[MachineEffect] = deque()
        self._outstanding: AnsweredEffect | None = None
        self._next_id = 1
        self._iteration = 0
        self._synced_iteration = -1
        self._limit_scheduled = False
        self._records: list[TurnRecord] = [Said(message) for message in messages]
        self._causes: list[TurnCause] = list(causes or ())
        self._next_message = len(messages)
        self._totals = TurnTotals()
        self._environment: Environment | None = None
        self._driver_state: JsonObject | None = None
        self._on_empty: TurnOutcome | Literal["prepare_iteration"] = "prepare_iteration"
        self.outcome: TurnOutcome | None = None

    @property
    def state(self) -> State:
        """Where the machine stands."""
        return self._state

    @property
    def totals(self) -> TurnTotals:
        """Usage of the model calls so far."""
        return self._totals

    @property
    def records(self) -> list[TurnRecord]:
        """Everything said and recorded in this turn so far."""
        return list(self._records)

    @property
    def messages(self) -> list[Message]:
        """Everything said in this turn so far."""
        return [record.message for record in self._records if isinstance(record, Said)]

    @property
    def iteration(self) -> int:
        """The current iteration, from 0."""
        return self._iteration

    @property
    def environment(self) -> Environment | None:
        """The environment of the current iteration."""
        return self._environment

    # effects out

    def poll(self) -> MachineEffect | None:
        """The next effect; None while an answer is awaited or after `Done`."""
        while not self._pending:
            if self._outstanding is not None:
                return None
            match self._state:
                case "preparing_protocol":
                    self._sync_or_prepare()
                case "prepare_iteration":
                    self._apply(self._config.driver.prepare_iteration(self._context()))
                    if not self._pending and self._state == "prepare_iteration":
                        raise AssertionError("the mode prepared an iteration without doing anything")
                case _:
                    return None
        effect = self._pending.popleft()
        if isinstance(effect, AnsweredEffect):
            self._outstanding = effect
        return effect

    # answers in

    def answer(self, answer: MachineAnswer) -> None:
        """Takes the answer to the outstanding effect; any other answer is ignored."""
        awaited = self._outstanding
        if awaited is None or awaited.id != answer.id:
            return
        match awaited, answer:
            case SyncEnvironment(), EnvironmentSynced():
                self._outstanding = None
                self._on_environment(awaited, answer)
            case LlmCall(), LlmAnswered():
                self._outstanding = None
                self._on_llm(answer)
            case ToolCalls(), ToolsCompleted():
                self._outstanding = None
                self._apply(self._config.driver.handle_tool_results(self._context(), answer.results))
            case ExecCode(), ExecCompleted():
                self._outstanding = None
                self._apply(
                    self._config.driver.handle_exec_result(
                        self._context(), answer.response, answer.error, self._driver_state
                    )
                )
            case Checkpoint(), CheckpointDelivered():
                self._outstanding = None
                self._on_checkpoint(awaited, answer)
            case _:
                return

    def interrupt(self, outcome: TurnOutcome, error: ErrorReported | None = None) -> None:
        """Ends the turn from outside, with a history that a provider accepts.

        Calls that got no result are answered as cancelled.
        """
        if self._state == "finished":
            return
        # A batch is outstanding, or said and not handed out yet (also: just restored).
        for effect in (self._outstanding, *self._pending):
            if isinstance(effect, ToolCalls):
                self._say(tool_results_message("", [cancelled_call(call) for call in effect.calls]))
        self._outstanding = None
        self._pending.clear()
        self._finish(outcome, error)

    # checkpoint and restore

    def checkpoint(self) -> JsonObject:
        """The machine as JSON; the outstanding effect is delivered again after `restore`."""
        snapshot = MachineSnapshot(
            state=self._state,
            iteration=self._iteration,
            next_id=self._next_id,
            next_message=self._next_message,
            synced_iteration=self._synced_iteration,
            limit_scheduled=self._limit_scheduled,
            records=self._records,
            causes=self._causes,
            totals=self._totals,
            environment=self._environment,
            outstanding=None if self._outstanding is None else _object(to_json(self._outstanding)),
            pending=[_object(to_json(effect)) for effect in self._pending],
            driver_state=self._driver_state,
            on_empty=None if self._on_empty == "prepare_iteration" else _object(to_json(self._on_empty)),
            outcome=None if self.outcome is None else _object(to_json(self.outcome)),
        )
        return _object(to_json(snapshot))

    @staticmethod
    def restore(config: MachineConfig, checkpoint: JsonObject) -> TurnMachine:
        """The machine as it was; its outstanding effect comes first out of `poll`, exactly once."""
        snapshot = from_json(checkpoint, MachineSnapshot)
        machine = TurnMachine(config, [])
        machine._state = snapshot.state
        machine._iteration = snapshot.iteration
        machine._next_id = snapshot.next_id
        machine._next_message = snapshot.next_message
        machine._synced_iteration = snapshot.synced_iteration
        machine._limit_scheduled = snapshot.limit_scheduled
        machine._records = list(snapshot.records)
        machine._causes = list(snapshot.causes)
        machine._totals = snapshot.totals
        machine._environment = snapshot.environment
        machine._driver_state = snapshot.driver_state
        if snapshot.on_empty is not None:
            machine._on_empty = from_json(snapshot.on_empty, TurnOutcome)  # type: ignore[arg-type]
        if snapshot.outcome is not None:
            machine.outcome = from_json(snapshot.outcome, TurnOutcome)  # type: ignore[arg-type]
        effects = [snapshot.outstanding, *snapshot.pending] if snapshot.outstanding else snapshot.pending
        machine._pending = deque(from_json(effect, MachineEffect) for effect in effects)  # type: ignore[arg-type]
        return machine

    # transitions

    def _sync_or_prepare(self) -> None:
        if self._synced_iteration == self._iteration:
            self._state = "prepare_iteration"
            return
        self._state = "waiting_execution_environment"
        self._pending.append(SyncEnvironment(self._take_id(), update_machine_config=True))

    def _on_environment(self, awaited: SyncEnvironment, answer: EnvironmentSynced) -> None:
        if answer.error is not None:
            self._finish(
                Stopped("runtime_error"), ErrorReported("execution_environment", "reconfigure_failed", answer.error)
            )
            return
        if answer.environment is not None and awaited.update_machine_config:
            self._environment = answer.environment
        for message in answer.messages:
            self._say(message)
        self._synced_iteration = self._iteration
        self._state = "prepare_iteration"

    def _on_llm(self, answer: LlmAnswered) -> None:
        self._totals = msgspec.structs.replace(self._totals, model_calls=self._totals.model_calls + answer.attempts)
        if answer.response is None:
            self._on_llm_error(answer.error or LlmCallError("Unknown", "the call ended without an answer"))
            return
        window = self._config.context_window_tokens
        response = reclassified(answer.response, window)
        self._totals = counted(self._totals, response, window)
        self._pending.append(Emit(UsageReported(self._iteration, response.usage, self._totals.usage)))
        self._pending.append(Emit(ModelResponded(response.full_text, answer.text_streamed)))
        reason = response.terminal_reason
        if reason in _HANDED_REASONS:
            self._apply(self._config.driver.handle_llm_success(self._context(), response, self._driver_state))
            return
        outcome = {"output_limit": Stopped("incomplete"), "cancelled": Stopped("cancelled")}.get(
            reason, Stopped("provider_error")
        )
        if response.full_text:
            self._say(Message("", "assistant", [Part("p0", "prose", response.full_text)]))
        diagnostic = response.terminal_diagnostic or f"the model stopped: {reason}"
        self._finish(outcome, ErrorReported("llm_provider", reason, diagnostic, terminal_reason=reason))

    def _on_llm_error(self, error: LlmCallError) -> None:
        reason = "cancelled" if error.terminal_reason == "cancelled" else "provider_error"
        self._finish(
            Stopped("cancelled" if reason == "cancelled" else "provider_error"),
            ErrorReported("llm_provider", error.code or reason, error.message, error.terminal_reason, error.raw),
        )

    def _on_checkpoint(self, awaited: Checkpoint, delivery: CheckpointDelivered) -> None:
        if delivery.is_empty:
            if self._on_empty == "prepare_iteration":
                self._state = "preparing_protocol"
            else:
                self._finish(self._on_empty)
            return
        for message in delivery.messages:
            self._say(message)
        for message in delivery.transient_messages:
            self._say(transient(message))
        known = {cause.id for cause in self._causes}
        for cause in delivery.turn_causes:
            if cause.id not in known:
                known.add(cause.id)
                self._causes.append(cause)
                self._say(cause_message("", cause))
        if awaited.checkpoint == "before_completion":
            if self._limit_scheduled:
                self._finish(Stopped("max_turns"))
                return
            self._iteration += 1
            context = self._context()
            if context.max_turns is not None and self._iteration >= context.max_turns:
                self._apply([ScheduleTurnLimit(self._config.driver.turn_limit_message(context))])
        self._state = "preparing_protocol"

    def _apply(self, actions: list[Action]) -> None:
        progressed = False
        for action in actions:
            match action:
                case Tell(event=event):
                    self._pending.append(Emit(event))
                case Append(records=records):
                    self._append(records)
                    progressed = True
                case Advance():
                    self._iteration += 1
                    progressed = True
                case ScheduleTurnLimit(message=message):
                    if not self._limit_scheduled:
                        self._limit_scheduled = True
                        self._append([Said(message)])
                        progressed = True
                case StartLlm(request=request, driver_state=driver_state):
                    self._driver_state = driver_state
                    tools = self._environment.tool_specs if self._environment and request.use_tools else []
                    self._pending.append(
                        Emit(
                            ModelRequestStarted(request.iteration, len(request.messages), [tool.name for tool in tools])
                        )
                    )
                    self._state = "waiting_llm"
                    self._pending.append(LlmCall(self._take_id(), request))
                case StartTools(calls=calls):
                    self._state = "waiting_tools"
                    self._pending.append(ToolCalls(self._take_id(), calls))
                case StartExec(language=language, code=code, driver_state=driver_state):
                    self._driver_state = driver_state
                    self._state = "waiting_exec"
                    self._pending.append(ExecCode(self._take_id(), language, code))
                case StartCheckpoint(checkpoint=kind, on_empty=on_empty):
                    self._on_empty = on_empty
                    self._state = "waiting_checkpoint"
                    self._pending.append(Checkpoint(self._take_id(), kind))
                case Finish(outcome=outcome, error=error):
                    self._finish(outcome, error)
                    return
                case _:
                    assert_never(action)
        if progressed:
            self._pending.appendleft(Progress(len(self._records), self._iteration))

    def _finish(self, outcome: TurnOutcome, error: ErrorReported | None = None) -> None:
        if error is not None:
            self._pending.append(Emit(error))
        self.outcome = outcome
        self._state = "finished"
        self._pending.append(Emit(OutcomeReached(outcome)))
        self._pending.append(Done(outcome, list(self._records), self._iteration))

    # bookkeeping

    def _context(self) -> DriverContext:
        return DriverContext(
            turn_index=self._config.turn_index,
            messages=self.messages,
            turn_causes=self._causes,
            protocol_iteration=self._iteration,
            max_turns=self._config.max_turns,
            environment_ref=self._environment.ref if self._environment else "",
            next_message_number=self._next_message,
            is_grace_iteration=self._limit_scheduled,
            turn_options=self._config.turn_options,
            last_prompt=self._totals.last_prompt or self._config.last_prompt,
        )

    def _append(self, records: list[TurnRecord]) -> None:
        for record in records:
            if isinstance(record, Said) and record.message.id == message_id(
                self._config.turn_index, self._next_message
            ):
                self._next_message += 1
        self._records.extend(records)

    def _say(self, message: Message) -> None:
        number = message_id(self._config.turn_index, self._next_message)
        self._append([Said(msgspec.structs.replace(message, id=number))])

    def _take_id(self) -> int:
        taken = self._next_id
        self._next_id += 1
        return taken


def _object(json: Json) -> JsonObject:
    assert isinstance(json, dict)
    return json
