"""The README's program runs as pasted, in an empty folder, and again."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).resolve().parents[2] / "README.md"


def _run(program: Path) -> str:
    done = subprocess.run(
        [sys.executable, program.name], cwd=program.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_first_program_runs_as_pasted_and_a_second_time_from_the_record(tmp_path: Path) -> None:
    [block] = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    program = tmp_path / "first.py"
    program.write_text(block)

    first = _run(program)
    second = _run(program)

    assert first.startswith("Order 7 is shipped.")
    assert first.endswith("new\n")
    assert second == first.replace("new\n", "replayed\n")
