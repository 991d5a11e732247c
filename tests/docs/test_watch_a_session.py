"""The pieces of the page, put together, are a program that runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "watch-a-session.md"


def test_the_page_that_reconnects_misses_nothing(tmp_path: Path) -> None:
    program = tmp_path / "watch.py"
    program.write_text("\n\n".join(re.findall(r"```python notest\n(.*?)```", PAGE.read_text(), re.DOTALL)))

    done = subprocess.run([sys.executable, program.name], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said[0].endswith("''")
    assert "Order 7 is shipped." in done.stdout
    assert [line for line in said if line in ("turn_started", "committed", "turn_ended", "gap")] == [
        "turn_started",
        "committed",
        "turn_ended",
    ]
