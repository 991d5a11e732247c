"""One PostgreSQL server for all workers of a test run.

The server belongs to a small guard process, not to a worker. Whoever uses it
holds a shared lock on one file; the guard waits for the exclusive lock, and when
it gets it nobody is left and the server goes. A lock dies with its holder, so a
worker that is killed leaves no server behind, and nobody polls.

    joining   held while somebody joins, so that only one finds no server
    users     shared by users; the guard's wait for it ends when the last is gone
    url       written by the guard once the server accepts connections, removed
              by it while it holds `users`
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from services.postgres import running_postgres


class PgSchema(NamedTuple):
    """One test's own place in the shared server: connect to `url`, set `search_path` to `schema`."""

    url: str
    schema: str


@contextlib.contextmanager
def shared_postgres(folder: Path) -> Iterator[str]:
    """The URL of the one server of everybody who names `folder`."""
    with contextlib.ExitStack() as use:
        with _locked(folder / "joining", fcntl.LOCK_EX):
            use.enter_context(_locked(folder / "users", fcntl.LOCK_SH))
            url = folder / "url"
            if not url.exists():
                _spawn_guard(folder)
            text = url.read_text()
        yield text


def guard(folder: Path) -> None:
    """Runs the server until its last user is gone."""
    with running_postgres(durable=False) as server:
        (folder / "url").write_text(server.url)
        os.close(1)  # tells whoever spawned us that the server is ready
        with _locked(folder / "users", fcntl.LOCK_EX):
            (folder / "url").unlink(missing_ok=True)  # the folder may be gone already


@contextlib.contextmanager
def _locked(path: Path, kind: int) -> Iterator[None]:
    with path.open("wb") as file:
        fcntl.flock(file, kind)
        yield


def _spawn_guard(folder: Path) -> None:
    """Returns once the guard's server is ready; raises what it said when it failed.

    `posix_spawn`, because the guard outlives the one who starts it and nobody waits for it.
    """
    log = folder / "guard.log"
    reading, writing = os.pipe()
    os.posix_spawn(
        sys.executable,
        [sys.executable, "-m", "services.shared", str(folder)],
        {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        file_actions=[
            (os.POSIX_SPAWN_DUP2, writing, 1),
            (os.POSIX_SPAWN_OPEN, 2, str(log), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
        ],
        setsid=True,
    )
    os.close(writing)
    with os.fdopen(reading, "rb") as ready:
        ready.read()
    if not (folder / "url").exists():
        raise RuntimeError(f"the shared PostgreSQL server did not start:\n{log.read_text()}")


if __name__ == "__main__":
    guard(Path(sys.argv[1]))
