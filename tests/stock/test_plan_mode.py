"""An agent that plans first and asks before it acts (R-099)."""

from __future__ import annotations

import asyncio
from typing import Any

import lash
from face.places import Place, drained, until
from lash.base.json import Json
from lash.machine.llm import LlmRequest
from lash.machine.outcome import FrameSwitch
from lash.plugins import CustomEvent
from lash.runtime.activity import PluginRuntime
from lash.stock import PlanMode, PlanModeStatus
from lash.testing import Lab, Life, ScriptedModel, calls, says
from lash.testing.script import Answer
from lash.tools.decorator import Tool


@lash.tool(repeat="idempotent")
async def delete(path: str) -> str:
    """Deletes a file."""
    return f"{path} is gone"


@lash.tool(repeat="idempotent")
async def read_file(path: str) -> str:
    """Reads a file."""
    return f"the text of {path}"


@lash.tool(repeat="idempotent")
async def write_file(path: str, text: str) -> str:
    """Writes a file."""
    return f"{len(text)} characters"


TOOLS: list[Tool[..., Any]] = [delete, read_file, write_file]
PLAN = "Delete a.txt."


def offered(model: ScriptedModel, number: int = -1) -> list[str]:
    return sorted(tool.name for tool in model.requests[number].tools)


def error_codes(turn: lash.TurnResult) -> list[str | None]:
    return [None if call.output.error is None else call.output.error.code for call in turn.tool_calls]


async def invoke(session: lash.Session, action: str) -> PlanModeStatus:
    answer = await session.plugins.invoke(f"plan_mode.{action}", into=PlanModeStatus)
    assert isinstance(answer, PlanModeStatus)
    return answer


async def decided(core: lash.StandardCore, *, approve: bool) -> None:
    """Answers what waits for an approval."""

    async def is_waiting() -> bool:
        return bool(await core.approvals.pending())

    await until(is_waiting, "a plan that waits for approval")
    [waiting] = await core.approvals.pending()
    if approve:
        await core.approvals.approve(waiting)
    else:
        await core.approvals.deny(waiting, "too short")


async def approving(core: lash.StandardCore) -> None:
    """Approves whatever waits."""
    while True:
        for waiting in await core.approvals.pending():
            await core.approvals.approve(waiting)
        await asyncio.sleep(0.001)


async def test_the_host_turns_it_on_and_off(place: Place) -> None:
    core = await place.core(ScriptedModel([]), tools=TOOLS, plugins=[PlanMode()])
    async with core.session("s") as session:
        assert await invoke(session, "enable") == PlanModeStatus("s", enabled=True, plan_path="plans/s.md")
        assert await session.tools.names() == ["plan_exit", "read_file", "write_file"]
        assert (await invoke(session, "toggle")).enabled is False
        assert (await invoke(session, "toggle")).enabled is True
        assert (await invoke(session, "disable")).enabled is False
        assert await session.tools.names() == ["delete", "read_file", "write_file"]


async def test_while_planning_only_the_plan_may_change(place: Place) -> None:
    model = ScriptedModel(
        [
            [
                calls("read_file", path="a.txt"),
                calls("write_file", path="plans/s.md", text=PLAN),
                calls("write_file", path="a.txt", text="x"),
                calls("delete", path="a.txt"),
            ],
            says("planned"),
        ]
    )
    core = await place.core(model, tools=TOOLS, plugins=[PlanMode(enabled=True)])
    async with core.session("s") as session:
        turn = await session.run("plan it")

        assert error_codes(turn) == [None, None, "plan_mode_blocked", "tool_unavailable"]
        error = turn.tool_calls[2].output.error
        assert error is not None
        assert error.message == "plan mode is on: write_file may change plans/s.md and nothing else"
        assert offered(model) == ["plan_exit", "read_file", "write_file"]
        first, second = ([message.text for message in request.messages] for request in model.requests)
        assert first[-1].startswith("Plan mode is on.")
        assert first[-1].endswith("the only file you may change. When it is complete, call `plan_exit`.")
        assert second[-1].startswith("Plan mode is still on")
        assert not any("Plan mode" in message.text for message in session.view.messages)


async def test_a_host_says_what_else_may_be_used(place: Place) -> None:
    @lash.tool
    async def save(name: str) -> str:
        """Saves."""
        return name

    def saved(args: dict[str, Json]) -> list[str]:
        return [f"plans/{args['name']}.md"]

    mode = PlanMode(allow=["delete"], edits={"save": saved}, enabled=True)
    model = ScriptedModel(
        [[calls("delete", path="a"), calls("save", name="s"), calls("save", name="other")], says("ok")]
    )
    core = await place.core(model, tools=[delete, save], plugins=[mode])
    async with core.session("s") as session:
        assert error_codes(await session.run("go")) == [None, None, "plan_mode_blocked"]


async def test_an_approved_plan_goes_on_in_a_fresh_frame_with_all_tools(place: Place) -> None:
    model = ScriptedModel([calls("plan_exit", plan=PLAN), calls("delete", path="a.txt"), says("done")])
    core = await place.core(model, tools=TOOLS, plugins=[PlanMode(enabled=True)])
    async with core.session("s") as session:
        turn, _ = await asyncio.gather(session.run("plan it", turn_id="t"), decided(core, approve=True))
        await drained(session)

        assert turn.text == "done"
        assert session.view.current_frame_id.startswith("plan-")
        assert (await invoke(session, "status")).enabled is False
    assert offered(model, 1) == ["delete", "read_file", "write_file"]
    assert [message.text for message in model.requests[1].messages][1:] == [
        f"The plan in plans/s.md was approved. Read it, then carry it out. In short:\n\n{PLAN}"
    ]


async def test_a_plan_that_is_not_approved_is_planned_on(place: Place) -> None:
    model = ScriptedModel([calls("plan_exit", plan="?"), says("I will think again.")])
    core = await place.core(model, tools=TOOLS, plugins=[PlanMode(enabled=True)])
    async with core.session("s") as session:
        turn, _ = await asyncio.gather(session.run("plan it"), decided(core, approve=False))

        error = turn.tool_calls[0].output.error
        assert error is not None
        assert error.message.endswith("too short")
        assert not isinstance(turn.outcome, FrameSwitch)
        assert (await invoke(session, "status")).enabled is True


async def test_an_agent_without_files_hands_over_the_plan_itself(place: Place) -> None:
    model = ScriptedModel([calls("plan_exit", plan=PLAN), says("done")])
    core = await place.core(model, tools=TOOLS, plugins=[PlanMode(plans=None, enabled=True)])
    async with core.session("s") as session:
        assert await invoke(session, "status") == PlanModeStatus("s", enabled=True)
        assert await session.tools.names() == ["plan_exit", "read_file"]
        await asyncio.gather(session.run("plan it"), decided(core, approve=True))
        await drained(session)

    assert model.requests[1].messages[-1].text == f"This plan was approved. Carry it out.\n\n{PLAN}"


async def test_a_change_is_told_once_with_the_next_turn(place: Place) -> None:
    core = await place.core(ScriptedModel(lambda _: says("ok")), tools=TOOLS, plugins=[PlanMode(plans=None)])
    async with core.session("s") as session:
        await invoke(session, "enable")
        told = [
            activity.event.event
            for number in range(2)
            for activity in (await session.turn("go", turn_id=f"t{number}").collect()).activities
            if isinstance(activity.event, PluginRuntime)
        ]

    assert told == [CustomEvent("plan_mode.changed", {"session_id": "s", "enabled": True})]


async def test_a_session_that_is_opened_again_goes_on_planning(file: Place) -> None:
    first = await file.core(ScriptedModel([]), tools=TOOLS, plugins=[PlanMode()])
    async with first.session("s") as session:
        await invoke(session, "enable")
    await file.end(first)

    model = ScriptedModel([says("ok")])
    second = await file.core(model, tools=TOOLS, plugins=[PlanMode()])
    async with second.session("s") as session:
        await session.run("go")

    assert offered(model) == ["plan_exit", "read_file", "write_file"]


async def test_what_was_approved_survives_a_kill_everywhere() -> None:
    def script(request: LlmRequest) -> Answer:
        last = request.messages[-1].text
        if "was approved" in last:
            return calls("delete", path="a.txt")
        if any(tool.name == "plan_exit" for tool in request.tools):
            return calls("plan_exit", plan=PLAN) if "still on" in last else calls("read_file", path="a.txt")
        return says("done")

    def make(life: Life) -> lash.StandardCore:
        return lash.StandardCore(
            model=ScriptedModel(script),
            tools=TOOLS,
            plugins=[PlanMode(enabled=True)],
            store=life.store,
            effect_host=life.effect_host,
        )

    async def program(core: lash.StandardCore) -> str:
        async with core.session("s") as session:
            async with asyncio.TaskGroup() as group:
                running = group.create_task(session.run("plan it", turn_id="t"))
                answering = group.create_task(approving(core))
                running.add_done_callback(lambda _: answering.cancel())
            status = await invoke(session, "status")
            return f"{running.result().text} {status.enabled} {await session.tools.names()}"

    report = await Lab(make).kill_everywhere(program, limit=24)

    report.raise_for_problems()
    assert report.kills >= 20
