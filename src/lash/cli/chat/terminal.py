"""A terminal: what was said above, what is being typed below.

The terminal gives single keys and echoes nothing, so that what is typed while an answer
streams is never torn by it. The text of the running model call stays in the lower part,
where it can be taken back; only what does not fit there any more moves up before it stands.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import termios
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Self

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from lash.base.canonical import canonical_json
from lash.base.json import Json
from lash.cli.chat.editor import LineEditor, Typed
from lash.cli.chat.face import Tone, harmless
from lash.cli.chat.programs import printed_text, program_text

PROMPT: Final = "› "
# Often enough to look like streaming, seldom enough to cost a slow line nothing.
REDRAW_S: Final = 0.03
READ_BYTES: Final = 65_536
# What is shown of a long line around the cursor.
SHOWN_BEFORE: Final = 600
SHOWN_AFTER: Final = 200
# Rows that stay free for the prompt and what waits.
RESERVED_ROWS: Final = 8
# Of what is being thought the last lines are shown.
THOUGHT_ROWS: Final = 6
# A value of this size stands on one line.
VALUE_CHARS: Final = 80
_STYLES: Final[dict[Tone, str]] = {
    "plain": "",
    "faint": "dim",
    "good": "green",
    "warning": "yellow",
    "bad": "red",
}
_PASTE_ON: Final = "\x1b[?2004h"
_PASTE_OFF: Final = "\x1b[?2004l"


class Terminal:
    """Shows and reads. `hear` gets what was typed, as soon as it is."""

    def __init__(self, hear: Callable[[Typed], None]) -> None:
        self._hear = hear
        self._console = Console(file=sys.stdout, highlight=False, markup=False, emoji=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._input = sys.stdin.fileno()
        self._before: list[int | list[bytes | int]] | None = None
        self._redraw: asyncio.TimerHandle | None = None
        self._said = ""
        self._thought = ""
        # Whether a part of what is said has moved up already.
        self._has_moved = False
        self._status: list[tuple[str, Tone]] = []
        self.editor = LineEditor()

    async def __aenter__(self) -> Self:
        self._before = termios.tcgetattr(self._input)
        mode = termios.tcgetattr(self._input)
        mode[3] &= ~(termios.ICANON | termios.ECHO)  # Ctrl-C stays a signal
        termios.tcsetattr(self._input, termios.TCSADRAIN, mode)
        self._write(_PASTE_ON)
        self._live.start()
        asyncio.get_running_loop().add_reader(self._input, self._read)
        self._draw()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.get_running_loop().remove_reader(self._input)
        if self._redraw is not None:
            self._redraw.cancel()
        self.finish()
        self._live.update(Text(""), refresh=True)
        self._live.stop()
        self._write(_PASTE_OFF)
        if self._before is not None:
            termios.tcsetattr(self._input, termios.TCSADRAIN, self._before)

    # what is shown

    def piece(self, text: str) -> None:
        """A piece of what the agent says."""
        self._said += harmless(text)
        self._draw_soon()

    def retract(self) -> None:
        """Takes back what was said; what has moved up is called void."""
        if self._has_moved:
            self.note("what was said just now is void: the model is asked again", "warning")
        self._said, self._thought, self._has_moved = "", "", False
        self._draw_soon()

    def finish(self) -> None:
        """What the agent says stands."""
        if thought := self._thought.strip("\n"):
            self._above(Text(printed_text(thought, "·"), style="dim italic"))
            self._thought = ""
        if text := self._said.strip("\n"):
            self._above(Text(text))
        self._said, self._has_moved = "", False
        self._draw_soon()

    def note(self, text: str, tone: Tone = "faint") -> None:
        """A line about what happens."""
        self._above(Text(harmless(text), style=_STYLES[tone]))

    def value(self, value: Json) -> None:
        """A value that is the answer: small ones on one line."""
        text = value if isinstance(value, str) else canonical_json(value)
        if not isinstance(value, str) and len(text) > VALUE_CHARS:
            text = json.dumps(value, ensure_ascii=False, indent=2)
        self.piece(text)
        self.finish()

    def think(self, text: str) -> None:
        """What is thought so far."""
        self._thought = harmless(text)
        self._draw_soon()

    def program(self, code: str) -> None:
        """A program that starts."""
        self._above(program_text(harmless(code)))

    def printed(self, text: str) -> None:
        """What a program printed."""
        self._above(Text(printed_text(harmless(text), "▪")))

    def problem(self, text: str) -> None:
        """Why a program ended."""
        self._above(Text(printed_text(harmless(text), "✗"), style=_STYLES["bad"]))

    def echo(self, text: str) -> None:
        """What the person said."""
        self._above(Text(PROMPT + harmless(text), style="bold"))

    def show_status(self, lines: Sequence[tuple[str, Tone]]) -> None:
        """What stays visible above the prompt: what waits, what is asked."""
        self._status = [(harmless(text), tone) for text, tone in lines]
        self._draw_soon()

    # drawing

    def _above(self, text: Text) -> None:
        self._console.print(text, soft_wrap=False, overflow="fold")

    def _draw_soon(self) -> None:
        if self._redraw is None:
            self._redraw = asyncio.get_running_loop().call_later(REDRAW_S, self._draw)

    def _draw(self) -> None:
        self._redraw = None
        self._move_up()
        parts = [self._thoughts()] if self._thought.strip() else []
        parts += [Text(self._said.lstrip("\n"), overflow="fold")] if self._said.strip() else []
        parts += [Text(text, style=_STYLES[tone], no_wrap=True, overflow="ellipsis") for text, tone in self._status]
        self._live.update(Group(*parts, self._prompt()), refresh=True)

    def _thoughts(self) -> Text:
        """The last lines of what is being thought."""
        lines = self._thought.strip("\n")[-THOUGHT_ROWS * self._console.width :].split("\n")[-THOUGHT_ROWS:]
        return Text("\n".join(f"  · {line}" for line in lines), style="dim italic", overflow="fold")

    def _move_up(self) -> None:
        """Lets stand what does not fit above the prompt."""
        room = max(1, self._console.height - RESERVED_ROWS - len(self._status))
        if self._said.count("\n") < room and len(self._said) < room * self._console.width // 2:
            return
        lines = Text(self._said, overflow="fold").wrap(self._console, self._console.width)
        if len(lines) > room:
            self._above(Text("\n").join(lines[: len(lines) - room]))
            self._said = "\n".join(line.plain for line in lines[len(lines) - room :])
            self._has_moved = True

    def _prompt(self) -> Text:
        text, cursor = self.editor.text, self.editor.cursor
        before, after = text[:cursor], text[cursor:]
        shown = Text(PROMPT, style="bold", overflow="fold")
        shown.append(("…" if len(before) > SHOWN_BEFORE else "") + harmless(before[-SHOWN_BEFORE:]), style="not bold")
        at, rest = (after[:1], after[1 : SHOWN_AFTER + 1]) if after and after[0] != "\n" else (" ", after[:SHOWN_AFTER])
        shown.append(harmless(at), style="reverse")
        shown.append(harmless(rest), style="not bold")
        return shown

    def _write(self, text: str) -> None:
        self._console.file.write(text)
        self._console.file.flush()

    # keys

    def _read(self) -> None:
        try:
            data = os.read(self._input, READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""  # the terminal is gone
        if not data:
            asyncio.get_running_loop().remove_reader(self._input)
            data = b"\x15\x0b\x04"
        for typed in self.editor.feed(data):
            self._hear(typed)
        self._draw_soon()
