"""Host conventions: durations, deadlines, the surface text, signal schemas."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash.base.json import Json
from lash.lashlang import from_json, parse, to_json
from lash.lashlang.execution.durations import InvalidSleep, deadline_ms, duration_ms
from lash.lashlang.host.surface import surface_lines
from lash.lashlang.values.schema import signal_schema
from lashlang.running import ENVIRONMENT, linked


@pytest.mark.parametrize(
    ("value", "milliseconds"),
    [(250, 250), (0.6, 1), ("0ms", 0), ("2s", 2000), ("1.5m", 90_000), ("1h", 3_600_000), ("40", 40), (" 3 s ", 3000)],
)
def test_a_duration_is_a_number_or_a_text_with_a_unit(value: Json, milliseconds: int) -> None:
    assert duration_ms(value) == milliseconds


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("2 days", "invalid duration `2 days`"),
        ("", "invalid duration ``"),
        (-1, "`sleep for` expects a non-negative millisecond number or duration string, got -1"),
        (None, "got null"),
        (True, "got bool"),
        ("9" * 30 + "h", "longer than can be kept"),
    ],
)
def test_another_duration_is_refused(value: Json, text: str) -> None:
    with pytest.raises(InvalidSleep, match=text):
        duration_ms(value)


@pytest.mark.parametrize(
    ("value", "milliseconds"),
    [
        ("1970-01-01T00:00:01Z", 1000),
        ("2030-01-01T00:00:00+01:00", 1_893_452_400_000),
        (1900000000000, 1900000000000),
        (-5, 0),
    ],
)
def test_a_deadline_is_a_moment(value: Json, milliseconds: int) -> None:
    assert deadline_ms(value) == milliseconds


@pytest.mark.parametrize("value", ["tomorrow", "2030-01-01T00:00:00", None, [1], True])
def test_another_deadline_is_refused(value: Json) -> None:
    with pytest.raises(InvalidSleep, match="`sleep until` expects RFC3339 text or Unix epoch milliseconds"):
        deadline_ms(value)


def test_the_surface_names_what_links() -> None:
    lines = surface_lines(ENVIRONMENT)

    assert "await tools.upper({ text: str })? -> str" in lines
    assert "timer.Schedule({ expr: str, tz: str? }) -> TriggerSource<timer.Tick>" in lines
    assert "type timer.Tick = { fired_at: str }" in lines
    for line in lines:
        if "(any)?" in line:
            assert linked(line.split("->")[0].replace("(any)", "(1)")).module_ref


def test_a_signal_schema_is_loose() -> None:
    program = parse('process p() signals { go: { n: int, why: str?, k: "a" | null, x: any } } {}')

    schema = signal_schema(program.processes()[0].signals[0].type)

    assert schema["additionalProperties"] is True
    assert schema["required"] == ["n", "k", "x"]
    assert schema["properties"] == {
        "n": {"type": "integer"},
        "why": {"type": "string"},
        "k": {"anyOf": [{"enum": ["a"]}, {"type": "null"}]},
        "x": {},
    }


_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=20,
)


@given(_json)
def test_values_survive_the_way_through_json(data: Json) -> None:
    value = from_json(data)

    again = from_json(to_json(value))

    assert again == value
    assert to_json(value) == data
