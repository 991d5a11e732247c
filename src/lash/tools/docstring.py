"""What a docstring says of a function and of its parameters. Pure.

Reads the three common manners: Google (`Args:`), NumPy (`Parameters` underlined) and
Sphinx (`:param name:`). Whatever it does not understand it leaves alone.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

_GOOGLE_HEADING = re.compile(r"^(Args|Arguments|Parameters|Params):\s*$")
_ANY_HEADING = re.compile(r"^[A-Z][A-Za-z ]*:\s*$")
_UNDERLINE = re.compile(r"^-{3,}\s*$")
_GOOGLE_ITEM = re.compile(r"^\*{0,2}(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)$")
_NUMPY_ITEM = re.compile(r"^\*{0,2}(\w+(?:\s*,\s*\w+)*)\s*(?::.*)?$")
_SPHINX_ITEM = re.compile(r"^:param(?:eter)?\s+(?:[^:]*\s)?\*{0,2}(\w+)\s*:\s*(.*)$")

_Test: TypeAlias = Callable[[int], bool]


@dataclass(frozen=True, slots=True)
class Docstring:
    """The first paragraph, and what is said of each parameter."""

    description: str = ""
    parameters: dict[str, str] = field(default_factory=dict)


def parse_docstring(text: str | None) -> Docstring:
    """Reads a raw `__doc__`."""
    if not text or not text.strip():
        return Docstring()
    lines = inspect.cleandoc(text).splitlines()
    return Docstring(_first_paragraph(lines), {**_numpy(lines), **_google(lines), **_sphinx(lines)})


def _first_paragraph(lines: list[str]) -> str:
    words: list[str] = []
    for index, line in enumerate(lines):
        is_underlined = index + 1 < len(lines) and bool(_UNDERLINE.match(lines[index + 1]))
        if not line.strip() or line.lstrip().startswith(":param") or _GOOGLE_HEADING.match(line) or is_underlined:
            break
        words.append(line.strip())
    return " ".join(words)


def _google(lines: list[str]) -> dict[str, str]:
    section = _after_heading(lines, lambda index: bool(_GOOGLE_HEADING.match(lines[index])), skip=1)
    found: dict[str, str] = {}
    item_indent: int | None = None
    name = ""
    for line in section:
        indent = len(line) - len(line.lstrip())
        if line.strip() and (indent == 0 or _ANY_HEADING.match(line)):
            break
        if item_indent is None and line.strip():
            item_indent = indent
        item = _GOOGLE_ITEM.match(line.strip()) if indent == item_indent else None
        if item:
            name = item[1]
            found[name] = item[2].strip()
        elif name and line.strip():
            found[name] = f"{found[name]} {line.strip()}".strip()
    return found


def _numpy(lines: list[str]) -> dict[str, str]:
    def is_heading(index: int) -> bool:
        return (
            lines[index].strip() in ("Parameters", "Other Parameters", "Arguments")
            and index + 1 < len(lines)
            and bool(_UNDERLINE.match(lines[index + 1].strip()))
        )

    section = _after_heading(lines, is_heading, skip=2)
    found: dict[str, str] = {}
    names: list[str] = []
    for index, line in enumerate(section):
        if index + 1 < len(section) and _UNDERLINE.match(section[index + 1].strip()):
            break
        if not line.strip():
            continue
        if line[0].isspace():
            for name in names:
                found[name] = f"{found[name]} {line.strip()}".strip()
        elif item := _NUMPY_ITEM.match(line):
            names = [name.strip() for name in item[1].split(",")]
            found.update(dict.fromkeys(names, ""))
        else:
            break
    return found


def _sphinx(lines: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    name = ""
    for line in lines:
        text = line.strip()
        if item := _SPHINX_ITEM.match(text):
            name = item[1]
            found[name] = item[2].strip()
        elif text.startswith(":") or not text:
            name = ""
        elif name:
            found[name] = f"{found[name]} {text}".strip()
    return found


def _after_heading(lines: list[str], is_heading: _Test, *, skip: int) -> list[str]:
    for index in range(len(lines)):
        if is_heading(index):
            return lines[index + skip :]
    return []
