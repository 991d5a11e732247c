"""Background processes as a host sees them: start, wait, steer, list, forget."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

import lash
from face.places import Gate, Place, settled, texts, until
from lash.base.json import JsonObject
from lash.processes.errors import (
    CompletionNotAllowed,
    HandleNotVisible,
    InvalidRegistration,
    ProcessAlreadyTerminal,
    ProcessNoLongerRetained,
    ReplayKeyConflict,
    UnknownProcess,
)
from lash.processes.inputs import LashlangProcessInput, ToolCallInput
from lash.processes.outputs import ProcessAwaitOutput, SuccessOutput
from lash.processes.scopes import SessionOriginator, SessionScope
from lash.runtime.process_admin import ProcessStartConflict
from lash.runtime.process_handle import ProcessAbandoned, ProcessCancelled, ProcessFailed, UnknownSignal
from lash.runtime.work import InvalidWork, UnknownTool
from lash.sessions.frames import SessionPolicy
from lash.testing import ScriptedModel, says

# Longer than any machine needs; what never comes fails all the same.
SOON_S = 30


@lash.tool
async def research(topic: str, pages: int = 3) -> str:
    """Reads about a topic."""
    return f"{pages} pages on {topic}"


@lash.tool
async def elsewhere() -> None:
    """A tool that the core does not have."""


def model() -> ScriptedModel:
    """Nobody is asked anything."""
    return ScriptedModel([])


DEPLOY = lash.External("deploy", {"to": "production"}, signals=["approve"])


# start


async def test_external_work_is_started_reported_and_awaited(place: Place) -> None:
    core = await place.core(model())

    handle = await core.processes.start(DEPLOY)
    waiting = asyncio.create_task(handle.result(timeout=SOON_S))
    await core.processes.complete(handle.id, {"version": 7})
    await core.processes.complete(handle.id, {"version": 7})

    assert await waiting == {"version": 7}
    record = await handle.record()
    assert (record.display.kind, record.display.label) == ("external", "deploy")
    assert (record.status.state, record.recovery, record.wake_target) == ("completed", "externally_owned", "detached")


async def test_starting_again_under_an_id_is_starting_once(place: Place) -> None:
    core = await place.core(model())

    first = await core.processes.start(DEPLOY, id="deploy-7")
    again = await core.processes.start(DEPLOY, id="deploy-7")

    assert first.id == again.id == "deploy-7"
    assert [record.id for record in await core.processes.list()] == ["deploy-7"]
    with pytest.raises(ProcessStartConflict, match="another id="):
        await core.processes.start(lash.External("deploy"), id="deploy-7")


async def test_a_start_after_an_upgrade_finds_what_was_started_before(place: Place) -> None:
    before = await place.core(model(), tools=[research])
    work = {"topic": "tides"}
    started = await before.processes.start(research, args=work, id="r")
    upgraded = lash.StandardCore(model=model(), max_turns=3, tools=[research], store=await place.open_store())
    upgraded._plan.models.policy = lambda **_: SessionPolicy(provider_id="another")  # type: ignore[method-assign]

    async with upgraded:
        found = await upgraded.processes.start(research, args=work, id="r")
        with pytest.raises(ProcessStartConflict):
            await upgraded.processes.start(research, args={"topic": "winds"}, id="r")
        with pytest.raises(ProcessStartConflict):
            await upgraded.processes.start(research, args=work, id="r", wake="s")
        with pytest.raises(ProcessStartConflict):
            await upgraded.processes.start(research, args=work, id="r", recovery="owner_bound")

    assert found.id == started.id


async def test_a_session_that_was_deleted_is_told_of_nothing(place: Place) -> None:
    core = await place.core(model(), tools=[research])
    async with core.session("s") as session:
        await core.triggers.subscribe("asked", research, args={"topic": "tides"}, wake=session)
    await core.delete_session("s")

    report = await core.triggers.emit("asked", None, key="1")
    job = await core.processes.start(research, args={"topic": "winds"}, wake="s")

    for process_id in (job.id, *report.started_process_ids):
        assert "3 pages" in str(await (await core.processes.get(process_id)).result(timeout=SOON_S))
    assert [found.state for found in await core.triggers.deliveries()] == ["started"]
    pruned: set[str] = set()

    async def all_pruned() -> bool:
        # A worker has to give up the wake first.
        pruned.update((await core.processes.prune(timedelta(0))).pruned)
        return pruned == {job.id, *report.started_process_ids}

    await until(all_pruned, "both are forgotten")


async def test_a_tool_is_started_with_its_arguments_and_environment_captured(place: Place) -> None:
    core = await place.core(model(), tools=[research])

    handle = await core.processes.start(research, args={"topic": "tides"}, id="r")
    record = await handle.record()

    assert isinstance(record.input, ToolCallInput)
    assert (record.input.call.tool_name, record.input.call.args) == ("research", {"topic": "tides"})
    assert record.env_ref is not None
    assert await core.store.process_envs.get_process_execution_env(record.env_ref) is not None
    assert (await core.processes.start("research", args={"topic": "tides"}, id="r")).id == "r"


@pytest.mark.parametrize(
    ("what", "args", "error", "says"),
    [
        (elsewhere, None, UnknownTool, r"not among this core's tools \(research\)"),
        ("reserach", None, UnknownTool, "pass it in tools="),
        (research, None, InvalidWork, "topic"),
        (research, {"topic": 7}, InvalidWork, "topic"),
        (research, {"topic": "a", "when": "now"}, InvalidWork, "when"),
        (research, {"topic": "\ud800"}, InvalidWork, "not JSON"),
        (research, {"topic": object()}, InvalidWork, "not JSON"),
        (research, ["topic"], InvalidWork, "pass a dict"),
        (DEPLOY, {"a": 1}, InvalidWork, "metadata="),
        (lash.External(" "), None, InvalidWork, "label"),
        (lash.External("x", {"when": object()}), None, InvalidWork, "metadata is not JSON"),  # type: ignore[dict-item]
        (print, None, InvalidWork, "give a tool of the core"),
    ],
)
async def test_what_cannot_be_started_is_said_and_nothing_is_stored(
    memory: Place, what: object, args: object, error: type[Exception], says: str
) -> None:
    core = await memory.core(model(), tools=[research])

    with pytest.raises(error, match=says):
        await core.processes.start(what, args=args)  # type: ignore[arg-type]

    assert await core.processes.list(status="any") == []


async def test_external_work_cannot_be_run_again_by_workers(memory: Place) -> None:
    core = await memory.core(model())

    with pytest.raises(InvalidRegistration, match="leave recovery out"):
        await core.processes.start(DEPLOY, recovery="rerunnable")


@pytest.mark.parametrize("process_id", ["", " ", "a\0b"])
async def test_an_id_must_be_text(memory: Place, process_id: str) -> None:
    core = await memory.core(model())

    with pytest.raises(lash.InvalidArgument):
        await core.processes.start(DEPLOY, id=process_id)


# ends


async def test_a_failure_is_raised_where_the_result_is_wanted(place: Place) -> None:
    core = await place.core(model())
    handle = await core.processes.start(DEPLOY, id="p")

    await core.processes.fail("p", "the disk is full", code="disk_full", raw={"free": 0})

    with pytest.raises(lash.ProcessFailed, match=r"process `p` failed: the disk is full \(disk_full\)") as caught:
        await handle.result()
    assert caught.value.failure_code == "disk_full"


async def test_a_cancel_is_a_request_that_the_owner_answers(place: Place) -> None:
    core = await place.core(model())
    handle = await core.processes.start(DEPLOY, id="p")

    await handle.cancel("wrong branch")
    await handle.cancel("wrong branch")
    assert [event.payload for event in await core.store.processes.events_after("p", 0)] == [{"reason": "wrong branch"}]
    await core.processes.cancelled("p")

    with pytest.raises(ProcessCancelled):
        await handle.result()
    with pytest.raises(ProcessAlreadyTerminal):
        await handle.cancel("once more")


async def test_work_whose_owner_is_gone_is_abandoned(place: Place) -> None:
    core = await place.core(model())
    handle = await core.processes.start(DEPLOY, id="p")

    await core.processes.abandon("p", "the runner was sold")

    with pytest.raises(ProcessAbandoned, match="the runner was sold"):
        await handle.result()
    assert (await handle.record()).status.state == "abandoned"


async def test_a_wait_that_times_out_says_what_is_waited_for(place: Place) -> None:
    core = await place.core(model())
    handle = await core.processes.start(DEPLOY, id="p")

    with pytest.raises(lash.ProcessStillRunning, match="`p` is still running after 0 s; wait again"):
        await handle.result(timeout=0)
    with pytest.raises(TimeoutError, match="waits for signal `approve`"):
        await handle.wait_signal("approve", timeout=0)
    with pytest.raises(lash.InvalidArgument):
        await handle.result(timeout=-1)

    await core.processes.complete("p", None)
    assert await handle.result(timeout=0) is None


async def test_workers_work_cannot_be_completed_by_hand() -> None:
    async with lash.StandardCore(model=model(), tools=[research], workers=0) as core:
        await core.processes.start(research, args={"topic": "tides"}, id="p")

        with pytest.raises(CompletionNotAllowed):
            await core.processes.complete("p", "done")
        with pytest.raises(CompletionNotAllowed):
            await core.processes.abandon("p")


@pytest.mark.parametrize("value", [object(), "\ud800", {1: 2}, float("nan")])
async def test_a_result_must_be_json(memory: Place, value: object) -> None:
    core = await memory.core(model())
    handle = await core.processes.start(DEPLOY)

    with pytest.raises(InvalidWork, match="not JSON"):
        await core.processes.complete(handle.id, value)  # type: ignore[arg-type]

    assert (await handle.record()).status.state == "running"


# signals and events


async def test_a_signal_reaches_who_waits_and_who_comes_later(place: Place) -> None:
    core = await place.core(model())
    handle = await core.processes.start(DEPLOY)
    waiting = asyncio.create_task(handle.wait_signal("approve", timeout=SOON_S))

    first = await handle.signal("approve", {"by": "ada"}, key="click-1")
    again = await handle.signal("approve", {"by": "ada"}, key="click-1")
    second = await handle.signal("approve", {"by": "grace"})

    assert (first, again, second) == (1, 1, 2)
    assert await waiting == {"by": "ada"}
    assert await handle.wait_signal("approve") == {"by": "ada"}
    assert await handle.wait_signal("approve", 2) == {"by": "grace"}
    with pytest.raises(ReplayKeyConflict):
        await handle.signal("approve", {"by": "eve"}, key="click-1")


async def test_a_signal_that_nobody_takes_names_those_that_are_taken(place: Place) -> None:
    core = await place.core(model())
    handle = await core.processes.start(DEPLOY, id="p")
    deaf = await core.processes.start(lash.External("deaf"), id="deaf")

    with pytest.raises(UnknownSignal, match="takes no signal `aprove`; it takes: approve"):
        await handle.signal("aprove")
    with pytest.raises(UnknownSignal, match="takes no signal `aprove`; it takes: approve"):
        await handle.wait_signal("aprove")
    with pytest.raises(UnknownSignal, match="it takes none"):
        await deaf.signal("approve")
    with pytest.raises(InvalidWork, match="payload is not JSON"):
        await handle.signal("approve", object())  # type: ignore[arg-type]
    with pytest.raises(lash.InvalidArgument):
        await handle.signal("a b")

    await core.processes.complete("p")
    with pytest.raises(ProcessAlreadyTerminal):
        await handle.signal("approve")
    with pytest.raises(ProcessAlreadyTerminal):
        await handle.wait_signal("approve")


async def test_events_are_followed_to_the_end_and_from_any_place(place: Place) -> None:
    core = await place.core(model())
    handle = await core.processes.start(DEPLOY)
    seen: list[tuple[int, str]] = []
    second = asyncio.Event()

    async def follow() -> None:
        async for event in handle.events():
            seen.append((event.sequence, event.event_type))
            if event.sequence == 2:
                second.set()

    following = asyncio.create_task(follow())
    await handle.signal("approve", 1)
    await handle.signal("approve", 2)
    async with asyncio.timeout(SOON_S):
        await second.wait()
        await core.processes.complete(handle.id)
        await following

    whole = [(1, "signal.approve"), (2, "signal.approve"), (3, "process.completed")]
    assert seen == whole
    assert [(event.sequence, event.event_type) async for event in handle.events(after=1)] == whole[1:]
    assert [(event.sequence, event.event_type) async for event in handle.events(follow=False)] == whole
    assert [event async for event in handle.events(after=3)] == []


async def test_what_is_known_so_far_is_read_without_waiting(place: Place) -> None:
    core = await place.core(model())
    handle = await core.processes.start(DEPLOY)
    await handle.signal("approve")

    assert [event.sequence async for event in handle.events(follow=False)] == [1]


# lists


async def test_lists_say_what_runs_and_what_has_ended(place: Place) -> None:
    core = await place.core(model())
    for number in range(4):
        await core.processes.start(lash.External("even" if number % 2 == 0 else "odd"), id=f"p{number}")
    await core.processes.complete("p0")
    await core.processes.fail("p1", "no")

    async def ids(**wanted: object) -> list[str]:
        return [record.id for record in await core.processes.list(**wanted)]  # type: ignore[arg-type]

    assert await ids() == ["p2", "p3"]
    assert await ids(status="any") == ["p0", "p1", "p2", "p3"]
    assert await ids(status="failed") == ["p1"]
    assert await ids(status="any", definition="even") == ["p0", "p2"]
    assert await ids(status="any", after="p1", limit=1) == ["p2"]
    assert await ids(waiting=True) == []
    with pytest.raises(lash.InvalidArgument, match="running, completed"):
        await core.processes.list(status="done")  # type: ignore[arg-type]


async def test_a_list_of_a_program_passes_over_others_of_its_name(memory: Place) -> None:
    core = await memory.core(model(), tools=[research])
    for number in range(3):
        other = lash.LangProcess(f"process research() {{ sleep for 60000  finish {number} }}")
        await core.processes.start(other, id=f"a{number}")
    wanted = await core.processes.start(lash.LangProcess("process research() { sleep for 60000 }"), id="b")
    await core.processes.start(lash.External("research"), id="c")
    work = (await wanted.record()).input
    assert isinstance(work, LashlangProcessInput)

    found = await core.processes.list(definition=work.definition, limit=1)
    tools = await core.processes.list(definition=research)

    assert [record.id for record in found] == ["b"]
    assert tools == []


async def test_questions_that_mean_nothing_are_refused(memory: Place) -> None:
    core = await memory.core(model())
    processes = core.processes
    handle = await processes.start(DEPLOY, id="p")

    for asked in (
        processes.list(limit=0),
        processes.changes(limit=0),
        processes.prune(timedelta(0), limit=-1),
        processes.prune(timedelta(0), status="running"),
        handle.signal("approve", key=""),
        handle.wait_signal("approve", 0),
        handle.wait_signal("approve", timeout=-1),
        processes.start(lash.External("deploy", signals="approve")),
        processes.start(DEPLOY, recovery="rerun"),  # type: ignore[arg-type]
    ):
        with pytest.raises(lash.InvalidArgument):
            await asked

    assert (await handle.record()).last_sequence == 0
    assert [record.id for record in await processes.list()] == ["p"]


async def test_work_that_was_reported_once_is_over(place: Place) -> None:
    core = await place.core(model())
    await core.processes.start(DEPLOY, id="p")
    await core.processes.complete("p", 1)

    await core.processes.complete("p", 1)  # the same again is the same
    for other in (core.processes.complete("p", 2), core.processes.fail("p", "no"), core.processes.abandon("p")):
        with pytest.raises(ProcessAlreadyTerminal):
            await other


async def test_a_handle_is_found_by_its_id_in_another_core(durable: Place) -> None:
    first = await durable.core(model())
    second = await durable.core(model())
    started = await first.processes.start(DEPLOY, id="p")
    found = await second.processes.get("p")

    waiting = asyncio.create_task(started.result(timeout=SOON_S))
    await second.processes.complete(found.id, "from elsewhere")

    assert await waiting == "from elsewhere"


async def test_an_unknown_process_is_an_error_and_a_pruned_one_says_so(place: Place) -> None:
    core = await place.core(model())
    handle = await core.processes.start(DEPLOY, id="p")
    await core.processes.complete("p")

    with pytest.raises(UnknownProcess):
        await core.processes.get("nobody")
    report = await core.processes.prune(timedelta(0))
    assert report.pruned == ["p"]
    with pytest.raises(ProcessNoLongerRetained):
        await core.processes.get("p")
    with pytest.raises(ProcessNoLongerRetained):
        await handle.result()


async def test_a_failure_is_told_though_it_was_pruned_meanwhile(memory: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    core = await memory.core(model())
    handle = await core.processes.start(DEPLOY, id="p")
    await core.processes.cancelled("p")
    await_process = core.store.processes.await_process

    async def then_prune(process_id: str) -> ProcessAwaitOutput:
        output = await await_process(process_id)
        await core.processes.prune(timedelta(0))
        return output

    monkeypatch.setattr(core.store.processes, "await_process", then_prune)

    with pytest.raises(lash.ProcessCancelled):
        await handle.result()


async def test_changes_are_read_from_a_cursor_on(memory: Place) -> None:
    core = await memory.core(model())
    await core.processes.start(DEPLOY, id="p")
    page = await core.processes.changes()
    await core.processes.complete("p")

    news = await core.processes.changes(after=page.next_cursor)

    assert [(change.process_id, change.status) for change in page.changes] == [("p", "running")]
    assert [(change.process_id, change.status) for change in news.changes] == [("p", "completed")]


# running


async def test_a_tool_runs_in_the_background_and_its_result_is_awaited(place: Place) -> None:
    core = await place.core(model(), tools=[research])

    handle = await core.processes.start(research, args={"topic": "tides"})

    assert await handle.result(timeout=SOON_S) == "3 pages on tides"
    assert [event.event_type async for event in handle.events()] == ["process.completed"]
    assert [record.id for record in await core.processes.list(status="completed", definition=research)] == [handle.id]


async def test_a_tool_that_raises_is_a_failed_process(place: Place) -> None:
    @lash.tool
    async def broken() -> None:
        """Breaks."""
        raise ValueError("no such page")

    core = await place.core(model(), tools=[broken])
    handle = await core.processes.start(broken)

    with pytest.raises(lash.ProcessFailed, match="no such page"):
        await handle.result(timeout=SOON_S)


async def test_a_worker_without_the_tool_says_so(file: Place) -> None:
    worker = await file.core(model(), tools=[research])
    worker.worker.poke()
    asking = lash.StandardCore(model=model(), tools=[elsewhere], store=await file.open_store()).only_asking()
    async with asking:
        handle = await asking.processes.start(elsewhere)

        with pytest.raises(lash.ProcessFailed, match="no tool 'elsewhere'; available: research") as caught:
            await (await worker.processes.get(handle.id)).result(timeout=SOON_S)

    assert caught.value.failure_code == "tool_unavailable"


async def test_a_running_process_is_cancelled(place: Place) -> None:
    gate = Gate()

    @lash.tool
    async def patient() -> None:
        """Waits."""
        await gate.wait()

    core = await place.core(model(), tools=[patient])
    handle = await core.processes.start(patient)
    await gate.arrival()

    await handle.cancel("enough")

    with pytest.raises(ProcessCancelled):
        await handle.result(timeout=SOON_S)


async def test_the_session_speaks_when_the_job_is_done_though_the_program_was_closed(durable: Place) -> None:
    asker = lash.StandardCore(model=model(), tools=[research], store=await durable.open_store(), workers=0)
    async with asker, asker.session("chat") as chat:
        handle = await chat.processes.start(research, args={"topic": "tides"})

    talker = ScriptedModel([says("Your report is ready.")])
    core = await durable.core(talker, tools=[research])
    assert await (await core.processes.get(handle.id)).result(timeout=SOON_S) == "3 pages on tides"
    async with core.session("chat") as chat:
        await settled(chat, 1)

        assert [message.role for message in chat.messages] == ["event", "assistant"]
        assert "research ended" in chat.messages[0].text
        assert chat.messages[-1].text == "Your report is ready."
    talker.assert_done()


async def test_the_end_of_external_work_wakes_its_session_once(place: Place) -> None:
    talker = ScriptedModel([says("The parcel is on its way.")])
    core = await place.core(talker)
    async with core.session("chat") as chat:
        order = await core.processes.start(lash.External("print"), wake=chat)
        await core.processes.complete(order.id, {"parcel": 1})
        await core.processes.complete(order.id, {"parcel": 1})
        await settled(chat, 1)

        assert chat.messages[-1].text == "The parcel is on its way."
        assert await chat.queued_work() == []
    talker.assert_done()


async def test_a_turn_of_a_session_of_its_own_is_a_process(place: Place) -> None:
    talker = ScriptedModel([says("Forty-two.")])
    core = await place.core(talker, tools=[research])

    work = lash.SessionTurn("What is the answer?", session_id="child", hidden_tools=["research"], max_turns=3)
    handle = await core.processes.start(work)
    result = await handle.result(timeout=SOON_S)

    assert isinstance(result, dict)
    turn = result["turn"]
    assert isinstance(turn, dict)
    assert (result["child_session_id"], turn["text"]) == ("child", "Forty-two.")
    assert talker.requests[0].tools == []
    async with core.session("child") as child:
        assert texts(child.messages) == ["user: What is the answer?", "assistant: Forty-two."]


@pytest.mark.parametrize(
    ("work", "args", "says_so"),
    [
        (lash.SessionTurn("x"), {"a": 1}, "say it in its input"),
        (lash.SessionTurn("x", session_id=""), None, "session_id"),
        (lash.SessionTurn(lash.TurnInput.text("x").image("i", b"no image")), None, "cannot be started"),
    ],
)
async def test_a_turn_that_cannot_be_run_is_refused(
    memory: Place, work: lash.SessionTurn, args: JsonObject | None, says_so: str
) -> None:
    core = await memory.core(model())

    with pytest.raises(InvalidWork, match=says_so):
        await core.processes.start(work, args=args)


async def test_a_core_that_only_asks_runs_nothing(file: Place) -> None:
    asking = lash.StandardCore(model=model(), tools=[research], store=await file.open_store()).only_asking()
    async with asking:
        handle = await asking.processes.start(research, args={"topic": "tides"})
        with pytest.raises(lash.ProcessStillRunning):
            await handle.result(timeout=0.2)
        with pytest.raises(lash.ConfigurationError, match="before it is opened"):
            asking.only_asking()
        with pytest.raises(lash.ConfigurationError, match="before it is opened"):
            asking.working()

        worker = lash.StandardCore(model=model(), tools=[research], store=await file.open_store(), workers=0)
        async with worker.working(2):
            assert await handle.result(timeout=SOON_S) == "3 pages on tides"


# sessions


async def test_a_session_sees_its_own_processes_and_no_others(place: Place) -> None:
    core = await place.core(model())
    await core.processes.start(DEPLOY, id="of-the-host")
    async with core.session("s") as session:
        mine = await session.processes.start(DEPLOY, id="mine", wake=False)
        silent = await session.processes.start(DEPLOY, id="silent", wake=False)
        await core.processes.complete(silent.id, 1)

        record = await mine.record()
        assert record.provenance.originator == SessionOriginator(SessionScope("s"))
        assert record.wake_target == "detached"
        assert [summary.id for summary in await session.processes.list()] == ["mine"]
        assert [summary.id for summary in await session.processes.list_all()] == ["mine", "silent"]
        with pytest.raises(HandleNotVisible):
            await session.processes.get("of-the-host")
        with pytest.raises(HandleNotVisible):
            await session.processes.cancel("of-the-host")

        assert await session.processes.cancel_all("enough") == ["mine"]
        waiting = asyncio.create_task(session.processes.await_all())
        await asyncio.sleep(0)
        await core.processes.complete("mine", 2)
        assert await waiting in ({"mine": SuccessOutput(2)}, {})


async def test_a_session_lets_go_of_what_it_has_seen(place: Place) -> None:
    core = await place.core(model())
    async with core.session("s") as session:
        await session.processes.start(DEPLOY, id="p", wake=False)
        await core.processes.complete("p")
        kept = await core.processes.prune(timedelta(0))

        await session.processes.forget("p")
        await session.processes.forget("p")

        assert [blocked.reason for blocked in kept.blocked] == ["granted"]
        assert await session.processes.list_all() == []
        assert (await core.processes.prune(timedelta(0))).pruned == ["p"]


async def test_deleting_a_session_reports_its_processes_and_triggers_and_stops_none(place: Place) -> None:
    core = await place.core(model())
    async with core.session("s") as session:
        await session.processes.start(DEPLOY, id="mine")
        await core.processes.start(DEPLOY, id="shared", wake="s")

    report = await core.delete_session("s")

    assert (report.session_id, report.processes.revoked_handle_count) == ("s", 2)
    assert report.processes.orphaned_process_ids == ["mine", "shared"]
    for process_id in ("mine", "shared"):
        record = await (await core.processes.get(process_id)).record()
        assert (record.status.state, record.wake_target) == ("running", "detached")
    await core.processes.complete("mine")
    assert (await core.store.processes.deliver_pending_wakes()).enqueued == 0


@pytest.mark.parametrize("wake", ["", 7, object()])
async def test_wake_names_a_session(memory: Place, wake: object) -> None:
    core = await memory.core(model())

    with pytest.raises(lash.InvalidArgument, match="give a session or its id"):
        await core.processes.start(DEPLOY, wake=wake)  # type: ignore[arg-type]


async def test_a_closed_core_starts_nothing(memory: Place) -> None:
    core = lash.StandardCore(model=model())

    with pytest.raises(lash.ConfigurationError, match="not open"):
        await core.processes.start(DEPLOY)


async def test_a_process_that_is_bound_to_its_owner_ends_with_it(durable: Place) -> None:
    gate = Gate()

    @lash.tool
    async def hold() -> str:
        """Holds a connection that nobody else has."""
        await gate.wait()
        return "never"

    dying = await durable.core(model(), tools=[hold])
    await dying.processes.start(hold, id="p", recovery="owner_bound")
    await gate.arrival()
    await durable.crash(dying)

    core = await durable.core(model(), tools=[hold])
    handle = await core.processes.get("p")

    with pytest.raises(ProcessFailed) as lost:
        await handle.result(timeout=SOON_S)
    assert lost.value.failure_code == "process_owner_lost"
    assert gate.visits == 1


async def test_a_core_that_had_nothing_to_do_runs_what_another_one_starts(durable: Place) -> None:
    await durable.core(model(), tools=[research])
    asker = lash.StandardCore(model=model(), tools=[research], store=await durable.open_store(), workers=0)

    async with asker:
        handle = await asker.processes.start(research, args={"topic": "otters"})
        result = await handle.result(timeout=SOON_S)

    assert result == "3 pages on otters"
