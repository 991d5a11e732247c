"""Services of hooks: state, children, graph, processes, questions. Killed anywhere, nothing happens twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import lash
from face.places import Place, texts
from lash.base.json import Json
from lash.base.messages import user_message
from lash.direct import DirectRequest
from lash.machine.llm import LlmRequest
from lash.machine.outcome import Stopped
from lash.plugins import (
    Appended,
    AtCheckpoint,
    BeforeToolCall,
    BeforeTurn,
    CreateSession,
    EmitTrace,
    HookContext,
    PluginRecord,
    PluginSessionError,
    StaleBranch,
)
from lash.sessions.graph import PluginBody
from lash.testing import Lab, Life, ScriptedModel, calls, says
from lash.testing.script import Answer
from lash.tracing.records import TraceRecord


@lash.tool(repeat="idempotent")
async def look() -> str:
    """Looks."""
    return "seen"


def answering(request: LlmRequest) -> Answer:
    last = request.messages[-1].text
    if last.startswith("classify"):
        return says("spam")
    if request.session_id != "s":
        return says(f"heard: {last}")
    return says("done") if len(request.messages) > 2 else calls("look")


def script() -> ScriptedModel:
    return ScriptedModel(answering, usage=lash.TokenUsage(10, 1))


def at(where: str, hook: Callable[[Any], object]) -> lash.Plugin:
    plugin = lash.Plugin("p")
    getattr(plugin, where)(lambda context: hook(context) if context.session_id == "s" else None)
    return plugin


async def run(place: Place, plugin: lash.Plugin) -> tuple[lash.StandardCore, lash.Session, lash.TurnResult]:
    core = await place.core(script(), tools=[look], plugins=[plugin])
    session = await core.session("s").open()
    return core, session, await session.run("go", turn_id="t")


# state


async def test_a_hook_sees_the_session_and_turns_a_tool_off_from_the_next_turn_on(memory: Place) -> None:
    seen: list[object] = []

    async def hook(context: BeforeTurn) -> None:
        state = context.services.state
        seen.append((state.session().head_revision, [tool.name for tool in state.tools()]))
        if "look" in [tool.name for tool in state.tools()]:
            await state.set_availability("look", "off")

    _, session, turn = await run(memory, at("before_turn", hook))
    assert [call.tool for call in turn.tool_calls] == ["look"]

    await session.run("again")

    assert await session.tools.names() == []
    assert seen == [(0, ["look"]), (2, [])]


# children


@pytest.mark.parametrize("where", ["before_turn", "checkpoint", "after_turn", "before_tool_call", "after_tool_call"])
async def test_a_hook_has_a_child_think_and_uses_what_it_says(memory: Place, where: str) -> None:
    heard: list[str] = []

    async def hook(context: HookContext) -> None:
        lifecycle = context.services.lifecycle
        child = await lifecycle.create_session(CreateSession("child", usage_source="helper"))
        turn = await lifecycle.run_turn(child, "what now?")
        await lifecycle.close_session(child)
        heard.append(f"{turn.outcome} {turn.text}")

    core, _, turn = await run(memory, at(where, hook))

    assert (turn.text, turn.errors) == ("done", [])
    assert set(heard) == {"finished.assistant_message heard: what now?"}
    async with core.session("child") as child:
        assert texts(child.messages)[:2] == ["user: what now?", "assistant: heard: what now?"]


async def test_a_turn_that_a_hook_starts_runs_beside_its_own(memory: Place) -> None:
    started: list[str] = []

    async def hook(context: BeforeTurn) -> None:
        lifecycle = context.services.lifecycle
        await lifecycle.create_session(CreateSession("child"))
        started.append(await lifecycle.start_turn("child", "later"))

    core, _, _ = await run(memory, at("before_turn", hook))
    async with core.session("child") as child:
        turn = await child.run("later", turn_id=started[0])

    assert turn.text == "heard: later"
    assert len(child.messages) == 2


async def test_only_children_are_steered(memory: Place) -> None:
    async def hook(context: BeforeTurn) -> None:
        await context.services.lifecycle.run_turn("other", "hello")

    core = await memory.core(script(), tools=[look], plugins=[at("before_turn", hook)])
    await core.session("other").open()
    async with core.session("s") as session:
        turn = await session.run("go")

    assert turn.outcome == Stopped("runtime_error")
    assert "is no child of 's'" in turn.errors[0].message


# graph


async def test_nodes_are_appended_with_the_commit_of_the_turn(file: Place) -> None:
    said: list[object] = []

    async def hook(context: AtCheckpoint) -> None:
        if context.checkpoint != "after_work":
            return
        graph = context.services.graph
        first = await graph.append([user_message("", "a note"), PluginRecord({"n": 1})])
        assert isinstance(first, Appended)
        said.append(await graph.append([user_message("", "another")], required_ancestor=first.node_ids[1]))
        said.append(await graph.append([user_message("", "lost")], required_ancestor="nowhere"))
        said.append(first)

    _, session, turn = await run(file, at("checkpoint", hook))

    assert turn.text == "done"
    assert texts(session.messages)[-3:] == ["assistant: done", "user: a note", "user: another"]
    [stored] = [node for node in session.view.nodes if isinstance(node.payload, PluginBody)]
    assert stored.payload == PluginBody("p", {"n": 1})
    second, stale, first = said
    assert isinstance(second, Appended)
    assert isinstance(first, Appended)
    assert session.view.leaf_node_id == second.leaf_node_id
    assert stale == StaleBranch(second.leaf_node_id)
    assert stored.node_id == first.node_ids[1]
    assert (await session.run("go", turn_id="t")).text == "done"


async def test_nodes_are_appended_to_a_child_at_once(memory: Place) -> None:
    said: list[object] = []

    async def hook(context: BeforeTurn) -> None:
        services = context.services
        await services.lifecycle.create_session(CreateSession("child", [user_message("", "first")]))
        said.append(await services.graph.append([user_message("", "note")], session_id="child"))
        said.append(
            await services.graph.append([user_message("", "no")], session_id="child", required_ancestor="nowhere")
        )

    core, _, _ = await run(memory, at("before_turn", hook))
    async with core.session("child") as child:
        assert texts(child.messages) == ["user: first", "user: note"]
        assert said[1] == StaleBranch(child.view.leaf_node_id)


async def test_a_plugin_adds_records_to_the_trace_from_directives_and_services() -> None:
    records: list[TraceRecord] = []

    class Sink:
        def append(self, record: TraceRecord) -> None:
            records.append(record)

    def hook(context: BeforeToolCall) -> object:
        context.services.graph.emit_trace("asked", {"call": context.call_id})
        return EmitTrace("wanted", 1, {"why": "because"})

    plugin = lash.Plugin("p").before_tool_call(hook)
    plugin.before_turn(lambda _: EmitTrace("before_turn")).checkpoint(lambda _: EmitTrace("checkpoint"))
    plugin.after_tool_call(lambda _: EmitTrace("after_tool_call")).after_turn(lambda _: EmitTrace("after_turn"))
    async with (
        lash.StandardCore(model=script(), tools=[look], plugins=[plugin], trace_sink=Sink()) as core,
        core.session("s") as session,
    ):
        await session.run("go", turn_id="t")

    told = [record for record in records if str(record.payload.get("name")).startswith("plugin.")]
    assert [(record.payload["name"], record.payload["payload"]) for record in told] == [
        ("plugin.p.before_turn", None),
        ("plugin.p.asked", {"call": "call_0_0"}),
        ("plugin.p.wanted", 1),
        ("plugin.p.after_tool_call", None),
        ("plugin.p.checkpoint", None),
        ("plugin.p.checkpoint", None),
        ("plugin.p.after_turn", None),
    ]
    assert told[2].context.metadata == {"why": "because"}
    assert {record.context.turn_id for record in told} == {"t"}


# processes, questions


async def test_a_hook_starts_a_process_and_reads_its_result(memory: Place) -> None:
    seen: list[object] = []

    async def hook(context: BeforeTurn) -> None:
        processes = context.services.processes
        process_id = await processes.start("look", wake=False)
        seen.append(await processes.result(process_id))
        await processes.cancel(process_id)
        seen.append(await processes.list())

    await run(memory, at("before_turn", hook))

    assert seen == ["seen", []]


async def test_what_a_hook_asks_a_model_is_charged_to_the_session(memory: Place) -> None:
    async def hook(context: HookContext) -> None:
        answer = await context.services.direct_completions.complete(
            DirectRequest.text("classify", usage_source="guard")
        )
        assert answer.text == "spam"

    _, session, turn = await run(memory, at("after_turn", hook))

    assert [(entry.source, entry.usage) for entry in turn.children_usage] == [("guard", lash.TokenUsage(10, 1))]
    assert {row.source: row.usage for row in session.usage.by_source_model}["guard"] == lash.TokenUsage(10, 1)


def test_a_hook_outside_of_a_turn_is_told_that_there_are_no_services() -> None:
    context = BeforeTurn("s", "t", 0, "main", [], [])

    with pytest.raises(PluginSessionError, match=r"services\.graph belongs to hooks of a turn"):
        _ = context.services.graph


# killed anywhere


class Busy(lash.Plugin):
    """Uses every service that changes something."""

    id = "busy"

    @lash.hook.before_turn
    async def begin(self, context: BeforeTurn) -> None:
        if context.session_id != "s":
            return
        services = context.services
        await services.lifecycle.create_session(CreateSession("child", usage_source="helper"))
        await services.direct_completions.complete(DirectRequest.text("classify", usage_source="guard"))
        await services.graph.append([user_message("", "noted")])
        await services.graph.append([user_message("", "told")], session_id="child")

    @lash.hook.before_tool_call
    async def before(self, context: BeforeToolCall) -> None:
        if context.session_id != "s":
            return  # also where the tool runs in the background
        turn = await context.services.lifecycle.run_turn("child", "what now?")
        assert turn.text == "heard: what now?"

    @lash.hook.checkpoint
    async def between(self, context: AtCheckpoint) -> None:
        if context.session_id == "s" and context.checkpoint == "after_work":
            await context.services.processes.start("look", wake=False)
            await context.services.graph.append([PluginRecord("checked")])


async def told(core: lash.StandardCore) -> Json:
    async with core.session("s") as session, core.session("child") as child:
        said: list[Json] = list(texts(session.messages))
        heard: list[Json] = list(texts(child.messages))
        return {
            "session": said,
            "records": [node.payload.body for node in session.view.nodes if isinstance(node.payload, PluginBody)],
            "child": heard,
            "spent": {row.source: row.usage.input_tokens for row in session.usage.by_source_model},
            "spent by the child": {row.source: row.usage.input_tokens for row in child.usage.by_source_model},
            "processes": len(await core.processes.list(status="any")),
        }


def agent(life: Life) -> lash.StandardCore:
    return lash.StandardCore(
        model=script(), tools=[look], plugins=[Busy()], store=life.store, effect_host=life.effect_host
    )


async def conversation(core: lash.StandardCore) -> Json:
    async with core.session("s") as session:
        await session.run("go", turn_id="t")
        for process in await core.processes.list(status="any"):
            await (await core.processes.get(process.id)).result()
        return await told(core)


async def test_killed_anywhere_hooks_do_nothing_twice() -> None:
    lab = Lab(agent, test=conversation)
    report = await lab.kill_everywhere(limit=12)

    report.raise_for_problems()
    assert len(report.verdicts) == 12


async def test_every_service_left_what_it_should(file: Place) -> None:
    core = await file.core(script(), tools=[look], plugins=[Busy()])

    assert await conversation(core) == {
        "session": [
            "user: go",
            "assistant: <tool_call look>",
            "user: <tool_result look>",
            "assistant: done",
            "user: noted",
        ],
        "records": ["checked"],
        "child": ["user: told", "user: what now?", "assistant: heard: what now?"],
        "spent": {"helper": 10, "guard": 10, "turn": 20},
        "spent by the child": {"helper": 10},
        "processes": 1,
    }


async def test_children_of_hooks_are_so_deep_and_no_deeper(memory: Place) -> None:
    async def delegate(context: BeforeTurn) -> None:
        child = f"{context.session_id}+"
        await context.services.lifecycle.create_session(CreateSession(child))
        await context.services.lifecycle.run_turn(child, "your turn")

    core = await memory.core(
        ScriptedModel(lambda _: says("ok")), plugins=[lash.Plugin("delegating").before_turn(delegate)]
    )
    async with core.session("s") as session:
        assert (await session.run("go")).ok
    sessions = [listing.session_id for listing in await core.sessions()]
    async with core.session("s+++++") as deepest:
        [turn] = await deepest.turns()

    assert sorted(sessions) == ["s" + "+" * depth for depth in range(6)]
    assert "no child may be deeper" in str(turn.summary)
