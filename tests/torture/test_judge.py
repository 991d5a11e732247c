"""The judge finds every kind of violation, each planted alone into a sound record."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from torture.effects_log import EffectsLog, Execution
from torture.evidence import DeliveryRow, EventRow, Evidence, ProcessRow, WakeRow, WakeSeen
from torture.judge import judge
from torture.load import Book

DONE = '{"type":"success","value":7}'
CALL = "process:p:tool:ledger"


def sound() -> Evidence:
    """One process that was signalled, made three executions, ended, woke its session; one emit, one clock."""
    book = Book({"p": 7, "t1": None, "t2": None, "t3": None}, {"p": 2}, ["e"], ["clock-0"], ["inbox"])
    evidence = Evidence(book)
    evidence.processes = {
        "p": ProcessRow("p", "completed", DONE, "", "", 3),
        **{each: ProcessRow(each, "completed", DONE, "", "", 1) for each in ("t1", "t2", "t3")},
    }
    evidence.events["p"] = [
        EventRow("p", 1, "signal.go", 1, "s1", 0, "1"),
        EventRow("p", 2, "signal.go", 2, "s2", 0, "2"),
        EventRow("p", 3, "process.completed", 1, "end", 1, "{}"),
    ]
    for each in ("t1", "t2", "t3"):
        evidence.events[each] = [EventRow(each, 1, "process.completed", 1, "end", 0, "{}")]
    evidence.outbox = [WakeRow("p", 3, "inbox", "enqueued")]
    evidence.wakes_seen = [WakeSeen("inbox", "p", 3)]
    evidence.deliveries = [
        DeliveryRow("torture.happened", "e", "1", "t1", "started"),
        _fired("t2", 1_000),
        _fired("t3", 2_000),
    ]
    evidence.executions = [
        Execution("key", f"{CALL}:attempt:1", 1, 1),
        Execution("key", f"{CALL}:attempt:1", 2, 2),
        Execution("key", f"{CALL}:attempt:2", 2, 3),
    ]
    evidence.exits = [("worker-1", 0)]
    return evidence


def _fired(process_id: str, due_ms: int) -> DeliveryRow:
    payload = f'{{"schedule_id":"clock-0","due_at_ms":{due_ms}}}'
    return DeliveryRow("lash.schedule", f"clock-0:{due_ms}", payload, process_id, "started")


def _set(evidence: Evidence, **changes: object) -> None:
    evidence.processes["p"] = evidence.processes["p"]._replace(**changes)  # type: ignore[arg-type]


def _event(evidence: Evidence, sequence: int, **changes: object) -> None:
    events = evidence.events["p"]
    events[sequence - 1] = events[sequence - 1]._replace(**changes)  # type: ignore[arg-type]


def _ended_twice(evidence: Evidence) -> None:
    evidence.events["p"].append(EventRow("p", 4, "process.completed", 2, "end again", 0, "{}"))
    _set(evidence, last_sequence=4)


PLANTED: list[tuple[str, Callable[[Evidence], object]]] = [
    ("every_process_ended_once", lambda e: e.processes.pop("t1")),
    ("every_process_ended_once", lambda e: _set(e, status="running", output_json=None)),
    ("every_process_ended_once", lambda e: _set(e, output_json='{"type":"success","value":8}')),
    ("every_process_ended_once", lambda e: e.book.ends.pop("t1")),
    ("every_process_ended_once", _ended_twice),
    ("no_event_is_lost_doubled_or_out_of_order", lambda e: e.events["p"].pop(1)),
    ("no_event_is_lost_doubled_or_out_of_order", lambda e: _event(e, 2, replay_key="s1")),
    ("no_event_is_lost_doubled_or_out_of_order", lambda e: _event(e, 2, ordinal=3)),
    ("no_event_is_lost_doubled_or_out_of_order", lambda e: e.events["p"].reverse()),
    ("no_event_is_lost_doubled_or_out_of_order", lambda e: e.book.signals.update(p=3)),
    ("every_wake_reached_its_session_once", lambda e: e.wakes_seen.clear()),
    ("every_wake_reached_its_session_once", lambda e: e.wakes_seen.append(WakeSeen("inbox", "p", 3))),
    ("every_wake_reached_its_session_once", lambda e: e.wakes_seen.append(WakeSeen("inbox", "x", 1))),
    ("every_wake_reached_its_session_once", lambda e: e.outbox.clear()),
    ("no_lease_is_orphaned", lambda e: _set(e, lease_token="t", lease_owner="dead")),
    ("no_lease_is_orphaned", lambda e: e.session_leases.append(("inbox", "dead"))),
    ("no_lease_is_orphaned", lambda e: e.queued.append(("inbox", "wake"))),
    ("no_recorded_effect_was_executed_again", lambda e: e.executed_again.append(e.executions[0])),
    (
        "no_recorded_effect_was_executed_again",
        lambda e: e.executions.append(Execution("key", f"{CALL}:attempt:1", 3, 4)),
    ),
    (
        "side_effects_carry_the_same_key",
        lambda e: e.executions.append(Execution("other", f"{CALL}:attempt:2", 3, 4)),
    ),
    (
        "side_effects_carry_the_same_key",
        lambda e: e.executions.append(Execution("key", "process:t1:tool:ledger:attempt:1", 3, 4)),
    ),
    (
        "side_effects_carry_the_same_key",
        lambda e: e.executions.extend([Execution("c", "process:c:tool:charge:attempt:1", 3, 4)] * 2),
    ),
    ("every_occurrence_started_one_process", lambda e: e.deliveries.append(e.deliveries[0])),
    ("every_occurrence_started_one_process", lambda e: e.book.emits.append("lost")),
    ("every_occurrence_started_one_process", lambda e: e.deliveries.append(_fired("t3", 4_000))),
    ("every_occurrence_started_one_process", lambda e: e.deliveries.append(_fired("t3", 2_000))),
    ("who_was_told_to_go_left_in_order", lambda e: e.exits.append(("worker-2", -11))),
]


def test_a_sound_record_is_no_violation() -> None:
    assert not judge(sound()).broken, str(judge(sound()))


@pytest.mark.parametrize("number", range(len(PLANTED)))
def test_a_planted_violation_is_found(number: int) -> None:
    promise, plant = PLANTED[number]
    evidence = sound()
    plant(evidence)

    verdict = judge(evidence)
    assert promise in verdict.broken
    assert promise in str(verdict)


def test_every_promise_has_a_planted_violation() -> None:
    assert {promise for promise, _ in PLANTED} == set(type(judge(sound())).__slots__)


def test_the_outside_log_says_who_did_what_under_which_key(tmp_path: Path) -> None:
    log = EffectsLog(tmp_path / "effects.log")
    log.write("key", "effect")
    position = log.position()
    log.write("key", "again")

    assert [each.effect for each in log.read()] == ["effect", "again"]
    assert [each.effect for each in log.read(position)] == ["again"]
