"""A model that says what it is told to, and behaves like a real one.

It speaks the provider port: it streams text in pieces, reports usage, fails as wires
fail. A request is answered by its *place* in the session, which is the same in every
drive of a turn; so a process that was killed and started again goes on in the script
where the journal ends, without any memory of its own (decisions 23).
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

import msgspec

from lash.base.cancel import CancelToken
from lash.base.clock import Clock, SystemClock
from lash.base.errors import InvalidArgument
from lash.base.usage import TokenUsage
from lash.machine.llm import (
    LlmBlock,
    LlmPart,
    LlmRequest,
    LlmResponse,
    LlmStreamEvent,
    PartDone,
    ReasoningBlock,
    ReasoningDelta,
    ReasoningPart,
    TextBlock,
    TextDelta,
    TextPart,
    ToolCallBlock,
    ToolCallPart,
    ToolResultBlock,
    UsageSoFar,
)
from lash.models.failure import ProviderFailure
from lash.models.provider import ProviderOptions, Reliability, StreamSink
from lash.models.retry import ModelRetry
from lash.models.spec import ModelFacts
from lash.testing.script import Answer, Answering, Calls, Fails, Item, Says, Step, Thinks

Order: TypeAlias = Literal["place", "calls"]

# The usual rule of thumb, good enough for budgets in tests and the same on every run.
CHARS_PER_TOKEN = 4

_OPTIONS = ProviderOptions(
    Reliability(
        request_timeout_ms=None,
        chunk_timeout_ms=None,
        # Failures are tried again as in production, without the waiting.
        retry=ModelRetry(base_ms=0, max_ms=0),
    )
)


class UnexpectedModelCall(ProviderFailure):
    """The model was asked where the script has no step; add a step, or find out who asked."""

    def __init__(self, index: int, steps: int, asked: str) -> None:
        super().__init__(
            "validation",
            f"unexpected model call {index}: the script has {steps} step(s); it was asked: {asked!r}",
            code="unexpected_model_call",
        )
        self.index = index


class UnconsumedSteps(AssertionError):
    """The script goes on after the last call that the model got."""


class ScriptedModel:
    """A provider that follows a script. Pass it as `model=`. Added in 0.1.

    A step is one item, several said together, a ready `LlmResponse`, or a callable
    that gets the request and returns one of these; a single callable instead of a list
    answers every request. `order="calls"` counts calls in memory instead of places.
    `usage` is what every call reports; by default it is counted from the text.
    """

    kind = "scripted"

    def __init__(
        self,
        steps: Sequence[Step] | Answering,
        *,
        order: Order = "place",
        usage: TokenUsage | None = None,
        chunk_chars: int = 16,
        latency_ms: int = 0,
        context_window_tokens: int | None = 200_000,
        clock: Clock | None = None,
        options: ProviderOptions = _OPTIONS,
    ) -> None:
        """`latency_ms` passes before the first piece and between pieces, by `clock`."""
        if chunk_chars < 1 or latency_ms < 0:
            raise InvalidArgument(f"chunk_chars={chunk_chars}, latency_ms={latency_ms}: give a size and a time")
        self._steps: list[Step] | Answering = steps if callable(steps) else list(steps)
        if isinstance(self._steps, list):
            for index, step in enumerate(self._steps):
                _check_step(index, step)
        self._order: Order = order
        self._usage = usage
        self._chunk_chars = chunk_chars
        self._latency_ms = latency_ms
        self._clock = clock or SystemClock()
        self._reached = 0
        self._unexpected: UnexpectedModelCall | None = None
        self.options = options
        self.facts = ModelFacts("scripted", context_window_tokens=context_window_tokens)
        self.requests: list[LlmRequest] = []

    async def complete(
        self, request: LlmRequest, stream: StreamSink | None = None, cancel: CancelToken | None = None
    ) -> LlmResponse:
        """Plays the step of the request's place. Raises `UnexpectedModelCall`, or what the step says."""
        index = request.place.model_call if self._order == "place" else len(self.requests)
        self.requests.append(request)
        step = self._step_at(index, request)
        if callable(step):
            given = step(request)
            answer: Answer = await given if inspect.isawaitable(given) else given
        else:
            answer = step
        parts: list[LlmPart] = []
        for piece in _pieces(answer, index, self._chunk_chars):
            if self._latency_ms:
                await self._clock.sleep(self._latency_ms)
            if cancel is not None and cancel.is_cancelled:
                return LlmResponse(parts, terminal_reason="cancelled")
            if isinstance(piece, ProviderFailure):
                raise piece
            if isinstance(piece, PartDone):
                parts.append(piece.part)
            if stream is not None:
                stream(piece)
        response = answer if isinstance(answer, LlmResponse) else _response(parts)
        if not response.usage:
            response = msgspec.structs.replace(response, usage=self._usage or counted_usage(request, response))
        if stream is not None:
            stream(UsageSoFar(response.usage))
        return response

    def assert_done(self) -> None:
        """Raises `UnconsumedSteps` if steps are left, and the `UnexpectedModelCall` if there was one.

        By place, a step before one that was played counts as played: in an earlier
        process, its answer came from the journal.
        """
        if self._unexpected is not None:
            raise self._unexpected
        if isinstance(self._steps, list) and self._reached < len(self._steps):
            left = self._steps[self._reached :]
            raise UnconsumedSteps(f"{len(left)} of {len(self._steps)} steps were not played; the next is {left[0]!r}")

    def _step_at(self, index: int, request: LlmRequest) -> Step:
        self._reached = max(self._reached, index + 1)
        if not isinstance(self._steps, list):
            return self._steps
        if index < len(self._steps):
            return self._steps[index]
        self._unexpected = UnexpectedModelCall(index, len(self._steps), _last_text(request))
        raise self._unexpected

    def __repr__(self) -> str:
        steps = f"{len(self._steps)} steps" if isinstance(self._steps, list) else "a callable"
        return f"ScriptedModel({steps}, {len(self.requests)} requests)"


def counted_usage(request: LlmRequest, response: LlmResponse) -> TokenUsage:
    """Tokens counted from the text of a request and its response."""
    asked = sum(_block_chars(block) for message in request.messages for block in message.blocks)
    said = sum(len(part.text) for part in response.parts if isinstance(part, TextPart))
    said += sum(len(part.tool_name) + len(part.input_json) for part in response.tool_calls)
    thought = sum(len(part.text) for part in response.parts if isinstance(part, ReasoningPart))
    return TokenUsage(input_tokens=_tokens(asked), output_tokens=_tokens(said), reasoning_tokens=_tokens(thought))


def _pieces(answer: Answer, index: int, chunk_chars: int) -> Iterator[LlmStreamEvent | ProviderFailure]:
    if isinstance(answer, LlmResponse):
        for part in answer.parts:
            yield from _part_pieces(part, chunk_chars)
        return
    items = answer if isinstance(answer, Sequence) else [answer]
    call_number = 0
    for item in items:
        match item:
            case Says(text=text):
                yield from _part_pieces(TextPart(text), chunk_chars)
            case Thinks(text=text):
                yield from _part_pieces(ReasoningPart(text), chunk_chars)
            case Calls(tool=tool, input_json=input_json):
                yield PartDone(ToolCallPart(f"call_{index}_{call_number}", tool, input_json))
                call_number += 1
            case Fails(after_text=text):
                # A stream that breaks off never completes its part.
                yield from (TextDelta(chunk) for chunk in _chunks(text, chunk_chars))
                yield item.failure()
            case _:
                raise _not_a_step(index, answer)


def _part_pieces(part: LlmPart, chunk_chars: int) -> Iterator[LlmStreamEvent]:
    if isinstance(part, TextPart):
        yield from (TextDelta(chunk) for chunk in _chunks(part.text, chunk_chars))
    elif isinstance(part, ReasoningPart):
        yield from (ReasoningDelta(chunk) for chunk in _chunks(part.text, chunk_chars))
    yield PartDone(part)


def _chunks(text: str, size: int) -> Iterator[str]:
    return (text[start : start + size] for start in range(0, len(text), size))


def _response(parts: list[LlmPart]) -> LlmResponse:
    has_calls = any(isinstance(part, ToolCallPart) for part in parts)
    return LlmResponse(parts, terminal_reason="tool_use" if has_calls else "stop", served_model="scripted")


def _check_step(index: int, step: object) -> None:
    if callable(step) or isinstance(step, LlmResponse | Item):
        return
    if isinstance(step, Sequence) and not isinstance(step, str) and all(isinstance(item, Item) for item in step):
        return
    raise _not_a_step(index, step)


def _not_a_step(index: int, step: object) -> InvalidArgument:
    return InvalidArgument(
        f"step {index} is {step!r}; a step is says(…), calls(…), thinks(…), fails(…), "
        "a list of these, an LlmResponse, or a callable that returns one"
    )


def _last_text(request: LlmRequest) -> str:
    for message in reversed(request.messages):
        for block in reversed(message.blocks):
            text = _block_text(block)
            if text:
                return text if len(text) <= 80 else f"{text[:80]}…"
    return ""


def _block_chars(block: LlmBlock) -> int:
    extra = len(block.tool_name) if isinstance(block, ToolCallBlock) else 0
    return len(_block_text(block)) + extra


def _block_text(block: LlmBlock) -> str:
    match block:
        case TextBlock(text=text) | ReasoningBlock(text=text):
            return text
        case ToolCallBlock(input_json=text) | ToolResultBlock(content=text):
            return text
        case _:
            return ""


def _tokens(chars: int) -> int:
    return -(-chars // CHARS_PER_TOKEN)
