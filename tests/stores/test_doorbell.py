"""The doorbell of a file, and a watch that goes by it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from lash.base.clock import SystemClock
from lash.stores import Store
from lash.stores.doorbell import Doorbell
from lash.stores.sqlite import DataVersion, SqliteDriver
from lash.stores.sqlite_watch import FileWatch

linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="inotify is of Linux")
LIMIT_S = 20


class Counted:
    """A version that tells how often it was read."""

    def __init__(self, version: DataVersion) -> None:
        self._version = version
        self.reads = 0

    def read(self) -> int:
        """See `DataVersion`."""
        self.reads += 1
        return self._version.read()

    def close(self) -> None:
        """See `DataVersion`."""
        self._version.close()


async def watched(path: str, log: str) -> tuple[SqliteDriver, FileWatch, Counted]:
    """A watch of a file, before it has looked for the first time."""
    driver = SqliteDriver(path, SystemClock())
    await driver.open()
    version = await driver.watch()
    assert version is not None
    counted = Counted(version)
    return driver, FileWatch(counted, log), counted  # type: ignore[arg-type]  # a DataVersion, and counts


@linux_only
async def test_it_rings_for_writers_of_other_processes(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.touch()
    bell = Doorbell(str(file))
    assert not bell.has_rung()
    write = f"open({str(file)!r}, 'a').write('x')"

    ringing = asyncio.create_task(bell.rings(LIMIT_S))
    await asyncio.to_thread(subprocess.run, [sys.executable, "-c", write], check=True)
    await ringing

    assert bell.has_rung()
    assert not bell.has_rung()
    bell.close()


@linux_only
async def test_a_ring_is_kept_until_somebody_listens(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.touch()
    bell = Doorbell(str(file))
    file.write_text("x")

    async with asyncio.timeout(LIMIT_S):
        await bell.rings(2 * LIMIT_S)

    assert bell.has_rung()
    bell.close()


def test_without_a_file_there_is_no_doorbell(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"No such file|inotify"):
        Doorbell(str(tmp_path / "none"))


@pytest.mark.parametrize("log", ["a.db-wal", "nothing-here"])
async def test_a_commit_elsewhere_is_seen_with_and_without_a_doorbell(tmp_path: Path, log: str) -> None:
    path = str(tmp_path / "a.db")
    async with await Store.open(path) as other:
        driver, watch, _ = await watched(path, str(tmp_path / log))
        assert await watch.wait()  # the first look tells everybody to look
        for number in range(3):
            await other.artifacts.put_artifact_bytes(f"ref-{number}", "notes", b"one")
            async with asyncio.timeout(LIMIT_S):
                while not await watch.wait():
                    pass
        await watch.close()
        await driver.close()


@linux_only
async def test_a_silent_file_is_hardly_looked_at(tmp_path: Path) -> None:
    path = str(tmp_path / "a.db")
    async with await Store.open(path):
        driver, watch, version = await watched(path, f"{path}-wal")
        await watch.wait()
        version.reads = 0

        for _ in range(2):
            assert not await watch.wait()

        # Each of these waits ended with its quarter of a second, and looked before and after.
        assert version.reads == 4
        await watch.close()
        await driver.close()
