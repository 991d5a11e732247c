"""What every contender shares: the texts, the clock, one JSON line per figure.

Depends on nothing but the standard library, so that it runs in every contender's
own environment. Figures are folded and compared by `benchmarks/table.py`.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence

now = time.perf_counter

USER_TEXT = "Please summarise the state of the build and tell me what to do next. " * 3
REPLY_TEXT = "The build is green; next, tag the release and publish the notes. " * 5
GROWTH_MARKS = (10, 100, 500, 1000)
TURNS = 220
WARM_UP = 20  # left out of every sample: imports, plans and caches settle
WORKFLOWS = 12  # of 100 steps each; the first two are left out
JOBS = 2_000
CONCURRENCY = (1, 32)


def emit(workload: str, who: str, metric: str, values: float | Sequence[float], unit: str, **extra: object) -> None:
    """Prints one result line: a median with its spread within the run."""
    samples = sorted([values] if isinstance(values, int | float) else values)
    row = {
        "w": workload,
        "who": who,
        "metric": metric,
        "unit": unit,
        "n": len(samples),
        "median": statistics.median(samples),
        "p10": samples[len(samples) // 10],
        "p90": samples[len(samples) * 9 // 10],
    }
    print(json.dumps({**row, **extra}), flush=True)


def emit_turns(workload: str, who: str, seconds: Sequence[float], **extra: object) -> None:
    """The turn times of a run, warm-up left out."""
    emit(workload, who, "turn", [value * 1e3 for value in seconds[WARM_UP:]], "ms", **extra)


def emit_steps(who: str, seconds: Sequence[float], **extra: object) -> None:
    """W3 from the times of whole workflows of 100 steps."""
    emit("W3", who, "step", [value * 1e4 for value in seconds[2:]], "µs", **extra)


def emit_growth(who: str, turn_seconds: Sequence[float], stored_bytes: int) -> None:
    """W4: the median of the ten turns up to each mark, and what is stored at the end.

    `stored_bytes` is taken once everything is closed, when SQLite has folded its log in.
    """
    for mark in GROWTH_MARKS:
        emit("W4", who, f"turn@{mark}", [value * 1e3 for value in turn_seconds[mark - 10 : mark]], "ms")
    emit("W4", who, f"stored@{GROWTH_MARKS[-1]}", stored_bytes / 1e6, "MB")


def emit_jobs(
    who: str,
    concurrency: int,
    enqueue_seconds: float,
    total_seconds: float,
    jobs: int = JOBS,
    what: str = "jobs",
    **extra: object,
) -> None:
    """W5: jobs per second from the first that is enqueued to the last that has ended.

    Where the work begins while more is enqueued, `run` says what was left to do afterwards.
    """
    rates = {"enqueued": jobs / enqueue_seconds, "run": jobs / (total_seconds - enqueue_seconds)}
    metric = f"{what}, {concurrency} at a time"
    emit("W5", who, metric, jobs / total_seconds, "1/s", **{k: round(v) for k, v in rates.items()}, **extra)


def asked_for(known: Iterable[str]) -> set[str]:
    """The workloads named on the command line, in lower case; all without any."""
    named = {word for word in sys.argv[1:] if not word.startswith("-")}
    return named & set(known) if named else set(known)


def scratch() -> str:
    """A fresh folder on the disk that is measured."""
    return tempfile.mkdtemp(prefix="bench-", dir=os.environ.get("BENCH_DIR"))


def postgres_url(database: str = "postgres") -> str:
    """A database of the throw-away server."""
    if not (server := os.environ.get("BENCH_PG")):
        sys.exit("set BENCH_PG=postgresql://user@127.0.0.1:port to measure on PostgreSQL")
    return f"{server}/{database}"


def database_bytes(path: str) -> int:
    """An SQLite database with its write-ahead log."""
    return sum(os.path.getsize(path + suffix) for suffix in ("", "-wal") if os.path.exists(path + suffix))
