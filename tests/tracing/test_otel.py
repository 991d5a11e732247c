"""Records as OpenTelemetry spans, exported by the real SDK to a collector of ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

pytest.importorskip("opentelemetry.sdk", reason="opentelemetry-sdk is not installed")

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

import lash
from lash.testing import ScriptedModel, calls, says
from lash.tools import ToolResult
from lash.tracing import TraceContext, TraceLevel, TraceRecord
from lash.tracing.otel import OtelTrace


@lash.tool()
async def lookup(name: str) -> object:
    """Looks something up."""
    return ToolResult.failure("unavailable", "busy", "not now") if name == "busy" else f"the secret of {name}"


async def spans(
    *names: str, level: TraceLevel = "standard", context: TraceContext | None = None, **options: bool
) -> list[Any]:
    """The spans of one turn that looks these up."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    core = lash.StandardCore(
        model=ScriptedModel([*(calls("lookup", name=name) for name in names), says("it is on its way")]),
        tools=[lookup],
        trace_sink=OtelTrace(provider, **options),
        trace_level=level,
        trace_context=context,
    )
    async with core, core.session("s") as session:
        await session.run("where?", turn_id="t")
    provider.shutdown()
    return list(exporter.get_finished_spans())


def named(found: Sequence[Any], name: str) -> list[Any]:
    return [span for span in found if span.name == name]


async def test_a_turn_is_one_trace_of_nested_spans() -> None:
    found = await spans("order 7")

    [turn] = named(found, "invoke_agent")
    chats, [tool] = named(found, "chat scripted"), named(found, "execute_tool lookup")
    assert len(found) == 4
    assert len(chats) == 2
    assert {span.context.trace_id for span in found} == {turn.context.trace_id}
    assert turn.parent is None
    assert all(span.parent.span_id == turn.context.span_id for span in (*chats, tool))
    assert all(turn.start_time <= span.start_time <= span.end_time <= turn.end_time for span in (*chats, tool))


async def test_spans_follow_the_conventions() -> None:
    found = await spans("order 7")

    chat = named(found, "chat scripted")[-1].attributes
    assert chat["gen_ai.operation.name"] == "chat"
    assert chat["gen_ai.provider.name"] == "scripted"
    assert chat["gen_ai.request.model"] == "scripted"
    assert chat["gen_ai.conversation.id"] == "s"
    assert chat["gen_ai.response.finish_reasons"] == ("stop",)
    assert chat["gen_ai.usage.input_tokens"] > 0
    assert chat["gen_ai.usage.output_tokens"] > 0
    [tool] = named(found, "execute_tool lookup")
    assert tool.attributes["gen_ai.tool.name"] == "lookup"
    assert tool.attributes["gen_ai.tool.type"] == "function"
    assert tool.attributes["gen_ai.tool.call.id"]
    [turn] = named(found, "invoke_agent")
    assert turn.attributes["gen_ai.operation.name"] == "invoke_agent"
    assert turn.attributes["gen_ai.usage.input_tokens"] == sum(
        span.attributes["gen_ai.usage.input_tokens"] for span in named(found, "chat scripted")
    )
    assert {"lash.queued_work.claimed", "lash.prompt_built", "lash.turn_committed"} <= {e.name for e in turn.events}


async def test_a_failed_tool_is_a_failed_span() -> None:
    found = await spans("busy")

    [tool] = named(found, "execute_tool lookup")
    assert tool.status.status_code is StatusCode.ERROR
    assert tool.attributes["error.type"] == "busy"


async def test_content_stays_out_unless_it_is_asked_for_twice() -> None:
    for found in (await spans("order 7", level="extended"), await spans("order 7", include_payload_json=True)):
        assert "secret" not in "".join(span.to_json() for span in found)

    told = "".join(span.to_json() for span in await spans("order 7", level="extended", include_payload_json=True))
    assert "the secret of order 7" in told
    assert "it is on its way" in told


async def test_metadata_of_the_application_may_be_left_out() -> None:
    context = TraceContext(metadata={"customer": "c", "tags": ["a"]})

    [turn] = named(await spans(context=context), "invoke_agent")
    assert turn.attributes["lash.metadata.customer"] == "c"
    assert turn.attributes["lash.metadata.tags"] == '["a"]'
    [turn] = named(await spans(context=context, include_context_metadata=False), "invoke_agent")
    assert "lash.metadata.customer" not in turn.attributes


def test_a_turn_that_is_left_and_resumed_is_two_spans() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    sink = OtelTrace(provider)
    place = TraceContext(session_id="s", turn_id="t")

    sink.append(TraceRecord("1", "turn_started", 1_000, place, {}))
    sink.append(TraceRecord("2", "turn_left", 2_000, place, {"reason": "lease_lost"}))
    sink.append(TraceRecord("3", "turn_resumed", 3_000, place, {}))
    sink.append(TraceRecord("4", "turn_completed", 4_000, place, {"status": "completed", "done_reason": "x"}))

    first, second = exporter.get_finished_spans()
    assert first.attributes is not None
    assert first.attributes["lash.turn.left"] == "lease_lost"
    assert second.attributes is not None
    assert second.attributes["lash.turn.resumed"] is True
