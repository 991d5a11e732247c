"""What importing tools must not load."""

from __future__ import annotations

import subprocess
import sys


def test_tools_do_not_load_pydantic() -> None:
    code = "import sys, lash.tools; print('pydantic' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout.strip() == "False"
