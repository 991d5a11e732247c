"""The batch tool: several calls in one."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

import lash
from face.places import Gate, Place
from lash.machine.values import PendingCall
from lash.runtime.activity import ToolCallCompleted, ToolCallStarted
from lash.runtime.batch_calls import MAX_CALLS, calls_inside, together
from lash.stock import BatchTool
from lash.testing import ScriptedModel, calls, says
from lash.tools.result import ToolCallOutput, ToolCallRecord

ran: list[str] = []


@lash.tool(repeat="idempotent")
async def double(number: int) -> int:
    """Twice the number."""
    ran.append(f"double {number}")
    return 2 * number


@lash.tool(approve=True)
async def pay(amount: int) -> str:
    """Pay."""
    return f"paid {amount}"


def batch_of(*inside: tuple[str, dict[str, Any]]) -> Any:
    return calls("batch", tool_calls=[{"tool": tool, "parameters": parameters} for tool, parameters in inside])


async def run(place: Place, *steps: Any, tools: Any = (double,)) -> tuple[lash.TurnResult, list[Any]]:
    core = await place.core(ScriptedModel([*steps, says("done")]), tools=list(tools), plugins=[BatchTool()])
    async with core.session("s") as session:
        out = await session.turn("go").collect()
    return out.result, [item.event for item in out.activities]


def results(turn: lash.TurnResult) -> list[dict[str, Any]]:
    [call] = turn.tool_calls
    assert call.tool == "batch"
    return cast("list[dict[str, Any]]", cast("dict[str, Any]", call.output.value)["results"])


async def test_calls_of_a_batch_run_and_come_back_in_order(place: Place) -> None:
    turn, events = await run(place, batch_of(("double", {"number": 1}), ("double", {"number": 2})))

    entries = results(turn)
    assert [(entry["index"], entry["tool"], entry["success"], entry["result"]) for entry in entries] == [
        (0, "double", True, 2),
        (1, "double", True, 4),
    ]
    assert [event.name for event in events if isinstance(event, ToolCallStarted)] == ["batch", "double", "double"]
    assert [event.name for event in events if isinstance(event, ToolCallCompleted)][-1] == "batch"
    assert turn.text == "done"


async def test_what_cannot_run_fails_alone(place: Place) -> None:
    turn, _ = await run(
        place,
        batch_of(
            ("nothing", {}), ("double", {"number": "x"}), ("batch", {"tool_calls": []}), ("double", {"number": 3})
        ),
    )

    entries = results(turn)
    assert [entry["success"] for entry in entries] == [False, False, False, True]
    assert [entry["error"]["code"] for entry in entries[:3]] == [
        "tool_unavailable",
        "invalid_tool_args",
        "batch_call_refused",
    ]


async def test_calls_beyond_the_limit_are_told_and_not_run(place: Place) -> None:
    ran.clear()

    turn, _ = await run(place, batch_of(*[("double", {"number": number}) for number in range(MAX_CALLS + 2)]))

    assert [entry["success"] for entry in results(turn)] == [True] * MAX_CALLS + [False, False]
    assert len(ran) == MAX_CALLS


async def test_a_batch_that_cannot_be_read_is_a_failure_of_its_arguments(place: Place) -> None:
    turn, _ = await run(place, calls("batch", tool_calls=[{"parameters": {}}]), calls("batch", tool_calls=[]))

    assert [call.output.error.code for call in turn.tool_calls if call.output.error] == ["invalid_tool_args"] * 2


async def test_a_person_is_asked_about_each_call_of_a_batch(place: Place) -> None:
    core = await place.core(
        ScriptedModel([batch_of(("pay", {"amount": 1}), ("pay", {"amount": 2})), says("done")]),
        tools=[pay],
        plugins=[BatchTool()],
    )
    async with core.session("s") as session:
        running = asyncio.create_task(session.run("go"))
        while len(waiting := await core.approvals.pending()) < 2:  # noqa: ASYNC110 - the list is what a page would poll
            await asyncio.sleep(0.01)
        for approval in waiting:
            await (core.approvals.approve if approval.args["amount"] == 1 else core.approvals.deny)(approval)
        turn = await running

    assert [entry["success"] for entry in results(turn)] == [True, False]


async def test_after_a_crash_only_the_call_that_was_not_recorded_runs_again(durable: Place) -> None:
    gate = Gate()
    counted: list[str] = []

    @lash.tool(repeat="idempotent", scheduling="serial")
    async def step(name: str) -> str:
        """A step."""
        if name == "second" and not gate.visits:
            await gate.wait()
        counted.append(name)
        return name

    script = [batch_of(("step", {"name": "first"}), ("step", {"name": "second"})), says("done")]
    dying = await durable.core(ScriptedModel(script), tools=[step], plugins=[BatchTool()])
    session = await dying.session("s").open()
    lost = asyncio.create_task(session.run("go", turn_id="t"))
    await gate.arrival()
    await durable.crash(dying)
    await asyncio.gather(lost, return_exceptions=True)

    core = await durable.core(ScriptedModel(script), tools=[step], plugins=[BatchTool()])
    async with core.session("s") as again:
        turn = await again.run("go", turn_id="t")

    assert counted == ["first", "second"]
    assert turn.text == "done"


async def test_without_the_plugin_there_is_no_such_tool(place: Place) -> None:
    model = ScriptedModel([batch_of(("double", {"number": 1})), says("done")])
    core = await place.core(model, tools=[double])
    async with core.session("s") as session:
        turn = await session.run("go")

    error = turn.tool_calls[0].output.error
    assert error is not None
    assert error.code == "tool_unavailable"
    assert [tool.name for tool in model.requests[0].tools] == ["double"]


@given(st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)))
def test_arguments_of_any_shape_are_taken_apart_or_left(value: Any) -> None:
    call = PendingCall("c", "batch", {"tool_calls": value})

    inside = calls_inside(call)

    records = [ToolCallRecord(one.call_id, one.tool_name, {}, ToolCallOutput.ok(1), 0) for one in inside]
    assert together(call, records).is_success
