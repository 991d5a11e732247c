"""What ours must reach, against figures of the same round."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """Ours divided by the best of `against`; without `against` the figure itself.

    `must` is the issue's number, `reach` the one worth trying for.
    """

    workload: str
    metric: str
    ours: str
    must: float
    reach: float
    against: tuple[str, ...] = ()
    against_metric: str | None = None


SQLITE, POSTGRES = "lash, SQLite", "lash, PostgreSQL"

TARGETS = (
    Target("W1", "turn", SQLITE, 0.40, 0.25, ("LangGraph, SQLite, async",)),
    Target("W2", "turn", SQLITE, 0.35, 0.20, ("LangGraph, SQLite, async", "OpenAI Agents, SQLite")),
    Target("W3", "step", SQLITE, 0.45, 0.30, ("DBOS, SQLite in WAL",)),
    Target("W3", "step", POSTGRES, 0.55, 0.40, ("Absurd, PostgreSQL",)),
    Target("W4", "turn@1000", SQLITE, 1.3, 1.0, (SQLITE,), "turn@10"),
    Target("W4", "stored@1000", SQLITE, 3.0, 2.0),
    Target("W7", "import", "lash", 150, 100),
    Target("W7", "import", "lash", 3.0, 2.0, ("asyncio",)),
    Target("W7", "distributions", "lash", 6, 6),
)
