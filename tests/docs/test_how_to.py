"""Every program of the how-to pages runs as pasted."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGES = sorted((Path(__file__).resolve().parents[2] / "docs" / "how-to").glob("*plugin*.md"))
PROGRAMS = [
    pytest.param(block, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL))
]
TOLD = {
    "write-a-plugin-0": "files under /etc are not deleted -> I may not.\n",
    "write-a-plugin-1": "Answer in five words.\n",
    "write-a-plugin-2": "The code is ****.\nTrue compaction-2\nReady.\n",
    "write-a-plugin-3": "['touch']\n[False, True]\n",
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_runs_as_pasted(program: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    path = tmp_path / "program.py"
    path.write_text(program)

    done = subprocess.run([sys.executable, path.name], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert done.stdout == TOLD[request.node.callspec.id]
