"""Every program of the how-to pages runs as pasted, each in an empty folder.

A block is a program of its own unless its fence says `python notest` (a fragment).
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGES = sorted((Path(__file__).resolve().parents[2] / "docs").glob("*/*.md"))
PROGRAMS = [
    pytest.param(block, id=f"{page.parent.name}/{page.stem}-{number}")
    for page in PAGES
    if page.parent.name in ("how-to", "tutorial")
    for number, block in enumerate(re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE), 1)
]


@pytest.mark.parametrize("block", PROGRAMS)
def test_a_program_of_the_documentation_runs_as_pasted(block: str, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(block)

    done = subprocess.run(
        [sys.executable, program.name], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )

    assert done.returncode == 0, done.stderr
