"""The stream of generateContent, read into a response. Sans IO.

Each event is a piece of the answer: texts grow, calls arrive whole. A candidate's
`finishReason`, or the news that the prompt was blocked, is the evidence that the
stream is complete (docs/spec/runtime.md §8.5).
"""

from __future__ import annotations

import json
from typing import Final

from lash.base.json import Json, JsonObject
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
from lash.models.reconcile import merge_usage
from lash.providers.google_errors import error_of_google
from lash.providers.reading import count_at, object_at, objects_at, text_at
from lash.providers.stream import PartTeller

_FILTERED: Final = frozenset(
    {
        "SAFETY",
        "RECITATION",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "SPII",
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
        "MODEL_ARMOR",
    }
)


class GeminiReader(PartTeller):
    """Takes events, tells of what is new in them, and ends up with the response."""

    def __init__(self, stream: StreamSink | None) -> None:
        super().__init__(stream)
        self._text: list[str] = []
        self._thought: list[str] = []
        self._signature = ""
        self._usage = TokenUsage()
        self._model: str | None = None
        self._finish_reason = ""
        self._blocked = ""
        self._diagnostic: str | None = None

    @property
    def is_complete(self) -> bool:
        """Whether the candidate finished or the prompt was blocked."""
        return bool(self._finish_reason or self._blocked)

    def take(self, event: JsonObject) -> bool:
        """Takes an event; no event is known to be the last one. Raises `ProviderFailure`."""
        if event.get("error"):
            raise error_of_google(event, otherwise="the server broke off with an error", kind="stream")
        self._model = text_at(event, "modelVersion") or self._model
        self._blocked = text_at(object_at(event, "promptFeedback"), "blockReason") or self._blocked
        for candidate in objects_at(event, "candidates"):
            if candidate.get("index") in (0, None):
                self._take_candidate(candidate)
        self._take_usage(object_at(event, "usageMetadata"))
        return False

    def response(self) -> LlmResponse:
        """The answer; closes the part that is still open."""
        self._close()
        reason = self._reason()
        told = f"finishReason={self._finish_reason}" if reason == "provider_error" else None
        blocked = f"the prompt was blocked: {self._blocked}" if self._blocked else None
        return LlmResponse(
            list(self._parts),
            usage=self._usage,
            terminal_reason=reason,
            terminal_diagnostic=blocked or self._diagnostic or told,
            served_model=self._model,
        )

    def _take_candidate(self, candidate: JsonObject) -> None:
        for part in objects_at(object_at(candidate, "content"), "parts"):
            self._take_part(part)
        self._finish_reason = text_at(candidate, "finishReason") or self._finish_reason
        self._diagnostic = text_at(candidate, "finishMessage") or self._diagnostic

    def _take_part(self, part: JsonObject) -> None:
        signature = text_at(part, "thoughtSignature")
        if call := object_at(part, "functionCall"):
            self._close()
            self._done(_call(call, signature))
            return
        text = text_at(part, "text")
        is_thought = part.get("thought") is True
        if text and is_thought == bool(self._text):
            self._close()  # from thinking to speaking, or back
        if text:
            (self._thought if is_thought else self._text).append(text)
            self._tell(ReasoningDelta(text) if is_thought else TextDelta(text))
        if signature:
            # Signed is the part that ends here, also where its last piece holds no text.
            self._signature = signature
            self._close()

    def _take_usage(self, usage: JsonObject) -> None:
        if not usage:
            return
        found = TokenUsage(
            input_tokens=count_at(usage, "promptTokenCount") + count_at(usage, "toolUsePromptTokenCount"),
            output_tokens=count_at(usage, "candidatesTokenCount"),
            cached_input_tokens=count_at(usage, "cachedContentTokenCount"),
            reasoning_tokens=count_at(usage, "thoughtsTokenCount"),
        )
        self._usage = merge_usage(self._usage, found)
        self._tell(UsageSoFar(self._usage))

    def _close(self) -> None:
        signature, self._signature = self._signature, ""
        replay: Json = {"thought_signature": signature} if signature else None
        if self._text:
            self._done(TextPart("".join(self._text), replay))
        elif self._thought or signature:
            # A signature without any text stands for itself.
            self._done(ReasoningPart("".join(self._thought), replay))
        self._text.clear()
        self._thought.clear()

    def _reason(self) -> TerminalReason:
        if self._blocked or self._finish_reason in _FILTERED:
            return "content_filter"
        if self._finish_reason == "MAX_TOKENS":
            return "output_limit"
        if self._finish_reason not in ("STOP", ""):
            return "provider_error"
        return "tool_use" if any(isinstance(part, ToolCallPart) for part in self._parts) else "stop"


def _call(call: JsonObject, signature: str) -> ToolCallPart:
    call_id = text_at(call, "id")
    replay: JsonObject = {}
    if call_id:
        replay["id"] = call_id
    if signature:
        replay["thought_signature"] = signature
    arguments = json.dumps(object_at(call, "args"), ensure_ascii=False)
    return ToolCallPart(call_id, text_at(call, "name"), arguments, replay or None)
