"""Every public name has a docstring, and the site with the reference is built strictly."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


NAMES = ["lash", "lash.testing", "lash.plugins", "lash.hosts", "lash.tools", "lash.effects", "lash.direct"]


def test_nothing_public_is_undocumented() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/reference.py"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.timeout(300)  # it reads every source file
def test_the_site_is_built_strictly(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    for name in NAMES:
        module = importlib.import_module(name)
        page = (tmp_path / "site" / "reference" / f"{name}.html").read_text(encoding="utf-8")
        for public in getattr(module, "__all__", []):
            assert public in page
    assert "runs a turn and returns it settled" in _words(tmp_path / "site" / "reference" / "lash.html")


def _words(page: Path) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page.read_text(encoding="utf-8")).split()).lower()
