"""Selectors find what they say, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash.base.codec import DecodeError, decode, encode, from_json, to_json
from lash.base.json import Json
from lash.processes.errors import PointerMissed
from lash.processes.event_types import SelectedKey
from lash.processes.selectors import (
    PAYLOAD,
    Choice,
    Selector,
    const,
    is_true,
    pointer,
    present,
    rendered,
    select,
    template,
)

PAYLOAD_JSON: Json = {"a": {"b": [10, {"c/d": 1, "e~f": None}]}, "": "empty", "0": "zero"}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
selectors = st.recursive(
    st.just(PAYLOAD) | st.text(max_size=5).map(pointer) | st.text(max_size=5).map(present) | json_values.map(const),
    lambda inner: st.builds(template, st.text(max_size=9), st.dictionaries(st.text(max_size=3), inner, max_size=2)),
    max_leaves=4,
)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("", PAYLOAD_JSON),
        ("/a/b/0", 10),
        ("/a/b/1/c~1d", 1),
        ("/a/b/1/e~0f", None),
        ("/", "empty"),
        ("/0", "zero"),
    ],
)
def test_a_pointer_leads_to_its_value(path: str, found: Json) -> None:
    assert select(pointer(path), PAYLOAD_JSON) == found
    assert select(present(path), PAYLOAD_JSON) is True


@pytest.mark.parametrize("path", ["/x", "/a/b/2", "/a/b/00", "/a/b/-", "/a/b/0/x", "a"])
def test_a_pointer_that_leads_nowhere_is_an_error(path: str) -> None:
    with pytest.raises(PointerMissed, match="did not match"):
        select(pointer(path), PAYLOAD_JSON)
    assert select(present(path), PAYLOAD_JSON) is False


def test_a_template_is_filled_in_one_pass() -> None:
    chosen = template("{x} and {y}, not {z}", {"x": const("{y}"), "y": const({"k": 1})})

    assert select(chosen, None) == '{y} and {"k":1}, not {z}'


def test_a_constant_may_be_null_and_is_written() -> None:
    assert to_json(const(None)) == {"const": None}
    assert from_json({"const": None}, Choice) == const(None)


@pytest.mark.parametrize("wire", [{}, {"pointer": "/a", "present": "/a"}, {"const": 1, "pointer": "/a"}])
def test_a_selector_is_exactly_one_thing(wire: Json) -> None:
    with pytest.raises(DecodeError, match="a selector is one of"):
        from_json(wire, Choice)


@pytest.mark.parametrize("wire", [{}, {"selector": "payload", "const": "k"}])
def test_a_dedupe_key_is_exactly_one_thing(wire: Json) -> None:
    with pytest.raises(DecodeError, match="a dedupe key is one of"):
        from_json(wire, SelectedKey)


@pytest.mark.parametrize("value", [None, False, "", [], {}])
def test_null_false_and_empty_things_do_not_hold(value: Json) -> None:
    assert not is_true(value)


@pytest.mark.parametrize("value", [True, 0, 0.0, -1, "x", [None], {"k": None}])
def test_every_number_and_everything_else_holds(value: Json) -> None:
    assert is_true(value)


@given(selectors)
def test_every_selector_survives_its_wire_form(selector: Selector) -> None:
    if isinstance(selector, Choice):
        assert decode(encode(selector), Choice) == selector


@given(selectors, json_values)
def test_a_selector_answers_json_or_misses(selector: Selector, payload: Json) -> None:
    try:
        answer = select(selector, payload)
    except PointerMissed:
        return
    assert isinstance(rendered(answer), str)
