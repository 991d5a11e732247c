"""The stream of Responses, read into a response. Sans IO.

Items arrive in pieces and once more whole; the closing event repeats all of them and
is the evidence that the stream is complete (docs/spec/runtime.md §8.5).
"""

from __future__ import annotations

from lash.base.json import Json, JsonObject
from lash.machine.llm import (
    LlmPart,
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
from lash.providers.reading import object_at, objects_at, text_at, usage_of
from lash.providers.stream import PartTeller, error_of

_TEXT = frozenset({"response.output_text.delta", "response.refusal.delta"})
_REASONING = frozenset({"response.reasoning_summary_text.delta", "response.reasoning_text.delta"})
_CLOSING = frozenset({"response.completed", "response.incomplete", "response.cancelled"})
_FAILING = frozenset({"response.failed", "error"})

_INCOMPLETE: dict[str, TerminalReason] = {
    "max_output_tokens": "output_limit",
    "max_tokens": "output_limit",
    "content_filter": "content_filter",
}


class ResponsesReader(PartTeller):
    """Takes events, tells of what is new in them, and ends up with the response."""

    def __init__(self, stream: StreamSink | None) -> None:
        super().__init__(stream)
        self._closing: JsonObject | None = None

    @property
    def is_complete(self) -> bool:
        """Whether the closing event was heard."""
        return self._closing is not None

    def take(self, event: JsonObject) -> bool:
        """Takes an event; whether it was the closing one. Raises `ProviderFailure`."""
        kind = text_at(event, "type")
        if kind in _TEXT:
            if text := text_at(event, "delta"):
                self._tell(TextDelta(text))
        elif kind in _REASONING:
            if text := text_at(event, "delta"):
                self._tell(ReasoningDelta(text))
        elif kind == "response.reasoning_summary_part.added":
            if event.get("summary_index") not in (0, None):
                self._tell(ReasoningDelta("\n\n"))
        elif kind == "response.output_item.done":
            for part in _parts(object_at(event, "item")):
                self._done(part)
        elif kind in _CLOSING:
            self._closing = object_at(event, "response")
            self._tell(UsageSoFar(usage_of(object_at(self._closing, "usage"))))
            return True
        elif kind in _FAILING or (not kind and event.get("error")):
            error = object_at(object_at(event, "response"), "error") or object_at(event, "error") or event
            raise error_of(error, otherwise="the server broke off with an error", kind="stream")
        return False

    def response(self) -> LlmResponse:
        """The answer. Only after the closing event."""
        closing = self._closing or {}
        parts = [part for item in objects_at(closing, "output") for part in _parts(item)] or self._parts
        reason, diagnostic = _terminal(closing, parts)
        return LlmResponse(
            parts,
            usage=usage_of(object_at(closing, "usage")),
            terminal_reason=reason,
            terminal_diagnostic=diagnostic,
            served_model=text_at(closing, "model") or None,
        )


def _parts(item: JsonObject) -> list[LlmPart]:
    """What an output item says; empty for items that lash did not ask for, such as the server's own tools."""
    item_id = text_at(item, "id")
    match item.get("type"):
        case "message":
            text = "".join(text_at(content, "text", "refusal") for content in objects_at(item, "content"))
            meta: JsonObject = {key: found for key in ("id", "status", "phase") if (found := text_at(item, key))}
            return [TextPart(text, meta or None)] if text else []
        case "reasoning":
            return [_reasoning(item, item_id)]
        case "function_call":
            arguments = text_at(item, "arguments")
            replay: Json = {"item_id": item_id} if item_id else None
            name = text_at(item, "name")
            return [ToolCallPart(text_at(item, "call_id"), name, arguments if arguments.strip() else "{}", replay)]
        case _:
            return []


def _reasoning(item: JsonObject, item_id: str) -> ReasoningPart:
    summary = objects_at(item, "summary")
    texts = [text_at(piece, "text") for piece in summary or objects_at(item, "content")]
    replay: JsonObject = {"summary": list(summary)}
    if item_id:
        replay["item_id"] = item_id
    if encrypted := text_at(item, "encrypted_content"):
        replay["encrypted_content"] = encrypted
    return ReasoningPart("\n\n".join(text for text in texts if text), replay)


def _terminal(closing: JsonObject, parts: list[LlmPart]) -> tuple[TerminalReason, str | None]:
    status = text_at(closing, "status")
    why = text_at(object_at(closing, "incomplete_details"), "reason")
    if status == "incomplete" or why:
        reason = _INCOMPLETE.get(why, "provider_error")
        return reason, f"incomplete: {why or 'no reason given'}" if reason == "provider_error" else None
    if status == "cancelled":
        return "cancelled", "the server cancelled the response"
    if any(isinstance(part, ToolCallPart) for part in parts):
        return "tool_use", None
    return "stop", None
