"""Where the demo's agent is killed, and how it holds still there.

A child is told one boundary. When it gets there it says so on its output and stops
that part of itself for good; the rest of the process goes on, exactly as it would if
that part were slow. The parent waits until what must be recorded is, and kills. So
every kill falls at the same place on every machine, and nothing depends on time.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# Where the executions of an effect are counted under: see `ExecutionLog`.
LIST_FILES: Final = "tool:call_0_0:1"
COUNT_LINES: Final = "tool:call_1_0:1"
FIND_MARKERS: Final = "tool:call_1_1:1"
HASH_LARGEST: Final = "tool:call_1_2:1"
PUBLISH_FIRST: Final = "tool:call_2_0:1"
PUBLISH_SECOND: Final = "tool:call_2_0:2"


@dataclass(frozen=True, slots=True)
class Boundary:
    """One place to die. `recorded` is what must be durable before the kill; `effect` is what it hits."""

    name: str
    told: str
    effect: str | None = None
    recorded: tuple[str, ...] = ()
    is_after_commit: bool = False


BOUNDARIES: Final = (
    Boundary("before-a-tool", "before list_files ran", LIST_FILES, ("model:0",)),
    Boundary(
        "mid-tool",
        "in the middle of find_markers, its two siblings done",
        FIND_MARKERS,
        (COUNT_LINES, HASH_LARGEST),
    ),
    Boundary(
        "between-attempts",
        "between two attempts of publish_report",
        PUBLISH_SECOND,
        (PUBLISH_FIRST,),
    ),
    Boundary(
        "done-not-recorded",
        "after publish_report delivered, before anybody knew",
        PUBLISH_SECOND,
        (PUBLISH_FIRST,),
    ),
    Boundary("before-the-commit", "with everything recorded, right before the commit", None, ("model:3",)),
    Boundary("after-the-commit", "right after the commit, before the caller was told", None, (), is_after_commit=True),
)


class Brake:
    """Stops the process at one boundary, or nowhere."""

    def __init__(self, stop_at: str | None) -> None:
        self._stop_at = stop_at

    def stops_at(self, boundary: str) -> bool:
        """Whether this process is to be killed there."""
        return boundary == self._stop_at

    def reach(self, boundary: str) -> None:
        """Returns at once, or holds this thread until the process is killed."""
        if boundary != self._stop_at:
            return
        say({"reached": boundary})
        # Nothing more is ever written there: it ends when the parent is gone, and so do we.
        sys.stdin.buffer.read()
        os._exit(1)

    async def reach_on_loop(self, boundary: str) -> None:
        """The same for a coroutine; the event loop goes on."""
        if boundary == self._stop_at:
            await asyncio.to_thread(self.reach, boundary)


class ExecutionLog:
    """One durable line for everything that really starts, kept outside of the database.

    The runtime does not know of it. It is how somebody outside counts how often an
    effect ran: a replay leaves no line.
    """

    def __init__(self, path: Path, process: int) -> None:
        self._path = path
        self._process = process
        self._lock = threading.Lock()

    def started(self, turn_id: str, key: str, name: str) -> None:
        """Writes the line; it is on disk before this returns, and so before the work begins."""
        line = json.dumps({"process": self._process, "turn": turn_id, "key": key, "name": name}) + "\n"
        with self._lock:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                os.write(descriptor, line.encode())
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Execution:
    """One line of the log: `key` of a turn ran in process number `process`."""

    process: int
    turn_id: str
    key: str
    name: str


def read_log(path: Path) -> list[Execution]:
    """Every execution so far, in order."""
    if not path.exists():
        return []
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [Execution(line["process"], line["turn"], line["key"], line["name"]) for line in lines]


def say(fact: dict[str, object]) -> None:
    """One line to the parent."""
    sys.stdout.write(json.dumps(fact) + "\n")
    sys.stdout.flush()
