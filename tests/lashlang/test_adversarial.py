"""Hostile programs and host values end in a value or a language error, never in Python."""

from __future__ import annotations

import ast as py

import pytest

from lash.base.json import Json
from lash.lashlang import (
    IMPROVED,
    Answer,
    Answered,
    Continued,
    Execution,
    Failed,
    Faulted,
    Finished,
    LinkError,
    ParseError,
    Refused,
    Request,
    ResourceOperation,
    StartProcess,
    compile_body,
    from_json,
    to_json,
)
from lashlang.adversarial import DUNDERS, HOSTILE_JSON, corpus
from lashlang.running import drive, linked, run
from lashlang.test_generated_code import _inspect

CORPUS = corpus()
_OFFERED = {"echo", "fail", "upper", "read", "send", "register", "list", "cancel"}


def _perform(request: Request) -> Answer:
    if isinstance(request, ResourceOperation):
        assert request.operation in _OFFERED
        return Answered(None)
    if isinstance(request, StartProcess):
        return Answered({"__handle__": "process", "id": "p1"})
    return Refused("not here")


def _is_plain(value: Json) -> bool:
    if isinstance(value, list):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(type(key) is str and _is_plain(item) for key, item in value.items())
    return value is None or type(value) in {bool, int, float, str}


def test_the_corpus_is_large() -> None:
    assert len(set(CORPUS)) >= 200


@pytest.mark.parametrize("chunk", range(8))
def test_hostile_programs_end_in_a_value_or_a_language_error(chunk: int) -> None:
    for source in CORPUS[chunk::8]:
        try:
            module = linked(source)
        except (ParseError, LinkError):
            continue
        body = compile_body(module.artifact, None, IMPROVED, inspect=_inspect)

        outcome = drive(Execution(body), _perform)

        assert isinstance(outcome, Finished | Failed | Continued | Faulted), source
        if isinstance(outcome, Finished):
            assert _is_plain(outcome.value), source
        if isinstance(outcome, Faulted):
            text = str(outcome.error)
            assert "object at 0x" not in text, source
            assert "Traceback" not in text, source


@pytest.mark.parametrize("name", DUNDERS)
def test_dunder_names_are_ordinary_names(name: str) -> None:
    assert run(f"{name} = 5\nr = {{}}\nr.{name} = {name}\nsubmit r.{name}") == Finished(5)


@pytest.mark.parametrize("name", DUNDERS)
def test_no_attribute_of_a_host_object_is_reachable(name: str) -> None:
    outcome = run(f"submit tools.{name}")

    assert isinstance(outcome, Faulted)
    assert str(outcome.error) == f"can't read `.{name}` from resource"


def test_a_forged_authority_cannot_be_called() -> None:
    source = 'x = { __resource__: true, type: "Tools", alias: "tools" }\nsubmit await x.echo({ value: 1 })'

    with pytest.raises(LinkError, match="not a module authority"):
        linked(source)


def test_a_parsed_authority_cannot_be_passed_on() -> None:
    source = "process p(m: Tools) { finish 1 }\nsubmit await start p(m: json_parse(text))"

    with pytest.raises(LinkError, match="incompatible authority type"):
        linked(source)


@pytest.mark.parametrize(
    "value",
    [
        {"__class__": "x", "items": [1]},
        {"__resource__": True, "type": "Files", "alias": "files"},
        {"type": "image", "id": "i", "label": "l", "size": 1, "width": None, "height": None},
        {"ok": True},
        [[[]]],
        "x" * 1000,
        2**70,
        float("nan"),
    ],
    ids=str,
)
def test_host_values_stay_values(value: Json) -> None:
    def perform(request: Request) -> Answer:
        return Answered(value)

    source = "x = await tools.echo({ value: 1 })?\nsubmit [x, x == x, to_string(x)]"
    outcome = drive(Execution(compile_body(linked(source).artifact, None, IMPROVED)), perform)

    assert isinstance(outcome, Finished)
    assert _is_plain(outcome.value)


def test_a_host_cannot_change_a_value_after_handing_it_over() -> None:
    shared: list[Json] = [1, [2]]

    def perform(request: Request) -> Answer:
        if isinstance(request, ResourceOperation) and request.operation == "echo":
            return Answered(shared)
        inner = shared[1]
        assert isinstance(inner, list)
        inner.append(99)
        return Answered(None)

    source = "x = await tools.echo({ value: 1 })?\ny = await tools.fail({})\nsubmit x"
    outcome = drive(Execution(compile_body(linked(source).artifact, None, IMPROVED)), perform)

    assert outcome == Finished([1, [2]])


def test_a_host_that_changes_a_payload_changes_nothing_here() -> None:
    def perform(request: Request) -> Answer:
        assert isinstance(request, ResourceOperation)
        payload = request.payload
        assert isinstance(payload, dict)
        payload["value"] = "changed"
        return Answered(None)

    source = "r = { value: [1] }\ntools.echo(r)\nsubmit r"
    outcome = drive(Execution(compile_body(linked(source).artifact, None, IMPROVED)), perform)

    assert outcome == Finished({"value": [1]})


@pytest.mark.parametrize("text", HOSTILE_JSON)
def test_hostile_json_parses_to_a_value_or_an_error(text: str) -> None:
    outcome = run("submit json_parse(text)", {"text": text})

    assert isinstance(outcome, Finished | Faulted)


def test_a_host_value_that_is_not_json_is_refused() -> None:
    with pytest.raises(Exception, match="not JSON"):
        from_json(object())  # type: ignore[arg-type]


def test_values_survive_the_way_through_json() -> None:
    for text in ("null", '[1,2.5,"x",{"a":[true]}]'):
        value = from_json(py.literal_eval(text.replace("null", "None").replace("true", "True")))
        assert from_json(to_json(value)) == value


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"submit 1", b"while true {}", b"submit (", b"x = [x]"])
def test_the_fuzzing_target_accepts_anything(data: bytes) -> None:
    from lashlang.fuzz_lashlang import one_input

    one_input(data)
