"""What the lab found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from lash.base.errors import LashError

Outcome: TypeAlias = Literal["survived", "not reached", "in doubt", "failed"]


class WorkLost(LashError, AssertionError):
    """After some crash the agent was not where it would have been without it."""

    code = "lab_work_lost"


@dataclass(frozen=True, slots=True)
class KillPoint:
    """Where the process was killed: at an effect (`tool_call:pay`), or at the n-th write (`write:commit`)."""

    store: str
    what: str
    when: str
    number: int

    def __str__(self) -> str:
        return f"{self.store}: {self.when} {self.what} (number {self.number})"


@dataclass(slots=True)
class LabVerdict:
    """What one kill led to.

    `ran_twice`: effects without a recorded outcome that ran again: allowed, and told so that the
    tools behind them can be made idempotent. `ran_again`: recorded effects that ran again, and `lost`:
    what differs from the run that nobody disturbed; both must be empty.
    """

    point: KillPoint
    outcome: Outcome
    ran_twice: list[str] = field(default_factory=list)
    ran_again: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    @property
    def is_ok(self) -> bool:
        """Whether nothing was lost and nothing recorded ran again."""
        return self.outcome != "failed" and not self.ran_again and not self.lost


@dataclass(slots=True)
class LabReport:
    """Every kill of one test."""

    verdicts: list[LabVerdict] = field(default_factory=list)

    @property
    def kills(self) -> int:
        """How often the process was killed."""
        return sum(1 for verdict in self.verdicts if verdict.outcome != "not reached")

    @property
    def problems(self) -> list[LabVerdict]:
        """Kills after which something was wrong."""
        return [verdict for verdict in self.verdicts if not verdict.is_ok]

    @property
    def ran_twice(self) -> dict[str, int]:
        """Effects that ran again because their outcome was not recorded yet, and after how many kills."""
        counts: dict[str, int] = {}
        for verdict in self.verdicts:
            for name in verdict.ran_twice:
                counts[name] = counts.get(name, 0) + 1
        return counts

    @property
    def is_ok(self) -> bool:
        """Whether every kill left the agent where it would have been without it."""
        return not self.problems

    def raise_for_problems(self) -> None:
        """Raises `WorkLost` with the report."""
        if self.problems:
            raise WorkLost(str(self))

    def __str__(self) -> str:
        lines = [f"{self.kills} kills, {len(self.problems)} with something wrong"]
        lines += [f"  ran twice (not recorded yet): {name} after {count}" for name, count in self.ran_twice.items()]
        for verdict in self.problems:
            lines.append(f"  {verdict.point}: {verdict.outcome}")
            lines += [f"    recorded, ran again: {name}" for name in verdict.ran_again]
            lines += [f"    lost: {what}" for what in verdict.lost]
        return "\n".join(lines)
