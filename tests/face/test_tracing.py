"""What a core tells its trace: every piece of work once, whoever did it, and nothing that was said."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

import lash
from face.places import Gate, Place
from lash.base.errors import InvalidArgument
from lash.base.json import JsonObject
from lash.machine.llm import LlmRequest
from lash.stores.store import Store
from lash.testing import ScriptedModel, calls, cell, says
from lash.tools import ToolResult
from lash.tracing import CallableTrace, InMemoryTrace, JsonlTrace, TraceContext, TraceLevel, TraceRecord


@lash.tool(repeat="idempotent")
async def lookup(name: str) -> str:
    """Looks something up."""
    return f"the secret of {name}"


def core_of(sink: object, *, level: TraceLevel = "standard", **options: object) -> lash.StandardCore:
    model = ScriptedModel([calls("lookup", name="order 7"), says("it is on its way")])
    return lash.StandardCore(model=model, tools=[lookup], trace_sink=sink, trace_level=level, **options)  # type: ignore[arg-type]


async def run_one(core: lash.StandardCore) -> None:
    async with core, core.session("s") as session:
        await session.run("where is order 7?", turn_id="t")


def kinds(records: list[TraceRecord]) -> list[str]:
    return [record.type for record in records]


async def test_a_turn_tells_its_work_in_order() -> None:
    sink = InMemoryTrace()

    await run_one(core_of(sink))

    assert kinds(sink.records) == [
        "session_started",
        "turn_started",
        "custom",
        "prompt_built",
        "llm_call_started",
        "llm_call_completed",
        "token_usage",
        "tool_call_started",
        "tool_call_completed",
        "llm_call_started",
        "llm_call_completed",
        "token_usage",
        "turn_committed",
        "custom",
        "turn_completed",
    ]
    assert all(record.context.session_id == "s" for record in sink.records)
    assert all(record.context.turn_id == "t" for record in sink.records[1:])
    assert len({record.id for record in sink.records}) == len(sink.records)
    first, second = sink.of("token_usage")
    assert second.payload["cumulative"]["input_tokens"] > first.payload["cumulative"]["input_tokens"]  # type: ignore[index, call-overload, operator]
    [turn] = sink.of("turn_completed")
    assert (turn.payload["status"], turn.payload["done_reason"]) == ("completed", "finished.assistant_message")
    assert turn.payload["usage"] == second.payload["cumulative"]
    answer = sink.of("llm_call_completed")[1].payload
    assert answer["model"] == "scripted"
    assert isinstance(answer["first_token_ms"], int)
    assert answer["first_token_ms"] <= answer["duration_ms"]  # type: ignore[operator]


async def test_start_and_end_of_one_piece_of_work_share_their_effect() -> None:
    sink = InMemoryTrace()

    await run_one(core_of(sink))

    for began, ended in (("llm_call_started", "llm_call_completed"), ("tool_call_started", "tool_call_completed")):
        assert [r.context.effect_id for r in sink.of(began)] == [r.context.effect_id for r in sink.of(ended)]  # type: ignore[arg-type]


async def test_by_default_nothing_that_was_said_is_traced() -> None:
    sink = InMemoryTrace()

    await run_one(core_of(sink, instructions="the hidden instructions"))

    text = json.dumps([record.to_json() for record in sink.records])
    for said in ("order 7", "secret", "on its way", "hidden instructions"):
        assert said not in text


async def test_the_extended_level_tells_what_was_said() -> None:
    sink = InMemoryTrace()

    await run_one(core_of(sink, level="extended", instructions="the hidden instructions"))

    text = json.dumps([record.to_json() for record in sink.records])
    for said in ("where is order 7?", "the secret of order 7", "it is on its way", "hidden instructions"):
        assert said in text
    assert sink.of("provider_stream_event")
    assert sink.of("runtime_stream_event")


async def test_a_turn_whose_sink_fails_is_none_the_worse(caplog: pytest.LogCaptureFixture) -> None:
    def refuse(_record: TraceRecord) -> None:
        raise OSError("no more room")

    core = core_of(CallableTrace(refuse))
    async with core, core.session("s") as session:
        assert (await session.run("go")).text == "it is on its way"

    assert "trace sink CallableTrace failed" in caplog.text


async def test_the_applications_context_lies_under_every_record(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "trace.jsonl"
    sink = InMemoryTrace()

    await run_one(
        core_of(sink, trace_jsonl_path=path, trace_context=TraceContext(run_id="r", metadata={"customer": "c"}))
    )

    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["id"] for line in lines] == [record.id for record in sink.records]
    assert {line["context"]["run_id"] for line in lines} == {"r"}
    assert {line["context"]["metadata"]["customer"] for line in lines} == {"c"}
    assert {line["schema_version"] for line in lines} == {2}


async def test_attempts_waits_and_failures_are_told() -> None:
    sink = InMemoryTrace()
    tries: list[int] = []

    @lash.tool(retry=lash.Retry(attempts=2, base_ms=0, max_ms=0))
    async def flaky() -> object:
        tries.append(1)
        return ToolResult.retryable("unavailable", "busy", "the secret reason")

    model = ScriptedModel([calls("flaky"), says("gave up")])
    core = lash.StandardCore(model=model, tools=[flaky], trace_sink=sink)
    await run_one(core)

    assert [(r.payload["attempt"], r.payload["status"]) for r in sink.of("tool_attempt")] == [
        (1, "retry"),
        (2, "final"),
    ]
    [done] = sink.of("tool_call_completed")
    assert done.payload["attempts"] == 2
    assert done.payload["output"] == {
        "status": "failure",
        "error": {"class": "unavailable", "code": "busy", "source": "tool"},
    }
    assert [r.payload["kind"] for r in sink.of("wait_started", "wait_completed")] == ["sleep", "sleep"]


async def test_a_model_call_that_fails_is_told() -> None:
    def fail(_request: LlmRequest) -> object:
        raise RuntimeError("the provider is gone")

    sink = InMemoryTrace()
    await run_one(lash.StandardCore(model=ScriptedModel([fail]), trace_sink=sink))  # type: ignore[list-item]

    [failed] = sink.of("llm_call_failed")
    assert "the provider is gone" in str(failed.payload["error"])
    [turn] = sink.of("turn_completed")
    assert turn.payload["status"] == "failed"


@pytest.mark.parametrize("option", [{"trace_level": "loud"}, {"trace_sink": 7}])
def test_options_that_make_no_sense_are_refused(option: dict[str, object]) -> None:
    with pytest.raises(InvalidArgument, match=r"trace_"):
        lash.StandardCore(model=ScriptedModel([]), **option)  # type: ignore[arg-type]


# crashes


async def crash_between_two_tools(place: Place, sinks: tuple[object, object]) -> None:
    """One life dies in its second tool, another finishes the turn; each has its own sink."""
    gate = Gate()

    @lash.tool(repeat="idempotent")
    async def step(name: str) -> str:
        if name == "second" and not gate.visits:
            await gate.wait()
        return name

    script = [calls("step", name="first"), calls("step", name="second"), says("both done")]

    async def life(sink: object) -> lash.StandardCore:
        store = await place.open_store()
        core = lash.StandardCore(model=ScriptedModel(script), store=store, tools=[step], trace_sink=sink)  # type: ignore[arg-type]
        place.cores.append(core)
        return await core.open()

    dying = await life(sinks[0])
    session = await dying.session("s").open()
    lost = asyncio.create_task(session.run("go", turn_id="t"))
    await gate.arrival()
    await place.crash(dying)
    await asyncio.gather(lost, return_exceptions=True)
    core = await life(sinks[1])
    async with core.session("s") as again:
        assert (await again.run("go", turn_id="t")).text == "both done"


async def test_a_replay_emits_no_second_span(durable: Place) -> None:
    sink = InMemoryTrace()

    await crash_between_two_tools(durable, (sink, sink))

    assert len(sink.of("turn_started")) == 1
    assert len(sink.of("turn_resumed")) == 1
    assert len(sink.of("turn_left")) == 1
    assert len(sink.of("turn_completed")) == 1
    ended = sink.of("llm_call_completed", "tool_call_completed", "token_usage", "turn_completed", "turn_committed")
    assert len({record.id for record in ended}) == len(ended)
    assert len(sink.of("llm_call_completed")) == 3
    assert len(sink.of("tool_call_completed")) == 2
    assert len(sink.of("tool_call_started")) == 3  # the second tool really started twice
    usage = [record.payload["usage"] for record in sink.of("token_usage")]
    assert len(usage) == 3
    [turn] = sink.of("turn_completed")
    assert turn.payload["usage"] == sink.of("token_usage")[-1].payload["cumulative"]


async def test_what_a_dead_process_could_not_tell_is_told_from_the_record(durable: Place) -> None:
    dead, sink = CallableTrace(lambda record: None), InMemoryTrace()

    await crash_between_two_tools(durable, (dead, sink))

    recovered = [record for record in sink.records if record.payload.get("recovered")]
    assert "tool_call_completed" in kinds(recovered)
    assert "llm_call_completed" in kinds(recovered)
    assert len(sink.of("llm_call_completed")) == 3
    assert len(sink.of("tool_call_completed")) == 2
    answer = next(record for record in recovered if record.type == "llm_call_completed")
    assert answer.payload["model"] == "scripted"
    assert answer.timestamp_ms <= sink.of("turn_resumed")[0].timestamp_ms


async def test_a_sink_that_cannot_look_back_hears_only_what_is_new(durable: Place) -> None:
    heard: list[TraceRecord] = []
    sink = CallableTrace(heard.append)

    await crash_between_two_tools(durable, (sink, sink))

    ended = [record.id for record in heard if record.type.endswith("_completed")]
    assert len(set(ended)) == len(ended)
    assert not any(record.payload.get("recovered") for record in heard)


async def test_a_file_that_outlives_its_writer_has_every_end_once(durable: Place, tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"

    await crash_between_two_tools(durable, (JsonlTrace(path), JsonlTrace(path)))
    for core in list(durable.cores):
        await durable.end(core)

    lines: list[JsonObject] = [json.loads(line) for line in path.read_text().splitlines()]
    ended = [line["id"] for line in lines if str(line["type"]).endswith("_completed")]
    assert len(set(map(str, ended))) == len(ended)
    assert sum(line["type"] == "llm_call_completed" for line in lines) == 3
    assert sum(line["type"] == "tool_call_completed" for line in lines) == 2


async def test_programs_are_steps_of_their_mode() -> None:
    sink = InMemoryTrace()
    model = ScriptedModel([cell('submit await tools.lookup({ name: "order 7" })?')])
    async with lash.RlmCore(model=model, tools=[lookup], trace_sink=sink) as core, core.session("s") as session:
        await session.run("go")

    [step] = sink.of("protocol_step")
    assert step.payload == {"plugin_id": "rlm_protocol", "payload": {"cell": 3, "calls": 1, "is_ok": True}}


async def test_a_core_without_a_sink_is_not_traced_at_all(tmp_path: Path) -> None:
    store = await Store.open(str(tmp_path / "agent.db"))
    core = lash.StandardCore(model=ScriptedModel([says("hello")]), store=store)
    async with core, core.session("s") as session:
        await session.run("hi")
        assert core._plan.tracer is None
        assert core._running().engine.options.tracer is None
    await store.close()
