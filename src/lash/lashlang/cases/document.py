"""Reading conformance cases from Markdown or JSON lines.

In Markdown a case is a fenced `lashlang` block followed by a fenced `json`
block; the program is the block's text without its last newline.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lash.base.json import Json, JsonObject

_CASE: Final = re.compile(r"^```lashlang\n(.*?)^```\n\s*^```json\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Case:
    """A program and what is expected of it."""

    id: str
    source: str
    expected: JsonObject

    @property
    def setup(self) -> JsonObject:
        """The case's `setup`, empty by default."""
        setup = self.expected.get("setup", {})
        return setup if isinstance(setup, dict) else {}

    @property
    def is_unsure(self) -> bool:
        """Whether the expectation is a guess; such cases are reported apart."""
        return self.expected.get("unsure") is True


def read_cases(path: Path) -> list[Case]:
    """The cases of a `.md` or `.jsonl` file."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".jsonl":
        return [_from_line(json.loads(line)) for line in text.splitlines() if line.strip()]
    return [_case(source.removesuffix("\n"), json.loads(body)) for source, body in _CASE.findall(text)]


def _from_line(body: JsonObject) -> Case:
    source = body.pop("source")
    return _case(str(source), body)


def _case(source: str, body: JsonObject) -> Case:
    identity: Json = body["id"]
    return Case(str(identity), source, body)
