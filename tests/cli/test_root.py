"""Exit codes, one-line errors, and what an installation without the extra says."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from lash.base.errors import InvalidArgument, MissingExtra
from lash.cli.failure import BadOption, NotFound, exit_code, one_line
from lash.sessions.errors import StoredDataCorrupt, StoreUnavailable, TurnInputConflict

Cli = Callable[..., Result]
SOURCE = Path(__file__).parents[2] / "src"


def _python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )


@pytest.mark.parametrize("library", ["click", "rich"])
def test_without_the_extra_the_answer_is_one_line_with_the_remedy(library: str) -> None:
    done = _python(f"import sys; sys.modules['{library}'] = None; from lash.cli.main import main; main()")

    assert done.returncode == 3
    assert done.stderr.strip().count("\n") == 0
    assert "pip install 'lash-runtime[cli]'" in done.stderr


def test_importing_the_command_line_loads_no_command() -> None:
    done = _python("import sys, lash.cli.root; print(sorted({'lash.core', 'apsw', 'rich'} & set(sys.modules)))")

    assert done.stdout.strip() == "[]"


def test_a_reader_that_leaves_early_ends_the_command_quietly(tmp_path: Path) -> None:
    command = f"{sys.executable} -m lash.cli.main --help | true"
    done = subprocess.run(
        ["sh", "-c", command],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )

    assert done.stderr == ""


def test_the_version_is_printed(cli: Cli) -> None:
    result = cli("--version")

    assert result.exit_code == 0
    assert result.stdout.startswith("lash ")


def test_help_names_every_command(cli: Cli) -> None:
    result = cli("--help")

    assert result.exit_code == 0
    for name in ("demo", "run", "sessions", "turns", "store", "doctor"):
        assert f"\n  {name} " in result.stdout


@pytest.mark.parametrize(
    "args",
    [
        ["nonsense"],
        ["sessions", "show"],
        ["sessions", "ls"],
        ["demo", "--nonsense"],
        ["run", "hello"],
        ["run", "hello", "--app", "no-colon"],
        ["run", "hello", "--app", "a:b", "--stream", "--json"],
        ["demo", "--store", ":memory:"],
    ],
)
def test_wrong_usage_is_exit_code_2_and_one_line(cli: Cli, args: list[str]) -> None:
    result = cli(*args)

    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.strip().count("\n") == 0


def test_debug_adds_the_traceback(cli: Cli, tmp_path: Path) -> None:
    missing = str(tmp_path / "none.db")

    plain = cli("sessions", "ls", "--store", missing)
    debugged = cli("sessions", "ls", "--store", missing, "--debug")

    assert "Traceback" not in plain.stderr
    assert "Traceback" in debugged.stderr
    assert debugged.stderr.endswith(plain.stderr)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotFound("x"), 1),
        (TurnInputConflict("s", "t"), 1),
        (InvalidArgument("x"), 1),
        (ValueError("x"), 1),
        (BadOption("x"), 2),
        (StoreUnavailable("x"), 3),
        (StoredDataCorrupt("x"), 3),
        (MissingExtra("postgres", "this"), 3),
    ],
)
def test_every_kind_of_error_has_its_exit_code(error: Exception, code: int) -> None:
    assert exit_code(error) == code


def test_an_error_of_many_lines_is_told_on_one() -> None:
    assert one_line(NotFound("first\n  second")) == "first second (not_found)"
    assert "\n" not in one_line(RuntimeError("first\nsecond"))
