"""A throw-away PostgreSQL server on loopback that tests may stop and start again.

`initdb` and `postgres` refuse to run as root, so root hands them to another
user. A server is *durable* (fsync on, as in production) or *fast* (nothing
survives a power cut): choose durable for tests about durability and for figures.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from services.binaries import find_postgres

START_WITHIN_S: Final = 30.0
STOP_WITHIN_S: Final = 20.0

# Below the range that the kernel gives to outgoing connections: nobody takes
# the port by accident while the server is down between `stop` and `start`.
_PORTS: Final = range(15_000, 32_000)

_FAST: Final = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}

# What a new server says while processes of its killed predecessor still hold on.
_NOT_YET: Final = ("pre-existing shared memory block", "lock file")


class PostgresNotInstalled(RuntimeError):
    """No PostgreSQL was found; `scripts/setup-services.sh` installs one."""


class PostgresServer:
    """One server with its data. `start` after `stop` keeps port and data."""

    def __init__(self, *, durable: bool) -> None:
        """Makes an empty cluster; `start` runs it, `close` removes it."""
        folder = find_postgres()
        if folder is None:
            raise PostgresNotInstalled("PostgreSQL is not installed (scripts/setup-services.sh)")
        self._base = Path(tempfile.mkdtemp(prefix="lash-pg-"))
        self._owner = _unprivileged_owner()
        if self._owner is not None:
            os.chown(self._base, self._owner, -1)
        self._programs = _reachable(folder, self._base, self._owner)
        self._options = {} if durable else _FAST
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()
        try:
            self._run("initdb", "-D", str(self._data), "-U", "app", "-A", "trust", "-E", "UTF8", "--no-sync")
        except BaseException:
            self.close()
            raise

    @property
    def url(self) -> str:
        """Where it listens, running or not."""
        return f"postgresql://app@127.0.0.1:{self.port}/postgres"

    @property
    def is_running(self) -> bool:
        """Whether the server process lives."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Runs the server and returns once it accepts connections."""
        if self.is_running:
            return
        deadline = time.monotonic() + START_WITHIN_S
        self._process = self._spawn()
        while not self._accepts():
            if time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start within {START_WITHIN_S} s:\n{self.log()}")
            if not self.is_running:
                complaint = self.log()
                if not any(text in complaint for text in _NOT_YET):
                    raise RuntimeError(f"PostgreSQL ended at once:\n{complaint}")
                self._process = self._spawn()
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stops the server and waits until it is gone.

        `SIGINT` drops clients and shuts down in order; `SIGQUIT` and `SIGKILL`
        are crashes, after which `start` recovers from the log.
        """
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(how)
        try:
            self._process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def close(self) -> None:
        """Stops the server and removes its data."""
        self.stop()
        shutil.rmtree(self._base, ignore_errors=True)

    def log(self) -> str:
        """What the server has written since its last start."""
        path = self._base / "log"
        return path.read_text(errors="replace")[-4_000:] if path.exists() else ""

    @property
    def _data(self) -> Path:
        return self._base / "data"

    def _spawn(self) -> subprocess.Popen[bytes]:
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self._base),
            "max_connections": "200",
            **self._options,
        }
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with (self._base / "log").open("wb") as log:
            return subprocess.Popen(
                [self._programs / "postgres", "-D", self._data, *settings],
                env=self._environment(),
                cwd=self._base,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                user=self._owner,
                # Its own session: Ctrl-C on the test run must not reach it before the tests' own ends.
                start_new_session=True,
            )

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._programs / program, *arguments],
            env=self._environment(),
            cwd=self._base,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            user=self._owner,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed:\n{done.stderr.decode(errors='replace')}")

    def _environment(self) -> dict[str, str]:
        return {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": str(self._base)}

    def _accepts(self) -> bool:
        ready = [str(self._programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port), "-U", "app"]
        return self.is_running and subprocess.run(ready, env=self._environment(), check=False).returncode == 0


@contextlib.contextmanager
def running_postgres(*, durable: bool) -> Iterator[PostgresServer]:
    """A started server; it and its data are gone afterwards."""
    server = PostgresServer(durable=durable)
    try:
        server.start()
        yield server
    finally:
        server.close()


def _unprivileged_owner() -> int | None:
    """The user to run as when we are root; `None` when we are not."""
    if os.geteuid() != 0:
        return None
    names = {user.pw_name for user in pwd.getpwall()}
    return pwd.getpwnam("postgres" if "postgres" in names else "nobody").pw_uid


def _reachable(programs: Path, base: Path, owner: int | None) -> Path:
    """`programs`, or a copy of their installation that `owner` may enter.

    A wheel's binaries live in a virtual environment, which may lie under root's home.
    """
    if owner is None or all(folder.stat().st_mode & 0o001 for folder in [programs, *programs.parents]):
        return programs
    package, libraries = programs.parents[1], programs.parents[1].with_suffix(".libs")
    copy = base / "copy" / package.name / programs.parent.name
    shutil.copytree(programs.parent, copy, symlinks=True)
    if libraries.exists():  # the wheel's programs look for them beside their package
        shutil.copytree(libraries, base / "copy" / libraries.name)
    return copy / programs.name


def _free_port() -> int:
    for port in random.sample(_PORTS, 200):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no free port on loopback")
