"""The model call as an effect: its envelope, its live half, and its outcome.

The envelope names committed history and the environment by reference and spells out
only this turn's messages, so neither its hash nor its journal row grows with the
conversation (decisions 4).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import msgspec

from lash.base.cancel import CancelToken
from lash.base.codec import from_json, to_json
from lash.base.json import Json, JsonObject
from lash.effects.envelope import EffectCommand, EffectOutcome
from lash.effects.errors import EffectControllerError
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
from lash.models.failure import ProviderFailure
from lash.models.provider import Provider
from lash.runtime import activity
from lash.runtime.activity import ActivityStream

BuildRequest: TypeAlias = Callable[[RequestSpec], LlmRequest]


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


async def call_model(
    provider: Provider, request: LlmRequest, cancel: CancelToken, stream: ActivityStream, correlation_id: str
) -> EffectOutcome:
    """Runs the call and tells its text as it arrives. Failures are data in the outcome."""
    teller = _Teller(stream, correlation_id)
    try:
        response = await provider.complete(request, teller.tell, cancel)
    except ProviderFailure as failure:
        if cancel.is_cancelled and not cancel.is_requested:
            raise EffectControllerError("runtime_effect_detached", f"the model call was left: {cancel.reason}") from None
        reason = "cancelled" if cancel.is_requested else failure.terminal_reason
        error = LlmCallError(
            kind=failure.kind,
            message=failure.message,
            code="cancelled" if cancel.is_requested else failure.code,
            status=failure.status,
            terminal_reason=reason,
        )
        return EffectOutcome("llm_call", {"result": {"err": to_json(error)}, "text_streamed": teller.has_text})
    return EffectOutcome("llm_call", {"result": {"ok": to_json(response)}, "text_streamed": teller.has_text})


def llm_answer(effect_id: int, outcome: EffectOutcome) -> LlmAnswered:
    """The machine's answer from an outcome."""
    body = outcome.expect("llm_call")
    result = _object(body["result"])
    streamed = body.get("text_streamed") is True
    if "ok" in result:
        return LlmAnswered(effect_id, response=from_json(result["ok"], LlmResponse), text_streamed=streamed)
    return LlmAnswered(effect_id, error=from_json(result["err"], LlmCallError), text_streamed=streamed)


class _Teller:
    """Turns stream events into activity."""

    def __init__(self, stream: ActivityStream, correlation_id: str) -> None:
        self._stream = stream
        self._correlation_id = correlation_id
        self.has_text = False

    def tell(self, event: LlmStreamEvent) -> None:
        match event:
            case TextDelta(text=text):
                self.has_text = True
                self._stream.tell(self._correlation_id, activity.AssistantProseDelta(text))
            case ReasoningDelta(text=text):
                self._stream.tell(self._correlation_id, activity.ReasoningDelta(text))
            case RetryStatus(wait_seconds=wait, attempt=attempt, max_attempts=limit, reason=reason):
                self._stream.tell(self._correlation_id, activity.RetryStatus(wait, attempt, limit, reason))
            case AttemptReset():
                self.has_text = False
                self._stream.tell(self._correlation_id, activity.ModelAttemptReset([self._correlation_id]))
            case PartDone() | UsageSoFar():
                pass


def _object(json: Json) -> JsonObject:
    assert isinstance(json, dict)
    return json
