"""The SQLite driver: group commit, cancellation, several processes, faults of the disk."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import apsw
import pytest

from lash.base.clock import SystemClock
from lash.sessions.errors import StoreUnavailable, ValueTooLarge
from lash.stores.dialect import Statement
from lash.stores.driver import UniqueViolation
from lash.stores.program import Query, Steps, execute, many_each, one, program, together, write
from lash.stores.sql.migrate import Count
from lash.stores.sqlite import MAX_PENDING, SqliteDriver
from lash.stores.sqlite_connection import BrokenProgram


class Name(NamedTuple):
    """A name."""

    name: str


MAKE = Statement("CREATE TABLE IF NOT EXISTS things (name {text} NOT NULL PRIMARY KEY, body {blob}) {table}")
ADD = Statement("INSERT INTO things (name, body) VALUES (?1, ?2)")
BACK = Query(Name, "INSERT INTO things (name) VALUES (?1) RETURNING name")
HOW_MANY = Query(Count, "SELECT count(*) FROM things")


@program("write")
def make() -> Steps[None]:
    yield from execute(MAKE)


@program("write")
def add(name: str, size: int = 0) -> Steps[str]:
    yield from execute(ADD, name, b"x" * size)
    return name


@program("write")
def add_then_fail(name: str) -> Steps[None]:
    yield from execute(ADD, name, b"")
    raise LookupError(name)


@program("write")
def add_two(first: str, second: str) -> Steps[list[int]]:
    return (yield from together(write(ADD, first, b""), write(ADD, second, b"")))


@program("single")
def add_alone(*names: str) -> Steps[None]:
    if len(names) == 1:
        yield from execute(ADD, names[0], b"")
    else:
        yield from many_each(BACK, [(name,) for name in names])


@program("single")
def ask_twice() -> Steps[None]:
    yield from execute(ADD, "once", b"")
    yield from execute(ADD, "twice", b"")


@program("read")
def count() -> Steps[int]:
    row = yield from one(HOW_MANY)
    return 0 if row is None else row.n


@pytest.fixture
async def driver(tmp_path: Path) -> AsyncIterator[SqliteDriver]:
    made = await opened(tmp_path / "a.db")
    yield made
    await made.close()


async def opened(path: Path, *, vfs: str | None = None, max_pages: int | None = None) -> SqliteDriver:
    made = SqliteDriver(str(path), SystemClock(), vfs=vfs, max_pages=max_pages)
    await made.open()
    await made.run(make())
    return made


async def test_programs_of_one_tick_share_one_commit(driver: SqliteDriver) -> None:
    before = driver.counters.transactions

    names = await asyncio.gather(*(driver.run(add(f"n{n}")) for n in range(50)))

    assert names == [f"n{n}" for n in range(50)]
    assert driver.counters.transactions - before == 1
    assert await driver.run(count()) == 50


@pytest.mark.parametrize("place", [0, 1, 4])
async def test_a_failing_program_hurts_nobody_else(driver: SqliteDriver, place: int) -> None:
    programs = [driver.run(add(f"n{n}")) for n in range(4)]
    programs.insert(place, driver.run(add_then_fail("bad")))  # type: ignore[arg-type]  # another kind of answer

    answers = await asyncio.gather(*programs, return_exceptions=True)

    assert isinstance(answers.pop(place), LookupError)
    assert answers == ["n0", "n1", "n2", "n3"]
    assert await driver.run(count()) == 4


async def test_later_programs_of_a_group_see_earlier_ones(driver: SqliteDriver) -> None:
    first, second = await asyncio.gather(driver.run(add("same")), driver.run(add("same")), return_exceptions=True)

    assert first == "same"
    assert isinstance(second, Exception)
    assert await driver.run(count()) == 1


async def test_a_read_sees_every_write_that_was_awaited(driver: SqliteDriver) -> None:
    for n in range(300):
        await driver.run(add(f"n{n}"))
        assert await driver.run(count()) == n + 1


async def test_a_statement_by_itself_is_a_transaction(driver: SqliteDriver) -> None:
    before = driver.counters.transactions

    await driver.run(add_alone("a"))
    with pytest.raises(UniqueViolation):
        await driver.run(add_alone("a"))

    assert (driver.counters.transactions - before, await driver.run(count())) == (1, 1)
    assert await driver.run(add("b")) == "b"


async def test_a_statement_for_many_rows_is_all_or_nothing(driver: SqliteDriver) -> None:
    before = driver.counters.transactions

    await driver.run(add_alone("a", "b"))
    with pytest.raises(UniqueViolation):
        await driver.run(add_alone("c", "a", "d"))

    assert (driver.counters.transactions - before, await driver.run(count())) == (1, 2)
    assert await driver.run(add("e")) == "e"


async def test_parts_of_together_run_in_order(driver: SqliteDriver) -> None:
    assert await driver.run(add_two("a", "b")) == [1, 1]


async def test_a_single_program_may_ask_once(driver: SqliteDriver) -> None:
    with pytest.raises(BrokenProgram, match="ask_twice"):
        await driver.run(ask_twice())


async def test_a_queued_program_is_withdrawn_by_a_cancel(driver: SqliteDriver) -> None:
    task = asyncio.create_task(driver.run(add("never")))
    await asyncio.sleep(0)  # submitted in this tick, not yet handed to the writer
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task

    assert await driver.run(count()) == 0


async def test_a_running_program_ends_before_its_cancelled_caller_does(driver: SqliteDriver) -> None:
    other = apsw.Connection(driver.path)
    other.execute("BEGIN IMMEDIATE")
    task = asyncio.create_task(driver.run(add("kept")))
    await until_busy(driver)

    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    other.execute("COMMIT")
    with pytest.raises(asyncio.CancelledError):
        await task

    assert await driver.run(count()) == 1
    other.close()


async def test_a_cancel_by_timeout_is_a_cancel(driver: SqliteDriver) -> None:
    other = apsw.Connection(driver.path)
    other.execute("BEGIN IMMEDIATE")
    asyncio.get_running_loop().call_later(0.1, lambda: other.execute("COMMIT"))

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await driver.run(add("kept"))

    assert await driver.run(count()) == 1
    other.close()


async def test_submitters_wait_when_the_queue_is_full(driver: SqliteDriver) -> None:
    names = await asyncio.gather(*(driver.run(add(f"n{n}")) for n in range(MAX_PENDING * 2)))

    assert len(names) == MAX_PENDING * 2
    assert await driver.run(count()) == MAX_PENDING * 2


async def test_close_keeps_what_was_submitted(tmp_path: Path) -> None:
    driver = await opened(tmp_path / "a.db")
    tasks = [asyncio.create_task(driver.run(add(f"n{n}"))) for n in range(10)]
    await asyncio.sleep(0)
    await driver.close()

    assert await asyncio.gather(*tasks) == [f"n{n}" for n in range(10)]
    with pytest.raises(StoreUnavailable, match="closed"):
        await driver.run(count())


async def test_memory_is_one_database_for_reads_and_writes() -> None:
    driver = SqliteDriver(":memory:", SystemClock())
    await driver.open()
    await driver.run(make())
    await driver.run(add("a"))

    assert await driver.run(count()) == 1
    await driver.close()


async def test_a_full_disk_fails_one_program_and_spares_its_neighbours(tmp_path: Path) -> None:
    driver = await opened(tmp_path / "a.db", max_pages=64)

    answers = await asyncio.gather(
        driver.run(add("before")), driver.run(add("huge", 1_000_000)), driver.run(add("after")), return_exceptions=True
    )

    assert (answers[0], answers[2]) == ("before", "after")
    assert isinstance(answers[1], StoreUnavailable)
    assert await driver.run(count()) == 2
    assert await driver.run(add("later")) == "later"
    await driver.close()


async def test_every_answer_comes_after_its_sync(tmp_path: Path) -> None:
    syncs: list[str] = []

    class CountingFile(apsw.VFSFile):
        def __init__(self, filename: str | apsw.URIFilename | None, flags: list[int]) -> None:
            super().__init__("", filename, flags)
            self._is_log = bool(flags[0] & apsw.SQLITE_OPEN_WAL)

        def xSync(self, flags: int) -> None:  # noqa: N802  # SQLite's name
            super().xSync(flags)
            if self._is_log:
                syncs.append("wal")

    class CountingVfs(apsw.VFS):
        def __init__(self) -> None:
            super().__init__("counting", "")

        def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> CountingFile:  # noqa: N802  # SQLite's name
            return CountingFile(name, flags)

    vfs = CountingVfs()
    driver = await opened(tmp_path / "a.db", vfs="counting")
    for n in range(100):
        before = len(syncs)
        await driver.run(add(f"n{n}"))
        assert len(syncs) > before
        before = len(syncs)
        await driver.run(add_alone(f"alone {n}"))
        assert len(syncs) > before
    await driver.close()
    vfs.unregister()


WRITER = textwrap.dedent(
    """
    import asyncio, sys
    from pathlib import Path
    from stores.test_sqlite_driver import add, opened

    async def main() -> None:
        driver = await opened(Path(sys.argv[1]))
        for n in range(int(sys.argv[3])):
            print(await driver.run(add(f"{sys.argv[2]}{n}")), flush=True)
        await driver.close()

    asyncio.run(main())
    """
)


def spawn(database: Path, name: str, rounds: int) -> subprocess.Popen[str]:
    tests = Path(__file__).parents[1]
    paths = [str(tests), str(tests.parent / "src"), os.environ.get("PYTHONPATH", "")]
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(database), name, str(rounds)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        stdout=subprocess.PIPE,
        text=True,
    )


async def test_several_processes_write_to_one_file(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    driver = await opened(path)
    children = [spawn(path, name, 100) for name in ("x", "y")]

    for n in range(100):
        await driver.run(add(f"z{n}"))
    outputs = [await asyncio.to_thread(child.communicate) for child in children]

    assert [len(output.split()) for output, _ in outputs] == [100, 100]
    assert await driver.run(count()) == 300
    await driver.close()


async def test_nothing_that_was_acknowledged_is_lost_to_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    for turn in range(3):
        child = spawn(path, f"k{turn}:", 100_000)
        assert child.stdout is not None
        acknowledged = [child.stdout.readline() for _ in range(40)]
        child.send_signal(signal.SIGKILL)
        rest, _ = child.communicate()
        acknowledged += [line for line in rest.splitlines(keepends=True) if line.endswith("\n")]

        driver = await opened(path)
        stored = (
            apsw.Connection(str(path))
            .execute("SELECT count(*) FROM things WHERE name LIKE ?", (f"k{turn}:%",))
            .fetchall()[0][0]
        )
        assert stored in (len(acknowledged), len(acknowledged) + 1)
        assert await driver.integrity() == []
        await driver.close()


class NarrowDriver(SqliteDriver):
    """Holds rows of 100,000 bytes: SQLite's own limit is a gigabyte."""

    def _connect_writer(self) -> apsw.Connection:
        connection = super()._connect_writer()
        connection.limit(apsw.SQLITE_LIMIT_LENGTH, 100_000)
        return connection


async def test_what_the_database_cannot_hold_is_refused_for_good_and_hurts_nobody_else(tmp_path: Path) -> None:
    driver = NarrowDriver(str(tmp_path / "a.db"), SystemClock())
    await driver.open()
    await driver.run(make())

    small, refused, other = await asyncio.gather(
        driver.run(add("small")), driver.run(add("large", 200_000)), driver.run(add("other")), return_exceptions=True
    )

    assert isinstance(refused, ValueTooLarge)
    assert (refused.size_bytes, refused.limit_bytes) == (200_005, 100_000)
    assert "make it smaller" in refused.message
    assert (small, other) == ("small", "other")
    assert await driver.run(count()) == 2
    await driver.close()


async def until_busy(driver: SqliteDriver) -> None:
    """Waits until the writer thread has taken what was submitted."""
    for _ in range(1_000):
        await asyncio.sleep(0.001)
        if driver._pending and driver._writer._queue.empty():
            return
    raise AssertionError("the writer took nothing in a second")
