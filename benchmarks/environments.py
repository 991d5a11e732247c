"""Virtual environments of contenders, made on demand in `.bench/` and kept."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from contenders import OURS, Environment

ROOT = Path(__file__).resolve().parents[1]
BENCH = ROOT / ".bench"


def python_of(environment: Environment | None) -> Path:
    """The interpreter of an environment, made first if need be; `None` is the project's own."""
    if environment is None:
        return Path(sys.executable)
    folder = BENCH / environment.name
    python = folder / "bin/python"
    stamp = folder / "requirements.txt"
    wanted = "\n".join(environment.requirements)
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"bench: installing {environment.name}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        if environment.requirements:
            _pip(python, *environment.requirements)
        stamp.write_text(wanted)
    if environment.name == OURS:
        _install_ours(python)
    return python


def versions(environment: Environment) -> str:
    """The versions of what an environment was made for."""
    names = [requirement.partition("[")[0].partition("=")[0].rstrip(">") for requirement in environment.requirements]
    program = "import importlib.metadata as m, sys; print(*[f'{n} {m.version(n)}' for n in sys.argv[1:]], sep=', ')"
    done = subprocess.run([python_of(environment), "-c", program, *names], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _install_ours(python: Path) -> None:
    """What a user gets from `pip install lash-runtime`, built from this tree."""
    wheels = BENCH / "wheels"
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(wheels)]
    subprocess.run(build, check=True, cwd=ROOT, capture_output=True)
    newest = max(wheels.glob("*.whl"), key=lambda path: path.stat().st_mtime)
    _pip(python, str(newest))
    _pip(python, "--force-reinstall", "--no-deps", str(newest))


def _pip(python: Path, *arguments: str) -> None:
    quiet = ["--quiet", "--disable-pip-version-check"]
    subprocess.run([python, "-m", "pip", "install", *quiet, *arguments], check=True, stdout=sys.stderr)
