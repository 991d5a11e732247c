"""What the tests of the machine share: a mode that does what it is told, and answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lash.base.json import JsonObject
from lash.base.messages import Message, Part, user_message
from lash.base.usage import TokenUsage
from lash.machine.driver import Action, DriverContext, ProtocolDriver, StartLlm
from lash.machine.llm import LlmResponse, TerminalReason, TextPart, ToolCallPart
from lash.machine.turn import MachineConfig, TurnMachine
from lash.machine.values import (
    AnsweredEffect,
    Checkpoint,
    CheckpointDelivered,
    CompletedCall,
    Done,
    Emit,
    Environment,
    EnvironmentSynced,
    LlmAnswered,
    LlmCall,
    MachineAnswer,
    MachineEffect,
    MachineEvent,
    SyncEnvironment,
    ToolCalls,
    ToolsCompleted,
)
from lash.protocols.standard import StandardDriver

Decide = Callable[[DriverContext], list[Action]]
ENVIRONMENT = Environment("env-1", "Be brief.")


class PlannedDriver:
    """A mode whose answers a test gives one by one; without any it calls the model."""

    plugin_id = "planned"

    def __init__(
        self,
        *,
        prepare: Sequence[Decide] = (),
        llm: Sequence[Decide] = (),
        tools: Sequence[Decide] = (),
        cells: Sequence[Decide] = (),
    ) -> None:
        self._prepare = list(prepare)
        self._llm = list(llm)
        self._tools = list(tools)
        self._cells = list(cells)
        self.contexts: list[DriverContext] = []
        self.driver_states: list[JsonObject | None] = []

    def prepare_iteration(self, context: DriverContext) -> list[Action]:
        self.contexts.append(context)
        return self._prepare.pop(0)(context) if self._prepare else [StartLlm(context.request())]

    def handle_llm_success(
        self, context: DriverContext, response: LlmResponse, driver_state: JsonObject | None
    ) -> list[Action]:
        self.driver_states.append(driver_state)
        return self._llm.pop(0)(context)

    def handle_tool_results(self, context: DriverContext, results: list[CompletedCall]) -> list[Action]:
        return self._tools.pop(0)(context)

    def handle_exec_result(
        self, context: DriverContext, response: JsonObject | None, error: str | None, driver_state: JsonObject | None
    ) -> list[Action]:
        self.driver_states.append(driver_state)
        return self._cells.pop(0)(context)

    def turn_limit_message(self, context: DriverContext) -> Message:
        return Message(context.message_id(), "system", [Part("p0", "text", "one step is left")])


def machine(
    driver: ProtocolDriver | None = None,
    *,
    max_turns: int | None = None,
    window: int | None = None,
    said: str = "hello",
) -> TurnMachine:
    """A machine of turn 3 with one user message."""
    return TurnMachine(config(driver, max_turns=max_turns, window=window), [user_message("t3.0", said)])


def config(
    driver: ProtocolDriver | None = None, *, max_turns: int | None = None, window: int | None = None
) -> MachineConfig:
    """The host's half of that machine."""
    return MachineConfig(driver or StandardDriver(), 3, max_turns, window)


def next_effect(turn: TurnMachine, told: list[MachineEvent] | None = None) -> AnsweredEffect | Done:
    """The next effect that needs an answer, or the end; events on the way go into `told`."""
    while True:
        effect: MachineEffect | None = turn.poll()
        assert effect is not None, f"the machine stands in {turn.state}"
        if isinstance(effect, AnsweredEffect | Done):
            return effect
        if isinstance(effect, Emit) and told is not None:
            told.append(effect.event)


def run_with(turn: TurnMachine, *answers: Callable[[int], MachineAnswer]) -> AnsweredEffect | Done:
    """Answers effects in order; syncs and checkpoints that no answer is meant for go by themselves."""
    waiting = list(answers)
    while True:
        effect = next_effect(turn)
        if isinstance(effect, Done):
            assert not waiting, f"{len(waiting)} answers were not needed"
            return effect
        if isinstance(effect, SyncEnvironment):
            turn.answer(synced(effect.id))
        elif not waiting:
            return effect
        else:
            turn.answer(waiting.pop(0)(effect.id))


def synced(effect_id: int) -> EnvironmentSynced:
    return EnvironmentSynced(effect_id, ENVIRONMENT)


def text(said: str, usage: TokenUsage = TokenUsage(10, 2)) -> Callable[[int], MachineAnswer]:  # noqa: B008 - frozen
    """The model says something."""
    return lambda effect_id: LlmAnswered(effect_id, LlmResponse([TextPart(said)], usage))


def stopped(reason: TerminalReason, said: str = "", usage: TokenUsage = TokenUsage()) -> Callable[[int], MachineAnswer]:  # noqa: B008
    """The model stops for a reason of its own."""
    parts = [TextPart(said)] if said else []
    return lambda effect_id: LlmAnswered(effect_id, LlmResponse([*parts], usage, terminal_reason=reason))


def wants(*call_ids: str) -> Callable[[int], MachineAnswer]:
    """The model calls `look` once per id."""
    parts = [ToolCallPart(call_id, "look", "{}") for call_id in call_ids]
    return lambda effect_id: LlmAnswered(effect_id, LlmResponse([*parts], TokenUsage(10, 2), "tool_use"))


def results(*given: CompletedCall) -> Callable[[int], MachineAnswer]:
    return lambda effect_id: ToolsCompleted(effect_id, list(given))


def found(call_id: str) -> CompletedCall:
    return CompletedCall(call_id, "look", f"result of {call_id}")


def nothing(effect_id: int) -> CheckpointDelivered:
    """Nothing arrived."""
    return CheckpointDelivered(effect_id)


def arrived(*said: str) -> Callable[[int], MachineAnswer]:
    """User messages arrived."""
    return lambda effect_id: CheckpointDelivered(effect_id, messages=[user_message("", one) for one in said])


__all__ = [
    "ENVIRONMENT",
    "Checkpoint",
    "LlmCall",
    "PlannedDriver",
    "ToolCalls",
    "arrived",
    "config",
    "found",
    "machine",
    "next_effect",
    "nothing",
    "results",
    "run_with",
    "stopped",
    "synced",
    "text",
    "wants",
]
