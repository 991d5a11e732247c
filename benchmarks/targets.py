"""What ours must reach, against figures of the same round."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """Ours divided by the best of `against`; without `against` the figure itself.

    `against_metric` is the figure of theirs, where it is another. `must` is the issue's number, `reach` the one
    worth trying for. Less is better, unless it is a rate.
    """

    workload: str
    metric: str
    ours: str
    must: float
    reach: float
    against: tuple[str, ...] = ()
    against_metric: str | None = None
    is_rate: bool = False


SQLITE, POSTGRES = "lash, SQLite", "lash, PostgreSQL"
DBOS = ("DBOS, SQLite", "DBOS, SQLite in WAL")
POSTGRES_QUEUES = ("procrastinate, PostgreSQL", "Absurd, PostgreSQL", "DBOS, PostgreSQL")


def _jobs(at_once: int, sqlite: tuple[float, float], postgres: tuple[float, float]) -> tuple[Target, ...]:
    """W5: a rate on each database, and as a multiple of the peers on it; DBOS always runs jobs as they come."""
    metric = f"jobs, {at_once} at a time"
    flowing = f"jobs as they come, {at_once} at a time"
    return (
        Target("W5", metric, SQLITE, *sqlite, is_rate=True),
        Target("W5", metric, SQLITE, 8.0, 8.0, DBOS[:1], is_rate=True),
        Target("W5", metric, SQLITE, 8.0, 8.0, DBOS[1:], is_rate=True),
        Target("W5", metric, POSTGRES, *postgres, is_rate=True),
        Target("W5", metric, POSTGRES, 1.2, 1.2, POSTGRES_QUEUES, is_rate=True),
        Target("W5", metric, POSTGRES, 8.0, 8.0, POSTGRES_QUEUES[-1:], is_rate=True),
        Target("W5", flowing, SQLITE, 8.0, 8.0, DBOS[:1], metric, is_rate=True),
        Target("W5", flowing, SQLITE, 8.0, 8.0, DBOS[1:], metric, is_rate=True),
        Target("W5", flowing, POSTGRES, 8.0, 8.0, POSTGRES_QUEUES[-1:], metric, is_rate=True),
    )


TARGETS = (
    Target("W1", "turn", SQLITE, 0.40, 0.25, ("LangGraph, SQLite, async",)),
    Target("W2", "turn", SQLITE, 0.35, 0.20, ("LangGraph, SQLite, async", "OpenAI Agents, SQLite")),
    Target("W1", "turn, observed", SQLITE, 0.40, 0.25, ("LangGraph, SQLite, async",), "turn"),
    Target("W2", "turn, observed", SQLITE, 0.35, 0.20, ("LangGraph, SQLite, async", "OpenAI Agents, SQLite"), "turn"),
    Target("W3", "step", SQLITE, 0.45, 0.30, ("DBOS, SQLite in WAL",)),
    Target("W3", "step", POSTGRES, 0.55, 0.40, ("Absurd, PostgreSQL",)),
    Target("W4", "turn@1000", SQLITE, 1.3, 1.0, (SQLITE,), "turn@10"),
    Target("W4", "stored@1000", SQLITE, 3.0, 2.0),
    *_jobs(1, (400, 600), (350, 500)),
    *_jobs(32, (1_000, 1_500), (900, 1_200)),
    Target("W7", "import", "lash", 150, 100),
    Target("W7", "import", "lash", 3.0, 2.0, ("asyncio",)),
    Target("W7", "distributions", "lash", 6, 6),
)
