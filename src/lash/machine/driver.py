"""The contract between the machine and an execution mode.

The mode is asked at four moments and answers with actions; it holds no state of
its own between them (docs/spec/runtime.md §3.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from lash.base.json import JsonObject
from lash.base.messages import Message
from lash.base.usage import PromptUsage
from lash.machine.llm import Generation, LlmResponse, OutputSpec
from lash.machine.outcome import TurnOutcome
from lash.machine.values import (
    CheckpointKind,
    CompletedCall,
    ErrorReported,
    MachineEvent,
    PendingCall,
    RequestSpec,
    TurnCause,
    TurnRecord,
)


@dataclass(frozen=True, slots=True)
class DriverContext:
    """What a mode may look at: this turn so far. History is the projector's business."""

    turn_index: int
    messages: Sequence[Message]
    turn_causes: Sequence[TurnCause]
    protocol_iteration: int
    max_turns: int | None
    environment_ref: str
    next_message_number: int
    is_grace_iteration: bool
    # What the mode was told for this turn, and how full the context was at the last model call.
    turn_options: JsonObject = field(default_factory=dict)
    last_prompt: PromptUsage | None = None

    def message_id(self, offset: int = 0) -> str:
        """The id of the next message of this turn: the same in every drive, unique in the session."""
        return message_id(self.turn_index, self.next_message_number + offset)

    def request(
        self,
        *,
        use_tools: bool = True,
        output_spec: OutputSpec | None = None,
        generation: Generation | None = None,
    ) -> RequestSpec:
        """A model request over everything said so far."""
        return RequestSpec(
            iteration=self.protocol_iteration,
            messages=list(self.messages),
            environment_ref=self.environment_ref,
            use_tools=use_tools,
            output_spec=output_spec,
            generation=generation or Generation(),
        )

    @property
    def is_turn_limit_next(self) -> bool:
        """Whether the next iteration would be one too many."""
        return self.max_turns is not None and self.protocol_iteration + 1 >= self.max_turns


@dataclass(frozen=True, slots=True)
class Append:
    """Adds messages and protocol records to the turn."""

    records: list[TurnRecord]


@dataclass(frozen=True, slots=True)
class Tell:
    """Emits an event."""

    event: MachineEvent


@dataclass(frozen=True, slots=True)
class StartLlm:
    """Calls the model."""

    request: RequestSpec
    driver_state: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class StartTools:
    """Runs tool calls."""

    calls: list[PendingCall]


@dataclass(frozen=True, slots=True)
class StartExec:
    """Runs a cell."""

    language: str
    code: str
    driver_state: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class StartCheckpoint:
    """Looks for input. When nothing arrived: go on with another iteration, or finish."""

    checkpoint: CheckpointKind
    on_empty: TurnOutcome | Literal["prepare_iteration"]


@dataclass(frozen=True, slots=True)
class Advance:
    """Counts one more iteration."""


@dataclass(frozen=True, slots=True)
class ScheduleTurnLimit:
    """Appends a last notice and grants exactly one grace iteration."""

    message: Message


@dataclass(frozen=True, slots=True)
class Finish:
    """Ends the turn; later actions are dropped."""

    outcome: TurnOutcome
    error: ErrorReported | None = None


Action: TypeAlias = (
    Append | Tell | StartLlm | StartTools | StartExec | StartCheckpoint | Advance | ScheduleTurnLimit | Finish
)


class ProtocolDriver(Protocol):
    """An execution mode, as far as the machine is concerned. Stateless and pure."""

    @property
    def plugin_id(self) -> str: ...

    def prepare_iteration(self, context: DriverContext) -> list[Action]:
        """Start of each iteration."""
        ...

    def handle_llm_success(
        self, context: DriverContext, response: LlmResponse, driver_state: JsonObject | None
    ) -> list[Action]:
        """The model answered with a reason that is the mode's business."""
        ...

    def handle_tool_results(self, context: DriverContext, results: list[CompletedCall]) -> list[Action]:
        """A batch of calls is done."""
        ...

    def handle_exec_result(
        self, context: DriverContext, response: JsonObject | None, error: str | None, driver_state: JsonObject | None
    ) -> list[Action]:
        """A cell is done."""
        ...

    def turn_limit_message(self, context: DriverContext) -> Message:
        """The notice that only one iteration is left."""
        ...


def message_id(turn_index: int, number: int) -> str:
    """The id of message `number` of a turn; also the id of its graph node."""
    return f"t{turn_index}.{number}"
