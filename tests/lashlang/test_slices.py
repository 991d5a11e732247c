"""Sliced operations give what plain ones give, and never hold the loop for long."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash.lashlang.errors import RuntimeFailure
from lash.lashlang.values import operators, quick, walks
from lash.lashlang.values.builtins import BUILTINS
from lash.lashlang.values.conversion import json_walk, value_walk
from lash.lashlang.values.json_form import from_json, to_json
from lash.lashlang.values.keeping import keeping_walk
from lash.lashlang.values.kinds import Value
from lash.lashlang.values.markers import UNFINISHED
from lash.lashlang.values.meter import DEFAULT_LIMITS, Meter
from lash.lashlang.values.more_builtins import MORE_BUILTINS

_SCALARS = st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=4)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=2), inner, max_size=4),
    max_leaves=40,
)
_LISTS = st.lists(_VALUES, max_size=8)
_TYPES = st.sampled_from(
    [
        {"$lash_type": {"type": "array", "items": {"type": "number"}}},
        {"$lash_type": {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "array", "items": {}}]}}},
        {"$lash_type": {"type": "object", "properties": {"a": {"type": "array"}}, "required": ["a"]}},
        {"$lash_type": {}},
    ]
)
_PLAIN = {**BUILTINS, **MORE_BUILTINS, "add": operators.add}

T = TypeVar("T")


@pytest.fixture(autouse=True)
def _tiny_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (walks, quick):
        monkeypatch.setattr(module, "SLICE", 3)
    monkeypatch.setattr(quick, "_LONG", 5)


def _drained(walk: Generator[int, object, T]) -> T:
    while True:
        try:
            assert next(walk) == 0
        except StopIteration as end:
            value: T = end.value
            return value


def _either(run: object, *args: object) -> tuple[str, object]:
    try:
        result = run(*args)  # type: ignore[operator]
        return "value", _drained(result) if isinstance(result, Generator) else result
    except RuntimeFailure as error:
        return "error", str(error)


def _agree(name: str, *args: Value) -> None:
    plain = _either(_PLAIN[name], Meter(DEFAULT_LIMITS), *args)
    kind, value = _either(quick.QUICK[name], Meter(DEFAULT_LIMITS), *args)
    if value is UNFINISHED:
        kind, value = _either(quick.SLICED[name], Meter(DEFAULT_LIMITS), *args)
    assert (kind, repr(value)) == (plain[0], repr(plain[1]))


@given(_VALUES)
def test_text(value: Value) -> None:
    _agree("to_string", value)
    _agree("add", "x", value)
    _agree("add", value, "x")
    _agree("format", "{} {}", value, [value])


@given(_LISTS, _VALUES)
def test_searching(items: list[Value], needle: Value) -> None:
    _agree("contains", items, needle)
    _agree("contains", [*items, needle], needle)


@given(_LISTS)
def test_lists(items: list[Value]) -> None:
    _agree("unique", [*items, *items[:2]])
    _agree("min", items)
    _agree("max", items)
    _agree("join", items, "-")


@given(st.lists(st.floats(allow_nan=False), max_size=20))
def test_numbers(items: list[Value]) -> None:
    _agree("min", items)
    _agree("max", items)
    _agree("join", items, ", ")


@given(_VALUES, _TYPES)
def test_validation(value: Value, type_value: Value) -> None:
    _agree("validate", value, type_value)
    _agree("validate", {"a": value}, type_value)


@given(st.text(alphabet="ab\n\r", max_size=40), st.text(alphabet="ab", min_size=1, max_size=2))
def test_lines(text: str, needle: str) -> None:
    _agree("grep_text", text, needle)


@given(_VALUES, _VALUES)
def test_equality(left: Value, right: Value) -> None:
    for one, other in ((left, right), (left, left), ([left, right], [left, right])):
        found = quick.quick_equality(one, other)
        if found is UNFINISHED:
            found = _drained(walks.equal_walk(one, other))
        assert found is operators.equal(one, other)


@given(_VALUES)
def test_conversion_to_json_and_back(value: Value) -> None:
    data = _drained(json_walk(value))

    assert repr(data) == repr(to_json(value))
    for sort_keys in (False, True):
        assert repr(_drained(value_walk(data, sort_keys=sort_keys))) == repr(from_json(data, sort_keys=sort_keys))


@given(_VALUES)
def test_what_passes_is_what_can_be_written(value: Value) -> None:
    _drained(keeping_walk(value))


@pytest.mark.parametrize("levels", [200, 201])
def test_only_a_value_that_is_too_deep_to_be_written_is_refused(levels: int) -> None:
    value: Value = {}
    for _ in range(levels):
        value = [value]

    assert _either(lambda: _drained(keeping_walk(value)))[0] == _either(lambda: _drained(json_walk(value)))[0]
