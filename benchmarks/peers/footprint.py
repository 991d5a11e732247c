"""W7: what an import costs, and what an installation weighs.

usage: footprint.py WHO STATEMENT [--weigh]

Run by the interpreter of an environment that holds only WHO. Times are whole
processes, a bare interpreter's start taken off; sizes leave out pip itself.
"""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import sysconfig

from common import emit, now

RUNS = 11
NOT_COUNTED = {"pip", "setuptools", "wheel"}


def milliseconds(statement: str) -> float:
    started = now()
    subprocess.run([sys.executable, "-c", statement], check=True, stdout=subprocess.DEVNULL)
    return (now() - started) * 1e3


def imported(statement: str) -> list[float]:
    milliseconds(statement)  # compiles what is not compiled yet
    return [milliseconds(statement) - milliseconds("pass") for _ in range(RUNS)]


def installed() -> tuple[int, int]:
    """Distributions, and bytes of their files without compiled copies."""
    count = total = 0
    for found in importlib.metadata.distributions(path=[sysconfig.get_paths()["purelib"]]):
        if found.metadata["Name"].lower() in NOT_COUNTED:
            continue
        count += 1
        for file in found.files or []:
            path = found.locate_file(file)
            if not str(path).endswith(".pyc") and os.path.exists(path):
                total += os.path.getsize(path)
    return count, total


who, statement, *options = sys.argv[1:]
emit("W7", who, "import", imported(statement), "ms")
if "--weigh" in options:
    distributions, size = installed()
    emit("W7", who, "distributions", distributions, "")
    emit("W7", who, "installed", size / 1e6, "MB")
