"""What goes in and out of the turn machine: requests for effects, and their answers.

Effect ids are integers from 1, never reused within a turn. An answer whose id is
not the awaited one is ignored (docs/spec/runtime.md §3.2, §3.3).
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from lash.base.json import Json, JsonObject
from lash.base.messages import AttachmentRef, Message, MessageOrigin
from lash.base.usage import PromptUsage, TokenUsage
from lash.machine.llm import Generation, LlmCallError, LlmResponse, OutputSpec, ToolSpec
from lash.machine.outcome import TurnOutcome

CheckpointKind: TypeAlias = Literal["after_work", "before_completion"]


class TurnCause(msgspec.Struct, frozen=True):
    """Why a turn runs, when nobody typed something: shown once, stored as an event message."""

    id: str
    event_type: str
    text: str
    origin: MessageOrigin | None = None


class ProtocolRecord(msgspec.Struct, frozen=True, tag="protocol", tag_field="type"):
    """An opaque record of the execution mode, stored as a graph node."""

    plugin_id: str
    payload: Json


class Said(msgspec.Struct, frozen=True, tag="message", tag_field="type"):
    """A message that became part of the turn."""

    message: Message


TurnRecord: TypeAlias = Said | ProtocolRecord


class Environment(msgspec.Struct, frozen=True):
    """What a model call runs with; content-addressed, so that a request can name it by `ref`."""

    ref: str
    system_prompt: str
    tool_specs: list[ToolSpec] = []
    # What programs may call, in the mode's own words.
    offered: list[JsonObject] = []


class RequestSpec(msgspec.Struct, frozen=True):
    """A model call as the machine asks for it: this turn's messages, everything else by reference."""

    iteration: int
    messages: list[Message]
    environment_ref: str
    use_tools: bool = True
    output_spec: OutputSpec | None = None
    generation: Generation = Generation()


class PendingCall(msgspec.Struct, frozen=True, gc=False):
    """A tool call the model asked for. `args` is None when its JSON could not be parsed."""

    call_id: str
    tool_name: str
    args: JsonObject | None
    replay: Json = None


class SwitchFrame(msgspec.Struct, frozen=True, tag="switch_agent_frame", tag_field="type"):
    """A tool wants the session to go on in another frame."""

    frame_id: str
    task: str | None = None
    initial_nodes: list[Json] = []


class FinishTurn(msgspec.Struct, frozen=True, tag="finish", tag_field="type"):
    """A tool ends the turn with a value."""

    value: Json


class FailTurn(msgspec.Struct, frozen=True, tag="fail", tag_field="type"):
    """A tool ends the turn with a failure."""

    failure: Json


TurnControl: TypeAlias = SwitchFrame | FinishTurn | FailTurn


class CompletedCall(msgspec.Struct, frozen=True):
    """What came of a tool call, as far as the conversation is concerned."""

    call_id: str
    tool_name: str
    content: str
    status: Literal["success", "failure", "cancelled"] = "success"
    attachments: list[AttachmentRef] = []
    control: TurnControl | None = None


class SyncEnvironment(msgspec.Struct, frozen=True, tag="sync_execution_environment", tag_field="type"):
    """Asks for the prompt and the tools that hold from now on."""

    id: int
    update_machine_config: bool


class LlmCall(msgspec.Struct, frozen=True, tag="llm_call", tag_field="type"):
    """Asks the model."""

    id: int
    request: RequestSpec


class ToolCalls(msgspec.Struct, frozen=True, tag="tool_calls", tag_field="type"):
    """Runs a batch of tool calls."""

    id: int
    calls: list[PendingCall]


class ExecCode(msgspec.Struct, frozen=True, tag="exec_code", tag_field="type"):
    """Runs a cell."""

    id: int
    language: str
    code: str


class Checkpoint(msgspec.Struct, frozen=True, tag="checkpoint", tag_field="type"):
    """Asks whether anything arrived that this turn should take in."""

    id: int
    checkpoint: CheckpointKind


class Emit(msgspec.Struct, frozen=True, tag="emit", tag_field="type"):
    """Tells whoever watches."""

    event: MachineEvent


class Progress(msgspec.Struct, frozen=True, tag="progress", tag_field="type"):
    """The turn reached a point from which it could be shown; kept in memory only (decisions 15)."""

    record_count: int
    iteration: int


class Done(msgspec.Struct, frozen=True, tag="done", tag_field="type"):
    """The turn is over; the host commits `records`."""

    outcome: TurnOutcome
    records: list[TurnRecord]
    iteration: int


class ModelRequestStarted(msgspec.Struct, frozen=True, tag="llm_request", tag_field="type"):
    """A model call starts."""

    protocol_iteration: int
    message_count: int
    tool_names: list[str]


class ModelResponded(msgspec.Struct, frozen=True, tag="llm_response", tag_field="type"):
    """A model call ended. `text_streamed`: its text was already told piece by piece."""

    text: str
    text_streamed: bool


class UsageReported(msgspec.Struct, frozen=True, tag="token_usage", tag_field="type"):
    """What a model call used, and the turn so far."""

    protocol_iteration: int
    usage: TokenUsage
    cumulative: TokenUsage


class ErrorReported(msgspec.Struct, frozen=True, tag="error", tag_field="type"):
    """Something went wrong that the turn's result will show."""

    kind: str
    code: str
    message: str
    terminal_reason: str | None = None
    raw: Json = None


class OutcomeReached(msgspec.Struct, frozen=True, tag="turn_outcome", tag_field="type"):
    """The turn's outcome."""

    outcome: TurnOutcome


MachineEvent: TypeAlias = ModelRequestStarted | ModelResponded | UsageReported | ErrorReported | OutcomeReached
AnsweredEffect: TypeAlias = SyncEnvironment | LlmCall | ToolCalls | ExecCode | Checkpoint
MachineEffect: TypeAlias = AnsweredEffect | Emit | Progress | Done


class EnvironmentSynced(msgspec.Struct, frozen=True, tag="execution_environment_synced", tag_field="type"):
    """The environment from now on; None leaves it as it is. `error` fails the turn."""

    id: int
    environment: Environment | None = None
    error: str | None = None
    # What preparation adds to the turn before the model is asked.
    messages: list[Message] = []


class LlmAnswered(msgspec.Struct, frozen=True, tag="llm_complete", tag_field="type"):
    """The model answered, or failed for good: exactly one of the two is set."""

    id: int
    response: LlmResponse | None = None
    error: LlmCallError | None = None
    text_streamed: bool = False
    attempts: int = 1


class ToolsCompleted(msgspec.Struct, frozen=True, tag="tool_results", tag_field="type"):
    """What came of each call, in call order."""

    id: int
    results: list[CompletedCall]


class ExecCompleted(msgspec.Struct, frozen=True, tag="exec_result", tag_field="type"):
    """What came of a cell: a response the mode understands, or an error."""

    id: int
    response: JsonObject | None = None
    error: str | None = None


class CheckpointDelivered(msgspec.Struct, frozen=True, tag="checkpoint_delivery", tag_field="type"):
    """What arrived at a checkpoint. Transient messages are shown to the model and not kept."""

    id: int
    messages: list[Message] = []
    transient_messages: list[Message] = []
    turn_causes: list[TurnCause] = []

    @property
    def is_empty(self) -> bool:
        """Whether nothing arrived."""
        return not (self.messages or self.transient_messages or self.turn_causes)


MachineAnswer: TypeAlias = EnvironmentSynced | LlmAnswered | ToolsCompleted | ExecCompleted | CheckpointDelivered


class TurnTotals(msgspec.Struct, frozen=True):
    """What the turn's model calls used. `model_calls` counts attempts (decisions 23)."""

    usage: TokenUsage = TokenUsage()
    model_calls: int = 0
    last_prompt: PromptUsage | None = None
