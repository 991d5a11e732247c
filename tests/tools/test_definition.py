"""Definitions as data: signatures, specs, contracts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash.base.codec import decode, encode
from lash.base.errors import InvalidArgument
from lash.base.json import JsonObject
from lash.machine.llm import ToolSpec
from lash.tools import Retry, ToolContract, ToolDefinition, ToolManifest
from lash.tools.compact import signature_text, type_text
from lash.tools.definition import OutputFromInput, PreserveProjectedRefs
from lash.tools.docstring import parse_docstring


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "string"}, "str"),
        ({}, "any"),
        (None, "any"),
        (True, "any"),
        ({"type": ["integer", "null"]}, "int | null"),
        ({"anyOf": [{"type": "integer"}, {"type": "integer"}, {"type": "boolean"}]}, "int | bool"),
        ({"enum": ["a", 1]}, '"a" | 1'),
        ({"const": None}, "null"),
        ({"type": "array"}, "list[any]"),
        ({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}]}, "[int, str]"),
        ({"type": "object"}, "dict"),
        ({"type": "object", "additionalProperties": {"type": "number"}}, "dict[str, float]"),
        ({"type": "object", "properties": {}}, "{}"),
        ({"properties": {"a": {"type": "null"}}, "required": ["a"]}, "{ a: null }"),
        ({"$ref": "#/$defs/No"}, "any"),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"type": "integer"}}}, "int"),
    ],
)
def test_a_schema_has_a_short_text(schema: JsonObject, text: str) -> None:
    assert type_text(schema) == text


def test_a_recursive_schema_ends() -> None:
    tree: JsonObject = {
        "$ref": "#/$defs/Tree",
        "$defs": {"Tree": {"type": "array", "items": {"$ref": "#/$defs/Tree"}}},
    }

    assert type_text(tree).startswith("list[list[")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "properties", "required", "items", "anyOf", "enum", "$ref", "const"]),
            inner | st.sampled_from(["object", "array", "#/$ref", "#/properties/items"]),
        )
    ),
)


@given(json_values)
def test_no_schema_however_odd_can_raise(schema: Any) -> None:
    assert type_text(schema)


docstring_lines = st.sampled_from(["Args:", "  a: x", "    more", ":param a: y", "Parameters", "---", "a : int", ""])


@given(st.text() | st.lists(docstring_lines).map("\n".join))
def test_no_docstring_however_odd_can_raise(text: str) -> None:
    assert isinstance(parse_docstring(text).description, str)


def test_a_schema_that_fans_out_is_cut() -> None:
    inner: JsonObject = {f"q{n}": {"$ref": "#/$defs/W"} for n in range(50)}
    wide: JsonObject = {"$ref": "#/$defs/W", "$defs": {"W": {"type": "object", "properties": inner}}}

    text = type_text(wide)

    assert len(text) < 10_000
    assert "…" in text


def test_a_signature_shows_defaults_and_optional_arguments() -> None:
    schema: JsonObject = {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "integer", "default": 3}},
        "required": ["a"],
    }

    assert signature_text("f", schema, {"type": "boolean"}) == "f({ a: str, b?: int = 3 }) -> bool"


def test_a_raw_definition_takes_any_object_and_says_so() -> None:
    raw = ToolDefinition.raw("t", "Does.")

    assert raw.manifest == ToolManifest("tool:t", "t", "Does.")
    assert raw.signature == "t(dict) -> any"


def test_a_definition_reads_back() -> None:
    definition = ToolDefinition(
        ToolManifest(
            "tool:t", "t", argument_projection=PreserveProjectedRefs("rows"), retry=Retry(), repeat="never",
            bindings={"lashlang": {"module": "m"}}, timeout_ms=5, availability_override="off",
        ),
        ToolContract({"type": "object"}, {"type": "null"}, {"p": {}}, {}, OutputFromInput("output"), ["t()"]),
    )  # fmt: skip

    assert decode(encode(definition), ToolDefinition) == definition


def test_a_spec_shows_two_short_examples() -> None:
    contract = ToolContract(examples=["t(1)", "x" * 300, "t(3)"])

    spec = ToolDefinition(ToolManifest("tool:t", "t", "Does."), contract).to_spec()

    assert isinstance(spec, ToolSpec)
    head, empty, title, first, second = spec.description.splitlines()
    assert (head, empty, title, first) == ("Does.", "", "Examples:", "t(1)")
    assert len(second) == 240


def test_a_compact_contract_describes_every_field() -> None:
    fields: JsonObject = {
        "type": "object",
        "properties": {"a": {"type": "string", "description": "The a."}, "b": {"type": "integer"}},
        "required": ["a"],
    }

    compact = ToolDefinition.raw("t", "Does.", input_schema=fields, output_schema=fields).compact

    assert compact.signature == "t({ a: str, b?: int }) -> { a: str, b?: int }"
    assert compact.returns == "{ a: str, b?: int }"
    assert compact.parameters == compact.return_fields == ["a: str: The a.", "b?: int"]


class TestOutputContract:
    def test_a_static_one_is_the_output_schema(self) -> None:
        assert ToolContract(output_schema={"type": "null"}).output_schema_for({"x": 1}) == {"type": "null"}

    def test_one_from_the_input_is_what_the_caller_passes_else_the_default(self) -> None:
        contract = ToolContract(output_contract=OutputFromInput("output", {"type": "string"}))

        assert contract.output_schema_for({"output": {"type": "integer"}}) == {"type": "integer"}
        assert contract.output_schema_for({}) == {"type": "string"}
        assert ToolDefinition(ToolManifest("i", "t"), contract).signature == "t(dict) -> str"


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="needs an id and a name"):
        ToolManifest("", "t")
    with pytest.raises(InvalidArgument, match="a timeout is positive"):
        ToolManifest("i", "t", timeout_ms=0)
