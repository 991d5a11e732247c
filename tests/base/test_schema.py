"""Schema checks say where and what, whatever they are given."""

from __future__ import annotations

import math
from typing import Any

import pytest

from lash.base.json import Json
from lash.base.schema import MAX_PROBLEMS, InvalidSchema, compile_schema

ORDER: Json = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "lines": {"type": "array", "items": {"type": "object", "required": ["sku"]}},
        "when": {"type": "string", "format": "date-time"},
    },
    "required": ["id"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("value", "paths"),
    [
        ({"id": 1}, []),
        ({"id": 1, "lines": [{"sku": "a"}], "when": "not a date"}, []),
        ({"id": 1.0}, []),
        ({}, ["$"]),
        ({"id": "1"}, ["$.id"]),
        ({"id": True}, ["$.id"]),
        ({"id": 1, "lines": [{"sku": "a"}, {}]}, ["$.lines[1]"]),
        ({"id": None, "lines": {}}, ["$.id", "$.lines"]),
        ({"id": 1, "extra": 2}, ["$"]),
        ([], ["$"]),
    ],
)
def test_each_problem_names_its_path(value: Json, paths: list[str]) -> None:
    problems = compile_schema(ORDER).problems(value)

    assert sorted(problem.partition(": ")[0] for problem in problems) == paths
    assert all(problem.partition(": ")[2] for problem in problems)


def test_a_huge_value_gives_a_short_problem_that_still_says_what_was_expected() -> None:
    [problem] = compile_schema({"type": "integer"}).problems("x" * 1_000_000)

    assert len(problem) < 500
    assert 'is not of type "integer"' in problem


def test_a_value_wrong_in_many_places_gives_a_bounded_list() -> None:
    assert len(compile_schema({"items": {"type": "string"}}).problems([1] * 10_000)) == MAX_PROBLEMS


def _nested(depth: int) -> Json:
    value: Json = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("value", [{"id": "\ud800"}, {1: 2}, {"id": math.nan}, {"id": b"x"}, {"id": object()}])
def test_a_value_that_is_not_json_is_a_problem_not_a_crash(value: Any) -> None:
    assert compile_schema(ORDER).problems(value)


def test_deep_nesting_is_no_crash() -> None:
    tree: Json = {"$defs": {"t": {"type": "array", "items": {"$ref": "#/$defs/t"}}}, "$ref": "#/$defs/t"}

    assert isinstance(compile_schema(tree).problems(_nested(10_000)), list)


@pytest.mark.parametrize(
    "document",
    [
        {"type": "no such type"},
        {"pattern": "("},
        {"$ref": "#/nowhere"},
        [],
        "object",
        {"$schema": "https://example.com/own"},
    ],
    ids=str,
)
def test_a_schema_that_does_not_compile_is_refused(document: Json) -> None:
    with pytest.raises(InvalidSchema, match="does not compile"):
        compile_schema(document)


def test_a_remote_reference_is_never_fetched() -> None:
    with pytest.raises(InvalidSchema, match="not followed"):
        compile_schema({"$ref": "http://127.0.0.1:9/schema.json"})


def test_equal_documents_share_one_compilation() -> None:
    assert compile_schema({"type": "string", "minLength": 1}) is compile_schema({"minLength": 1, "type": "string"})


def test_a_recursive_schema_checks_every_level() -> None:
    tree: Json = {
        "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}},
        "$ref": "#/$defs/node",
    }

    [problem] = compile_schema(tree).problems({"next": {"next": {"next": 1}}})

    assert problem.startswith("$.next.next.next: ")
