"""Lazy bindings: read through the host, operation by operation."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from lash.base.json import Json
from lash.lashlang import (
    IMPROVED,
    Answer,
    Answered,
    BatchAnswered,
    CompiledBody,
    Compiler,
    Continued,
    Execution,
    Faulted,
    Finished,
    LazyValue,
    LinkError,
    ModuleArtifact,
    NoAnswer,
    Outcome,
    Print,
    ReadValue,
    Refused,
    Request,
    ResourceOperation,
    ResourceOperationBatch,
    RuntimeFailure,
    StartProcess,
    State,
    Value,
    compile_body,
    from_json,
    to_json,
)
from lash.lashlang.values.access import field, index
from lashlang.programs import PRELUDE, cells
from lashlang.running import drive, linked
from lashlang.test_generated_code import _inspect

_DOCUMENT: Json = {"title": "T", "pages": ["one", "two", "three"], "n": 4}


def _at(path: tuple[str | int, ...]) -> Json:
    value = _DOCUMENT
    for step in path:
        value = value[step]  # type: ignore[index]
    return value


def _run(source: str, *, knows: frozenset[str] = frozenset()) -> tuple[Outcome, list[tuple[str, str]], list[Json]]:
    reads: list[tuple[str, str]] = []
    prints: list[Json] = []

    def perform(request: Request) -> Answer:
        if isinstance(request, Print):
            prints.append(request.value)
            return Answered(None)
        if isinstance(request, ResourceOperationBatch):
            return BatchAnswered(tuple(Answered(None) for _ in request.operations))
        assert isinstance(request, ReadValue)
        reads.append((request.name, request.operation))
        if request.operation == "Materialize":
            return Answered(_at(request.path))
        if request.operation == "Len" and "Len" in knows:
            return Answered(99)
        if request.operation == "Render" and "Render" in knows:
            return Answered("a document")
        return NoAnswer()

    return drive(_execution(source), perform), reads, prints


def _execution(source: str, variables: dict[str, Value] | None = None) -> Execution:
    body = compile_body(linked(source).artifact, None, IMPROVED, lazy=frozenset({"doc"}), inspect=_inspect)
    return Execution(body, variables=variables, projected={"doc": LazyValue("doc", "document", "d1")})


def test_a_field_is_read_alone() -> None:
    outcome, reads, _ = _run("submit doc.title")

    assert outcome == Finished("T")
    assert reads == [("doc.title", "Materialize")]


def test_a_path_carries_its_name() -> None:
    _, reads, _ = _run('submit [doc.pages[1], doc["n"] + 1]')

    # The operator reads at once, the list when it is submitted.
    assert reads == [('doc["n"]', "Materialize"), ("doc.pages[1]", "Materialize")]


@pytest.mark.parametrize(
    ("source", "expected", "asked"),
    [
        ("x = [doc.title, doc.n]\nsubmit len(x)", 2, []),
        ("x = { a: doc, b: 1 }\nsubmit x.b", 1, []),
        ("x = push([1], doc)\nsubmit x[0]", 1, []),
        ("x = []\nfor i in range(3) { x = push(x, doc.pages) }\nsubmit len(x)", 3, []),
        ("x = reverse([doc, 7])\nsubmit x[0]", 7, []),
        ("x = [[doc], 1]\ny = x\ny[1] = 2\nsubmit [x[1], y[1]]", [1, 2], []),
        ("x = [p for p in [doc.title, doc.n]]\nsubmit len(x)", 2, []),
        ("x = [doc.n ? doc.title : doc.pages, 1]\nsubmit len(x)", 2, [("doc.n", "Truthy"), ("doc.n", "Materialize")]),
        ("x = 1 ? doc.n : 2\nsubmit [x, x]", [4, 4], [("doc.n", "Materialize")]),
        ("submit (1 ? doc.n : 2) + 1", 5, [("doc.n", "Materialize")]),
        ("x = [doc]\nsubmit x[0].pages[2]", "three", [("doc.pages[2]", "Materialize")]),
        ("x = { d: doc }\nsubmit x.d.n * 2", 8, [("doc.n", "Materialize")]),
        ("x = [doc.pages]\nsubmit len(x[0])", 3, [("doc.pages", "Len"), ("doc.pages", "Materialize")]),
        ("x = [doc.title]\nsubmit x[0] == doc.title", True, [("doc.title", "Materialize")] * 2),
        ('x = [doc.title]\nsubmit "got " + x', 'got ["T"]', [("doc.title", "Materialize")]),
        ("x = [doc.n, 9]\nsubmit sum(x)", 13, [("doc.n", "Materialize")]),
        ("x = { d: doc.n }\ny = x.d\nsubmit [y, y]", [4, 4], [("doc.n", "Materialize")]),
        ("x = [doc.n]\nsubmit [x, x]", [[4], [4]], [("doc.n", "Materialize")]),
        ("fn f(a: any) { return a[0] }\nsubmit f([doc.n])", 4, [("doc.n", "Materialize")]),
        ("for p in [doc.n, doc.title] { if p { print p } }\nsubmit 1", 1, None),
        ("x = [doc]\nx[0].title = 1\nsubmit x[0].title", 1, [("doc", "Materialize")]),
        ("x = { d: doc }\nx.d.pages = push(x.d.pages, 1)\nsubmit len(x.d.pages)", 4, None),
        ("submit await [doc.n, 1]", [4, 1], [("doc.n", "Materialize")]),
        ("submit (await [tools.echo({ value: 1 })?, doc.n])[1]", 4, [("doc.n", "Materialize")]),
    ],
)
def test_a_container_keeps_it_unread_until_it_is_used(
    source: str, expected: Json, asked: list[tuple[str, str]] | None
) -> None:
    outcome, reads, _ = _run(source)

    assert outcome == Finished(expected)
    assert asked is None or reads == asked


def test_a_list_of_lazy_values_is_read_when_it_is_printed() -> None:
    _, reads, prints = _run("x = [doc.n, { t: doc.title }]\nprint x\nsubmit 1")

    assert reads == [("doc.n", "Materialize"), ("doc.title", "Materialize")]
    assert prints == [[4, {"t": "T"}]]


def test_an_operation_gets_what_was_lazy() -> None:
    sent: list[tuple[Json, ...]] = []

    def perform(request: Request) -> Answer:
        if isinstance(request, ReadValue):
            return Answered(_at(request.path))
        if isinstance(request, ResourceOperationBatch):
            sent.extend(item.args for item in request.operations)
            return BatchAnswered(tuple(Answered(None) for _ in request.operations))
        assert isinstance(request, ResourceOperation)
        sent.append(request.args)
        return Answered(None)

    source = "x = { d: [doc.pages] }\nawait tools.echo(x)?\nawait [tools.echo({ value: doc.n })?]\nsubmit 1"
    drive(_execution(source), perform)

    assert sent == [({"d": [["one", "two", "three"]]},), ({"value": 4},)]


def test_a_later_cell_reads_what_an_earlier_one_kept() -> None:
    variables: dict[str, Value] = {}
    drive(_execution("kept = { d: doc }\ntitles = [doc.title]", variables))

    later = compile_body(linked("submit [kept.d.n + 1, titles]").artifact, None, IMPROVED, keeps_lazy=True)
    outcome = drive(Execution(later, variables=variables), lambda request: Answered(_at(request.path)))  # type: ignore[union-attr]

    assert outcome == Finished([5, ["T"]])


def test_a_snapshot_keeps_what_was_not_read() -> None:
    variables: dict[str, Value] = {}
    drive(_execution("kept = [doc.pages[1]]", variables))

    saved = State(variables).snapshot()
    kept = State.restore(saved).variables["kept"]

    assert isinstance(kept, list)
    assert isinstance(kept[0], LazyValue)
    assert (kept[0].name, kept[0].descriptor, kept[0].path) == ("doc.pages[1]", "d1", ("pages", 1))


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(cells)
def test_programs_mean_the_same_whether_their_data_is_lazy_or_not(source: str) -> None:
    source = source.replace(PRELUDE, _LAZY_PRELUDE)
    assert "doc." in source
    try:
        linked(source)
    except LinkError:
        return

    plain, lazy = _meaning(source, is_lazy=False), _meaning(source, is_lazy=True)

    # A place that is not there fails only when it is read.
    if plain[0].startswith("Finished"):
        assert lazy == plain


_LAZY_PRELUDE = """a = [doc.n, [2, doc.pages]]
b = { k: doc.n, j: { k: [doc] } }
c = 3
d = { n: doc.title }
e = start child(x: c)
"""


def _found(path: tuple[str | int, ...]) -> Answer:
    value = from_json(_DOCUMENT)
    try:
        for step in path:
            value = field(value, step) if isinstance(step, str) and type(value) is dict else index(value, step)
    except RuntimeFailure as error:
        return Refused(str(error))
    return Answered(to_json(value))


def _meaning(source: str, *, is_lazy: bool) -> tuple[str, list[str]]:
    seen: list[str] = []

    def perform(request: Request) -> Answer:
        if isinstance(request, ReadValue):
            return _found(request.path) if request.operation == "Materialize" else NoAnswer()
        seen.append(repr(request))
        if isinstance(request, ResourceOperationBatch):
            return BatchAnswered(tuple(Answered([1, {"k": 2}]) for _ in request.operations))
        return Answered({"__handle__": "process", "id": "p"} if isinstance(request, StartProcess) else [1, {"k": 2}])

    body = compile_body(
        linked(source).artifact,
        None,
        IMPROVED,
        readonly=frozenset({"doc"}),
        lazy=frozenset({"doc"}) if is_lazy else frozenset(),
        inspect=_inspect,
    )
    plain = from_json(_DOCUMENT)
    bound: Value = LazyValue("doc", "document", "d1") if is_lazy else plain
    outcome = drive(Execution(body, projected={"doc": bound}), perform)
    return str(outcome.error) if isinstance(outcome, Faulted) else repr(outcome), seen


def test_a_builtin_asks_before_it_fetches() -> None:
    outcome, reads, _ = _run("submit len(doc.pages)")

    assert outcome == Finished(3)
    assert reads == [("doc.pages", "Len"), ("doc.pages", "Materialize")]


def test_a_host_that_can_answer_hands_nothing_over() -> None:
    outcome, reads, _ = _run("submit len(doc.pages)", knows=frozenset({"Len"}))

    assert outcome == Finished(99)
    assert reads == [("doc.pages", "Len")]


def test_print_renders() -> None:
    _, reads, prints = _run("print doc\nsubmit 1", knows=frozenset({"Render"}))

    assert reads == [("doc", "Render")]
    assert prints == ["a document"]


def test_a_variable_holds_a_copy() -> None:
    outcome, reads, _ = _run("copy = doc\ncopy.n = 5\nsubmit [copy.n, doc.n]")

    assert outcome == Finished([5, 4])
    assert reads == [("doc", "Materialize"), ("doc.n", "Materialize")]


def test_truth_and_loops_read_through_the_host() -> None:
    outcome, reads, _ = _run("n = 0\nif doc { for p in doc.pages { n = n + len(p) } }\nsubmit n")

    assert outcome == Finished(11)
    assert [operation for _, operation in reads] == ["Truthy", "Materialize", "Materialize"]


def test_a_lazy_binding_is_read_only() -> None:
    outcome, _, _ = _run("doc.title = 1")

    assert isinstance(outcome, Faulted)
    assert str(outcome.error) == "`doc` is a read-only projected binding"


def test_a_failing_read_is_the_hosts_text() -> None:
    body = compile_body(linked("submit doc.x").artifact, None, IMPROVED, lazy=frozenset({"doc"}))

    outcome = drive(Execution(body, projected={"doc": LazyValue("doc", "t", None)}), lambda _request: Refused("gone"))

    assert isinstance(outcome, Faulted)
    assert str(outcome.error) == "gone"


@pytest.mark.parametrize("operation", ["to_string(x)", '"" + x', 'format("{}", x)'])
def test_a_restored_lazy_value_says_that_it_is_unavailable(operation: str) -> None:
    saved = State({"x": LazyValue("history", "history", None)}).snapshot()
    variables = State.restore(saved).variables

    body = compile_body(linked(f"submit {operation}").artifact, None, IMPROVED)
    outcome = drive(Execution(body, variables=variables))

    assert isinstance(outcome, Finished)
    assert "projected host descriptor `history` (history) is unavailable" in str(outcome.value)


def test_a_restored_record_with_a_type_keeps_its_lazy_parts() -> None:
    saved = State({"x": {"type": "note", "of": LazyValue("history", "history", None)}}).snapshot()
    restored = State.restore(saved).variables["x"]

    assert isinstance(restored, dict)
    assert restored["type"] == "note"
    assert isinstance(restored["of"], LazyValue)


# references


def _sent(
    source: str, keeps_refs: dict[tuple[str, str], str], *, has_references: bool = True
) -> tuple[Json, list[tuple[str, str]]]:
    """What the one operation of `source` got, and what was asked of the host for it."""
    sent: list[Json] = []
    reads: list[tuple[str, str]] = []

    def perform(request: Request) -> Answer:
        if isinstance(request, ReadValue):
            reads.append((request.name, request.operation))
            if request.operation == "Reference":
                return Answered({"ref": list(request.path)}) if has_references else NoAnswer()
            return Answered(_at(request.path)) if request.operation == "Materialize" else NoAnswer()
        if isinstance(request, ResourceOperationBatch):
            sent.extend(item.payload for item in request.operations)
            return BatchAnswered(tuple(Answered(None) for _ in request.operations))
        assert isinstance(request, ResourceOperation)
        sent.append(request.payload)
        return Answered(None)

    artifact = linked(source).artifact
    names = frozenset({"doc"})
    body = compile_body(artifact, None, IMPROVED, lazy=names, keeps_refs=keeps_refs, inspect=_inspect)
    outcome = drive(Execution(body, projected={"doc": LazyValue("doc", "document", "d1")}), perform)
    assert isinstance(outcome, Continued), outcome
    return sent[0], reads


_ECHO_ROWS = {("tools", "echo"): "rows"}


@pytest.mark.parametrize(
    ("source", "expected", "read"),
    [
        ("tools.echo({ rows: doc })", {"rows": {"ref": []}}, []),
        ("tools.echo({ rows: doc.pages[1], n: doc.n })", {"rows": {"ref": ["pages", 1]}, "n": 4}, ["doc.n"]),
        ("tools.echo({ rows: [doc.n, 1, [doc.n]] })", {"rows": [{"ref": ["n"]}, 1, [4]]}, ["doc.n"]),
        ("tools.echo({ rows: { a: doc, b: { c: doc.n } } })", {"rows": {"a": {"ref": []}, "b": {"c": 4}}}, ["doc.n"]),
        ("tools.echo({ rows: [1, 2], d: [doc.n] })", {"rows": [1, 2], "d": [4]}, ["doc.n"]),
        ("x = { rows: [doc.n], n: 1 }\ntools.echo(x)", {"rows": [{"ref": ["n"]}], "n": 1}, []),
        ("for d in [doc.title] { tools.echo({ rows: d }) }", {"rows": {"ref": ["title"]}}, []),
        ("await [tools.echo({ rows: doc })?, 1]", {"rows": {"ref": []}}, []),
        ("m = tools\nm.echo({ rows: doc })", {"rows": {"ref": []}}, []),
        ("m = tools\nawait [m.echo({ rows: doc })]", {"rows": {"ref": []}}, []),
        ("t = doc.title\ntools.echo({ rows: t })", {"rows": "T"}, ["doc.title"]),
        ("tools.echo({ rows: doc.n + 1 })", {"rows": 5}, ["doc.n"]),
        ("tools.echo(doc)", _DOCUMENT, ["doc"]),
        ("tools.echo({ rows: 1 }, doc.n)", {"args": [{"rows": 1}, 4]}, ["doc.n"]),
    ],
)
def test_an_operation_may_get_references_at_the_roots_of_a_field(source: str, expected: Json, read: list[str]) -> None:
    sent, reads = _sent(source, _ECHO_ROWS)

    assert sent == expected
    assert [name for name, operation in reads if operation == "Materialize"] == read


def test_what_the_host_has_no_reference_for_is_read() -> None:
    sent, reads = _sent("tools.echo({ rows: [doc.n, 2] })", _ECHO_ROWS, has_references=False)

    assert sent == {"rows": [4, 2]}
    assert reads == [("doc.n", "Reference"), ("doc.n", "Materialize")]


def test_a_large_list_is_searched_for_references_in_slices() -> None:
    source = "x = range(120000)\nx[60000] = [1]\ny = push(x, doc.n)\ntools.echo({ rows: y })"

    sent, reads = _sent(source, _ECHO_ROWS)

    assert isinstance(sent, dict)
    assert sent["rows"] == [*range(60_000), [1], *range(60_001, 120_000), {"ref": ["n"]}]
    assert reads == [("doc.n", "Reference")]


def test_only_programs_that_call_such_an_operation_are_compiled_otherwise() -> None:
    calling, other = linked("tools.echo({ rows: doc })").artifact, linked("submit [doc.n]").artifact
    compiler = Compiler()

    def body(artifact: ModuleArtifact, keeps_refs: dict[tuple[str, str], str] | None) -> CompiledBody:
        return compiler.compile(artifact, None, lazy=frozenset({"doc"}), keeps_refs=keeps_refs)

    assert body(calling, _ECHO_ROWS) is not body(calling, None)
    assert body(calling, _ECHO_ROWS) is not body(calling, {("tools", "echo"): "other"})
    assert body(calling, _ECHO_ROWS) is body(calling, dict(_ECHO_ROWS))
    assert body(other, _ECHO_ROWS) is body(other, None)
    assert body(calling, {("elsewhere", "send"): "rows"}) is body(calling, None)
