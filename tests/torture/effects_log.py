"""What really happened outside: one line per side effect, appended by whichever process did it."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution: under which key the world saw it, which effect it was, in which OS process, when it began."""

    effect_key: str
    effect: str
    pid: int
    at_ns: int


class EffectsLog:
    """A file that outlives its writers. A line is one `write`, so lines of several processes never mix."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, effect_key: str, effect: str) -> None:
        """Notes that an effect begins. In the page cache it outlives SIGKILL, which is all that is tortured here."""
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(descriptor, f"{effect_key} {effect} {os.getpid()} {time.time_ns()}\n".encode())
        finally:
            os.close(descriptor)

    def position(self) -> int:
        """How many bytes were written so far."""
        return self._path.stat().st_size if self._path.exists() else 0

    def read(self, start: int = 0) -> list[Execution]:
        """Everything behind a position, in order."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(start)
            lines = file.read().decode().splitlines()
        fields = [line.split(" ") for line in lines]
        return [Execution(key, effect, int(pid), int(at)) for key, effect, pid, at in fields]
