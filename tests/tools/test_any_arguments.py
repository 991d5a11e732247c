"""Whatever a model sends: the call ends in an output that can be stored, and a valid one runs."""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import msgspec
import pydantic
from hypothesis import given, settings
from hypothesis import strategies as st

from lash.base.canonical import canonical_json
from lash.tools import (
    PreparedToolCall,
    ToolCall,
    ToolCallOutput,
    ToolContext,
    ToolSet,
    ToolSource,
    build_catalog,
    model_text,
    parse_arguments,
    prepare_call,
    run_attempt,
    tool,
)


class Level(enum.Enum):
    LOW = "low"
    HIGH = "high"


@dataclass
class Row:
    key: str
    values: list[float] = field(default_factory=list)


class Point(msgspec.Struct):
    x: int
    label: str | None = None


class Model(pydantic.BaseModel):
    n: int = pydantic.Field(ge=0)
    when: datetime | None = None


@tool
async def everything(
    n: int,
    ratio: float = 0.5,
    level: Level = Level.LOW,
    mode: Literal["a", "b"] = "a",
    row: Row | None = None,
    points: list[Point] = [],  # noqa: B006
    model: Model | None = None,
    pair: tuple[int, str] = (1, "x"),
    free: Any = None,
) -> Any:
    """Takes everything."""
    return [n, ratio, level, mode, row, points, model, pair, free]


CATALOG = build_catalog([ToolSource("app", ToolSet([everything]))])

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**70, -(2**63) - 1, 1e308, 3.0, "low", "a", "2024-01-01T00:00:00Z"])
    | st.floats()
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "key", "n", "values"]), inner),
    max_leaves=8,
)
names = st.sampled_from(["n", "ratio", "level", "mode", "row", "points", "model", "pair", "free", "unknown"])


async def call(args: dict[str, Any]) -> ToolCallOutput:
    prepared = await prepare_call(CATALOG, ToolCall("c", "everything", args))
    if not isinstance(prepared, PreparedToolCall):
        return prepared
    context = ToolContext(session_id="s", turn_id="t", tool_call_id="c", tool_name="everything")
    return await run_attempt(CATALOG, prepared, context)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(names, json_values, max_size=5))
async def test_any_arguments_end_in_an_output_that_can_be_stored(args: dict[str, Any]) -> None:
    output = await call(args)

    assert ToolCallOutput.of_json(json.loads(canonical_json(output.to_json()))) == output
    assert model_text(output)
    if output.error is not None:
        assert output.error.code == "invalid_tool_args", output


@settings(deadline=None)
@given(
    st.fixed_dictionaries(
        {"n": st.integers()},
        optional={
            "ratio": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-9, 9),
            "level": st.sampled_from(["low", "high"]),
            "row": st.none() | st.fixed_dictionaries({"key": st.text(max_size=3)}),
            "points": st.lists(st.fixed_dictionaries({"x": st.integers()}), max_size=3),
            "model": st.none() | st.fixed_dictionaries({"n": st.integers(0, 10**30)}),
            "pair": st.tuples(st.integers(), st.text(max_size=3)).map(list),
        },
    )
)
async def test_valid_arguments_run_also_after_the_trip_through_text(args: dict[str, Any]) -> None:
    parsed = parse_arguments(json.dumps(args))
    assert isinstance(parsed, dict)

    output = await call(parsed)

    assert output.is_success, output
    assert output.value[0] == args["n"]
