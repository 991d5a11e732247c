"""The stream of Chat Completions, read into a response. Sans IO.

A stream is complete once a choice has given its `finish_reason`; usage and the
sentinel come later and may be missing (docs/spec/runtime.md §8.5).
"""

from __future__ import annotations

from lash.base.json import Json, JsonObject
from lash.base.usage import TokenUsage
from lash.machine.capability import ReasoningField
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
from lash.models.reconcile import merge_usage
from lash.providers.reading import object_at, objects_at, text_at, usage_of
from lash.providers.stream import PartTeller, error_of

_REASONS: dict[str, TerminalReason] = {
    "stop": "stop",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "length": "output_limit",
    "max_tokens": "output_limit",
    "content_filter": "content_filter",
    "safety": "content_filter",
}


class _Call:
    """A call whose arguments are still coming."""

    __slots__ = ("arguments", "call_id", "name")

    def __init__(self) -> None:
        self.call_id = ""
        self.name = ""
        self.arguments: list[str] = []


class ChatReader(PartTeller):
    """Takes chunks, tells of what is new in them, and ends up with the response.

    `replays` names the field in which the server wants reasoning back, if it does.
    """

    def __init__(self, stream: StreamSink | None, replays: ReasoningField | None = None) -> None:
        super().__init__(stream)
        self._replays = replays
        self._details: list[JsonObject] = []
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._calls: dict[int, _Call] = {}
        self._usage = TokenUsage()
        self._model: str | None = None
        self._finish_reason: str | None = None
        self._is_sentinel_heard = False

    @property
    def is_complete(self) -> bool:
        """Whether a choice finished. Some servers finish with an empty reason; then the sentinel decides."""
        return bool(self._finish_reason) or (self._finish_reason == "" and self._is_sentinel_heard)

    def take(self, event: JsonObject) -> bool:
        """Takes a chunk; the sentinel is last, never a chunk. Raises `ProviderFailure`."""
        error = event.get("error")
        if error:
            words = error if isinstance(error, str) else "the server broke off with an error"
            raise error_of(error if isinstance(error, dict) else {}, otherwise=words, kind="stream")
        self._model = text_at(event, "model") or self._model
        self._take_usage(object_at(event, "usage") or object_at(object_at(event, "x_groq"), "usage"))
        for choice in objects_at(event, "choices"):
            if choice.get("index") in (0, None):
                self._take_choice(choice)
        return False

    def take_sentinel(self) -> None:
        """The server has said everything."""
        self._is_sentinel_heard = True

    def response(self) -> LlmResponse:
        """The answer; closes the parts that are still open."""
        self._close_reasoning()
        self._close_text()
        for index in sorted(self._calls):
            call = self._calls[index]
            arguments = "".join(call.arguments)
            self._done(ToolCallPart(call.call_id, call.name, arguments if arguments.strip() else "{}"))
        reason = self._terminal_reason()
        return LlmResponse(
            list(self._parts),
            usage=self._usage,
            terminal_reason=reason,
            terminal_diagnostic=f"finish_reason={self._finish_reason}" if reason == "provider_error" else None,
            served_model=self._model,
        )

    def _take_choice(self, choice: JsonObject) -> None:
        delta = object_at(choice, "delta") or object_at(choice, "message")
        if reasoning := text_at(delta, "reasoning_content", "reasoning"):
            self._close_text()
            self._reasoning.append(reasoning)
            self._tell(ReasoningDelta(reasoning))
        self._take_details(objects_at(delta, "reasoning_details"))
        if text := text_at(delta, "content", "refusal"):
            self._close_reasoning()
            self._text.append(text)
            self._tell(TextDelta(text))
        for call in objects_at(delta, "tool_calls"):
            self._take_call(call)
        self._take_usage(object_at(choice, "usage"))
        reason = choice.get("finish_reason")
        if isinstance(reason, str) and (reason or not self._finish_reason):
            self._finish_reason = reason

    def _take_call(self, delta: JsonObject) -> None:
        index = delta.get("index")
        if not isinstance(index, int):
            # Servers that send whole calls may leave the index out; an id says that a new one begins.
            index = len(self._calls) if text_at(delta, "id") or not self._calls else max(self._calls)
        call = self._calls.setdefault(index, _Call())
        function = object_at(delta, "function")
        call.call_id = call.call_id or text_at(delta, "id")
        call.name = call.name or text_at(function, "name")
        call.arguments.append(text_at(function, "arguments"))

    def _take_usage(self, usage: JsonObject) -> None:
        if usage:
            self._usage = merge_usage(self._usage, usage_of(usage))
            self._tell(UsageSoFar(self._usage))

    def _terminal_reason(self) -> TerminalReason:
        implied: TerminalReason = "tool_use" if self._calls else "stop"
        if not self._finish_reason:
            return implied
        reason = _REASONS.get(self._finish_reason.lower(), "provider_error")
        # Some servers say `stop` after calls, and some `tool_calls` without any.
        return implied if reason in ("stop", "tool_use") else reason

    def _close_text(self) -> None:
        if self._text:
            self._done(TextPart("".join(self._text)))
            self._text.clear()

    def _take_details(self, details: list[JsonObject]) -> None:
        """Details come in pieces, like calls: pieces of one share its index, and their texts are joined."""
        for detail in details if self._replays == "reasoning_details" else ():
            index = detail.get("index")
            known = next((seen for seen in self._details if index is not None and seen.get("index") == index), None)
            if known is None:
                self._details.append(dict(detail))
                continue
            for key, value in detail.items():
                if key in ("text", "summary", "data") and isinstance(value, str):
                    known[key] = text_at(known, key) + value
                elif value is not None:
                    known[key] = value

    def _close_reasoning(self) -> None:
        if not self._reasoning and not self._details:
            return
        replay: Json = None
        if self._replays == "reasoning_details":
            replay = {"field": self._replays, "details": list(self._details)}
        elif self._replays is not None:
            replay = {"field": self._replays}
        self._done(ReasoningPart("".join(self._reasoning), replay))
        self._reasoning.clear()
        self._details.clear()
