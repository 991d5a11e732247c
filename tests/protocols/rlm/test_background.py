"""Cells that start processes, and whatever they do with them, as a host sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

import lash
from lash.artifacts.store import MODULE
from lash.base.json import Json, JsonObject
from lash.base.messages import ProcessOrigin
from lash.lashlang.syntax.features import LanguageFeatures
from lash.lashlang.tracking.trace_events import TraceGraph
from lash.machine.llm import LlmRequest
from lash.machine.outcome import Stopped
from lash.plugins.errors import PluginRegistrationError
from lash.processes.inputs import LashlangProcessInput
from lash.processes.outputs import SuccessOutput
from lash.processes.scopes import SessionOriginator, SessionScope
from lash.protocols.rlm.options import RlmConfig
from lash.stock.trigger_sources import SCHEDULES, TriggerSource, TriggerSources
from lash.testing import ScriptedModel, cell
from lash.testing.script import Answer, Step

GREET = """
process greet(name: str) {
  finish format("hello {}", name)
}
"""


def core_of(*steps: Step, workers: int = 1, store: str = ":memory:") -> lash.RlmCore:
    return lash.RlmCore(model=ScriptedModel(list(steps)), workers=workers, store=store)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await holds():  # noqa: ASYNC110 - the store is what is watched
            await asyncio.sleep(0)


def has_event(session: lash.Session) -> Callable[[], Awaitable[bool]]:
    async def holds() -> bool:
        return any(message.role == "event" for message in session.messages)

    return holds


def runs(session: lash.Session) -> Callable[[], Awaitable[bool]]:
    async def holds() -> bool:
        return bool(await session.processes.list())

    return holds


def has_ended(core: lash.RlmCore) -> Callable[[], Awaitable[bool]]:
    async def holds() -> bool:
        return bool(await core.processes.list(status="completed"))

    return holds


async def run(core: lash.RlmCore, text: str = "go") -> lash.TurnResult:
    async with core.session("s") as session:
        return await session.run(text)


async def test_start_registers_a_process_of_the_session_and_gives_a_handle() -> None:
    async with core_of(cell(GREET + 'h = start greet(name: "Ada")\nsubmit h'), workers=0) as core:
        turn = await run(core)
        [record] = await core.processes.list()

        assert turn.value == {"__handle__": "process", "id": record.id}
        assert record.id.startswith("process:lashlang:sha256:")
        assert isinstance(record.input, LashlangProcessInput)
        assert (record.input.process_name, record.input.args) == ("greet", {"name": "Ada"})
        assert record.provenance.originator == SessionOriginator(SessionScope("s"))
        assert record.wake_target == SessionScope("s")
        assert await core.store.artifacts.get_module_artifact(record.input.module_ref) is not None
        assert [summary.id for summary in await core.session("s").processes.list()] == [record.id]


# triggers

CLOCK = TriggerSource("clock.Alarm", "clock.Tick", emits="{ id: str, at: str }", takes="{ at: str }")
REMEMBER = """
process remember(tick: clock.Tick, note: str) {
  wake { text: format("{}: {}", note, tick.id) }
  finish tick
}
"""
REGISTER = (
    REMEMBER
    + """
t = await triggers.register({
  source: clock.Alarm({ at: "08:00" }),
  target: remember,
  inputs: { tick: trigger.event, note: "daily" },
  name: "morning"
})?
"""
)


def clock_core(*steps: Step, workers: int = 0, store: str = ":memory:") -> lash.RlmCore:
    model = ScriptedModel(list(steps))
    return lash.RlmCore(model=model, workers=workers, store=store, plugins=[TriggerSources(CLOCK)])


async def test_a_program_registers_a_trigger_and_an_event_starts_its_process() -> None:
    async with clock_core(cell(REGISTER + "submit t")) as core:
        turn = await run(core)
        [subscription] = await core.session("s").triggers.by_source_type("clock.Alarm")
        tick: Json = {"id": "1", "at": "08:00"}
        report = await core.triggers.emit("clock.Alarm", tick, source={"at": "08:00"}, key="k")
        [process_id] = report.started_process_ids
        record = await (await core.processes.get(process_id)).record()

        assert turn.value == {"type": "trigger_handle", "id": subscription.handle, "name": "morning"}
        assert isinstance(record.input, LashlangProcessInput)
        assert record.input.args == {"tick": tick, "note": "daily"}
        assert record.provenance.originator == SessionOriginator(SessionScope("s"))
        assert record.wake_target == SessionScope("s")


async def test_a_program_lists_and_cancels_its_triggers() -> None:
    listing = "found = await triggers.list({ target: remember, enabled: true })?\n"
    ending = """
gone = await triggers.cancel({ handle: t })?
again = await triggers.cancel({ handle: t.id })?
other = await triggers.cancel({ handle: "trigger:77" })?
left = await triggers.list({ enabled: true })?
submit { names: [x.name for x in found], inputs: found[0].inputs, gone: gone, again: again, other: other, left: left }
"""
    config = RlmConfig(language_features=LanguageFeatures(comprehensions=True))
    model = ScriptedModel([cell(REGISTER + listing + ending)])
    core = lash.RlmCore(model=model, rlm=config, plugins=[TriggerSources(CLOCK)])
    async with core:
        turn = await run(core)

        assert turn.value == {
            "names": ["morning"],
            "inputs": {"tick": {"kind": "event"}, "note": {"kind": "fixed", "value": "daily"}},
            "gone": True,
            "again": True,
            "other": False,
            "left": [],
        }


async def test_a_program_sees_the_triggers_of_its_own_session_alone() -> None:
    async with clock_core(cell(REGISTER + "submit len(await triggers.list({})?)")) as core:
        first = await run(core)
        async with core.session("other") as other:
            second = await other.run("go")

        assert [first.value, second.value] == [1, 1]


async def test_triggers_are_told_and_linked_only_where_there_are_sources() -> None:
    async with core_of(cell("submit await triggers.list({})?"), cell("submit history[1].error")) as core:
        turn = await run(core)
        model = core._plan.models.default.provider
        assert isinstance(model, ScriptedModel)

        assert "triggers" in str(turn.value)
        assert "### Triggers" not in model.requests[0].messages[0].text
    async with clock_core(cell("submit 1")) as core:
        await run(core)
        model = core._plan.models.default.provider
        assert isinstance(model, ScriptedModel)

        assert "### Triggers" in model.requests[0].messages[0].text
        assert "clock.Alarm({ at: str }) -> TriggerSource<clock.Tick>" in model.requests[0].messages[0].text


@pytest.mark.parametrize(
    "source",
    [
        TriggerSource("alarm", "clock.Tick", emits="{ id: str }"),
        TriggerSource("clock.Alarm", "Tick", emits="{ id: str }"),
        TriggerSource("clock.Alarm", "clock.Tick", emits="str"),
        TriggerSource("clock.Alarm", "clock.Tick", emits="{ id: "),
    ],
)
def test_a_source_that_cannot_be_is_refused_at_once(source: TriggerSource) -> None:
    with pytest.raises(PluginRegistrationError, match=source.path):
        TriggerSources(source)


# with workers


async def test_a_handle_is_awaited_for_what_its_process_finished_with() -> None:
    async with core_of(cell(GREET + 'h = start greet(name: "Ada")\nsubmit (await h)?')) as core:
        assert (await run(core)).value == "hello Ada"


async def test_handles_in_a_list_or_a_record_are_awaited_together() -> None:
    source = """
handles = []
for name in ["Ada", "Bob", "Cy"] { handles = push(handles, start greet(name: name)) }
all = await handles
one = await { first: start greet(name: "Di"), kept: 7 }
submit { all: [x.value for x in all], one: one.first.value, kept: one.kept }
"""
    config = RlmConfig(language_features=LanguageFeatures(comprehensions=True))
    core = lash.RlmCore(model=ScriptedModel([cell(GREET + source)]), rlm=config)
    async with core:
        turn = await run(core)
        started = await core.processes.list(status="any")

    assert turn.value == {"all": ["hello Ada", "hello Bob", "hello Cy"], "one": "hello Di", "kept": 7}
    assert len(started) == 4


async def test_a_handle_in_a_variable_is_awaited_in_a_later_turn_and_after_a_restart(tmp_path: Path) -> None:
    where = str(tmp_path / "agent.db")
    steps = [cell(GREET + 'h = start greet(name: "Ada")\nsubmit 1'), cell("submit (await h)?")]
    async with core_of(*steps, store=where, workers=0) as core:
        await run(core)
    async with core_of(*steps, store=where) as core:
        turn = await run(core)

    assert turn.value == "hello Ada"


async def test_a_failure_is_a_wrapper_that_can_be_looked_at() -> None:
    source = """
process broken() { fail "no bread" }
r = await start broken()
submit r
"""
    async with core_of(cell(source)) as core:
        assert (await run(core)).value == {"ok": False, "error": "no bread"}


async def test_a_process_is_signalled_and_cancelled_from_a_cell() -> None:
    source = """
process waits() signals { go: str } {
  finish wait_signal("go")
}
a = start waits()
b = start waits()
signal_run(a, "go", "now")
said = (await a)?
cancel b
end = await b
cancel b
submit { said: said, end: end }
"""
    async with core_of(cell(source)) as core:
        turn = await run(core)

    assert turn.value == {"said": "now", "end": {"ok": False, "error": "lashlang process was cancelled"}}


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ('h = start greet(name: "x")\nsignal_run(h, "go", 1)', "takes no signal `go`"),
        ('signal_run({ id: "x" }, "go", 1)', "signal_run expects a process handle"),
        (
            'x = { __handle__: "process", id: "of-somebody-else" }\ny = (await x)?',
            "not live or visible in this session",
        ),
        ('x = { __handle__: "process", id: "of-somebody-else" }\ncancel x', "not live or visible in this session"),
        ("x = (await 7)?", "Invalid process handle"),
    ],
)
async def test_what_cannot_be_done_with_a_handle_is_said(source: str, problem: str) -> None:
    async with core_of(cell(GREET + source), cell("submit history[1].error")) as core:
        assert problem in str((await run(core)).value)


async def test_a_process_that_wakes_its_session_is_read_as_an_event() -> None:
    source = """
process later() { wake "bread is ready" finish 1 }
h = start later()
submit (await h)?
"""
    async with core_of(cell(source), cell("submit 2")) as core, core.session("s") as session:
        await session.run("go")
        await until(has_event(session))
        [event] = [message for message in session.messages if message.role == "event"]

    assert event.text.endswith("bread is ready")
    assert isinstance(event.origin, ProcessOrigin)
    assert event.origin.event_type == "process.wake"


async def test_a_cancelled_turn_stops_waiting_and_the_process_goes_on() -> None:
    source = """
process waits() signals { go: str } { finish wait_signal("go") }
h = start waits()
x = await h
submit 1
"""
    async with core_of(cell(source), cell("submit (await h)?")) as core, core.session("s") as session:
        running = asyncio.create_task(session.run("go"))
        await until(runs(session))
        [handle] = await session.processes.list()
        await session.cancel()
        turn = await running
        process = await core.processes.get(handle.id)
        await process.signal("go", "still here")
        second = await session.run("again")

    assert turn.outcome == Stopped("cancelled")
    assert second.value == "still here"


async def test_a_source_that_is_gone_after_a_restart_changes_no_cell_that_ran_with_it(tmp_path: Path) -> None:
    where, arrived = str(tmp_path / "agent.db"), asyncio.Event()
    steps = [cell(REGISTER + "print t.name"), cell("submit t.name")]

    async def held(_request: LlmRequest) -> Answer:
        arrived.set()
        await asyncio.Event().wait()
        raise AssertionError

    first = clock_core(steps[0], held, store=where)
    await first.open()
    session = await first.session("s").open()
    lost = asyncio.create_task(session.run("go", turn_id="t"))
    await arrived.wait()
    await first.close()
    await asyncio.gather(lost, return_exceptions=True)

    async with core_of(*steps, store=where, workers=0) as core, core.session("s") as session:
        turn = await session.run("go", turn_id="t")

    assert turn.value == "morning"
    assert turn.errors == []


async def test_a_module_that_was_collected_meanwhile_is_stored_again_by_the_next_cell() -> None:
    async with core_of(*[cell(GREET + 'h = start greet(name: "Ada")\nsubmit h')] * 2, workers=0) as core:
        async with core.session("s") as session:
            await session.run("go")
            [module] = await core.store.artifacts.list_artifacts(MODULE)
            assert module in await core.store.artifacts.collect_artifacts([], core.store.clock.now_ms() + 1)

            await session.run("again")

        assert await core.store.artifacts.list_artifacts(MODULE) == [module]


async def test_what_cells_do_is_told_to_the_sink_of_executions() -> None:
    told: list[JsonObject] = []
    source = GREET + 'h = start greet(name: "Ada")\nif true { x = (await h)? }\nsubmit x'
    core = lash.RlmCore(model=ScriptedModel([cell(source)]), lashlang_execution_sink=told.append)
    async with core, core.session("s") as session:
        turn = await session.run("go", turn_id="t")

    cells = [event for event in told if "event_key" in event and ":effect:s:t:" in f":{event['event_key']}"]
    kinds = [event["kind"] for event in cells]
    assert turn.value == "hello Ada"
    assert kinds[0] == "execution_started"
    assert kinds[-1] == "execution_finished"
    assert {"node_started", "node_completed", "child_started", "branch_selected"} <= set(kinds)
    assert any(str(event["event_key"]).startswith("lashlang_execution:process:") for event in told)
    graph = TraceGraph()
    for event in [*cells, *cells]:  # a replay tells it again
        graph.feed(event)
    assert graph.status == "completed"
    assert set(graph.nodes.values()) <= {"completed", "unobserved"}
    assert len(graph.children) == 1


# the clock

EVERY = """
process report(due: clock.Due, to: str) { finish [to, due.due_at_ms > 0] }
t = await triggers.register({
  source: clock.schedule({ WHEN }),
  target: report,
  inputs: { due: trigger.event, to: "Ada" },
  name: "report"
})?
"""


def ticking_core(*steps: Step, store: str = ":memory:") -> lash.RlmCore:
    return lash.RlmCore(model=ScriptedModel(list(steps)), store=store, plugins=[TriggerSources(SCHEDULES)])


async def test_a_program_puts_a_schedule_that_starts_its_process_and_takes_it_away() -> None:
    source = EVERY.replace("WHEN", 'every: "20ms"')
    ending = "submit [await triggers.cancel({ handle: t })?, len(await triggers.list({ enabled: true })?)]"
    async with ticking_core(cell(source + "submit 1"), cell(ending)) as core, core.session("s") as session:
        await session.run("go")
        await until(has_ended(core))
        [schedule] = await session.triggers.schedules()
        turn = await session.run("stop")
        [over] = await session.triggers.schedules()
        first = (await core.processes.list(status="completed"))[0]

    assert schedule.enabled
    assert turn.value == [True, 0]
    assert not over.enabled
    assert first.status.await_output == SuccessOutput(["Ada", True])


@pytest.mark.parametrize(
    ("when", "problem"),
    [
        ('every: "1s", at: "2030-01-01T00:00:00Z"', "exactly one of cron, every, at"),
        ('tz: "UTC"', "exactly one of cron, every, at"),
        ('every: "soon"', "invalid duration"),
        ('cron: "61 * * * *"', "cron"),
        ('cron: "0 9 * * *", tz: "Atlantis/Capital"', "Atlantis/Capital"),
    ],
)
async def test_a_schedule_that_cannot_be_is_said(when: str, problem: str) -> None:
    async with ticking_core(cell(EVERY.replace("WHEN", when)), cell("submit history[1].error")) as core:
        assert problem in str((await run(core)).value)
        assert await core.triggers.schedules() == []


async def test_a_worker_elsewhere_runs_what_a_cell_started(tmp_path: Path) -> None:
    where = str(tmp_path / "agent.db")
    source = GREET + 'h = start greet(name: "Ada")\nsubmit (await h)?'
    async with core_of(store=where) as worker, core_of(cell(source), store=where, workers=0) as core:
        turn = await run(core)
        [record] = await core.processes.list(status="completed")

        assert turn.value == "hello Ada"
        assert record.first_started_by == worker.executor_id


async def test_the_execution_graph_of_a_cell_names_the_processes_that_it_started() -> None:
    source = GREET + 'h = start greet(name: "Ada")\nsubmit h'
    async with core_of(cell(source)) as core, core.session("s") as session:
        turn = await session.run("go", turn_id="t")
        graph = await session.execution_graph("t")

    [(_, process_id)] = graph.cells[0].started
    assert isinstance(turn.value, dict)
    assert process_id == turn.value["id"]
    assert graph.cells[0].problem is None
