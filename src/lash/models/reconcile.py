"""What was streamed against what was finally answered. Pure.

People have read the stream, so its parts are kept; the final response knows better
about tool calls and opaque replay data, and may hold parts that were never streamed
(docs/spec/runtime.md §4, R-045).
"""

from __future__ import annotations

from typing import assert_never

import msgspec
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


class Streamed(msgspec.Struct, frozen=True):
    """A stream folded so far. `open_text` and `open_reasoning` await their `PartDone`."""

    parts: tuple[LlmPart, ...] = ()
    open_text: str = ""
    open_reasoning: str = ""
    usage: TokenUsage = TokenUsage()
    has_text: bool = False

    def all_parts(self) -> list[LlmPart]:
        """The parts, those that the stream left open included."""
        parts = list(self.parts)
        if self.open_reasoning:
            parts.append(ReasoningPart(self.open_reasoning))
        if self.open_text:
            parts.append(TextPart(self.open_text))
        return parts


def fold(streamed: Streamed, event: LlmStreamEvent) -> Streamed:
    """The stream with one more event."""
    match event:
        case TextDelta(text=text):
            return replace(streamed, open_text=streamed.open_text + text, has_text=streamed.has_text or bool(text))
        case ReasoningDelta(text=text):
            return replace(streamed, open_reasoning=streamed.open_reasoning + text)
        case PartDone(part=TextPart() as part):
            return replace(streamed, parts=(*streamed.parts, part), open_text="")
        case PartDone(part=ReasoningPart() as part):
            return replace(streamed, parts=(*streamed.parts, part), open_reasoning="")
        case PartDone(part=part):
            # A call closes the text before it, also where the wire does not say so.
            return replace(streamed, parts=(*streamed.all_parts(), part), open_text="", open_reasoning="")
        case UsageSoFar(usage=usage):
            return replace(streamed, usage=merge_usage(streamed.usage, usage))
        case AttemptReset():
            return Streamed()
        case RetryStatus():
            return streamed
        case other:
            assert_never(other)


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
    kept = streamed.all_parts()
    if not kept:
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
