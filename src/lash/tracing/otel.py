"""Records as OpenTelemetry spans, by the semantic conventions for generative AI.

A turn is an `invoke_agent` span, a model call a `chat` span, a tool call an
`execute_tool` span; what has no length of its own is an event of its turn's span. Only
the API is needed: which SDK exports where is the application's choice.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from lash.base.errors import MissingExtra
from lash.base.json import Json, JsonObject
from lash.tracing.records import TraceContext, TraceRecord

if TYPE_CHECKING:
    from opentelemetry.trace import Span, SpanKind, TracerProvider

Place: TypeAlias = tuple[str | None, str | None]
Attributes: TypeAlias = dict[str, Any]

# How the conventions call providers that we call otherwise.
_PROVIDERS = {"google": "gcp.gemini"}
# Turns and tool calls that began and whose end is not told, because their process left them.
MAX_OPEN = 10_000


class OtelTrace:
    """Emits spans. `tracer_provider` defaults to the application's global one. Added in 0.1.

    Content (prompts, answers, arguments, results) needs both `trace_level="extended"` and
    `include_payload_json`. Raises `MissingExtra` without the extra `otel`.
    """

    def __init__(
        self,
        tracer_provider: TracerProvider | None = None,
        *,
        include_event_json: bool = False,
        include_context_metadata: bool = True,
        include_payload_json: bool = False,
    ) -> None:
        """`include_event_json` puts the whole record into each span event."""
        try:
            from opentelemetry import trace
        except ImportError as error:
            raise MissingExtra("otel", "OtelTrace") from error
        self._api = trace
        self._tracer = trace.get_tracer("lash", tracer_provider=tracer_provider)
        self._include_event_json = include_event_json
        self._include_context_metadata = include_context_metadata
        self._include_payload_json = include_payload_json
        self._turns: dict[Place, Span] = {}
        self._tools: dict[tuple[Place, str | None], int] = {}

    def append(self, record: TraceRecord) -> None:
        """Starts or ends a span, or adds an event to one."""
        match record.type:
            case "turn_started" | "turn_resumed":
                self._start_turn(record)
            case "turn_completed" | "turn_left":
                self._end_turn(record)
            case "llm_call_completed" | "llm_call_failed":
                self._model_call(record)
            case "tool_call_started":
                self._remember_tool(record)
            case "tool_call_completed":
                self._tool_call(record)
            case "llm_call_started":
                pass
            case _:
                self._event(record)

    def _start_turn(self, record: TraceRecord) -> None:
        place = _place(record.context)
        if (open_already := self._turns.pop(place, None)) is not None:
            open_already.end()
        if len(self._turns) >= MAX_OPEN:
            self._turns.pop(next(iter(self._turns))).end()
        attributes: Attributes = {
            "gen_ai.operation.name": "invoke_agent",
            "lash.turn.resumed": record.type == "turn_resumed",
            **self._context(record.context),
        }
        self._turns[place] = self._tracer.start_span(
            "invoke_agent", kind=self._api.SpanKind.INTERNAL, attributes=attributes, start_time=_ns(record.timestamp_ms)
        )

    def _end_turn(self, record: TraceRecord) -> None:
        place = _place(record.context)
        for key in [key for key in self._tools if key[0] == place]:
            del self._tools[key]
        span = self._turns.pop(place, None)
        if span is None:
            return
        payload = record.payload
        if record.type == "turn_left":
            span.set_attribute("lash.turn.left", str(payload.get("reason")))
        else:
            span.set_attribute("lash.turn.done_reason", str(payload.get("done_reason")))
            span.set_attributes(_usage(payload.get("usage")))
            if payload.get("status") != "completed":
                span.set_attribute("error.type", str(payload.get("done_reason")))
                span.set_status(self._api.StatusCode.ERROR, str(payload.get("done_reason")))
        span.end(end_time=_ns(record.timestamp_ms))

    def _model_call(self, record: TraceRecord) -> None:
        payload = record.payload
        model, provider = str(payload.get("model")), str(payload.get("provider"))
        response = cast("JsonObject", payload.get("response") or {})
        attributes: Attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": _PROVIDERS.get(provider, provider),
            "gen_ai.request.model": model,
            "lash.attempts": payload.get("attempts"),
            "lash.time_to_first_token_ms": payload.get("first_token_ms"),
            "gen_ai.response.model": response.get("served_model"),
            **_usage(payload.get("usage")),
            **self._context(record.context),
        }
        if "terminal_reason" in response:
            attributes["gen_ai.response.finish_reasons"] = [str(response["terminal_reason"])]
        if self._include_payload_json and "parts" in response:
            attributes["gen_ai.output.messages"] = _json([_output_message(response)])
        error = cast("JsonObject | None", payload.get("error"))
        code = None if error is None else str(error.get("code") or error.get("kind"))
        self._span(record, f"chat {model}", self._api.SpanKind.CLIENT, attributes, code)

    def _remember_tool(self, record: TraceRecord) -> None:
        if len(self._tools) >= MAX_OPEN:
            self._tools.pop(next(iter(self._tools)))
        self._tools[_place(record.context), record.context.effect_id] = record.timestamp_ms

    def _tool_call(self, record: TraceRecord) -> None:
        payload = record.payload
        output = cast("JsonObject", payload.get("output") or {})
        attributes: Attributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": payload.get("name"),
            "gen_ai.tool.call.id": payload.get("call_id"),
            "gen_ai.tool.type": "function",
            "lash.attempts": payload.get("attempts"),
            **self._context(record.context),
        }
        if self._include_payload_json and "args" in payload:
            attributes["gen_ai.tool.call.arguments"] = _json(payload["args"])
            attributes["gen_ai.tool.call.result"] = _json(output.get("outcome"))
        code = None
        if output.get("status") != "success":
            error = cast("JsonObject", output.get("error") or {})
            code = str(error.get("code") or output.get("status"))
        started_ms = self._tools.pop((_place(record.context), record.context.effect_id), None)
        name = f"execute_tool {payload.get('name')}"
        self._span(record, name, self._api.SpanKind.INTERNAL, attributes, code, started_ms)

    def _span(
        self,
        record: TraceRecord,
        name: str,
        kind: SpanKind,
        attributes: Attributes,
        error: str | None,
        started_ms: int | None = None,
    ) -> None:
        turn = self._turns.get(_place(record.context))
        if started_ms is None:
            started_ms = record.timestamp_ms - cast("int", record.payload.get("duration_ms") or 0)
        if error is not None:
            attributes["error.type"] = error
        span = self._tracer.start_span(
            name,
            context=None if turn is None else self._api.set_span_in_context(turn),
            kind=kind,
            attributes={key: value for key, value in attributes.items() if value is not None},
            start_time=_ns(started_ms),
        )
        if error is not None:
            span.set_status(self._api.StatusCode.ERROR, error)
        span.end(end_time=_ns(record.timestamp_ms))

    def _event(self, record: TraceRecord) -> None:
        turn = self._turns.get(_place(record.context))
        if turn is None:
            return  # nothing it could belong to
        name = str(record.payload.get("name")) if record.type == "custom" else record.type
        attributes: Attributes = {
            f"lash.{key}": value for key, value in record.payload.items() if isinstance(value, str | int | float)
        }
        if self._include_event_json:
            attributes["lash.record"] = _json(record.to_json())
        turn.add_event(f"lash.{name}", attributes, timestamp=_ns(record.timestamp_ms))

    def _context(self, context: TraceContext) -> Attributes:
        known: Attributes = {
            "gen_ai.conversation.id": context.session_id,
            "lash.turn.id": context.turn_id,
            "lash.turn.index": context.turn_index,
            "lash.iteration": context.protocol_iteration,
            "lash.effect.id": context.effect_id,
            "lash.run.id": context.run_id,
            "lash.experiment.id": context.experiment_id,
            "lash.candidate.id": context.candidate_id,
            "lash.example.id": context.example_id,
        }
        if self._include_context_metadata:
            known.update({f"lash.metadata.{key}": _plain(value) for key, value in context.metadata.items()})
        return {key: value for key, value in known.items() if value is not None}


def _place(context: TraceContext) -> Place:
    return context.session_id, context.turn_id


def _ns(epoch_ms: int) -> int:
    return epoch_ms * 1_000_000


def _usage(usage: Json) -> Attributes:
    if not isinstance(usage, dict):
        return {}
    counts = cast("dict[str, int]", usage)
    # The conventions count reasoning as output; here it is counted beside it.
    return {
        "gen_ai.usage.input_tokens": counts["input_tokens"],
        "gen_ai.usage.output_tokens": counts["output_tokens"] + counts["reasoning_tokens"],
        "gen_ai.usage.cache_read.input_tokens": counts["cached_input_tokens"],
        "gen_ai.usage.reasoning.output_tokens": counts["reasoning_tokens"],
    }


def _output_message(response: JsonObject) -> JsonObject:
    parts: list[Json] = []
    for part in cast("list[JsonObject]", response["parts"]):
        if part["type"] == "tool_call":
            parts.append(
                {
                    "type": "tool_call",
                    "id": part["call_id"],
                    "name": part["tool_name"],
                    "arguments": part["input_json"],
                }
            )
        else:
            parts.append({"type": part["type"], "content": part["text"]})
    return {"role": "assistant", "parts": parts, "finish_reason": response.get("terminal_reason")}


def _plain(value: Json) -> str | int | float | None:
    return value if value is None or isinstance(value, str | int | float) else _json(value)


def _json(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)
