"""The line that is being typed: keys in, lines out. Pure.

A terminal sends keys as bytes, some as escape sequences, cut anywhere. What is pasted
comes in brackets (`ESC [ 200 ~` … `ESC [ 201 ~`), so that its line ends do not send it.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import Final, TypeAlias


@dataclass(frozen=True, slots=True)
class Entered:
    """A line was finished."""

    text: str


@dataclass(frozen=True, slots=True)
class Ended:
    """Ctrl-D on an empty line."""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """Ctrl-C, from a terminal that makes no signal of it."""


Typed: TypeAlias = Entered | Ended | Interrupted

HISTORY_LINES: Final = 200
PASTE_BEGINS: Final = "\x1b[200~"
PASTE_ENDS: Final = "\x1b[201~"

_SEQUENCE: Final = re.compile(r"\x1b(\[[0-9;?]*[ -/]*[@-~]|O[ -~]|[^\[O])", re.DOTALL)
# A sequence that may still become one; longer than any key is no key.
_UNFINISHED: Final = re.compile(r"\x1b(\[[0-9;?]*[ -/]*|O)?\Z")
_UNFINISHED_CHARS: Final = 32
_LEFT: Final = frozenset({"\x1b[D", "\x1bOD", "\x02"})
_RIGHT: Final = frozenset({"\x1b[C", "\x1bOC", "\x06"})
_HOME: Final = frozenset({"\x1b[H", "\x1bOH", "\x1b[1~", "\x01"})
_END: Final = frozenset({"\x1b[F", "\x1bOF", "\x1b[4~", "\x05"})
_UP: Final = frozenset({"\x1b[A", "\x1bOA", "\x10"})
_DOWN: Final = frozenset({"\x1b[B", "\x1bOB", "\x0e"})
_LINE_BREAK: Final = frozenset({"\x1b\r", "\x1b\n"})


class LineEditor:
    """One line with a cursor, and the lines before it."""

    def __init__(self) -> None:
        self.text = ""
        # Between characters: 0 is before the first one.
        self.cursor = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._pending = ""
        self._is_pasting = False
        self._history: list[str] = []
        # Which line of the history is shown; its length stands for the line being typed.
        self._place = 0
        self._draft = ""

    def feed(self, data: bytes) -> list[Typed]:
        """Takes keys and gives what they came to; what they left unfinished waits for more."""
        typed: list[Typed] = []
        self._pending += self._decoder.decode(data)
        while self._pending:
            key = self._next_key()
            if key is None:
                break
            if (event := self._press(key)) is not None:
                typed.append(event)
        return typed

    def clear(self) -> None:
        """Drops the line."""
        self._set("")
        self._place = len(self._history)

    def _next_key(self) -> str | None:
        text = self._pending
        if self._is_pasting:
            if text.startswith(PASTE_ENDS):
                size = len(PASTE_ENDS)
            elif PASTE_ENDS.startswith(text):
                return None
            else:
                size = 1
        elif text[0] != "\x1b":
            size = 1
        elif found := _SEQUENCE.match(text):
            size = found.end()
        elif _UNFINISHED.match(text) and len(text) < _UNFINISHED_CHARS:
            return None
        else:
            size = 1
        self._pending = text[size:]
        return text[:size]

    def _press(self, key: str) -> Typed | None:
        if self._is_pasting:
            if key == PASTE_ENDS:
                self._is_pasting = False
            elif key in ("\r", "\n") or key == "\t" or key.isprintable():
                self._insert("\n" if key == "\r" else key)
            return None
        match key:
            case "\r" | "\n":
                return self._enter()
            case "\x04":
                if not self.text:
                    return Ended()
                self._delete(self.cursor, self.cursor + 1)
            case "\x03":
                return Interrupted()
            case _ if key == PASTE_BEGINS:
                self._is_pasting = True
            case "\x7f" | "\x08":
                self._delete(self.cursor - 1, self.cursor)
            case "\x1b[3~":
                self._delete(self.cursor, self.cursor + 1)
            case "\x15":
                self._delete(0, self.cursor)
            case "\x0b":
                self._delete(self.cursor, len(self.text))
            case "\x17":
                self._delete(_word_start(self.text[: self.cursor]), self.cursor)
            case _ if key in _LINE_BREAK:
                self._insert("\n")
            case _ if key in _LEFT:
                self.cursor = max(0, self.cursor - 1)
            case _ if key in _RIGHT:
                self.cursor = min(len(self.text), self.cursor + 1)
            case _ if key in _HOME:
                self.cursor = 0
            case _ if key in _END:
                self.cursor = len(self.text)
            case _ if key in _UP:
                self._recall(self._place - 1)
            case _ if key in _DOWN:
                self._recall(self._place + 1)
            case _ if key.isprintable() or key == "\t":
                self._insert(key)
            case _:
                pass  # a key that means nothing here
        return None

    def _enter(self) -> Entered:
        line = self.text
        if line.strip() and self._history[-1:] != [line]:
            self._history = [*self._history, line][-HISTORY_LINES:]
        self.clear()
        return Entered(line)

    def _recall(self, place: int) -> None:
        if not 0 <= place <= len(self._history):
            return
        if self._place == len(self._history):
            self._draft = self.text
        self._place = place
        self._set(self._draft if place == len(self._history) else self._history[place])

    def _insert(self, text: str) -> None:
        self.text = self.text[: self.cursor] + text + self.text[self.cursor :]
        self.cursor += len(text)

    def _delete(self, start: int, end: int) -> None:
        start = max(0, start)
        self.text = self.text[:start] + self.text[max(start, end) :]
        self.cursor = start

    def _set(self, text: str) -> None:
        self.text = text
        self.cursor = len(text)


def _word_start(text: str) -> int:
    """Where the last word of the text begins."""
    word = text.rstrip()
    return max((word.rfind(space) for space in " \n\t"), default=-1) + 1
