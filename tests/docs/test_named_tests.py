"""The tests that pages name exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("page", ["seeds.md", "change-while-running.md"])
def test_every_test_that_a_page_names_exists(page: str) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    named = sorted(set(re.findall(r"`([\w./]+\.py)::(\w+)`", text)))

    assert named
    assert [f"{path}::{test}" for path, test in named if not _is_there(path, test)] == []


def test_every_change_that_is_told_is_shown() -> None:
    text = (ROOT / "docs" / "change-while-running.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| You")]

    assert [line for line in lines if "::" not in line] == []


def _is_there(path: str, test: str) -> bool:
    file = ROOT / path
    return file.exists() and bool(re.search(rf"(def|class) {test}\b", file.read_text(encoding="utf-8")))
