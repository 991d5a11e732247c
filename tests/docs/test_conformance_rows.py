"""Every row of the conformance catalogue is named by a law or a test, or stands here with its reason."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

from lash.testing import conformance
from lash.testing.conformance.laws import Suite

ROOT = Path(__file__).resolve().parents[2]

# Rows that no test can name, and why.
SUPERSEDED = {
    "WB-14": "host profiles are superseded by captured environments, the row says",
}


def test_every_row_of_the_catalogue_is_shown_or_listed() -> None:
    rows = re.findall(r"^\| ([A-Z]+-\d+)†? \|", _spec(), re.MULTILINE)
    shown = _rows_of_laws() | _rows_of_tests()

    assert len(rows) == len(set(rows)) == 434
    assert [row for row in rows if row not in shown | SUPERSEDED.keys()] == []
    assert SUPERSEDED.keys() <= set(rows) - shown


def _spec() -> str:
    return (ROOT / "docs" / "spec" / "conformance.md").read_text(encoding="utf-8")


def _rows_of_laws() -> set[str]:
    modules = [importlib.import_module(f"{conformance.__name__}.{each.name}") for each in _rooms()]
    suites = [value for module in modules for value in vars(module).values() if isinstance(value, Suite)]
    return {law_id for suite in suites for law_id in suite.ids()}


def _rooms() -> list[pkgutil.ModuleInfo]:
    return list(pkgutil.iter_modules(conformance.__path__))


def _rows_of_tests() -> set[str]:
    """Rows in the names of tests: `test_x_10_…`, `test_rr_01_02_…`."""
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    names = [name for file in files for name in re.findall(r"def test_(\w+)", file.read_text(encoding="utf-8"))]
    found: set[str] = set()
    for name in names:
        if match := re.match(r"([a-z]{1,3})((?:_\d\d)+)_", name):
            found |= {f"{match[1].upper()}-{number}" for number in match[2].split("_")[1:]}
    return found
