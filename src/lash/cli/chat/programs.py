"""How programs and what they print look at a terminal."""

from __future__ import annotations

import re
from typing import Final

from rich.text import Text

# A program of this many lines is shown whole; of a longer one its head and its end.
WHOLE_LINES: Final = 24
HEAD_LINES: Final = 14
TAIL_LINES: Final = 6
# What is shown of one printed value or error.
PRINTED_LINES: Final = 12
PRINTED_CHARS: Final = 1_500

_WORDS: Final = (
    "if|else|for|while|in|break|continue|and|or|not|await|cancel|submit|print|start|process|finish|fail|yield|wake|"
    "sleep|until|wait_signal|signal_run|type|fn|return|true|false|null"
)
_TOKEN: Final = re.compile(
    rf"""(?P<comment>\#[^\n]*|//[^\n]*)
  | (?P<string>r?\"\"\".*?(?:\"\"\"|\Z)|r'''.*?(?:'''|\Z)|"(?:[^"\\\n]|\\.)*"?)
  | (?P<word>\b(?:{_WORDS})\b)
  | (?P<label>@[A-Za-z_]+)
  | (?P<number>\b[0-9]+(?:\.[0-9]+)?\b)""",
    re.VERBOSE | re.DOTALL,
)
_STYLES: Final = {"comment": "dim", "string": "green", "word": "bold cyan", "label": "magenta", "number": "yellow"}


def program_text(code: str, *, is_whole: bool = False) -> Text:
    """A program behind a line at its left, coloured; the middle of a long one is left out unless `is_whole`."""
    text = Text(code.strip("\n").expandtabs(4))
    for found in _TOKEN.finditer(text.plain):
        assert found.lastgroup is not None
        text.stylize(_STYLES[found.lastgroup], found.start(), found.end())
    lines = list(text.split("\n", allow_blank=True))
    left_out = len(lines) - HEAD_LINES - TAIL_LINES
    if len(lines) > WHOLE_LINES and not is_whole:
        fold = Text(f"… {left_out} more lines; /cell shows all of it", style="dim")
        lines = [*lines[:HEAD_LINES], fold, *lines[-TAIL_LINES:]]
    return Text("\n").join(Text.assemble(("  │ ", "dim"), line) for line in lines)


def printed_text(text: str, mark: str) -> str:
    """A printed value or an error below its mark, as much of it as a person reads."""
    shown = text.rstrip("\n")
    lines = shown[:PRINTED_CHARS].split("\n")[:PRINTED_LINES]
    left_out = len(shown) - len("\n".join(lines))
    if left_out:
        lines.append(f"… {left_out} more characters")
    return "\n".join(f"  {mark if not number else ' ' * len(mark)} {line}" for number, line in enumerate(lines))
