"""The trace of one turn: its records, live and from what is recorded.

What starts has a fresh id: it started once more. What ends has an id that follows from
the effect's replay key, so an end that was told before its process died is recognised.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, cast

import msgspec

from lash.base.canonical import sha256_hex
from lash.base.codec import from_json, to_json
from lash.base.json import Json, JsonObject
from lash.base.usage import TokenUsage
from lash.effects.envelope import EffectEnvelope, EffectOutcome
from lash.effects.ports import EffectSummary
from lash.machine.llm import (
    ImageBlock,
    LlmCallError,
    LlmRequest,
    LlmResponse,
    LlmStreamEvent,
    PartDone,
    ReasoningDelta,
    TextDelta,
    ToolSpec,
)
from lash.machine.values import PendingCall
from lash.tools.result import Cancelled, Failed, ToolCallOutput, ToolCallRecord
from lash.tracing.records import RecordType, TraceContext
from lash.tracing.tracer import Tracer, stable_id


class CallWatch(Protocol):
    """Watches one live model call."""

    def asked(self, request: LlmRequest) -> None:
        """The request is about to be sent."""
        ...

    def heard(self, event: LlmStreamEvent) -> None:
        """A piece of the answer arrived."""
        ...

    def facts(self) -> JsonObject:
        """What only the one who was there knows; recorded with the outcome."""
        ...


class TurnTrace:
    """Records of one drive of one turn."""

    def __init__(self, tracer: Tracer, *, session_id: str, turn_id: str, turn_index: int) -> None:
        self.tracer = tracer
        self._place = TraceContext(session_id=session_id, turn_id=turn_id, turn_index=turn_index)
        self._key = (session_id, turn_id)
        self.model = ""
        self.provider = ""
        self._used = TokenUsage()
        self._is_open = False
        self._started_ms = 0
        self._recorded: dict[str, EffectSummary] = {}

    # the turn

    def started(self, batch_ids: Sequence[str], *, is_first: bool) -> None:
        """A drive begins; `is_first` unless an earlier one may have recorded something."""
        self._is_open = True
        self._started_ms = self.tracer.clock.now_ms()
        kind: RecordType = "turn_started" if is_first else "turn_resumed"
        self._emit(kind, self._place, {"metadata": {}})
        if is_first:
            self._emit(
                "custom", self._place, {"name": "queued_work.claimed", "payload": {"batch_ids": list(batch_ids)}}
            )

    def again(self) -> None:
        """The same drive starts over: what was counted is void."""
        self._used = TokenUsage()

    def completed(self, done_reason: str, *, is_ok: bool, issues: Sequence[tuple[str, str | None]]) -> None:
        """The turn is settled."""
        payload: JsonObject = {
            "status": "completed" if is_ok else "failed",
            "done_reason": done_reason,
            "duration_ms": self.tracer.clock.now_ms() - self._started_ms,
            "usage": to_json(self._used),
        }
        if issues:
            payload["errors"] = [{"kind": kind, "code": code} for kind, code in issues]
        self._is_open = False
        self.tracer.emit("turn_completed", self._place, payload, record_id=stable_id(*self._key, "turn"))

    def committed(self, *, revision: int, nodes: int, duration_ms: int, batch_ids: Sequence[str]) -> None:
        """What the turn did is in history."""
        self.tracer.emit(
            "turn_committed",
            self._place,
            {"revision": revision, "nodes": nodes, "duration_ms": duration_ms},
            record_id=stable_id(*self._key, "commit"),
        )
        payload: JsonObject = {"name": "queued_work.completed", "payload": {"batch_ids": list(batch_ids)}}
        self._emit("custom", self._place, payload)

    def left(self, reason: str) -> None:
        """This drive ends and the turn does not: somebody else goes on with it."""
        if self._is_open:
            self._is_open = False
            self._emit("turn_left", self._place, {"reason": reason})

    # the mode

    def stepped(self, iteration: int, plugin_id: str, payload: JsonObject) -> None:
        """The mode did something of its own: it ran a program."""
        self._emit("protocol_step", self._at(iteration), {"plugin_id": plugin_id, "payload": payload})

    # the model

    def prompt_built(self, iteration: int, system_prompt: str, tools: Sequence[ToolSpec]) -> None:
        """The model's instructions and tools stand, or are others than before."""
        components: list[JsonObject] = [
            {
                "id": "system_prompt",
                "kind": "prompt",
                "hash": sha256_hex(system_prompt.encode()),
                "chars": len(system_prompt),
            }
        ]
        components += [
            {"id": spec.name, "kind": "tool", "hash": sha256_hex(msgspec.json.encode(to_json(spec)))} for spec in tools
        ]
        payload: JsonObject = {
            "prompt_hash": sha256_hex(system_prompt.encode()),
            "prompt_chars": len(system_prompt),
            "components": cast("list[Json]", components),
        }
        if self.tracer.is_extended:
            payload["prompt"] = system_prompt
        self._emit("prompt_built", self._at(iteration), payload)

    def watch(self, envelope: EffectEnvelope) -> CallWatch:
        """Watches a model call that is about to run."""
        return _LiveCall(self, self._of(envelope, is_model=True))

    def model_answered(self, envelope: EffectEnvelope, outcome: EffectOutcome, elapsed_ms: int | None) -> None:
        """A model call has an outcome. `elapsed_ms` is None when it was recorded before this drive."""
        body = outcome.expect("llm_call")
        result = cast("JsonObject", body["result"])
        context = self._of(envelope, is_model=True)
        facts = cast("JsonObject", body.get("trace") or {})
        payload: JsonObject = {
            "model": facts.get("model", self.model),
            "provider": facts.get("provider", self.provider),
            "attempts": body["attempts"],
        }
        if (first := facts.get("first_token_ms")) is not None:
            payload["first_token_ms"] = first
        if failed := body.get("failed"):
            payload["failed_attempts"] = failed
        if "ok" not in result:
            error = from_json(result["err"], LlmCallError)
            payload["error"] = {
                "kind": error.kind,
                "code": error.code,
                "message": error.message,
                "status": error.status,
                "terminal_reason": error.terminal_reason,
            }
            self._end("llm_call_failed", context, payload, envelope.replay_key, elapsed_ms)
            return
        response = from_json(result["ok"], LlmResponse)
        self._used += response.usage
        payload["response"] = self._response(response)
        payload["usage"] = to_json(response.usage)
        self._end("llm_call_completed", context, payload, envelope.replay_key, elapsed_ms)
        self._end(
            "token_usage",
            context,
            {"usage": to_json(response.usage), "cumulative": to_json(self._used)},
            f"{envelope.replay_key}:usage",
            elapsed_ms,
            recorded_as=envelope.replay_key,
        )

    def _response(self, response: LlmResponse) -> JsonObject:
        said: JsonObject = {
            "terminal_reason": response.terminal_reason,
            "chars": len(response.full_text),
            "tool_calls": [call.tool_name for call in response.tool_calls],
        }
        if response.served_model is not None:
            said["served_model"] = response.served_model
        if self.tracer.is_extended:
            said["text"] = response.full_text
            said["parts"] = to_json(response.parts)
        return said

    # tools

    def tool_started(self, context: TraceContext, call: PendingCall) -> None:
        """A call begins, here and now."""
        payload: JsonObject = {"call_id": call.call_id, "name": call.tool_name}
        if self.tracer.is_extended:
            payload["args"] = call.args
        self._emit("tool_call_started", context, payload)

    def tool_attempted(
        self,
        context: TraceContext,
        call: PendingCall,
        number: int,
        status: str,
        key: str,
        elapsed_ms: int | None,
        retry_in_ms: Json,
    ) -> None:
        """An attempt that was not all there was to its call."""
        payload: JsonObject = {"call_id": call.call_id, "name": call.tool_name, "attempt": number, "status": status}
        if retry_in_ms is not None:
            payload["retry_in_ms"] = retry_in_ms
        self._end("tool_attempt", context, payload, f"{key}:attempt", elapsed_ms, recorded_as=key)

    def tool_completed(
        self,
        context: TraceContext,
        record: ToolCallRecord,
        attempts: int,
        key: str,
        elapsed_ms: int | None,
        recorded_as: str,
    ) -> None:
        """A call has its result. Its time is that of the tool, which the outcome knows."""
        output: JsonObject = {"status": _status(record.output)}
        if isinstance(record.output.outcome, Failed):
            failure = record.output.outcome.payload
            output["error"] = {"class": failure.kind, "code": failure.code, "source": failure.source}
        if record.output.control is not None:
            output["control"] = str(record.output.control.__struct_config__.tag)
        payload: JsonObject = {
            "call_id": record.call_id,
            "name": record.tool,
            "attempts": attempts,
            "output": output,
        }
        if self.tracer.is_extended:
            payload["args"] = record.args
            payload["output"] = {**output, "outcome": to_json(record.output.outcome)}
        self._end(
            "tool_call_completed",
            context,
            payload,
            key,
            elapsed_ms,
            recorded_as=recorded_as,
            duration_ms=record.duration_ms,
        )

    # waits

    def wait_started(self, context: TraceContext, kind: str, call: PendingCall | None) -> None:
        """The turn, or one of its calls, waits."""
        self._emit("wait_started", context, _wait(kind, call))

    def wait_completed(
        self, context: TraceContext, kind: str, call: PendingCall | None, key: str, elapsed_ms: int | None, status: str
    ) -> None:
        """It waits no more."""
        self._end("wait_completed", context, {**_wait(kind, call), "status": status}, key, elapsed_ms)

    # everything

    def remember(self, recorded: Sequence[EffectSummary]) -> None:
        """When the recorded effects of this turn began and ended."""
        self._recorded = {effect.key: effect for effect in recorded}

    def context_of(self, envelope: EffectEnvelope, effect_id: str | None = None) -> TraceContext:
        """The context of an effect, or of a larger piece of work that it is part of."""
        context = self._of(envelope, is_model=False)
        return context if effect_id is None else msgspec.structs.replace(context, effect_id=effect_id)

    def stream_event(self, kind: RecordType, context: TraceContext, event: Json) -> None:
        """One event of a stream; at the extended level only."""
        self._emit(kind, context, {"event": event})

    def _of(self, envelope: EffectEnvelope, *, is_model: bool) -> TraceContext:
        effect_id = envelope.effect_id
        return msgspec.structs.replace(
            self._place,
            protocol_iteration=envelope.invocation.scope.protocol_iteration,
            effect_id=effect_id,
            llm_call_id=effect_id if is_model else None,
        )

    def _at(self, iteration: int) -> TraceContext:
        return msgspec.structs.replace(self._place, protocol_iteration=iteration)

    def _emit(self, kind: RecordType, context: TraceContext, payload: JsonObject) -> None:
        self.tracer.emit(kind, context, payload)

    def _end(
        self,
        kind: RecordType,
        context: TraceContext,
        payload: JsonObject,
        key: str,
        elapsed_ms: int | None,
        *,
        recorded_as: str | None = None,
        duration_ms: int | None = None,
    ) -> None:
        record_id = stable_id(*self._key, key, kind)
        if elapsed_ms is not None:
            payload["duration_ms"] = elapsed_ms if duration_ms is None else duration_ms
            self.tracer.emit(kind, context, payload, record_id=record_id)
            return
        effect = self._recorded.get(recorded_as or key)
        finished_ms = None if effect is None else effect.finished_at_ms
        if duration_ms is None and effect is not None and finished_ms is not None:
            duration_ms = finished_ms - effect.started_at_ms
        payload["duration_ms"] = duration_ms or 0
        payload["recovered"] = True
        self.tracer.emit_once(kind, context, payload, record_id=record_id, timestamp_ms=finished_ms)


class _LiveCall:
    """One model call while it runs."""

    def __init__(self, trace: TurnTrace, context: TraceContext) -> None:
        self._trace = trace
        self._context = context
        self._asked_at = 0.0
        self._first_ms: int | None = None

    def asked(self, request: LlmRequest) -> None:
        trace = self._trace
        payload: JsonObject = {
            "model": trace.model,
            "provider": trace.provider,
            "request": _request(request, is_extended=trace.tracer.is_extended),
        }
        trace.tracer.emit("llm_call_started", self._context, payload)
        self._asked_at = trace.tracer.clock.monotonic()

    def heard(self, event: LlmStreamEvent) -> None:
        if self._first_ms is None and isinstance(event, TextDelta | ReasoningDelta | PartDone):
            self._first_ms = round((self._trace.tracer.clock.monotonic() - self._asked_at) * 1000)
        if self._trace.tracer.is_extended:
            self._trace.stream_event("provider_stream_event", self._context, to_json(event))

    def facts(self) -> JsonObject:
        facts: JsonObject = {"model": self._trace.model, "provider": self._trace.provider}
        if self._first_ms is not None:
            facts["first_token_ms"] = self._first_ms
        return facts


def _request(request: LlmRequest, *, is_extended: bool) -> JsonObject:
    attachments = [
        block.attachment.id for message in request.messages for block in message.blocks if isinstance(block, ImageBlock)
    ]
    said: JsonObject = {
        "messages": len(request.messages),
        "chars": sum(len(message.text) for message in request.messages),
        "tools": [spec.name for spec in request.tools],
        "attachments": cast("list[Json]", attachments),
        "stream": True,
    }
    if is_extended:
        said["messages"] = to_json(request.messages)
        said["tools"] = to_json(request.tools)
    return said


def _wait(kind: str, call: PendingCall | None) -> JsonObject:
    return {"kind": kind} if call is None else {"kind": kind, "call_id": call.call_id, "name": call.tool_name}


def _status(output: ToolCallOutput) -> str:
    if output.is_success:
        return "success"
    return "cancelled" if isinstance(output.outcome, Cancelled) else "failure"
