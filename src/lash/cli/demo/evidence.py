"""What was seen from outside, and what follows from it. Pure.

Two witnesses that know nothing of each other: the execution log (what really ran, by
process) and the store (what was recorded at each kill, what is committed). Every
number that the demo reports is computed here from these two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lash.base.json import JsonObject
from lash.base.messages import Message, unsettled_tool_calls
from lash.cli.demo.boundaries import Boundary, Execution
from lash.cli.effect_keys import parse_key


def execution_key(effect_key: str) -> str | None:
    """The key under which the log counts executions of an effect; None for a pause, which only waits."""
    parsed = parse_key(effect_key)
    if parsed is None or parsed.is_pause:
        return None
    if parsed.call_id is not None:
        return f"tool:{parsed.call_id}:{parsed.attempt}"
    kind = {"llm_call": "model", "sync_execution_environment": "prompt"}.get(parsed.kind, parsed.kind)
    return f"{kind}:{parsed.iteration}"


@dataclass(frozen=True, slots=True)
class Recorded:
    """One effect as the store has it. `text` is what the model was told of a tool's outcome."""

    key: str
    hash: str
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Kill:
    """A process that was killed, and what the store held when it was dead."""

    process: int
    pid: int
    boundary: Boundary
    by_sigkill: bool
    recorded: tuple[Recorded, ...]
    turn_is_committed: bool


@dataclass(frozen=True, slots=True)
class Committed:
    """What the store says at the end of the turn, before the conversation goes on."""

    effects: tuple[Recorded, ...]
    messages: tuple[Message, ...]
    commit_count: int
    head_revision: int
    turn_is_ok: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything that was seen from outside."""

    prompt: str
    kills: tuple[Kill, ...]
    log: tuple[Execution, ...]
    committed: Committed
    executions_when_asked_again: int
    same_answer_again: bool
    next_turn_ok: bool
    next_messages: tuple[Message, ...]
    deliveries: int


@dataclass(frozen=True, slots=True)
class EffectLine:
    """One effect and its fate. `replayed` counts later processes that had its outcome and did not run it."""

    key: str
    name: str
    ran_in: tuple[int, ...]
    recorded_in: int
    replayed: int
    killed_at: tuple[str, ...] = field(default=())


def effect_lines(seen: Seen) -> list[EffectLine]:
    """The effects of the turn, in order."""
    driven = [kill.process for kill in seen.kills if not kill.turn_is_committed]
    commits_in = next((kill.process for kill in seen.kills if kill.turn_is_committed), len(seen.kills) + 1)
    names = {execution.key: execution.name for execution in seen.log}
    lines: list[EffectLine] = []
    for effect in seen.committed.effects:
        key = execution_key(effect.key)
        ran_in = tuple(execution.process for execution in seen.log if execution.key == key)
        first = next(
            (kill.process for kill in seen.kills if any(row.key == effect.key for row in kill.recorded)), commits_in
        )
        lines.append(
            EffectLine(
                effect.key,
                _name(effect.key, names),
                ran_in,
                first,
                sum(first < process and process not in ran_in for process in [*driven, commits_in]),
                tuple(kill.boundary.name for kill in seen.kills if key and kill.boundary.effect == key),
            )
        )
    return lines


def _name(effect_key: str, tools: dict[str, str]) -> str:
    key, parsed = execution_key(effect_key), parse_key(effect_key)
    if parsed is None:
        return effect_key
    return parsed.named(tools.get(key or ""))


def ran_again(seen_recorded: Sequence[Recorded], log: Sequence[Execution], after: int) -> int:
    """How many executions after process `after` were of effects that were recorded by then."""
    keys = {execution_key(row.key) for row in seen_recorded}
    return sum(execution.process > after and execution.key in keys for execution in log)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The facts. `lost`: recorded effects that are not in the commit as they were recorded."""

    kills: int
    turns_committed: int
    effects_recorded: int
    recorded_effects_executed_again: int
    lost: int
    duplicate_commits: int
    next_request_valid: bool
    asked_again_for_nothing: bool
    deliveries: int
    turn_is_ok: bool

    @property
    def ok(self) -> bool:
        """Whether the promise was kept."""
        return (
            self.kills >= 3
            and self.turns_committed == 1
            and self.effects_recorded > 0
            and self.recorded_effects_executed_again == 0
            and self.lost == 0
            and self.duplicate_commits == 0
            and self.next_request_valid
            and self.asked_again_for_nothing
            and self.deliveries == 1
            and self.turn_is_ok
        )

    def to_json(self) -> JsonObject:
        """For programs."""
        return {
            "ok": self.ok,
            "kills": self.kills,
            "turns_committed": self.turns_committed,
            "effects_recorded": self.effects_recorded,
            "recorded_effects_executed_again": self.recorded_effects_executed_again,
            "lost": self.lost,
            "duplicate_commits": self.duplicate_commits,
            "next_request_valid": self.next_request_valid,
            "asked_again_for_nothing": self.asked_again_for_nothing,
            "deliveries": self.deliveries,
        }


def judge(seen: Seen) -> Verdict:
    """The facts that follow from what was seen."""
    # An effect that several kills found recorded is counted for the first: the earliest proof.
    proven: dict[str, Recorded] = {}
    again = 0
    for kill in seen.kills:
        fresh = [row for row in kill.recorded if row.key not in proven]
        again += ran_again(fresh, seen.log, kill.process)
        proven.update((row.key, row) for row in fresh)
        if kill.turn_is_committed:
            again += ran_again([row for row in seen.committed.effects if row.key not in proven], seen.log, kill.process)
            break
    return Verdict(
        kills=sum(kill.by_sigkill for kill in seen.kills),
        turns_committed=seen.committed.commit_count,
        effects_recorded=len(seen.committed.effects),
        recorded_effects_executed_again=again,
        lost=_lost(proven, seen.committed),
        duplicate_commits=_duplicates(seen),
        next_request_valid=seen.next_turn_ok and not unsettled_tool_calls(seen.next_messages),
        asked_again_for_nothing=seen.executions_when_asked_again == 0 and seen.same_answer_again,
        deliveries=seen.deliveries,
        turn_is_ok=seen.committed.turn_is_ok,
    )


def _lost(proven: dict[str, Recorded], committed: Committed) -> int:
    kept = {effect.key: effect for effect in committed.effects}
    told = {part.content for message in committed.messages for part in message.parts if part.kind == "tool_result"}
    return sum(
        row.key not in kept
        or not row.hash.startswith(kept[row.key].hash)
        or (row.text is not None and row.text not in told)
        for row in proven.values()
    )


def _duplicates(seen: Seen) -> int:
    """Commits beyond the first, by the head's revision and by what the conversation says twice."""
    asked = sum(message.role == "user" and message.text == seen.prompt for message in seen.committed.messages)
    return max(0, seen.committed.head_revision - 1) + max(0, asked - 1)
