"""Standard mode: native tool calling (docs/spec/runtime.md §4).

Pure. `StandardDriver` decides what a turn does next; `project` turns the
conversation into the messages of a model request.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from lash.base.canonical import parse_json
from lash.base.json import JsonObject
from lash.base.messages import Message, Part
from lash.machine.conversation import tool_results_message
from lash.machine.driver import (
    Action,
    Advance,
    Append,
    DriverContext,
    Finish,
    StartCheckpoint,
    StartLlm,
    StartTools,
)
from lash.machine.llm import (
    ImageBlock,
    LlmBlock,
    LlmMessage,
    LlmPart,
    LlmResponse,
    ReasoningBlock,
    ReasoningPart,
    TextBlock,
    TextPart,
    ToolCallBlock,
    ToolCallPart,
    ToolResultBlock,
)
from lash.machine.outcome import AssistantMessage, FrameSwitch, Stopped, ToolValue, TurnOutcome
from lash.machine.values import (
    CompletedCall,
    ErrorReported,
    FailTurn,
    FinishTurn,
    PendingCall,
    Said,
    SwitchFrame,
    TurnCause,
)
from lash.plugins.hooks import PluginSessionContext
from lash.plugins.registrar import PluginRegistrar
from lash.plugins.registrations import ProtocolBinding

PLUGIN_ID = "standard_protocol"


class StandardDriver:
    """Asks the model, runs the tools it calls, until it answers without calling any."""

    plugin_id = PLUGIN_ID

    def prepare_iteration(self, context: DriverContext) -> list[Action]:
        """Every iteration is a model call."""
        return [StartLlm(context.request())]

    def handle_llm_success(
        self, context: DriverContext, response: LlmResponse, driver_state: JsonObject | None
    ) -> list[Action]:
        """Calls run; text ends the turn; nothing at all is an error, unless tools were just answered."""
        del driver_state
        response = _told_apart(context, response)
        calls = response.tool_calls
        if calls:
            message = _assistant_message(context.message_id(), response)
            return [Append([Said(message)]), StartTools([_pending(call) for call in calls])]
        has_said = bool(response.full_text) or any(isinstance(part, ReasoningPart) for part in response.parts)
        if not has_said and not _ends_with_tool_results(context.messages):
            return [
                Finish(
                    Stopped("provider_error"),
                    ErrorReported("llm_provider", "empty_response", "the model answered with nothing"),
                )
            ]
        actions: list[Action] = []
        if has_said:
            actions.append(Append([Said(_assistant_message(context.message_id(), response))]))
        actions.append(StartCheckpoint("before_completion", AssistantMessage(response.full_text)))
        return actions

    def handle_tool_results(self, context: DriverContext, results: list[CompletedCall]) -> list[Action]:
        """Results go back in call order; the first terminal control of a success ends the turn."""
        answer = Append([Said(tool_results_message(context.message_id(), results))])
        for result in results:
            outcome = terminal_outcome(result)
            if outcome is not None:
                return [answer, Finish(outcome)]
        if context.is_turn_limit_next or context.is_grace_iteration:
            notice = Message(
                context.message_id(1),
                "system",
                [Part("p0", "error", f"Turn limit of {context.max_turns} iterations reached.")],
            )
            return [answer, Append([Said(notice)]), Finish(Stopped("max_turns"))]
        return [answer, Advance(), StartCheckpoint("after_work", "prepare_iteration")]

    def handle_exec_result(
        self, context: DriverContext, response: JsonObject | None, error: str | None, driver_state: JsonObject | None
    ) -> list[Action]:
        """Standard mode runs no cells."""
        raise AssertionError("standard mode never starts a cell")

    def turn_limit_message(self, context: DriverContext) -> Message:
        """The notice before the grace iteration."""
        text = "This is the last step of this turn: answer now, without calling tools."
        return Message(context.message_id(), "system", [Part("p0", "text", text)])


def project(messages: Sequence[Message]) -> list[LlmMessage]:
    """Model messages of a stretch of conversation, each message on its own."""
    projected: list[LlmMessage] = []
    for message in messages:
        blocks = [block for part in message.parts if (block := _block(part)) is not None]
        match message.role:
            case "user":
                projected += _if_any(LlmMessage("user", blocks))
            case "assistant":
                projected += _if_any(LlmMessage("assistant", blocks))
            case "system":
                projected += _if_any(LlmMessage("system", _prefixed("Runtime note: ", blocks)))
            case "event":
                projected += _if_any(LlmMessage("user", _prefixed("Runtime event: ", blocks)))
    return projected


def project_turn(messages: Sequence[Message], causes: Sequence[TurnCause]) -> list[LlmMessage]:
    """Model messages of the running turn: its causes are shown once, at the end."""
    projected = project(besides_causes(messages, causes))
    if causes:
        projected.append(LlmMessage("user", [TextBlock(render_causes(causes))]))
    return projected


def besides_causes(messages: Sequence[Message], causes: Sequence[TurnCause]) -> list[Message]:
    """The messages without those that only repeat a cause of the turn."""
    cause_texts = {(cause.text, cause.origin) for cause in causes}
    return [
        message
        for message in messages
        if not (message.role == "event" and (message.text, message.origin) in cause_texts)
    ]


def render_causes(causes: Sequence[TurnCause]) -> str:
    """Why the turn runs, for the model."""
    lines = ["Turn events:"]
    for index, cause in enumerate(causes, start=1):
        origin = f"\n   from: {cause.origin!r}" if cause.origin is not None else ""
        lines.append(f"{index}. {cause.event_type} ({cause.id}){origin}\n{cause.text.strip()}")
    return "\n\n".join(lines)


def _assistant_message(number: str, response: LlmResponse) -> Message:
    """Prose, reasoning and calls in the order the model produced them; blank text dropped."""
    parts: list[Part] = []
    for part in response.parts:
        part_id = f"p{len(parts)}"
        match part:
            case TextPart(text=text, response_meta=meta):
                if text.strip():
                    parts.append(Part(part_id, "prose", text.strip(), response_meta=meta))
            case ReasoningPart(text=text, replay=replay):
                parts.append(Part(part_id, "reasoning", text, reasoning_meta=replay))
            case ToolCallPart(call_id=call_id, tool_name=tool_name, input_json=input_json, replay=replay):
                parts.append(
                    Part(
                        part_id,
                        "tool_call",
                        input_json,
                        tool_call_id=call_id,
                        tool_name=tool_name,
                        tool_replay=replay,
                    )
                )
    return Message(number, "assistant", parts)


def _told_apart(context: DriverContext, response: LlmResponse) -> LlmResponse:
    """The response with call ids that are unique in the turn: some wires send none, or the same again."""
    known = {part.tool_call_id for message in context.messages for part in message.parts if part.kind == "tool_call"}
    parts: list[LlmPart] = []
    for index, part in enumerate(response.parts):
        if isinstance(part, ToolCallPart):
            if not part.call_id or part.call_id in known:
                place = context.message_id().replace(".", "_")
                part = msgspec.structs.replace(part, call_id=f"{part.call_id or 'call'}_{place}_{index}")  # noqa: PLW2901
            known.add(part.call_id)
        parts.append(part)
    return msgspec.structs.replace(response, parts=parts)


def _pending(call: ToolCallPart) -> PendingCall:
    try:
        args = parse_json(call.input_json) if call.input_json.strip() else {}
    except (ValueError, RecursionError):
        args = None
    return PendingCall(call.call_id, call.tool_name, args if isinstance(args, dict) else None, call.replay)


def terminal_outcome(result: CompletedCall) -> TurnOutcome | None:
    """How the result of a call ends the turn; None when it does not."""
    if result.control is None:
        return None
    # A failure may fail the turn (`pending(on_timeout="fail_turn")`); any other end needs a success.
    if result.status != "success" and not (result.status == "failure" and isinstance(result.control, FailTurn)):
        return None
    match result.control:
        case SwitchFrame(frame_id=frame_id, task=task, initial_nodes=nodes):
            return FrameSwitch(frame_id, task, nodes) if frame_id and task else None
        case FinishTurn(value=value):
            return ToolValue(result.tool_name, value)
        case FailTurn(failure=failure):
            return Stopped("tool_error", failure, result.tool_name)


def _block(part: Part) -> LlmBlock | None:
    match part.kind:
        case "text" | "prose" | "code" | "output" | "error":
            return TextBlock(part.content, part.response_meta) if part.content.strip() else None
        case "image":
            return None if part.attachment is None else ImageBlock(part.attachment)
        case "tool_call":
            return ToolCallBlock(part.tool_call_id or "", part.tool_name or "", part.content, part.tool_replay)
        case "tool_result":
            return ToolResultBlock(part.tool_call_id or "", part.content, part.tool_name)
        case "reasoning":
            # Only the provider that signed it can use it again.
            return None if part.reasoning_meta is None else ReasoningBlock(part.content, part.reasoning_meta)


def _prefixed(prefix: str, blocks: list[LlmBlock]) -> list[LlmBlock]:
    if blocks and isinstance(blocks[0], TextBlock):
        return [TextBlock(prefix + blocks[0].text), *blocks[1:]]
    return blocks


def _if_any(message: LlmMessage) -> list[LlmMessage]:
    return [message] if message.blocks else []


def _ends_with_tool_results(messages: Sequence[Message]) -> bool:
    return bool(messages) and any(part.kind == "tool_result" for part in messages[-1].parts)


class StandardProtocol:
    """The plugin that makes a session run in standard mode."""

    id = PLUGIN_ID
    registers_alike = True

    def build(self, context: PluginSessionContext) -> StandardProtocol:
        """Stateless: one object serves every session."""
        del context
        return self

    def register(self, registrar: PluginRegistrar) -> None:
        """Registers the driver and its projection."""
        registrar.protocol.driver(ProtocolBinding(StandardDriver(), project, project_turn))
