"""Input and output that are no terminal: answers to stdout, everything else to stderr, no escape codes."""

from __future__ import annotations

import asyncio
import sys
import threading

from lash.base.canonical import canonical_json
from lash.base.json import Json
from lash.cli.chat.face import Tone, harmless


class PipeFace:
    """Says what stands. Text that may still be taken back waits; what is merely going on stays unsaid."""

    def __init__(self) -> None:
        self._said: list[str] = []

    def piece(self, text: str) -> None:
        """A piece of what the agent says."""
        self._said.append(text)

    def retract(self) -> None:
        """It is void, and nobody has seen it."""
        self._said.clear()

    def finish(self) -> None:
        """It stands."""
        text = harmless("".join(self._said)).strip("\n")
        self._said.clear()
        if text:
            print(text, flush=True)

    def note(self, text: str, tone: Tone = "faint") -> None:
        """What a command answers goes with the answers; what should be known goes to stderr."""
        if tone == "plain":
            print(harmless(text), flush=True)
        elif tone != "faint":
            print(f"lash: {harmless(text)}", file=sys.stderr, flush=True)

    def value(self, value: Json) -> None:
        """The answer: text as it is, anything else as JSON on one line."""
        self.piece(value if isinstance(value, str) else canonical_json(value))
        self.finish()

    def think(self, text: str) -> None:
        """Nobody reads it here."""

    def program(self, code: str) -> None:
        """Nobody reads it here."""

    def printed(self, text: str) -> None:
        """It is for the model."""

    def problem(self, text: str) -> None:
        """It is for the model."""


class Lines:
    """The lines of standard input, read by a thread that nobody has to wait for."""

    def __init__(self) -> None:
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        self._kept: list[str] = []
        self._is_over = False
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._read, name="lash-chat-input", daemon=True).start()

    async def next(self) -> str | None:
        """The next line; None when the input has ended."""
        if self._kept:
            return self._kept.pop()
        if self._is_over:
            return None
        line = await self._lines.get()
        self._is_over = line is None
        return line

    def keep(self, line: str) -> None:
        """Gives a line back: it is the next one again."""
        self._kept.append(line)

    def _read(self) -> None:
        try:
            for line in sys.stdin:
                self._loop.call_soon_threadsafe(self._lines.put_nowait, line.rstrip("\r\n"))
            self._loop.call_soon_threadsafe(self._lines.put_nowait, None)
        except (RuntimeError, ValueError, OSError):
            pass  # the loop or the input is closed: nobody listens any more
