"""The model call as an effect: its envelope, its live half, and its outcome.

The envelope names committed history and the environment by reference and spells out
only this turn's messages, so neither its hash nor its journal row grows with the
conversation (decisions 4).
"""

from __future__ import annotations

import msgspec

from lash.base.cancel import CancelToken
from lash.base.clock import Clock
from lash.base.codec import from_json, to_json
from lash.base.json import JsonObject
from lash.effects.envelope import EffectCommand, EffectOutcome
from lash.machine.llm import (
    AttemptReset,
    LlmCallError,
    LlmRequest,
    LlmResponse,
    LlmStreamEvent,
    PartDone,
    ReasoningDelta,
    RetryStatus,
    TextDelta,
    UsageSoFar,
)
from lash.machine.values import LlmAnswered, RequestSpec
from lash.models.call import call_model
from lash.models.provider import Provider, StreamSink
from lash.plugins.execution import Screened, TextScreen
from lash.runtime import activity
from lash.runtime.activity import ActivityStream
from lash.runtime.output import OutputShaping
from lash.runtime.screening import Screening
from lash.tracing.turn import CallWatch


class HistoryRef(msgspec.Struct, frozen=True):
    """Committed history by reference."""

    leaf_node_id: str | None
    frame_id: str


def llm_command(spec: RequestSpec, history: HistoryRef) -> EffectCommand:
    """The command of a model call."""
    request = to_json(spec)
    assert isinstance(request, dict)
    request["history"] = to_json(history)
    return EffectCommand("llm_call", {"request": request})


async def perform(
    provider: Provider,
    request: LlmRequest,
    *,
    cancel: CancelToken,
    clock: Clock,
    stream: ActivityStream,
    correlation_id: str,
    shaping: OutputShaping | None = None,
    screen: TextScreen | None = None,
    watch: CallWatch | None = None,
) -> EffectOutcome:
    """Runs the call and tells its text as it arrives. Failures are data in the outcome.

    A `screen` sees the text first: what it holds back is told to nobody, and it may end the call.
    """
    stop = cancel if shaping is None else shaping.stop
    screening = None if screen is None else Screening(screen, stop)
    teller = _Teller(stream, correlation_id, shaping, screening)
    is_heard = stream.is_watched or screening is not None or (shaping is not None and shaping.hears_stream)
    sink: StreamSink | None = teller.tell if is_heard else None
    if watch is not None:
        watch.asked(request)
        sink = _both(watch.heard, sink)
    is_answer = False
    try:
        call = await call_model(
            provider,
            request,
            stream=sink,
            cancel=stop if screening is None else screening.stop,
            clock=clock,
        )
        if screening is not None:
            teller.finish()
        result = call.result if screening is None else screening.result(call.result)
        result = result if shaping is None else await shaping.result(result)
        is_answer = isinstance(result, LlmResponse)
    finally:
        if not is_answer:
            teller.retract()
    body: JsonObject = {
        "result": {"ok" if is_answer else "err": to_json(result)},
        "attempts": call.attempts,
        "text_streamed": teller.has_text,
    }
    if call.failed:
        body["failed"] = to_json(call.failed)
    if watch is not None:
        body["trace"] = watch.facts()
    if shaping is not None and shaping.hears_stream and isinstance(result, LlmResponse):
        if not teller.has_text and result.full_text:
            shaping.tell(result.full_text)  # what came whole is asked about whole
            shaping.raise_failure()
        body["told"] = shaping.told
        body["text_streamed"] = True
    return EffectOutcome("llm_call", body)


def told_text(outcome: EffectOutcome) -> str | None:
    """What stream hooks made of the text, when there were any; what a replay tells."""
    told = outcome.expect("llm_call").get("told")
    return told if isinstance(told, str) else None


def llm_answer(effect_id: int, outcome: EffectOutcome) -> LlmAnswered:
    """The machine's answer from an outcome."""
    body = outcome.expect("llm_call")
    result = body["result"]
    attempts = body["attempts"]
    assert isinstance(result, dict)
    assert isinstance(attempts, int)
    is_streamed = body.get("text_streamed") is True
    if "ok" in result:
        response = from_json(result["ok"], LlmResponse)
        return LlmAnswered(effect_id, response=response, text_streamed=is_streamed, attempts=attempts)
    error = from_json(result["err"], LlmCallError)
    return LlmAnswered(effect_id, error=error, text_streamed=is_streamed, attempts=attempts)


def _both(first: StreamSink, second: StreamSink | None) -> StreamSink:
    def hear(event: LlmStreamEvent) -> None:
        first(event)
        if second is not None:
            second(event)

    return hear


class _Teller:
    """Turns stream events into activity."""

    def __init__(
        self,
        stream: ActivityStream,
        correlation_id: str,
        shaping: OutputShaping | None,
        screening: Screening | None = None,
    ) -> None:
        self._screening = screening
        self._stream = stream
        self._correlation_id = correlation_id
        self._shaping = shaping if shaping is not None and shaping.hears_stream else None
        self.has_text = False
        self._has_spoken = False

    def retract(self) -> None:
        """What was told of this call enters no history: whoever shows it takes it back."""
        if self._has_spoken:
            self.has_text = self._has_spoken = False
            if self._shaping is not None:
                self._shaping.reset()
            self._stream.tell(self._correlation_id, activity.ModelAttemptReset([self._correlation_id]))

    def tell(self, event: LlmStreamEvent) -> None:
        match event:
            case TextDelta(text=text) if self._screening is not None:
                self._told(self._screening.feed(text))
            case TextDelta(text=text):
                self.has_text = self._has_spoken = True
                if self._shaping is not None:
                    self._shaping.tell(text)
                else:
                    self._stream.tell(self._correlation_id, activity.AssistantProseDelta(text))
            case ReasoningDelta(text=text):
                self._has_spoken = True
                self._stream.tell(self._correlation_id, activity.ReasoningDelta(text))
            case RetryStatus(wait_seconds=wait, attempt=attempt, max_attempts=limit, reason=reason):
                self._stream.tell(self._correlation_id, activity.RetryStatus(wait, attempt, limit, reason))
            case AttemptReset():
                if self._screening is not None:
                    self._screening.reset()
                self.retract()
            case UsageSoFar(usage=usage):
                if self._screening is not None:
                    self._screening.usage = usage
                if self._shaping is not None:
                    self._shaping.usage = usage
            case PartDone():
                pass

    def finish(self) -> None:
        """The text has ended: what the screen still holds back is told."""
        if self._screening is not None:
            self._told(self._screening.rest())

    def _told(self, screened: Screened) -> None:
        if screened.text:
            self._has_spoken = True
            self._stream.tell(self._correlation_id, activity.ReasoningDelta(screened.text))
        if screened.event is not None and self._screening is not None:
            plugin_id = self._screening.plugin_id
            self._stream.tell(plugin_id, activity.PluginRuntime(plugin_id, screened.event))
