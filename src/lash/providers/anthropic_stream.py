"""The stream of Messages, read into a response. Sans IO.

Content comes in blocks, one after another, each opened, grown and closed. The event
`message_stop` is the evidence that the stream is complete (docs/spec/runtime.md §8.5).
"""

from __future__ import annotations

import json
from typing import Final

from lash.base.json import JsonObject
from lash.base.usage import TokenUsage
from lash.machine.llm import (
    LlmResponse,
    ReasoningDelta,
    ReasoningPart,
    TerminalReason,
    TextDelta,
    TextPart,
    ToolCallPart,
    UsageSoFar,
)
from lash.models.provider import StreamSink
from lash.providers.reading import count_at, object_at, text_at
from lash.providers.stream import PartTeller, error_of

_REASONS: Final[dict[str, TerminalReason]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "tool_use": "tool_use",
    "max_tokens": "output_limit",
    "model_context_window_exceeded": "context_overflow",
    "refusal": "content_filter",
}


class _Block:
    """A content block that is still growing."""

    __slots__ = ("call_id", "given", "input", "kind", "name", "redacted", "signature", "text")

    def __init__(self, block: JsonObject) -> None:
        self.kind = text_at(block, "type")
        self.call_id = text_at(block, "id")
        self.name = text_at(block, "name")
        # Empty where the input follows in pieces; some servers give it whole.
        self.given = object_at(block, "input")
        self.redacted = text_at(block, "data")
        self.signature = text_at(block, "signature")
        self.text: list[str] = []
        self.input: list[str] = []


class MessagesReader(PartTeller):
    """Takes events, tells of what is new in them, and ends up with the response."""

    def __init__(self, stream: StreamSink | None) -> None:
        super().__init__(stream)
        self._open: dict[object, _Block] = {}
        self._counts: JsonObject = {}
        self._usage = TokenUsage()
        self._model: str | None = None
        self._stop_reason = ""
        self._diagnostic: str | None = None
        self.is_complete = False

    def take(self, event: JsonObject) -> bool:
        """Takes an event; whether it was the closing one. Raises `ProviderFailure`."""
        match event.get("type"):
            case "message_start":
                message = object_at(event, "message")
                self._model = text_at(message, "model") or None
                self._take_usage(object_at(message, "usage"))
            case "content_block_start":
                self._start(event.get("index"), _Block(object_at(event, "content_block")), event)
            case "content_block_delta":
                block = self._open.get(event.get("index"))
                if block is not None:
                    self._grow(block, object_at(event, "delta"))
            case "content_block_stop":
                self._close(event.get("index"))
            case "message_delta":
                delta = object_at(event, "delta")
                self._stop_reason = text_at(delta, "stop_reason") or self._stop_reason
                self._diagnostic = text_at(object_at(delta, "stop_details"), "explanation") or self._diagnostic
                self._take_usage(object_at(event, "usage"))
            case "message_stop":
                self.is_complete = True
                return True
            case _ if event.get("error"):
                raise error_of(event, otherwise="the server broke off with an error", kind="stream")
            case _:
                pass  # pings, and what later versions of the API add
        return False

    def response(self) -> LlmResponse:
        """The answer; closes the blocks that are still open."""
        for index in list(self._open):
            self._close(index)
        reason = self._reason()
        unknown = f"stop_reason={self._stop_reason}" if reason == "provider_error" else None
        return LlmResponse(
            list(self._parts),
            usage=self._usage,
            terminal_reason=reason,
            terminal_diagnostic=self._diagnostic or unknown,
            served_model=self._model,
        )

    def _start(self, index: object, block: _Block, event: JsonObject) -> None:
        self._open[index] = block
        start = object_at(event, "content_block")
        self._grow(block, {"text": text_at(start, "text"), "thinking": text_at(start, "thinking")})

    def _grow(self, block: _Block, delta: JsonObject) -> None:
        if text := text_at(delta, "text"):
            block.text.append(text)
            self._tell(TextDelta(text))
        if thinking := text_at(delta, "thinking"):
            block.text.append(thinking)
            self._tell(ReasoningDelta(thinking))
        block.input.append(text_at(delta, "partial_json"))
        block.signature += text_at(delta, "signature")

    def _close(self, index: object) -> None:
        block = self._open.pop(index, None)
        if block is None:
            return
        text = "".join(block.text)
        match block.kind:
            case "text":
                if text:
                    self._done(TextPart(text))
            case "thinking":
                self._done(ReasoningPart(text, {"signature": block.signature} if block.signature else None))
            case "redacted_thinking":
                self._done(ReasoningPart("", {"redacted_data": block.redacted}))
            case "tool_use":
                arguments = "".join(block.input)
                given = json.dumps(block.given, ensure_ascii=False)
                self._done(ToolCallPart(block.call_id, block.name, arguments if arguments.strip() else given))
            case _:
                pass  # the server's own tools, which lash did not ask for

    def _take_usage(self, usage: JsonObject) -> None:
        # Later counts replace earlier ones, each by its name: the last event may leave some out.
        self._counts |= {name: value for name, value in usage.items() if value}
        counts = self._counts
        read = count_at(counts, "cache_read_input_tokens")
        # The API counts what it read from and wrote to the cache beside the input; for us it is part of it.
        asked = count_at(counts, "input_tokens") + read + count_at(counts, "cache_creation_input_tokens")
        output = count_at(counts, "output_tokens")
        thought = min(count_at(object_at(counts, "output_tokens_details"), "thinking_tokens"), output)
        self._usage = TokenUsage(asked, output - thought, read, thought)
        self._tell(UsageSoFar(self._usage))

    def _reason(self) -> TerminalReason:
        if not self._stop_reason:
            has_calls = any(isinstance(part, ToolCallPart) for part in self._parts)
            return "tool_use" if has_calls else "stop"
        return _REASONS.get(self._stop_reason, "provider_error")
