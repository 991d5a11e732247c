"""The programs of the how-to pages run, and print what the pages say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGES = sorted((Path(__file__).resolve().parents[2] / "docs" / "how-to").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_a_page_runs_as_one_program_and_prints_what_it_says(page: Path, tmp_path: Path) -> None:
    """All `python` blocks of a page, in order, in an empty folder; all `text` blocks are what they print."""
    text = page.read_text(encoding="utf-8")
    program = tmp_path / f"{page.stem.replace('-', '_')}.py"
    program.write_text("\n\n".join(_blocks("python", text)), encoding="utf-8")

    done = subprocess.run(
        [sys.executable, program.name], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout == "".join(_blocks("text", text))


def _blocks(language: str, text: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
