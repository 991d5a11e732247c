"""Cells: where in a model's text the program stands (docs/spec/runtime.md §5.3).

A cell opens with a run of at least three back quotes and the tag, alone to the end of
the line, and closes with the next run of at least as many. Only the first cell of a text
counts; text before it is reasoning, text after it was not asked for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Protocol

from lash.lashlang.errors import LanguageError
from lash.plugins.directives import CustomEvent
from lash.plugins.execution import Screened, TextScreen

LANGUAGE: Final = "lashlang"
OPENED: Final = "rlm_fence_start"

_DASHES: Final = re.compile(r"^[ \t]*-+[ \t]*(?:\r?\n|\Z)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Emission:
    """A model's text, taken apart. `code` is None when there is no cell."""

    prose: str
    code: str | None = None
    had_extra_fences: bool = False


class CellGrammar(Protocol):
    """How cells are written."""

    def find(self, text: str) -> Emission:
        """The first cell of a whole text."""
        ...

    def shown(self, code: str) -> str:
        """A program as a model writes it."""
        ...

    def screen(self, plugin_id: str) -> TextScreen:
        """Follows a text while it streams."""
        ...


class FencedCells:
    """Cells between back quotes."""

    def __init__(self, tag: str = LANGUAGE) -> None:
        self._open = re.compile(rf"(?<!`)(`{{3,}})[ \t]*{re.escape(tag)}[ \t]*(?:\r?\n|\r?\Z)")
        self._open_line = re.compile(rf"(?<!`)(`{{3,}})[ \t]*{re.escape(tag)}[ \t]*\r?\n")
        partly = r"[ \t]*\r?"
        for character in reversed(tag):
            partly = rf"(?:{re.escape(character)}{partly})?"
        # What may still become the line that opens a cell.
        self._may_open = re.compile(rf"`+[ \t]*{partly}\Z")
        self._tag = tag

    def find(self, text: str) -> Emission:
        """The first cell of a whole text."""
        opened = self._open.search(text)
        if opened is None:
            return Emission(text)
        rest = text[opened.end() :]
        closed = _closing(len(opened[1])).search(rest)
        if closed is None:
            return Emission(text[: opened.start()], without_rules(rest))
        has_more = self._open.search(rest, closed.end()) is not None
        return Emission(text[: opened.start()], without_rules(rest[: closed.start()]), has_more)

    def shown(self, code: str) -> str:
        """A program as a model writes it, between quotes that it does not hold itself."""
        longest = max((len(run) for run in re.findall(r"`+", code)), default=0)
        fence = "`" * max(3, longest + 1)
        return f"{fence}{self._tag}\n{code.rstrip()}\n{fence}"

    def screen(self, plugin_id: str) -> TextScreen:
        """Follows a text while it streams."""
        return _FenceScreen(plugin_id, self._open, self._open_line, self._may_open)


def cut_short(problem: LanguageError) -> str:
    """A line more for a program that ends inside a text: the quotes that ended the cell may be part of it."""
    if not str(problem).startswith("unterminated string"):
        return ""
    return "\nhint: three back quotes end the block, also inside a text: a block that holds them is opened with four"


def _closing(length: int) -> re.Pattern[str]:
    return re.compile(f"`{{{length},}}")


def without_rules(code: str) -> str:
    """The program without lines that are only dashes: models draw them between steps."""
    return _DASHES.sub("", code)


class _FenceScreen:
    """Tells what stands before the cell, holds the cell back, and ends the call when more follows it."""

    def __init__(
        self,
        plugin_id: str,
        opening: re.Pattern[str],
        opening_line: re.Pattern[str],
        may_open: re.Pattern[str],
    ) -> None:
        self.plugin_id = plugin_id
        self._opening = opening
        self._opening_line = opening_line
        self._may_open = may_open
        self.reset()

    def reset(self) -> None:
        """The text begins anew."""
        self._held = ""
        self._fence = 0  # the length of the fence that is open
        self._is_closed = False

    def feed(self, text: str) -> Screened:
        """Takes the next piece."""
        self._held += text
        if not self._fence:
            return self._before()
        return self._inside()

    def rest(self) -> Screened:
        """The text has ended."""
        if self._fence:
            return Screened()
        opened = self._opening.search(self._held)
        if opened is not None:
            return Screened(self._held[: opened.start()], CustomEvent(OPENED))
        return Screened(self._held)

    def _before(self) -> Screened:
        opened = self._opening_line.search(self._held)
        if opened is not None:
            told, self._fence = self._held[: opened.start()], len(opened[1])
            self._held = self._held[opened.end() :]
            return Screened(told, CustomEvent(OPENED), self._inside().is_over)
        partly = self._may_open.search(self._held)
        keep = len(self._held) if partly is None else partly.start()
        told, self._held = self._held[:keep], self._held[keep:]
        return Screened(told)

    def _inside(self) -> Screened:
        if not self._is_closed:
            closed = _closing(self._fence).search(self._held)
            if closed is None:
                # Only an unfinished run of quotes matters from here on.
                self._held = self._held[len(self._held.rstrip("`")) :]
                return Screened()
            self._is_closed, self._held = True, self._held[closed.end() :]
        self._held = self._held.lstrip("` \t\r\n")
        # A model that ends with its cell ends by itself, and then tells what it used.
        return Screened(is_over=bool(self._held))
