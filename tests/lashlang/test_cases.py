"""Every conformance case, in both settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from lash.lashlang import COMPAT, IMPROVED, Dialect
from lash.lashlang.cases.document import Case, read_cases
from lash.lashlang.cases.runner import mismatch, same_json

CASES = read_cases(Path(__file__).parent / "cases" / "reference.md")
_DIALECTS = {"improved": IMPROVED, "compat": COMPAT}


@pytest.mark.parametrize("dialect", _DIALECTS.values(), ids=_DIALECTS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_the_case_comes_out_as_expected(case: Case, dialect: Dialect) -> None:
    assert mismatch(case, dialect) is None


def test_the_case_file_is_read_whole() -> None:
    assert len(CASES) == 391
    assert len({case.id for case in CASES}) == 391


def test_a_wrong_expectation_is_reported() -> None:
    case = Case("wrong", "submit 1", {"id": "wrong", "expect": 2})

    assert mismatch(case, IMPROVED) == "expect: expected 2, got 1"


def test_an_effect_that_is_not_expected_is_reported() -> None:
    case = Case("silent", "print 1\nsubmit 1", {"id": "silent", "expect": 1, "prints": []})

    assert mismatch(case, IMPROVED) == "prints: expected [], got [1]"


def test_numbers_compare_by_value_and_booleans_do_not() -> None:
    assert same_json(1, 1.0)
    assert not same_json(1, True)
    assert not same_json([1], [1, 2])
