"""A program at a real terminal: what was typed goes in, and the screen is what a person would see."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

ROWS, COLUMNS = 40, 100
LIMIT_S = 30.0
CTRL_C, CTRL_D = "\x03", "\x04"

# Makes the terminal the controlling one, so that Ctrl-C is a signal, and becomes the program.
_LOGIN = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.executable, sys.argv[1:])"
_TOKEN = re.compile(rb"\x1b\[([0-9;?]*)([@-~])|([\x00-\x1f])|([^\x00-\x1f\x1b]+)", re.DOTALL)


class Screen:
    """As much of a terminal as line-based programs use: lines that grow, and a cursor that goes up."""

    def __init__(self) -> None:
        self.lines = [""]
        self._row = 0
        self._column = 0
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Shows what a program wrote."""
        data = self._rest + data
        cut = max(data.rfind(b"\x1b"), 0) if data.rfind(b"\x1b") > len(data) - 12 else len(data)
        if not re.fullmatch(rb"\x1b\[[0-9;?]*[@-~].*", data[cut:], re.DOTALL):
            data, self._rest = data[:cut], data[cut:]
        else:
            self._rest = b""
        try:
            data.decode()
        except UnicodeDecodeError as error:
            data, self._rest = data[: error.start], data[error.start :] + self._rest
        for numbers, code, control, text in _TOKEN.findall(data):
            if text:
                self._write(text.decode())
            elif control == b"\n":
                self._down()
            elif control == b"\r":
                self._column = 0
            elif code == b"A":
                self._row = max(0, self._row - int(numbers or b"1"))
            elif code == b"K":
                self.lines[self._row] = "" if numbers == b"2" else self.lines[self._row][: self._column]

    def _down(self) -> None:
        self._row += 1
        if self._row == len(self.lines):
            self.lines.append("")

    def _write(self, text: str) -> None:
        for char in text:
            if self._column == COLUMNS:
                self._column = 0
                self._down()
            line = self.lines[self._row].ljust(self._column)
            self.lines[self._row] = line[: self._column] + char + line[self._column + 1 :]
            self._column += 1

    @property
    def text(self) -> str:
        """Everything that can be read, also what has moved off the top."""
        return "\n".join(line.rstrip() for line in self.lines)


class Pty:
    """A program at a terminal of its own."""

    def __init__(self, args: list[str], cwd: Path, **env: str) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.mode_before = termios.tcgetattr(slave)
        self._process = subprocess.Popen(
            [sys.executable, "-c", _LOGIN, sys.executable, *args],
            cwd=cwd,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            env={**os.environ, "TERM": "xterm", "COLUMNS": str(COLUMNS), "LINES": str(ROWS), **env},
        )
        self._slave = slave
        self.screen = Screen()
        self.raw = b""

    def type(self, text: str) -> None:
        """Presses keys."""
        os.write(self._master, text.encode())

    def enter(self, text: str) -> None:
        """Types a line and sends it."""
        self.type(f"{text}\r")

    def sees(self, text: str, times: int = 1) -> None:
        """Returns when the text can be read on the screen."""
        self._until(lambda: self.screen.text.count(text) >= times, f"{text!r} ({times} times)")

    def sees_no_more(self, text: str) -> None:
        """Returns when the text has gone from the screen."""
        self._until(lambda: text not in self.screen.text, f"no {text!r}")

    def ends(self) -> int:
        """The exit code of the program."""
        deadline = time.monotonic() + LIMIT_S
        while self._process.poll() is None:
            assert time.monotonic() < deadline, f"the program still runs; the screen says:\n{self.screen.text}"
            self._read(0.02)
        self._read(0)
        return self._process.returncode

    @property
    def mode(self) -> list[object]:
        """How the terminal is set."""
        return list(termios.tcgetattr(self._slave))

    def kill(self) -> None:
        """As `kill -9` does."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Ends the program, whatever it does."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
        os.close(self._master)
        os.close(self._slave)

    def _until(self, is_so: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + LIMIT_S
        while not is_so():
            is_over = self._process.poll() is not None
            self._read(0.05)
            if is_so():
                return
            assert not is_over, f"the program ended before {what}; the screen says:\n{self.screen.text}"
            assert time.monotonic() < deadline, f"waited in vain for {what}; the screen says:\n{self.screen.text}"

    def _read(self, timeout_s: float) -> None:
        while select.select([self._master], [], [], timeout_s)[0]:
            data = os.read(self._master, 65_536)
            self.raw += data
            self.screen.feed(data)
            timeout_s = 0
