"""Arguments: what is refused, and whether a model can act on the refusal."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lash.base.canonical import canonical_json
from lash.base.json import JsonObject
from lash.tools import Tool, ToolCallOutput, ToolContract, parse_arguments, tool
from lash.tools.typecodec import type_codec
from lash.tools.validation import MAX_ARGUMENT_BYTES, check_arguments


@tool
def order(order_id: int, tags: list[str], size: int | None = None) -> str:
    """Order."""
    return "ok"


def problem(args: JsonObject, subject: Tool[..., Any] = order) -> str:
    output = check_arguments(subject.name, subject.definition.contract, args)
    assert output is not None
    assert output.error is not None
    assert (output.error.kind, output.error.code, output.error.source) == (
        "invalid_request",
        "invalid_tool_args",
        "runtime",
    )
    return output.error.message


class TestChecks:
    def test_valid_arguments_have_no_problem(self) -> None:
        assert check_arguments("order", order.definition.contract, {"order_id": 1, "tags": []}) is None

    def test_a_refusal_names_path_value_expectation_and_signature(self) -> None:
        text = problem({"order_id": "seven", "tags": ["a", 3], "colour": "red"})

        assert text.splitlines() == [
            "invalid arguments for order:",
            '- $.order_id: "seven" is not of type "integer"',
            '- $.tags[1]: 3 is not of type "string"',
            "- $: Additional properties are not allowed ('colour' was unexpected)",
            "expected: order({ order_id: int, tags: list[str], size?: int | null = null }) -> str",
        ]

    def test_a_missing_argument_is_named(self) -> None:
        assert '"order_id" is a required property' in problem({"tags": []})

    def test_many_problems_are_counted_not_listed(self) -> None:
        text = problem({"order_id": 1, "tags": list(range(12))})

        assert text.count("\n- $") == 8
        assert "… and 4 more" in text

    def test_a_long_value_is_cut(self) -> None:
        assert len(problem({"order_id": "x" * 100_000, "tags": []})) < 1_000

    def test_a_schema_that_does_not_compile_is_the_sources_fault(self) -> None:
        output = check_arguments("t", ToolContract({"type": "no such type"}), {})

        assert output is not None
        assert output.error is not None
        assert (output.error.kind, output.error.code) == ("internal", "tool_contract_unavailable")

    @pytest.mark.parametrize("value", [float("inf"), "\ud800", {"\udfff": 1}])
    def test_what_could_not_be_stored_is_refused(self, value: Any) -> None:
        @tool
        def anything(value: Any) -> None: ...

        text = problem({"value": value}, anything)

        assert "$.value" in text
        canonical_json(text)

    def test_nesting_beyond_reason_is_refused(self) -> None:
        @tool
        def anything(value: Any) -> None: ...

        deep: Any = []
        for _ in range(100_000):
            deep = [deep]

        assert "nested more than 64 levels" in problem({"value": deep}, anything)

    def test_huge_arguments_are_a_resource_limit(self) -> None:
        output = check_arguments("order", order.definition.contract, {"order_id": 1, "tags": ["x" * 2**22]})

        assert output is not None
        assert output.error is not None
        assert (output.error.kind, output.error.code) == ("resource_limit", "tool_args_too_large")


class TestParsing:
    def test_an_object_is_taken(self) -> None:
        assert parse_arguments('{"a": [1, 2.0]}') == {"a": [1, 2.0]}

    def test_no_text_is_no_arguments(self) -> None:
        assert parse_arguments("  ") == {}

    @pytest.mark.parametrize(
        "text",
        ["{", "{'a': 1}", "[1]", '"x"', "null", '{"a": NaN}', "[" * 100_000, "{" + '"a":{' * 50_000, "1" * 5_000],
    )
    def test_anything_else_is_an_answer_for_the_model(self, text: str) -> None:
        output = parse_arguments(text)

        assert isinstance(output, ToolCallOutput)
        assert output.error is not None
        assert output.error.code == "invalid_tool_args"
        assert "given: " in output.error.message
        assert len(output.error.message) < 1_000

    def test_a_huge_text_is_not_even_parsed(self) -> None:
        output = parse_arguments('{"a": "' + "x" * MAX_ARGUMENT_BYTES)

        assert isinstance(output, ToolCallOutput)
        assert output.error is not None
        assert output.error.code == "tool_args_too_large"

    @given(st.text(max_size=40))
    def test_no_text_can_raise(self, text: str) -> None:
        parsed = parse_arguments(text)

        if isinstance(parsed, ToolCallOutput):
            canonical_json(parsed.to_json())

    @given(st.text(max_size=40) | st.from_regex(r"\{\"order_id\": .{0,10}\}", fullmatch=True))
    def test_no_text_can_get_past_the_check_and_trouble_the_store(self, text: str) -> None:
        parsed = parse_arguments(text)

        output = check_arguments("order", order.definition.contract, parsed) if isinstance(parsed, dict) else parsed
        canonical_json(parsed if output is None and isinstance(parsed, dict) else "refused")


TYPES: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (int, st.integers()),
    (float, st.floats(allow_nan=False, allow_infinity=False)),
    (str, st.text(st.characters(exclude_categories=["Cs"]))),
    (bool, st.booleans()),
    (list[int], st.lists(st.integers())),
    (dict[str, float], st.dictionaries(st.text("ab"), st.floats(allow_nan=False, allow_infinity=False))),
    (tuple[int, bool], st.tuples(st.integers(), st.booleans())),
    (int | None, st.none() | st.integers()),
    (set[int], st.sets(st.integers())),
    (dict[int, list[str]], st.dictionaries(st.integers(0, 9), st.lists(st.text("xy")))),
]


@settings(max_examples=200)
@given(st.sampled_from(TYPES).flatmap(lambda pair: st.tuples(st.just(pair[0]), pair[1])))
def test_what_a_type_encodes_its_schema_accepts_and_it_decodes(case: tuple[Any, Any]) -> None:
    kind, value = case
    codec = type_codec(kind)
    contract = ToolContract({"type": "object", "properties": {"v": codec.schema}, "required": ["v"]})

    args = json.loads(canonical_json({"v": codec.encode(value)}))

    if not isinstance(value, int) or abs(value) < 2**63:
        assert check_arguments("t", contract, args) is None
    assert codec.decode(args["v"]) == value
