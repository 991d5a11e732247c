"""Suite runtime_rebuild (RR): a session that is opened anew meets the runtime it was left with; X-31 of replays."""

from __future__ import annotations

import asyncio
import contextlib

import msgspec

import lash
from lash.base.causes import TriggerOccurrenceCause
from lash.base.codec import struct_to_json
from lash.base.json import Json, JsonObject
from lash.base.messages import ProcessOrigin
from lash.machine.llm import LlmRequest
from lash.models.spec import ModelFacts
from lash.processes.inputs import SessionTurnInput
from lash.processes.outputs import ProcessAwaitOutput, SuccessOutput
from lash.processes.registration import ProcessRegistration
from lash.processes.registry import ProcessQuery
from lash.processes.scopes import ProcessProvenance, SessionScope
from lash.sessions.frames import SessionPolicy
from lash.testing.conformance.laws import Rows, Suite
from lash.testing.conformance.rebuild_drafts import EVERYTHING, SESSION, Later, rebuilt
from lash.testing.conformance.worker_drafts import ended, eventually, tool_process
from lash.testing.script import Answer, cell
from lash.testing.scripted import ScriptedModel
from lash.triggers.sources import empty_source_key
from lash.triggers.subscription import Subscription

RUNTIME_REBUILD: Suite[lash.Store] = Suite("runtime_rebuild")
law = RUNTIME_REBUILD.law

ALARM_TYPE, BUTTON_TYPE = "clock.Alarm", "ui.button.pressed"
TICK: JsonObject = {"id": "daily-2026-06-01", "scheduled_at": "2026-06-01T08:00:00Z"}
PRESSED: JsonObject = {
    "button": "Red",
    "message": "user pressed the red button",
    "pressed_at": "2026-06-01T08:00:00Z",
}


@law("RR-01", "RR-02", "RR-03", "RR-04", "RR-05", "RR-06")
async def a_reopened_session_keeps_its_triggers(store: lash.Store, row: Rows) -> None:
    row("RR-01", await _told(store, "register rebuild trigger") == "registered")
    async with rebuilt(store, workers=0) as core, core.session(SESSION) as session:
        row("RR-02", session.session_id == SESSION)
        found = await session.triggers.by_source_type(ALARM_TYPE)
        row("RR-03", [one.enabled and bool(one.draft.source_key) for one in found] == [True], found)
    for law_id, key in (("RR-04", "daily-2026-06-01"), ("RR-05", "daily-2026-06-02")):
        async with rebuilt(store) as core:
            tick: Json = {**TICK, "id": key}
            report = await core.triggers.emit(ALARM_TYPE, tick, source={"at": "08:00"}, key=f"test-clock:{key}")
            row(law_id, len(report.started_process_ids) == 1, report)
            output = await ended(store, report.started_process_ids[0])
    row("RR-06", output == SuccessOutput({"id": "daily-2026-06-02", "ok": True}), output)


@law("RR-07", "RR-08", "RR-09", "RR-10", "RR-11", "RR-12", "RR-13", "RR-14", "RR-15", "RR-16")
async def a_triggered_process_and_its_wake_say_where_they_come_from(store: lash.Store, row: Rows) -> None:
    await _told(store, "register rebuild button trigger")
    async with rebuilt(store, workers=0) as core:
        report = await core.triggers.emit(BUTTON_TYPE, PRESSED, key="runtime-rebuild-trigger")
        [subscription] = await _subscriptions(core)
        is_same = subscription.draft.source_key == empty_source_key(BUTTON_TYPE)
        row("RR-07", is_same and len(report.started_process_ids) == 1, report)
        running = await store.processes.list_non_terminal()
        row("RR-08", len(running) == 1, running)
    [process_id] = report.started_process_ids
    record = await store.processes.get_process(process_id)
    cause = None if record is None else record.provenance.caused_by
    row("RR-09", cause is not None, record)
    is_cause = isinstance(cause, TriggerOccurrenceCause) and cause.occurrence_id == report.occurrence_id
    row("RR-10", is_cause, cause)
    async with rebuilt(store) as core, core.session(SESSION) as session:
        output = await ended(store, process_id)
        row("RR-11", isinstance(output, SuccessOutput), output)
        await eventually(lambda: _has_read(session))
        row("RR-12", await session.queued_work() == [])
    async with rebuilt(store, workers=0) as core, core.session(SESSION) as session:
        events = [message for message in session.messages if message.role == "event"]
        row("RR-13", len(events) == 1, session.messages)
        origin = events[0].origin
    is_process = isinstance(origin, ProcessOrigin)
    row(
        "RR-14",
        isinstance(origin, ProcessOrigin) and (origin.process_id, origin.event_type) == (process_id, "process.wake"),
        origin,
    )
    row("RR-15", is_process and isinstance(origin, ProcessOrigin) and origin.caused_by == cause, origin)
    row("RR-16", isinstance(origin, ProcessOrigin) and origin.sequence == 1, origin)


@law("RR-17", "RR-18")
async def processes_of_before_run_with_what_is_there_now(store: lash.Store, row: Rows) -> None:
    await _told(store, "register rebuild trigger")
    provenance = ProcessProvenance.session(SessionScope(SESSION))
    call = await tool_process(
        store, "proc-tool-call", "rebuild_echo", {"value": "recovered"}, provenance=provenance, wake_target="detached"
    )
    policy = SessionPolicy(model=ModelFacts("rebuild-conformance-model", context_window_tokens=4_096))
    child: JsonObject = {
        "parent_session_id": SESSION,
        "policy": struct_to_json(policy),
        "usage_source": "rebuild-conformance",
    }
    work = SessionTurnInput(child, {"items": [{"type": "text", "text": "run child"}]})
    turn = ProcessRegistration("proc-session-turn", work, provenance, wake_target="detached")
    await store.processes.register_processes([call, turn])
    async with rebuilt(store):
        called, turned = await ended(store, "proc-tool-call"), await ended(store, "proc-session-turn")
    row("RR-17", called == SuccessOutput({"echoed": "recovered"}), called)
    row("RR-18", _value_of_turn(turned) == "child done", turned)


@law("X-31", stores="SP")
async def a_program_that_runs_again_does_the_same(store: lash.Store, row: Rows) -> None:
    left = asyncio.Event()

    async def first(request: LlmRequest) -> Answer:
        if request.place.model_call == 0:
            return cell(EVERYTHING)
        left.set()
        await asyncio.Event().wait()
        raise AssertionError("the first core is closed before")

    core = rebuilt(store, scripted=ScriptedModel(first))
    await core.open()
    session = await core.session(SESSION).open()
    running = asyncio.create_task(session.run("go", turn_id="t"))
    await left.wait()
    await eventually(lambda: _waits(store))
    await core.close()
    with contextlib.suppress(Exception):
        await running
    before = await _events(store)

    again = ScriptedModel(
        [cell(EVERYTHING), cell('signal_run(whole_handle, "go", "on")\nsubmit (await whole_handle)?')]
    )
    async with rebuilt(store, scripted=again, clock=Later()) as core, core.session(SESSION) as session:
        turn = await session.run("go", turn_id="t")
    after = await _events(store)

    row("X-31", turn.value == "on" and turn.errors == [], turn)
    printed = [part.content for message in session.messages for part in message.parts if part.kind == "output"]
    row("X-31", printed[:1] == ['["c","d",6,7]'], printed)
    row("X-31", list(after) == list(before), list(after))
    row("X-31", all(after[one][: len(events)] == events for one, events in before.items()), after)
    row("X-31", all(after[one] == events for one, events in before.items() if _has_ended(events)), after)


async def _told(store: lash.Store, prompt: str) -> Json:
    async with rebuilt(store) as core, core.session(SESSION) as session:
        turn = await session.run(prompt, turn_id="register")
        value: Json = turn.raise_for_outcome().value
        return value


async def _subscriptions(core: lash.RlmCore) -> list[Subscription]:
    async with core.session(SESSION) as session:
        return await session.triggers.by_source_type(BUTTON_TYPE)


async def _has_read(session: lash.Session) -> bool:
    return any(message.role == "event" for message in session.messages) and await session.queued_work() == []


async def _waits(store: lash.Store) -> bool:
    return any(record.wait is not None for record in await store.processes.list_non_terminal())


async def _events(store: lash.Store) -> dict[str, list[tuple[str, str]]]:
    """What every process has told, by process."""
    found: dict[str, list[tuple[str, str]]] = {}
    for record in await store.processes.list_processes(ProcessQuery()):
        events = await store.processes.events_after(record.id, 0)
        found[record.id] = [(event.event_type, _said(event.payload)) for event in events]
    return found


def _said(payload: Json) -> str:
    return msgspec.json.encode(payload).decode()


def _has_ended(events: list[tuple[str, str]]) -> bool:
    return bool(events) and events[-1][0] == "process.completed"


def _value_of_turn(output: ProcessAwaitOutput) -> Json:
    value = output.value if isinstance(output, SuccessOutput) else None
    turn = value.get("turn") if isinstance(value, dict) else None
    answer: Json = turn.get("value") if isinstance(turn, dict) else None
    return answer
