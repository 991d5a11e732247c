"""Lazy bindings: read through the host, operation by operation."""

from __future__ import annotations

import pytest

from lash.base.json import Json
from lash.lashlang import (
    IMPROVED,
    Answer,
    Answered,
    Execution,
    Faulted,
    Finished,
    LazyValue,
    NoAnswer,
    Outcome,
    Print,
    ReadValue,
    Refused,
    Request,
    State,
    compile_body,
)
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
        assert isinstance(request, ReadValue)
        reads.append((request.name, request.operation))
        if request.operation == "Materialize":
            return Answered(_at(request.path))
        if request.operation == "Len" and "Len" in knows:
            return Answered(99)
        if request.operation == "Render" and "Render" in knows:
            return Answered("a document")
        return NoAnswer()

    body = compile_body(linked(source).artifact, None, IMPROVED, lazy=frozenset({"doc"}))
    _inspect(body.tree)
    execution = Execution(body, projected={"doc": LazyValue("doc", "document", "d1")})
    return drive(execution, perform), reads, prints


def test_a_field_is_read_alone() -> None:
    outcome, reads, _ = _run("submit doc.title")

    assert outcome == Finished("T")
    assert reads == [("doc.title", "Materialize")]


def test_a_path_carries_its_name() -> None:
    _, reads, _ = _run('submit [doc.pages[1], doc["n"] + 1]')

    assert reads == [("doc.pages[1]", "Materialize"), ('doc["n"]', "Materialize")]


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
