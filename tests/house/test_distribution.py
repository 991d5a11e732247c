"""What is installed: the lock covers what is declared, and the wheel carries the whole package."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCK = (ROOT / "requirements.lock").read_text()


def _name(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match, requirement
    return match[0].lower().replace("_", "-")


def test_the_lock_pins_everything_that_setup_installs() -> None:
    project = PROJECT["project"]
    extras = project["optional-dependencies"]
    declared = [
        *project["dependencies"],
        *extras["cli"],
        *extras["openai"],
        *extras["postgres"],
        *PROJECT["dependency-groups"]["dev"],
        *PROJECT["build-system"]["requires"],
    ]
    locked = {_name(line) for line in LOCK.splitlines() if re.match(r"[A-Za-z0-9]", line)}

    assert {_name(requirement) for requirement in declared} - locked == set()


def test_the_locks_carry_hashes_and_no_addresses() -> None:
    for lock in ROOT.glob("requirements*.lock"):
        text = lock.read_text()
        assert "://" not in text, lock.name
        assert text.count("==") <= text.count("--hash=sha256:"), lock.name


def test_the_wheel_carries_every_file_of_the_package(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")

    packed = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("lash/")}

    source = ROOT / "src"
    files = {str(path.relative_to(source)) for path in (source / "lash").rglob("*") if path.is_file()}
    assert packed == {name for name in files if "__pycache__" not in name}
    assert "lash/py.typed" in packed
