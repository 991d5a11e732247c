"""What was streamed against what was finally answered. Without IO.

People have read the stream, so its parts are kept; the final response knows better
about tool calls and opaque replay data, and may hold parts that were never streamed
(docs/spec/runtime.md §4, R-045).
"""

from __future__ import annotations

from typing import assert_never

from msgspec.structs import replace

from lash.base.usage import TokenUsage
from lash.machine.llm import (
    AttemptReset,
    LlmPart,
    LlmResponse,
    LlmStreamEvent,
    PartDone,
    ReasoningDelta,
    ReasoningPart,
    RetryStatus,
    TextDelta,
    TextPart,
    ToolCallPart,
    UsageSoFar,
)


class Streamed:
    """A stream as heard so far. What is not closed by its `PartDone` counts as a part too."""

    __slots__ = ("_parts", "_reasoning", "_text", "has_text", "usage")

    def __init__(self) -> None:
        self._parts: list[LlmPart] = []
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self.usage = TokenUsage()
        self.has_text = False

    def add(self, event: LlmStreamEvent) -> None:
        """Takes one more event."""
        match event:
            case TextDelta(text=text):
                self._text.append(text)
                self.has_text = self.has_text or bool(text)
            case ReasoningDelta(text=text):
                self._reasoning.append(text)
            case PartDone(part=part):
                self._close(part)
            case UsageSoFar(usage=usage):
                self.usage = merge_usage(self.usage, usage)
            case AttemptReset():
                self._forget()
            case RetryStatus():
                pass
            case other:
                assert_never(other)

    def parts(self) -> list[LlmPart]:
        """The parts, those that the stream left open included."""
        return [*self._parts, *self._open_parts()]

    def _forget(self) -> None:
        self._parts.clear()
        self._text.clear()
        self._reasoning.clear()
        self.usage = TokenUsage()
        self.has_text = False

    def _close(self, part: LlmPart) -> None:
        match part:
            case TextPart():
                self._text.clear()
            case ReasoningPart():
                self._reasoning.clear()
            case ToolCallPart():
                # A call closes what came before it, also where the wire does not say so.
                self._parts += self._open_parts()
                self._text.clear()
                self._reasoning.clear()
        self._parts.append(part)

    def _open_parts(self) -> list[LlmPart]:
        opened: list[LlmPart] = []
        if reasoning := "".join(self._reasoning):
            opened.append(ReasoningPart(reasoning))
        if text := "".join(self._text):
            opened.append(TextPart(text))
        return opened


def merge_usage(earlier: TokenUsage, later: TokenUsage) -> TokenUsage:
    """Later non-zero counts replace earlier ones."""
    return TokenUsage(
        later.input_tokens or earlier.input_tokens,
        later.output_tokens or earlier.output_tokens,
        later.cached_input_tokens or earlier.cached_input_tokens,
        later.reasoning_tokens or earlier.reasoning_tokens,
    )


def reconcile(streamed: Streamed, response: LlmResponse) -> LlmResponse:
    """The response with the streamed parts kept, calls as finally given, and nothing missing or twice.

    Where the final parts cover everything that was streamed their order counts,
    otherwise the streamed order, missing parts appended.
    """
    kept = streamed.parts()
    if not kept or kept == response.parts:
        return replace(response, usage=merge_usage(streamed.usage, response.usage))
    taken: dict[int, LlmPart] = {}
    final_order: list[LlmPart] = []
    missing: list[LlmPart] = []
    for part in response.parts:
        index = next((i for i, seen in enumerate(kept) if i not in taken and _is_same(seen, part)), None)
        if index is None:
            missing.append(part)
            final_order.append(part)
        else:
            taken[index] = _joined(kept[index], part)
            final_order.append(taken[index])
    if len(taken) == len(kept):
        parts = final_order
    else:
        parts = [taken.get(index, part) for index, part in enumerate(kept)] + missing
    return replace(response, parts=parts, usage=merge_usage(streamed.usage, response.usage))


def text_to_emit(streamed: Streamed, response: LlmResponse) -> str:
    """The text that nobody has seen yet: all of it when none was streamed, nothing otherwise."""
    return "" if streamed.has_text else response.full_text


def _is_same(streamed: LlmPart, final: LlmPart) -> bool:
    match streamed, final:
        case ToolCallPart(), ToolCallPart():
            return streamed.call_id == final.call_id or (
                _item_id(streamed) is not None and _item_id(streamed) == _item_id(final)
            )
        case (TextPart(text=first), TextPart(text=second)) | (ReasoningPart(text=first), ReasoningPart(text=second)):
            first, second = first.strip(), second.strip()
            return first.startswith(second) or second.startswith(first)
        case _:
            return False


def _joined(streamed: LlmPart, final: LlmPart) -> LlmPart:
    match streamed, final:
        case TextPart(), TextPart():
            longer = max(streamed.text, final.text, key=len)
            return TextPart(longer, final.response_meta or streamed.response_meta)
        case ReasoningPart(), ReasoningPart():
            longer = max(streamed.text, final.text, key=len)
            return ReasoningPart(longer, final.replay or streamed.replay)
        case _:
            return final


def _item_id(part: ToolCallPart) -> object:
    return part.replay.get("item_id") if isinstance(part.replay, dict) else None
