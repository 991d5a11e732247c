"""The page of covered rows names tests that exist, and every row it owes (docs/coverage.md)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "coverage.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`([\w./]+\.py::[\w*]+)`", PAGE)))
# Rows of §16 that must be there; rows beyond them are welcome.
OWED = [
    *(1, 2, 3, 4, 5, 7, 8, 10, *range(12, 21), 22, 23, 24, 25, 27, 28, 29, 30),
    *(*range(32, 44), *range(45, 63), *range(63, 75), 75, 77, 78, 79, 81, 82, 85, 86, 87, *range(89, 98)),
    *(*range(119, 127), 130, 132, 136, 137, 157),
]


def rows(prefix: str) -> list[list[str]]:
    """The cells of each table row whose first cell starts so."""
    lines = [line for line in PAGE.splitlines() if re.match(rf"\| {prefix}\d+ \|", line)]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


@pytest.mark.parametrize("name", NAMED)
def test_a_named_test_exists(name: str) -> None:
    path, _, test = name.partition("::")

    text = (ROOT / path).read_text(encoding="utf-8")

    pattern = r"def test_|class Test|RUNTIME" if test == "*" else rf"(def|class) {test}\b"
    assert re.search(pattern, text), f"{path} has no {test}"


def test_every_row_that_is_owed_is_there_and_none_twice() -> None:
    listed = [row[0] for row in rows("R-")]

    assert listed == sorted(set(listed))
    assert {f"R-{number:03}" for number in OWED} <= set(listed)


def test_every_ruling_is_there_once() -> None:
    assert [row[0] for row in rows("")] == [str(number) for number in range(1, 25)]


def test_a_row_names_a_test_or_says_why_not() -> None:
    for row in (*rows("R-"), *rows("")):
        assert "::" in row[2] or row[3].startswith("not yet"), row
