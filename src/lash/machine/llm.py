"""What the machine asks of a model, and what it hears back.

Values only: providers (providers/, testing/) turn them into wires and back. Shapes
follow docs/spec/runtime.md §8.1 and §8.2.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal, TypeAlias

import msgspec

from lash.base.json import Json, JsonObject
from lash.base.messages import AttachmentRef
from lash.base.usage import TokenUsage
from lash.machine.capability import ModelCapability

LlmRole: TypeAlias = Literal["user", "assistant", "system"]
ToolChoice: TypeAlias = Literal["auto", "none", "required"]

# Why a model stopped. The first three are handed to the mode; the others end the turn.
TerminalReason: TypeAlias = Literal[
    "stop",
    "tool_use",
    "unknown",
    "output_limit",
    "context_overflow",
    "content_filter",
    "provider_error",
    "cancelled",
]


class TextBlock(msgspec.Struct, frozen=True, tag="text", tag_field="type"):
    """Text."""

    text: str
    response_meta: Json = None
    cache_breakpoint: bool = False


class ImageBlock(msgspec.Struct, frozen=True, tag="image", tag_field="type"):
    """An attachment, by reference; its bytes are resolved just before the call."""

    attachment: AttachmentRef


class ToolCallBlock(msgspec.Struct, frozen=True, tag="tool_call", tag_field="type"):
    """A call the model made earlier."""

    call_id: str
    tool_name: str
    input_json: str
    replay: Json = None


class ToolResultBlock(msgspec.Struct, frozen=True, tag="tool_result", tag_field="type"):
    """What came of a call."""

    call_id: str
    content: str
    tool_name: str | None = None


class ReasoningBlock(msgspec.Struct, frozen=True, tag="reasoning", tag_field="type"):
    """Reasoning to be replayed to the provider that produced it."""

    text: str
    replay: Json = None


LlmBlock: TypeAlias = TextBlock | ImageBlock | ToolCallBlock | ToolResultBlock | ReasoningBlock


class LlmMessage(msgspec.Struct, frozen=True):
    """One message of a request."""

    role: LlmRole
    blocks: list[LlmBlock]

    @property
    def text(self) -> str:
        """The text blocks, joined by blank lines."""
        return "\n\n".join(block.text for block in self.blocks if isinstance(block, TextBlock))


class ToolSpec(msgspec.Struct, frozen=True):
    """A tool as the model sees it."""

    name: str
    description: str
    input_schema: JsonObject
    output_schema: JsonObject | None = None
    input_schema_projections: dict[str, JsonObject] = {}
    output_schema_projections: dict[str, JsonObject] = {}


class OutputSpec(msgspec.Struct, frozen=True):
    """Structured output: any JSON object, or one that matches a schema."""

    kind: Literal["json_object", "json_schema"]
    name: str = ""
    schema: JsonObject | None = None
    strict: bool = True


class Generation(msgspec.Struct, frozen=True):
    """Sampling options that the host sets; unset ones are the provider's own."""

    output_token_cap: int | None = None
    temperature: float | None = None
    seed: int | None = None


class RequestPlace(msgspec.Struct, frozen=True):
    """Where in its session a request stands, the same in every drive of a turn.

    `model_call` counts from 0: committed model calls of the session, plus calls
    recorded in this turn, plus the attempt (decisions 23).
    """

    turn_id: str = ""
    turn_index: int = 0
    iteration: int = 0
    model_call: int = 0


# Gives the bytes of an attachment by its id.
LoadAttachment: TypeAlias = Callable[[str], Awaitable[bytes]]


class LlmRequest(msgspec.Struct, frozen=True):
    """One model call. `load_attachment` is live and lent by whoever asks, for the time of the call."""

    model: str
    messages: list[LlmMessage]
    tools: list[ToolSpec] = []
    tool_choice: ToolChoice = "auto"
    model_variant: str | None = None
    generation: Generation = Generation()
    session_id: str | None = None
    output_spec: OutputSpec | None = None
    place: RequestPlace = RequestPlace()
    capability: ModelCapability = ModelCapability()
    output_token_capacity: int | None = None
    load_attachment: LoadAttachment | None = None


class TextPart(msgspec.Struct, frozen=True, tag="text", tag_field="type"):
    """Text the model said."""

    text: str
    response_meta: Json = None


class ReasoningPart(msgspec.Struct, frozen=True, tag="reasoning", tag_field="type"):
    """Reasoning the model exposed; `replay` goes back to it verbatim."""

    text: str
    replay: Json = None


class ToolCallPart(msgspec.Struct, frozen=True, tag="tool_call", tag_field="type"):
    """A call the model makes. `input_json` is its argument text, possibly not JSON."""

    call_id: str
    tool_name: str
    input_json: str
    replay: Json = None


LlmPart: TypeAlias = TextPart | ReasoningPart | ToolCallPart


class LlmResponse(msgspec.Struct, frozen=True):
    """What a model answered."""

    parts: list[LlmPart]
    usage: TokenUsage = TokenUsage()
    terminal_reason: TerminalReason = "stop"
    terminal_diagnostic: str | None = None
    served_model: str | None = None

    @property
    def full_text(self) -> str:
        """The text parts, joined by exactly one blank line; blank parts dropped."""
        texts = (part.text.strip() for part in self.parts if isinstance(part, TextPart))
        return "\n\n".join(text for text in texts if text)

    @property
    def tool_calls(self) -> list[ToolCallPart]:
        """The calls, in order."""
        return [part for part in self.parts if isinstance(part, ToolCallPart)]


class LlmCallError(msgspec.Struct, frozen=True):
    """A model call that failed for good, after the provider's retries."""

    kind: str
    message: str
    code: str | None = None
    status: int | None = None
    terminal_reason: TerminalReason = "provider_error"
    attempts: int = 1
    raw: Json = None


class TextDelta(msgspec.Struct, frozen=True, tag="delta", tag_field="type"):
    """A piece of visible text."""

    text: str


class ReasoningDelta(msgspec.Struct, frozen=True, tag="reasoning_delta", tag_field="type"):
    """A piece of reasoning."""

    text: str


class PartDone(msgspec.Struct, frozen=True, tag="part", tag_field="type"):
    """A part is complete."""

    part: LlmPart


class UsageSoFar(msgspec.Struct, frozen=True, tag="usage", tag_field="type"):
    """Usage as known by now; later non-zero counts replace earlier ones."""

    usage: TokenUsage


class RetryStatus(msgspec.Struct, frozen=True, tag="retry_status", tag_field="type"):
    """The provider waits before another attempt."""

    wait_seconds: float
    attempt: int
    max_attempts: int
    reason: str


class AttemptReset(msgspec.Struct, frozen=True, tag="attempt_reset", tag_field="type"):
    """A new attempt starts: text streamed so far is void."""


LlmStreamEvent: TypeAlias = TextDelta | ReasoningDelta | PartDone | UsageSoFar | RetryStatus | AttemptReset
