"""`lash chat` as the tests of it start it: with an app of theirs, in a folder of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import lash
from cli.ptys import Pty

Chat = Callable[..., Pty]


def chat_line(app: str, *args: str) -> list[str]:
    """What is given to Python for a chat with `app` in session `s`."""
    return ["-m", "lash.cli.main", "chat", "--app", f"cli.{app}:core", "--session", "s", *args]


def python_path() -> str:
    """Where a program in another folder finds lash and the tests."""
    folders = [str(Path(lash.__file__).parents[1]), str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return os.pathsep.join(folders)


@contextlib.contextmanager
def terminals(app: str, folder: Path) -> Iterator[Chat]:
    """Starts chats, each at a terminal of its own."""
    with contextlib.ExitStack() as running:

        def start(*args: str) -> Pty:
            terminal = Pty(chat_line(app, *args), folder, PYTHONPATH=python_path())
            running.callback(terminal.close)
            return terminal

        yield start


def piped(app: str, folder: Path, *args: str) -> subprocess.Popen[str]:
    """Starts a chat whose input and output are pipes."""
    return subprocess.Popen(
        [sys.executable, *chat_line(app, *args)],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": python_path(), "FORCE_COLOR": "1"},
    )


def what_ran(folder: Path) -> list[str]:
    """What the tools of the apps wrote down, line by line."""
    log = folder / "ran.log"
    return log.read_text().split("\n")[:-1] if log.exists() else []
