"""The programs of the how-to pages run as pasted, and print what the pages say.

All `python` blocks of a page, in order, are one program, run in an empty folder; a fence
`python notest` is a fragment. `text` blocks, where a page has some, are what it prints.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGES = [
    page
    for page in sorted((Path(__file__).resolve().parents[2] / "docs").glob("*/*.md"))
    if page.parent.name in ("how-to", "tutorial")
]


@pytest.mark.parametrize("page", PAGES, ids=[f"{page.parent.name}/{page.stem}" for page in PAGES])
def test_a_page_runs_as_one_program_and_prints_what_it_says(page: Path, tmp_path: Path) -> None:
    text = page.read_text(encoding="utf-8")
    program = tmp_path / "program.py"
    program.write_text("\n\n".join(_blocks("python", text)), encoding="utf-8")

    done = subprocess.run(
        [sys.executable, program.name], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr
    if said := _blocks("text", text):
        assert done.stdout == "".join(said)


def _blocks(language: str, text: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
