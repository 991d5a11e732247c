"""The driver: requests, answers, keys, errors with spans, observations."""

from __future__ import annotations

import pytest

from lash.base.json import Json
from lash.lashlang import (
    IMPROVED,
    Answer,
    Answered,
    BatchAnswered,
    Breath,
    Continued,
    Execution,
    Faulted,
    Finished,
    NoAnswer,
    Refused,
    Request,
    ResourceOperation,
    ResourceOperationBatch,
    StartProcess,
    State,
    Submit,
    WaitSignal,
    child_run_id,
    compile_body,
    link,
    render,
    request_key,
    run_body,
    static_map,
)
from lash.lashlang.execution.state import SnapshotError
from lash.lashlang.syntax import ast
from lash.lashlang.tracking.observations import Observation
from lash.lashlang.tracking.trace_events import TraceGraph, TraceIdentity, TraceWriter
from lashlang.running import ENVIRONMENT, drive, error_of, linked, run, submitted


def _execution(source: str, process: str | None = None, **options: object) -> Execution:
    body = compile_body(linked(source).artifact, process, IMPROVED, traced=True)
    return Execution(body, **options)  # type: ignore[arg-type]


def test_the_same_answers_lead_to_the_same_requests() -> None:
    source = "for i in range(3) { x = await tools.echo({ value: i })?\n sleep for x }\nsubmit x"

    def keys() -> list[str]:
        asked: list[str] = []

        def perform(request: Request) -> Answer:
            asked.append(request_key("run-1", request))
            return Answered(7)

        drive(_execution(source), perform)
        return asked

    first = keys()
    assert first == keys()
    assert len(set(first)) == 6
    assert all(":resource:echo:resource_operation:" in key for key in first[::2])


def test_waits_and_signals_count_per_name() -> None:
    waits = ('wait_signal("x")', 'wait_signal("y")', "wait signal", 'wait_signal("x")')
    source = "process p() {" + "\n".join(f"a{at} = {wait}" for at, wait in enumerate(waits)) + "}"
    seen: list[tuple[str | None, int]] = []

    def perform(request: Request) -> Answer:
        assert isinstance(request, WaitSignal)
        seen.append((request.name, request.ordinal))
        return Answered(1)

    drive(_execution(source, "p"), perform)

    assert seen == [("x", 1), ("y", 1), (None, 1), ("x", 2)]


def test_child_ids_depend_on_site_occurrence_and_arguments() -> None:
    source = "process p(a: any) { finish a }\nfor i in [1, 1] { start p(a: i) }\nstart p(a: 1)"
    starts: list[StartProcess] = []

    def perform(request: Request) -> Answer:
        assert isinstance(request, StartProcess)
        starts.append(request)
        return Answered({"__handle__": "process", "id": child_run_id("runtime-scope:s", request)})

    drive(_execution(source), perform)

    ids = [child_run_id("runtime-scope:s", start) for start in starts]
    assert len(set(ids)) == 3
    assert all(identity.startswith("process:lashlang:sha256:") for identity in ids)


def test_a_batch_is_one_request() -> None:
    requests: list[Request] = []

    def perform(request: Request) -> Answer:
        requests.append(request)
        assert isinstance(request, ResourceOperationBatch)
        return BatchAnswered(tuple(Answered(op.payload) for op in request.operations))

    outcome = drive(_execution("submit await [tools.echo({ value: 1 })?, tools.echo({ value: 2 })?]"), perform)

    assert outcome == Finished([{"value": 1}, {"value": 2}])
    assert len(requests) == 1


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (Refused("down"), "resource operation batch failed: down"),
        (BatchAnswered((Answered(1),)), "resource operation batch returned 1 results for 2 operations"),
        (Answered(1), "resource operation batch returned invalid result"),
    ],
)
def test_a_broken_batch_answer_fails_the_cell(answer: Answer, text: str) -> None:
    outcome = drive(_execution("submit await [tools.echo({}), tools.echo({})]"), lambda _request: answer)

    assert isinstance(outcome, Faulted)
    assert str(outcome.error) == text


@pytest.mark.parametrize(
    "word",
    [
        ast.Finish(ast.Null()),
        ast.Fail(ast.Null()),
        ast.Yield(ast.Null()),
        ast.Wake(ast.Null()),
        ast.Print(ast.Null()),
        ast.Submit(ast.Null()),
    ],
    ids=lambda word: type(word).__name__,
)
def test_a_tree_without_source_may_not_use_a_word_in_the_wrong_body(word: ast.Expr) -> None:
    body = ast.Block((word,))
    name = type(word).__name__.lower()
    process: str | None = None
    if isinstance(word, ast.Print | ast.Submit):
        made = ast.Program((ast.ProcessDeclaration("p", (), (), None, None, body),), ast.Block(()))
        process, text = "p", f"`{name}` can't be used inside a process body"
    else:
        made, text = ast.Program((), body), f"`{name}` can only be used inside a process body"
    ended = drive(Execution(compile_body(link(made, ENVIRONMENT).artifact, process, IMPROVED)))
    assert isinstance(ended, Faulted)
    assert str(ended.error) == text


def test_a_host_may_veto_or_transform_a_submit() -> None:
    first = _execution("submit 1")
    assert isinstance(first.start(), Submit)
    assert first.resume(Answered({"wrapped": 1})) == Finished({"wrapped": 1})

    second = _execution("submit 1")
    second.start()
    refused = second.resume(Refused("no"))
    assert isinstance(refused, Faulted)
    assert str(refused.error) == "submit failed: no"

    third = _execution("submit 1")
    third.start()
    silent = third.resume(NoAnswer())
    assert isinstance(silent, Faulted)
    assert str(silent.error) == "submit returned no value"


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ('x = 1\ny = [1, 2 + "a" - 1]', '2 + "a" - 1'),
        ("if true {\n  x = 1\n  y = x.k\n}", "x.k"),
        ("for i in [1] { z = len(5) }", "len(5)"),
        ('fn f(n) { return n - "x" }\nsubmit f(1)', 'n - "x"'),
        ("submit (await tools.fail({}))?", "(await tools.fail({}))?"),
        ("x = nope + 1", "nope"),
        ("x = {}\nx.a.b = 1", "x.a.b = 1"),
    ],
)
def test_an_error_points_at_its_expression(source: str, place: str) -> None:
    outcome = run(source, perform=lambda _request: Refused("bad"))

    assert isinstance(outcome, Faulted)
    assert outcome.error.span is not None
    start, end = outcome.error.span
    assert source[start:end] == place


def test_a_diagnostic_shows_the_line_and_a_hint() -> None:
    source = "x = 1\nsubmit True"
    outcome = run(source)

    assert isinstance(outcome, Faulted)
    assert render(outcome.error, source) == (
        "unknown name `True`\n--> line 2, column 8\nsubmit True\n       ^\nhint: write `true`"
    )


async def test_the_async_loop_performs_requests() -> None:
    class Host:
        async def perform(self, request: Request) -> Answer:
            assert isinstance(request, ResourceOperation | Submit)
            return Answered(request.value if isinstance(request, Submit) else 41)

    outcome = await run_body(_execution("x = await tools.echo({})?\nsubmit x + 1"), Host())

    assert outcome == Finished(42)


def test_read_only_bindings_are_seen_and_not_stored() -> None:
    variables: dict[str, object] = {}
    body = compile_body(linked("x = doc.a\ndoc.a = 2").artifact, None, IMPROVED, readonly=frozenset({"doc"}))
    execution = Execution(body, variables=variables, projected={"doc": {"a": 1.0}})  # type: ignore[arg-type]

    outcome = drive(execution)

    assert isinstance(outcome, Faulted)
    assert str(outcome.error) == "`doc` is a read-only projected binding"
    assert variables == {"x": 1.0}


def test_a_state_survives_its_snapshot() -> None:
    state = State()
    source = 'z = { b: 1, a: [null, 2.5] }\nT = Type { n: int }\nm = tools\ns = "é"'
    drive(_execution(source, variables=state.variables))

    again = State.restore(state.snapshot({"f.txt": "x"}))

    assert again.variables == state.variables
    assert list(again.variables["z"]) == ["b", "a"]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("snapshot", "text"),
    [
        (None, "unsupported RLM snapshot format"),
        ({"version": 2, "engine": "lashlang", "vars": "{}"}, "unsupported RLM snapshot version 2"),
        ({"version": 3, "engine": "python", "vars": "{}"}, "unsupported RLM snapshot engine python"),
        ({"version": 3, "engine": "lashlang", "vars": "{"}, "unsupported RLM snapshot format"),
    ],
)
def test_another_snapshot_is_refused(snapshot: Json, text: str) -> None:
    with pytest.raises(SnapshotError, match=text):
        State.restore(snapshot)


def test_observations_fold_into_a_graph() -> None:
    source = "if 1 < 2 { x = await tools.echo({}) } else { x = await tools.fail({}) }\nsubmit x"
    module = linked(source)
    body = compile_body(module.artifact, None, IMPROVED, traced=True)
    writer = TraceWriter(TraceIdentity({"session": "s"}, {"type": "process", "process_id": "p"}, body.entry, "p"))
    events = [writer.started(static_map(module.artifact, None))]

    def observe(item: Observation) -> None:
        events.append(writer.observed(item))

    drive(Execution(body, observer=observe))
    events.append(writer.finished("completed"))
    graph = TraceGraph()
    for event in events + events:
        graph.feed(event)

    assert graph.status == "completed"
    assert sorted(graph.edges.values()).count("selected") == 1
    assert "rejected" in graph.edges.values()
    assert "completed" in graph.nodes.values()
    assert "unobserved" in graph.nodes.values()


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("a = [1, [2]]\nb = a\nb[1][0] = 9\nsubmit a", [1, [2]]),
        ("a = [1]\nb = [a, a]\na[0] = 2\nsubmit b", [[1], [1]]),
        ("a = []\nfor i in range(3) { a = push(a, a) }\nsubmit a", [[], [[]], [[], [[]]]]),
        ("r = { x: [1] }\ny = r.x\nr.x[0] = 5\nsubmit [y, r.x]", [[1], [5]]),
        ("m = [[0]]\nrow = m[0]\nm[0][0] = 1\nrow[0] = 7\nsubmit [m, row]", [[[1]], [7]]),
        ("m = [[0]]\nm[0][0] = 1\nm = push(m, m[0])\nm[0][0] = 2\nsubmit m", [[2], [1]]),
        ("g = { k: [] }\nh = g\ng.k = push(g.k, 1)\nsubmit [g, h]", [{"k": [1]}, {"k": []}]),
        ("xs = [1]\nfn f(l) { l[0] = 9\n return l }\nys = f(xs)\nsubmit [xs, ys]", [[1], [9]]),
        ("xs = [[1]]\nfor x in xs { x[0] = 2 }\nsubmit xs", [[1]]),
        ("xs = [1, 2]\nfor x in xs { xs = push(xs, x) }\nsubmit xs", [1, 2, 1, 2]),
        ("xs = [[1]]\nys = [x for x in xs]\nxs[0][0] = 5\nsubmit ys", [[1]]),
        ("xs = [1]\nys = (true ? xs : 0)\nxs[0] = 2\nsubmit ys", [1]),
        ("xs = [1]\nxs = xs + [xs]\nxs[1][0] = 2\nsubmit xs", [1, [2]]),
    ],
)
def test_copies_are_never_visible_to_each_other(source: str, value: Json) -> None:
    assert submitted(source) == value


def test_a_cell_keeps_the_loop_variable_it_shadowed_even_when_it_fails() -> None:
    variables: dict[str, object] = {}
    execution = _execution('i = "outer"\nfor i in [1] { x = i - "a" }', variables=variables)

    drive(execution)

    assert variables == {"i": "outer"}


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("fn f(n: int) -> int { return n * 2 }\nsubmit f(4)", 8),
        (
            "fn even(n) { return n == 0 ? true : odd(n - 1) }\n"
            "fn odd(n) { return n == 0 ? false : even(n - 1) }\nsubmit even(10)",
            True,
        ),
        ("fn f() { x = 1 }\nsubmit f()", None),
        ("process p(n: int) { finish g(n) }\nfn g(n: int) -> int { return n + 1 }\nsubmit g(1)", 2),
        ("y = 3\nsubmit [x * y for x in [1, 2, 3] if x > 1]", [6, 9]),
        ("submit [await tools.echo({ value: x })? for x in [1, 2]]", [None, None]),
        (
            'submit [sort([3, 1, 2]), unique([1, 1, "1"]), reverse("abc"), sum([1, 2]), max([1, 5]), min(4, 2)]',
            [[1, 2, 3], [1, "1"], "cba", 3, 5, 2],
        ),
        ('submit [2 in [1, 2], "a" in "cat", "k" in { k: 1 }, 5 not in [1]]', [True, True, True, True]),
        ('submit sort_by([{ n: 2 }, { n: 1 }], "n")', [{"n": 1}, {"n": 2}]),
        ('submit [replace("aXa", "a", "b"), upper("é"), lower("ÀB")]', ["bXb", "É", "àb"]),
    ],
)
def test_the_later_features_work(source: str, value: Json) -> None:
    outcome = run(source)

    assert outcome == Finished(value)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("fn f(n: int) -> int { return n / 2 }\nsubmit f(3)", "function `f` result: expected int, got number"),
        (
            'fn f(n: str) { return n }\nsubmit f(json_parse("1"))',
            "function `f` argument `n`: expected str, got number",
        ),
    ],
)
def test_a_function_checks_what_could_not_be_proved(source: str, text: str) -> None:
    assert error_of(source) == text


def test_a_breath_needs_no_answer() -> None:
    execution = _execution("x = 0\nwhile x < 3000000 { x = x + 1 }")

    step = execution.start()
    breaths = 0
    while isinstance(step, Breath):
        breaths += 1
        step = execution.resume()

    assert isinstance(step, Continued)
    assert breaths > 0


def test_branches_inside_functions_are_not_observed() -> None:
    source = "fn f(n) { if n > 1 { return n > 2 ? 3 : 2 }\n return [x > 1 ? 1 : 0 for x in [n]] }\nsubmit f(3)"
    seen: list[object] = []
    body = compile_body(linked(source).artifact, None, IMPROVED, traced=True)

    outcome = drive(Execution(body, observer=seen.append))

    assert outcome == Finished(3)
    assert seen == []
