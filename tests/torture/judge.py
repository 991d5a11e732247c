"""The judge: every promise about background processes, held against what is left. Pure."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from torture.evidence import DeliveryRow, EventRow, Evidence, WakeSeen, value_of

TERMINAL = ("process.completed", "process.failed", "process.cancelled", "process.abandoned")
# The steps of an ordeal, in their order.
STEPS = ("begin", "joined", "heard-1", "heard-2", "heard-3", "end")


@dataclass(frozen=True, slots=True)
class Verdict:
    """One line for every promise; each holds what speaks against it."""

    every_process_ended_once: list[str] = field(default_factory=list)
    no_event_is_lost_doubled_or_out_of_order: list[str] = field(default_factory=list)
    every_wake_reached_its_session_once: list[str] = field(default_factory=list)
    no_lease_is_orphaned: list[str] = field(default_factory=list)
    no_recorded_effect_was_executed_again: list[str] = field(default_factory=list)
    side_effects_carry_the_same_key: list[str] = field(default_factory=list)
    every_occurrence_started_one_process: list[str] = field(default_factory=list)
    who_was_told_to_go_left_in_order: list[str] = field(default_factory=list)

    @property
    def broken(self) -> dict[str, list[str]]:
        """The promises that do not hold."""
        lines = {name: getattr(self, name) for name in self.__slots__}
        return {name: found for name, found in lines.items() if found}

    def __str__(self) -> str:
        """What is wrong, for people: with the process and its events."""
        return "\n".join(f"{name}:\n  " + "\n  ".join(found[:20]) for name, found in self.broken.items())


def judge(evidence: Evidence) -> Verdict:
    """Holds everything against everything."""
    return Verdict(
        list(_ends(evidence)),
        list(_events(evidence)),
        list(_wakes(evidence)),
        list(_leases(evidence)),
        [f"{each.effect} ran in {each.pid} when it was recorded" for each in evidence.executed_again]
        + list(_ran_out_of_turn(evidence)),
        list(_keys(evidence)),
        list(_occurrences(evidence)),
        [f"{name} was told to go and ended with {code}" for name, code in evidence.exits if code != 0],
    )


def _ends(evidence: Evidence) -> Iterator[str]:
    known = evidence.book.ends
    for process_id in known.keys() - evidence.processes.keys():
        yield f"{process_id} was asked for and does not exist"
    for process_id, row in evidence.processes.items():
        events = evidence.events[process_id]
        ends = [event.sequence for event in events if event.event_type in TERMINAL]
        if process_id not in known:
            yield f"{process_id} was not asked for; {_told(events)}"
        elif row.status != "completed":
            yield f"{process_id} is {row.status}: {row.output_json}; {_told(events)}"
        elif len(ends) != 1 or ends[0] != events[-1].sequence:
            yield f"{process_id} ended {len(ends)} times; {_told(events)}"
        elif known[process_id] is not None and value_of(row.output_json) != known[process_id]:
            yield f"{process_id} came to {row.output_json} instead of {known[process_id]}; {_told(events)}"


def _events(evidence: Evidence) -> Iterator[str]:
    for process_id, row in evidence.processes.items():
        events = evidence.events[process_id]
        if [event.sequence for event in events] != list(range(1, row.last_sequence + 1)):
            yield f"{process_id} counts {row.last_sequence} events; {_told(events)}"
        if len({event.replay_key for event in events}) != len(events):
            yield f"{process_id} has an event twice; {_told(events)}"
        counts: Counter[str] = Counter()
        for event in events:
            counts[event.event_type] += 1
            if event.ordinal != counts[event.event_type]:
                yield f"{process_id} counts #{event.sequence} wrongly; {_told(events)}"
        sent = list(range(1, evidence.book.signals.get(process_id, 0) + 1))
        heard = [json.loads(event.payload_json) for event in events if event.event_type.startswith("signal.")]
        if heard != sent:
            yield f"{process_id} was sent signals {sent} and has {heard}; {_told(events)}"


def _wakes(evidence: Evidence) -> Iterator[str]:
    seen = Counter(evidence.wakes_seen)
    outbox = {(wake.process_id, wake.sequence): wake for wake in evidence.outbox}
    for process_id, events in evidence.events.items():
        for event in events:
            if event.has_wake and (process_id, event.sequence) not in outbox:
                yield f"{process_id} #{event.sequence} wakes nobody; {_told(events)}"
    for (process_id, sequence), wake in outbox.items():
        heard = seen.pop(WakeSeen(wake.session_id, process_id, sequence), 0)
        if wake.state != "enqueued" or heard != 1:
            told = _told(evidence.events[process_id])
            yield f"{process_id} #{sequence}, {wake.state}, reached {wake.session_id} {heard} times; {told}"
    for session_id, process_id, sequence in seen:
        yield f"{session_id} was woken by {process_id} #{sequence}, which woke nobody"


def _leases(evidence: Evidence) -> Iterator[str]:
    for row in evidence.processes.values():
        if row.lease_token:
            yield f"{row.process_id} is held by {row.lease_owner}; {_told(evidence.events[row.process_id])}"
    for session_id, owner in evidence.session_leases:
        yield f"session {session_id} is held by {owner}"
    for session_id, source_key in evidence.queued:
        yield f"session {session_id} has {source_key} in its queue"


def _ran_out_of_turn(evidence: Evidence) -> Iterator[str]:
    """Effects that change something begin once what came before is recorded; so none comes after a later one."""
    begun: dict[str, list[int]] = defaultdict(list)
    for each in evidence.executions:
        call, _, attempt = each.effect.rpartition(":attempt:")
        process, _, step = each.effect.rpartition(":step:")
        if call:
            begun[call].append(int(attempt))
        elif process:
            begun[process].append(STEPS.index(step))
    for name, places in begun.items():
        if places != sorted(places):
            yield f"{name} ran its effects in the order {', '.join(map(str, places))}"


def _keys(evidence: Evidence) -> Iterator[str]:
    keys: dict[str, set[str]] = defaultdict(set)
    calls: dict[str, set[str]] = defaultdict(set)
    for each in evidence.executions:
        call = each.effect.partition(":attempt:")[0]
        keys[call].add(each.effect_key)
        calls[each.effect_key].add(call)
    for call, found in keys.items():
        if len(found) > 1:
            yield f"{call} told the world {len(found)} keys: {sorted(found)}"
    for key, found in calls.items():
        if len(found) > 1:
            yield f"{key} is the key of {sorted(found)}"
    never = Counter(each.effect for each in evidence.executions if ":tool:charge:" in each.effect)
    for effect, times in never.items():
        if times > 1:
            yield f"{effect} must not be repeated and ran {times} times"


def _occurrences(evidence: Evidence) -> Iterator[str]:
    emitted = [row for row in evidence.deliveries if row.source_type == "torture.happened"]
    for key, times in Counter(row.occurrence_key for row in emitted).items():
        if times != 1:
            yield f"{key} was delivered {times} times"
    for key in evidence.book.emits:
        if key not in {row.occurrence_key for row in emitted}:
            yield f"{key} was emitted and is lost"
    for row in evidence.deliveries:
        if row.state != "started" or row.process_id not in evidence.processes:
            yield f"{row.occurrence_key} of {row.source_type} is {row.state}, its process {row.process_id}"
    clocks: dict[str, list[int]] = defaultdict(list)
    for row in evidence.deliveries:
        if row.source_type != "torture.happened":
            schedule, due_ms = _fired(row)
            clocks[schedule].append(due_ms)
    for schedule in evidence.book.schedules:
        due = sorted(clocks[schedule])
        if not due or due != list(range(due[0], due[-1] + 1, 1_000)):
            yield f"{schedule} fired at {due}"


def _fired(row: DeliveryRow) -> tuple[str, int]:
    payload = json.loads(row.occurrence_payload)
    return payload["schedule_id"], payload["due_at_ms"]


def _told(events: list[EventRow]) -> str:
    return "its events: " + (", ".join(f"#{event.sequence} {event.event_type}" for event in events) or "none")
