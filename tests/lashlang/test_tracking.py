"""Observations and trace events, sentence by sentence (specification §9.3 to §9.5)."""

from __future__ import annotations

import pytest

from lash.lashlang import (
    COMPAT,
    IMPROVED,
    Answer,
    Answered,
    BatchAnswered,
    Dialect,
    Execution,
    Refused,
    Request,
    ResourceOperation,
    ResourceOperationBatch,
    StartProcess,
    compile_body,
    static_map,
)
from lash.lashlang.tracking.observations import (
    BranchSelected,
    ChildStarted,
    NodeCompleted,
    NodeFailed,
    NodeStarted,
    Observation,
)
from lash.lashlang.tracking.sites import Entry
from lash.lashlang.tracking.trace_events import TraceGraph, TraceIdentity, TraceWriter
from lashlang.running import drive, linked

BOTH = pytest.mark.parametrize("dialect", [IMPROVED, COMPAT], ids=["improved", "compat"])
_CHILD = "process kid() { finish 1 }\n"


def _perform(request: Request) -> Answer:
    if isinstance(request, ResourceOperationBatch):
        return BatchAnswered(tuple(_one(item) for item in request.operations))
    if isinstance(request, ResourceOperation):
        return _one(request)
    return Answered({"__handle__": "process", "id": "p1"} if isinstance(request, StartProcess) else None)


def _one(request: ResourceOperation) -> Answered | Refused:
    return Refused("no") if request.operation == "fail" else Answered(None)


def _observed(source: str, dialect: Dialect, process: str | None = None) -> list[Observation]:
    seen: list[Observation] = []
    body = compile_body(linked(source, dialect=dialect).artifact, process, dialect, traced=True)
    drive(Execution(body, observer=seen.append), _perform)
    return seen


def _told(source: str, dialect: Dialect, process: str | None = None) -> list[str]:
    words: list[str] = []
    for item in _observed(source, dialect, process):
        what = {NodeStarted: "started", NodeCompleted: "completed", NodeFailed: "failed", ChildStarted: "child"}
        end = item.selected if isinstance(item, BranchSelected) else what[type(item)]
        words.append(f"{item.site.label} {item.occurrence} {end}")
    return words


@BOTH
@pytest.mark.parametrize(
    "source", ["submit 1", "print 1", "x = 1\nx = x + 1", "for i in [1, 2] { x = i }", "while false { }"]
)
def test_what_reaches_nobody_else_is_silent(source: str, dialect: Dialect) -> None:
    assert _told(source, dialect) == []


@BOTH
def test_a_cancel_and_an_await_are_silent(dialect: Dialect) -> None:
    told = _told(f"{_CHILD}h = start kid()\ncancel h\nx = await h\nsubmit 1", dialect)

    assert told == ["start kid 1 started", "start kid 1 child", "start kid 1 completed"]


@BOTH
@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("x = tools.echo({})", ["echo 1 started", "echo 1 completed"]),
        ("x = tools.fail({})", ["fail 1 started", "fail 1 completed"]),
        ("x = tools.fail({})?", ["fail 1 started", "fail 1 failed"]),
        (
            "x = await [tools.echo({}), tools.fail({})]",
            ["echo 1 started", "fail 1 started", "echo 1 completed", "fail 1 completed"],
        ),
        (
            "for i in [1, 2] { tools.echo({}) }",
            [f"echo {n} {what}" for n in (1, 2) for what in ("started", "completed")],
        ),
        ("if true { x = 1 }", ["if 1 then"]),
        ("if false { x = 1 }", ["if 1 else"]),
        ("for a in [0] { x = a ? 2 : 3 }", ["if 1 else"]),
    ],
)
def test_effects_and_branches_are_observed_in_order(source: str, told: list[str], dialect: Dialect) -> None:
    assert _told(source, dialect) == told


def test_a_ternary_that_folds_to_a_constant_is_observed_only_where_that_is_improved() -> None:
    assert _told("x = true ? 2 : 3", IMPROVED) == ["if 1 then"]
    assert _told("x = true ? 2 : 3", COMPAT) == []


@BOTH
def test_the_texts_of_failures_are_those_the_program_sees(dialect: Dialect) -> None:
    def texts(source: str, process: str | None = None) -> list[str]:
        return [item.error for item in _observed(source, dialect, process) if isinstance(item, NodeFailed)]

    assert texts("x = tools.fail({})?") == ["`?` unwrapped failed module operation: no"]
    assert texts("x = await [tools.fail({})?]") == ["no"]
    assert texts("process p() { fail { n: 1 } }", "p") == ['{"n":1}']


@BOTH
@pytest.mark.parametrize(
    ("body", "told"),
    [
        ('x = wait_signal("go")', ["wait_signal 1 started", "wait_signal 1 completed"]),
        ("sleep for 1", ["sleep for 1 started", "sleep for 1 completed"]),
        ("sleep until 1", ["sleep until 1 started", "sleep until 1 completed"]),
        ("yield 1", ["yield 1 started", "yield 1 completed"]),
        ("wake 1", ["wake 1 started", "wake 1 completed"]),
        ("finish 1", ["result 1 started", "result 1 completed"]),
        ("fail 1", ["failure 1 started", "failure 1 failed"]),
    ],
)
def test_what_a_process_does_is_observed(body: str, told: list[str], dialect: Dialect) -> None:
    source = f"process p() {{\n{body}\n}}"
    assert _told(source, dialect, "p")[: len(told)] == told


def _writer(source: str, process: str | None = None) -> tuple[TraceWriter, Entry]:
    body = compile_body(linked(source).artifact, process, IMPROVED)
    subject = {"type": "process", "process_id": "p"}
    return TraceWriter(TraceIdentity({"session_id": "s"}, dict(subject), body.entry)), body.entry


def test_the_first_event_maps_what_can_be_reached_with_refs_as_text() -> None:
    source = f"{_CHILD}process p() {{ start kid() }}\nsubmit 1"
    writer, entry = _writer(source, "p")

    event = writer.started(static_map(linked(source).artifact, "p", reachable=True))
    found = event["execution_map"]

    assert isinstance(found, dict)
    assert found["entry_ref"] == entry.key
    assert isinstance(found["nodes"], list)
    assert [node["label"] for node in found["nodes"] if isinstance(node, dict) and node["kind"] == "process"] == [
        "p",
        "kid",
    ]


def test_event_keys_name_the_graph_and_never_change() -> None:
    entry = Entry("m", "main", "main", "main")
    effect = {"type": "effect", "effect_id": "e", "kind": "exec_code"}

    assert TraceIdentity({"session_id": "s", "turn_id": "t"}, dict(effect), entry).graph_key == "effect:s:t:e"
    assert TraceIdentity({"session_id": "s"}, dict(effect), entry).graph_key == "effect:s:e"
    assert _writer("submit 1")[0].finished("cancelled")["event_key"] == "lashlang_execution:process:p:finished"


def test_a_process_that_a_tool_starts_hangs_from_the_operation() -> None:
    writer, _ = _writer("submit 1")

    event = writer.child_of("resource_operation:1", 2, "p9")

    assert event["event_key"] == "lashlang_execution:process:p:child:resource_operation:1:2:p9"
    assert event["child"] == {"scope": {"session_id": "s"}, "subject": {"type": "process", "process_id": "p9"}}


def test_a_graph_links_every_child_that_one_node_started() -> None:
    writer, _ = _writer("submit 1")
    graph = TraceGraph()

    for occurrence, child in enumerate(["a", "b"], 1):
        graph.feed(writer.child_of("child_process:1", occurrence, child))

    assert graph.children == {"a": "child_process:1", "b": "child_process:1"}
