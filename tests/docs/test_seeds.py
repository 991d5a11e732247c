"""The page of the seeds maps all of their tests, each to tests of ours (docs/seeds.md)."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "seeds.md").read_text(encoding="utf-8")
# Tests and scenarios of each document.
IN_EACH = [18, 67, 5, 6, 2]


def test_every_test_of_the_seeds_is_there_once() -> None:
    documents = [re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE) for part in PAGE.split("\n## ")[1:]]

    assert [len(document) for document in documents] == IN_EACH
    assert len({name for document in documents for name in document}) == sum(IN_EACH)


def test_every_test_of_the_seeds_is_shown() -> None:
    lines = re.findall(r"^\| `(\w+)` \|(.*)$", PAGE, re.MULTILINE)

    assert [name for name, line in lines if "::" not in line] == []
