"""Examining an installation: versions, extras, how long a durable write takes, the store."""

from __future__ import annotations

import asyncio
import os
import platform
import re
import statistics
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Final

import msgspec

from lash.base.errors import LashError
from lash.cli.failure import one_line
from lash.cli.stores import open_store, shown

DISTRIBUTION: Final = "lash-runtime"
# The `RETURNING` clause and `STRICT` tables that the schema is written in.
OLDEST_SQLITE: Final = (3, 37, 0)
_EXTRA = re.compile(r"""^([A-Za-z0-9_.-]+).*;\s*extra\s*==\s*['"]([\w-]+)['"]""")


class Health(msgspec.Struct, frozen=True):
    """What was found. `problems` are reasons why lash cannot work here."""

    ok: bool
    python: str
    platform: str
    lash: str
    apsw: str
    sqlite: str
    fsync_ms: float
    fsync_folder: str
    extras: list[str]
    missing_extras: list[str]
    store: str | None
    store_state: str | None
    problems: list[str]


async def examine(store: str | None) -> Health:
    """Looks at everything; what fails becomes a problem, nothing raises."""
    import apsw

    problems: list[str] = []
    sqlite = apsw.sqlite_lib_version()
    if tuple(int(part) for part in sqlite.split(".")[:3]) < OLDEST_SQLITE:
        problems.append(f"SQLite {sqlite} is older than {'.'.join(map(str, OLDEST_SQLITE))}; upgrade apsw")
    folder = _folder_of(store)
    fsync_ms = 0.0
    try:
        fsync_ms = await asyncio.to_thread(time_fsync, folder)
    except OSError as error:
        problems.append(f"{folder} cannot be written: {error}; a store needs a folder of its own")
    state = None
    if store is not None:
        try:
            state = await _store_state(store)
        except (LashError, OSError) as error:
            state = "not usable"
            problems.append(one_line(error))
    installed, missing = extras()
    return Health(
        not problems,
        f"{platform.python_version()} ({platform.python_implementation()}, {sys.executable})",
        platform.platform(),
        _version(DISTRIBUTION) or "not installed as a distribution",
        apsw.apsw_version(),
        sqlite,
        round(fsync_ms, 3),
        str(folder),
        installed,
        missing,
        None if store is None else shown(store),
        state,
        problems,
    )


def time_fsync(folder: Path, rounds: int = 20) -> float:
    """Milliseconds that one write of 4 KiB takes to become durable in `folder`: the median."""
    times: list[float] = []
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".lash-doctor-") as file:
        for _ in range(rounds):
            os.pwrite(file.fileno(), b"\0" * 4096, 0)
            started = time.perf_counter()
            os.fsync(file.fileno())
            times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)


def extras() -> tuple[list[str], list[str]]:
    """Extras whose libraries are all installed, and the others."""
    wanted: dict[str, list[str]] = {}
    try:
        lines = requires(DISTRIBUTION) or []
    except PackageNotFoundError:
        lines = []
    for line in lines:
        match = _EXTRA.match(line)
        if match is not None:
            wanted.setdefault(match[2], []).append(match[1])
    installed = [extra for extra, names in wanted.items() if all(_version(name) for name in names)]
    return sorted(installed), sorted(set(wanted) - set(installed))


def _folder_of(store: str | None) -> Path:
    if store is None or "://" in store or store == ":memory:":
        return Path(tempfile.gettempdir())
    return Path(store).resolve().parent


async def _store_state(store: str) -> str:
    async with await open_store(store) as opened:
        stats = await opened.stats()
    return f"{stats.tier}, schema {stats.schema_version}, {stats.rows.get('lash_sessions', 0)} sessions"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
