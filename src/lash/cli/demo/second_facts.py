"""What was seen of the second act, and what follows from it. Pure.

The witnesses are those of the first act: the execution log (what really ran, by process)
and the store (what was recorded at each kill, what is committed).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lash.base.json import Json, JsonObject
from lash.cli.demo.boundaries import Execution


@dataclass(frozen=True, slots=True)
class Row:
    """One recorded effect, by turn or process. `execution` is its key in the log; `due_at_ms` when a sleep ends."""

    key: str
    hash: str
    execution: str | None
    is_background: bool
    due_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Death:
    """A process that was killed, and what the store held when it was dead."""

    process: int
    pid: int
    by_sigkill: bool
    killed_at_ms: int
    rows: tuple[Row, ...]
    # Whether the first turn is committed: then nothing of it runs any more.
    is_committed: bool


@dataclass(frozen=True, slots=True)
class Settled:
    """A turn as it is committed. `woken_by` is the process that began it."""

    turn_id: str
    value: Json
    is_typed: bool
    effects: tuple[tuple[str, str], ...]
    committed_at_ms: int
    woken_by: str | None


@dataclass(frozen=True, slots=True)
class Background:
    """The background process at the end."""

    process_id: str
    state: str
    rows: tuple[Row, ...]
    woke_at_ms: int | None


@dataclass(frozen=True, slots=True)
class ProgramsSeen:
    """Everything that was seen of the second act."""

    deaths: tuple[Death, ...]
    log: tuple[Execution, ...]
    turns: tuple[Settled, ...]
    background: Background
    executions_when_asked_again: int
    same_answer_again: bool


@dataclass(frozen=True, slots=True)
class SleepSeen:
    """A sleep across kills. Late by `late_ms`: when what follows it was recorded, behind its hour."""

    is_background: bool
    kills: int
    late_ms: int
    is_kept: bool


@dataclass(frozen=True, slots=True)
class ProgramsVerdict:
    """The facts of the second act."""

    kills: int
    effects_recorded: int
    recorded_effects_executed_again: int
    executed_twice: tuple[str, ...]
    lost: int
    sleeps: tuple[SleepSeen, ...]
    turns_committed: int
    is_woken: bool
    is_typed: bool
    asked_again_for_nothing: bool

    @property
    def ok(self) -> bool:
        """Whether the promise was kept."""
        return (
            self.kills == 3
            and self.effects_recorded > 0
            and self.recorded_effects_executed_again == 0
            and len(self.executed_twice) <= 1
            and self.lost == 0
            and len(self.sleeps) == 2
            and all(one.is_kept for one in self.sleeps)
            and self.turns_committed == 2
            and self.is_woken
            and self.is_typed
            and self.asked_again_for_nothing
        )

    def to_json(self) -> JsonObject:
        """For programs."""
        sleeps: list[Json] = [
            {"background": one.is_background, "kills": one.kills, "late_ms": one.late_ms, "kept": one.is_kept}
            for one in self.sleeps
        ]
        return {
            "ok": self.ok,
            "kills": self.kills,
            "effects_recorded": self.effects_recorded,
            "recorded_effects_executed_again": self.recorded_effects_executed_again,
            "executed_twice": list[Json](self.executed_twice),
            "lost": self.lost,
            "sleeps": sleeps,
            "turns_committed": self.turns_committed,
            "woken_after_restart": self.is_woken,
            "value_is_typed": self.is_typed,
            "asked_again_for_nothing": self.asked_again_for_nothing,
        }


def judge_programs(seen: ProgramsSeen) -> ProgramsVerdict:
    """The facts that follow from what was seen."""
    woken = [turn for turn in seen.turns if turn.woken_by == seen.background.process_id]
    last_kill = max((death.killed_at_ms for death in seen.deaths), default=0)
    counts = Counter((execution.turn_id, execution.key, execution.name) for execution in seen.log)
    recorded = {row.key for death in seen.deaths for row in death.rows} | {row.key for row in seen.background.rows}
    return ProgramsVerdict(
        kills=sum(death.by_sigkill for death in seen.deaths),
        effects_recorded=len(recorded | {key for turn in seen.turns for key, _ in turn.effects}),
        recorded_effects_executed_again=_again(seen),
        executed_twice=tuple(name for (_, _, name), count in counts.items() if count > 1),
        lost=_lost(seen),
        sleeps=tuple(_sleeps(seen)),
        turns_committed=len(seen.turns),
        is_woken=len(woken) == 1 and woken[0].committed_at_ms > last_kill,
        is_typed=bool(seen.turns) and all(turn.is_typed for turn in seen.turns),
        asked_again_for_nothing=seen.executions_when_asked_again == 0 and seen.same_answer_again,
    )


def ran_again_of(rows: Iterable[Row], log: Iterable[Execution], after: int) -> int:
    """How many executions after process `after` were of effects that were recorded by then."""
    keys = {row.execution for row in rows if row.execution is not None}
    return sum(execution.process > after and execution.key in keys for execution in log)


def _again(seen: ProgramsSeen) -> int:
    proven: set[str] = set()
    again = 0
    for death in seen.deaths:
        fresh = [row for row in death.rows if row.key not in proven]
        again += ran_again_of(fresh, seen.log, death.process)
        proven.update(row.key for row in fresh)
    first = next((turn.turn_id for turn in seen.turns if turn.woken_by is None), None)
    committed = min((death.process for death in seen.deaths if death.is_committed), default=None)
    if committed is not None:
        again += sum(execution.process > committed and execution.turn_id == first for execution in seen.log)
    return again


def _lost(seen: ProgramsSeen) -> int:
    kept = {key: hash_ for turn in seen.turns for key, hash_ in turn.effects}
    kept.update((row.key, row.hash) for row in seen.background.rows)
    proven = {row.key: row for death in seen.deaths for row in death.rows}
    return sum(row.key not in kept or not row.hash.startswith(kept[row.key]) for row in proven.values())


def _sleeps(seen: ProgramsSeen) -> Iterator[SleepSeen]:
    """Each sleep that was killed in: it kept its due time, and nobody went on before it."""
    dues: dict[str, list[int]] = {}
    rows = {row.key: row for death in seen.deaths for row in death.rows if row.due_at_ms is not None}
    for death in seen.deaths:
        for row in death.rows:
            if row.due_at_ms is not None:
                dues.setdefault(row.key, []).append(row.due_at_ms)
    for row in seen.background.rows:
        if row.due_at_ms is not None:
            dues.setdefault(row.key, []).append(row.due_at_ms)
    for key, row in rows.items():
        if row.is_background:
            went_on = seen.background.woke_at_ms
        else:
            went_on = next((turn.committed_at_ms for turn in seen.turns if turn.woken_by is None), None)
        due = dues[key][0]
        kills = sum(death.killed_at_ms < due and any(one.key == key for one in death.rows) for death in seen.deaths)
        late = -1 if went_on is None else went_on - due
        yield SleepSeen(row.is_background, kills, late, len(set(dues[key])) == 1 and late >= 0 and kills > 0)
