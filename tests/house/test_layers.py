"""The layers of the house are a contract that fails when it is broken."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def _lint(folder: Path) -> subprocess.CompletedProcess[str]:
    program = "import sys; sys.path.insert(0, 'src'); from importlinter.cli import lint_imports_command as run; run()"
    return subprocess.run(
        [sys.executable, "-c", program, "--no-cache", "--no-logo"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def small_house(tmp_path: Path) -> Path:
    """A package with the project's own contracts and rooms, all of them empty."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    here = [path for path in (ROOT / "src/lash").iterdir() if not path.name.startswith("_")]
    rooms = [path.stem for path in here if path.suffix in ("", ".py")]
    for room in ["", *rooms]:
        folder = tmp_path / "src/lash" / room
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "__init__.py").touch()
    return tmp_path


def test_the_house_keeps_its_layers() -> None:
    done = _lint(ROOT)

    assert done.returncode == 0, done.stdout


def test_imports_that_point_down_are_kept(small_house: Path) -> None:
    (small_house / "src/lash/sessions/down.py").write_text("import lash.effects\nfrom lash import base\n")

    done = _lint(small_house)

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("file", "line", "complaint"),
    [
        ("base/up.py", "import lash.effects", "lash.base.up -> lash.effects"),
        ("effects/up.py", "from lash import sessions", "lash.effects.up -> lash.sessions"),
        ("sessions/door.py", "import lash", "lash.sessions.door -> lash"),
        ("helpers.py", "", "lash.helpers"),
    ],
)
def test_a_wrong_import_or_an_unplaced_room_fails(small_house: Path, file: str, line: str, complaint: str) -> None:
    (small_house / "src/lash" / file).write_text(line)

    done = _lint(small_house)

    assert done.returncode != 0
    assert complaint in done.stdout
