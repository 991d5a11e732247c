"""The failure matrix is whole, and each line names tests that exist (docs/guarantees.md)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
MATRIX = [line for line in PAGE.splitlines() if re.match(r"\| \d+ \|", line)]
NAMED = sorted(set(re.findall(r"`([\w./]+\.py::[\w*]+)`", PAGE)))


def test_every_line_of_the_specification_is_there_in_order() -> None:
    specified = re.findall(r"^\| (\d+) \|", _section_8(), re.MULTILINE)

    assert [line.split("|")[1].strip() for line in MATRIX] == specified
    assert len(specified) == 44


def test_every_line_names_a_test() -> None:
    assert [line for line in MATRIX if "::" not in line] == []


@pytest.mark.parametrize("name", NAMED)
def test_a_named_test_exists(name: str) -> None:
    path, _, test = name.partition("::")
    text = (ROOT / path).read_text(encoding="utf-8")

    assert re.search(r"def test_" if test == "*" else rf"def {test}\b", text), f"{path} has no {test}"


def _section_8() -> str:
    text = (ROOT / "docs" / "spec" / "durability.md").read_text(encoding="utf-8")
    return text.split("## 8. Failure matrix")[1].split("\n## ")[0]
