"""Several plugins have a word on one tool call (R-090): the strictest wins, and each sees the ones before."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import lash
from face.places import Place
from lash.plugins import AbortTurn, AfterToolCall, BeforeToolCall, ReplaceToolArgs, ShortCircuitTool
from lash.testing import ScriptedModel, calls, says
from lash.tools import ToolResult

ABORT = AbortTurn("forbidden", "not that one")
REFUSAL = ShortCircuitTool(ToolResult.err("refused"))
ANSWER = ShortCircuitTool(ToolResult.ok("answered"))


@lash.tool
async def double(number: int) -> int:
    """Twice a number."""
    return number * 2


def saying(what: object) -> Callable[[object], object]:
    """A hook that always returns the same."""
    return lambda _: what


async def outcome(place: Place, *plugins: lash.Plugin) -> lash.ToolResult:
    """What becomes of one call of `double(1)`."""
    core = await place.core(ScriptedModel([calls("double", number=1), says("ok")]), tools=[double], plugins=plugins)
    async with core.session("s") as session:
        return (await session.run("go")).tool_calls[0].output


@pytest.mark.parametrize("order", [(ABORT, ANSWER), (ANSWER, ABORT), (REFUSAL, ABORT)])
async def test_an_abort_of_any_plugin_stands(memory: Place, order: tuple[object, ...]) -> None:
    plugins = [lash.Plugin(f"p{number}").before_tool_call(saying(said)) for number, said in enumerate(order)]
    error = (await outcome(memory, *plugins)).error

    assert error is not None
    assert error.code == "forbidden"


@pytest.mark.parametrize("order", [(REFUSAL, ANSWER), (ANSWER, REFUSAL)])
async def test_a_refusal_of_any_plugin_beats_an_answer(memory: Place, order: tuple[object, ...]) -> None:
    plugins = [lash.Plugin(f"p{number}").before_tool_call(saying(said)) for number, said in enumerate(order)]
    assert not (await outcome(memory, *plugins)).is_success


async def test_each_plugin_sees_the_arguments_that_the_ones_before_it_left(memory: Place) -> None:
    def increment(context: BeforeToolCall) -> ReplaceToolArgs:
        number = context.args["number"]
        assert isinstance(number, int)
        return ReplaceToolArgs({"number": number + 1})

    plugins = [lash.Plugin(name).before_tool_call(increment) for name in ("a", "b", "c")]

    assert (await outcome(memory, *plugins)).value == 8


async def test_each_plugin_sees_the_result_that_the_ones_before_it_left(memory: Place) -> None:
    def wrap(context: AfterToolCall) -> ShortCircuitTool:
        return ShortCircuitTool(ToolResult.ok([context.output.value]))

    plugins = [lash.Plugin(name).after_tool_call(wrap) for name in ("a", "b")]

    assert (await outcome(memory, *plugins)).value == [[2]]


@pytest.mark.parametrize("order", [(ABORT, ANSWER), (ANSWER, ABORT)])
async def test_an_abort_after_a_call_is_not_lifted(memory: Place, order: tuple[object, ...]) -> None:
    plugins = [lash.Plugin(f"p{number}").after_tool_call(saying(said)) for number, said in enumerate(order)]
    error = (await outcome(memory, *plugins)).error

    assert error is not None
    assert error.code == "forbidden"
