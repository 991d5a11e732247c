"""The SQLite driver: one writer thread, two reader threads, one file.

Writes go through group commit (`sqlite_writer.py`). Reads run on their own
connections and see every write that was awaited before. `:memory:` has one
connection, on the writer thread, and reads queue there too: two connections
would silently be two databases.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

import apsw

from lash.base.clock import Clock
from lash.base.tier import DurabilityTier
from lash.base.waiting import to_its_end
from lash.sessions.errors import StoreUnavailable
from lash.stores.driver import Counters
from lash.stores.program import Program
from lash.stores.sqlite_connection import StepRunner, open_connection, translated
from lash.stores.sqlite_writer import Delivery, Ticket, Writer, erased, settle

T = TypeVar("T")

READERS: Final = 2
# Past this many unanswered writes submitters wait: memory stays bounded.
MAX_PENDING: Final = 1024


class SqliteDriver:
    """Runs programs on one SQLite database."""

    def __init__(
        self,
        path: str,
        clock: Clock,
        *,
        read_only: bool = False,
        vfs: str | None = None,
        max_pages: int | None = None,
    ) -> None:
        self.path = path
        self.counters = Counters()
        self.is_memory = path == ":memory:"
        self.tier: DurabilityTier = "inline" if self.is_memory else "durable"
        self.on_commit: Callable[[], None] = lambda: None
        self._clock = clock
        self._read_only = read_only
        self._vfs = vfs
        self._max_pages = max_pages
        self._tick: list[Ticket[object]] = []
        self._pending = 0
        self._room: asyncio.Event | None = None
        self._reads: queue.SimpleQueue[Ticket[object] | None] = queue.SimpleQueue()
        self._readers: list[threading.Thread] = []
        self._is_closed = False
        self._writer = Writer(self._connect_writer, path, self.counters, self._delivered)

    async def open(self) -> None:
        """Opens the writing connection, or checks that the file can be read."""
        self._check_path()
        if self._read_only:
            # Wrong permissions and damaged files must show at open, not at the first read.
            await asyncio.to_thread(self._probe)
        else:
            # A cancel that left it opening would leave a thread inside SQLite when the interpreter ends.
            await to_its_end(asyncio.to_thread(self._writer.start))

    async def run(self, program: Program[T]) -> T:
        """See `Driver.run`."""
        if self._is_closed:
            raise StoreUnavailable(f"{self.path} was closed; open the store again")
        if program.mode == "read" and not self.is_memory:
            return await self._read(program)
        if self._read_only:
            raise StoreUnavailable(f"{self.path} was opened read-only; open it without read_only to write")
        if self._pending >= MAX_PENDING:
            await self._wait_for_room()
        return await self._write(program)

    async def watch(self) -> DataVersion | None:
        """What tells that any process has committed; None in memory, where nobody else can."""
        if self.is_memory:
            return None
        return DataVersion(await asyncio.to_thread(self._connect_reader))

    async def integrity(self) -> list[str]:
        """What SQLite's own check finds; empty when the file is sound."""
        rows = await self._on_own_connection("PRAGMA integrity_check(100)")
        return [str(row[0]) for row in rows if row[0] != "ok"]

    async def compact(self) -> None:
        """Rewrites the file without unused pages; waits for writers of other processes."""
        if not self.is_memory:
            await self._on_own_connection("VACUUM", access="write")

    async def size_bytes(self) -> int:
        """The size of the file with its log."""
        files = [Path(self.path), Path(f"{self.path}-wal")]
        return 0 if self.is_memory else sum(file.stat().st_size for file in files if file.exists())

    async def close(self) -> None:
        """Waits for what was submitted, checkpoints, ends the threads; all of it, also when it is cancelled."""
        if self._is_closed:
            return
        self._is_closed = True
        await to_its_end(self._end_threads())

    async def _end_threads(self) -> None:
        self._flush_tick()
        for _ in self._readers:
            self._reads.put(None)
        for reader in self._readers:
            await asyncio.to_thread(reader.join)
        if not self._read_only:
            await asyncio.to_thread(self._writer.stop)
        await asyncio.sleep(0)  # deliveries that the writer has just scheduled

    async def _write(self, program: Program[T]) -> T:
        loop = asyncio.get_running_loop()
        ticket = Ticket(program, loop)
        self._pending += 1
        self._tick.append(erased(ticket))
        if len(self._tick) == 1:
            loop.call_soon(self._flush_tick)
        try:
            return await ticket.future
        except asyncio.CancelledError:
            if ticket.take():  # still queued: it never happened
                self._pending -= 1
                self._make_room()
            else:
                await ticket.until_settled()
            raise

    async def _read(self, program: Program[T]) -> T:
        loop = asyncio.get_running_loop()
        self._start_readers()
        ticket = Ticket(program, loop)
        self._reads.put(erased(ticket))
        try:
            return await ticket.future
        finally:
            ticket.take()

    def _flush_tick(self) -> None:
        tickets, self._tick = self._tick, []
        if tickets:
            self._writer.submit(tickets)

    def _delivered(self, deliveries: Sequence[Delivery]) -> None:
        self._pending -= len(deliveries)
        settle(deliveries)
        self._make_room()
        if any(delivery.has_news for delivery in deliveries):
            self.on_commit()

    async def _wait_for_room(self) -> None:
        while self._pending >= MAX_PENDING:
            if self._room is None or self._room.is_set():
                self._room = asyncio.Event()
            await self._room.wait()

    def _make_room(self) -> None:
        if self._room is not None and self._pending < MAX_PENDING:
            self._room.set()

    def _check_path(self) -> None:
        if self.is_memory or self._vfs is not None:
            return
        folder = Path(self.path).resolve().parent
        if not folder.is_dir():
            raise StoreUnavailable(f"{self.path}: the folder {folder} does not exist; create it first")
        if self._read_only and not Path(self.path).exists():
            raise StoreUnavailable(f"{self.path} does not exist; open it without read_only to create it")

    def _connect_writer(self) -> apsw.Connection:
        return open_connection(self.path, self._clock.now_ms, vfs=self._vfs, max_pages=self._max_pages)

    def _connect_reader(self) -> apsw.Connection:
        access = "read_only" if self._read_only else "query"
        return open_connection(self.path, self._clock.now_ms, access=access, vfs=self._vfs)

    async def _on_own_connection(self, statement: str, *, access: str = "query") -> list[tuple[object, ...]]:
        if self.is_memory:
            return []

        def work() -> list[tuple[object, ...]]:
            try:
                own = "read_only" if self._read_only else access
                connection = open_connection(self.path, self._clock.now_ms, access=own, vfs=self._vfs)
                try:
                    return list(connection.execute(statement).fetchall())
                finally:
                    connection.close()
            except apsw.Error as error:
                raise translated(error, self.path) from error

        return await asyncio.to_thread(work)

    def _probe(self) -> None:
        try:
            connection = self._connect_reader()
            try:
                connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
            finally:
                connection.close()
        except apsw.Error as error:
            raise translated(error, self.path) from error

    def _start_readers(self) -> None:
        while len(self._readers) < READERS:
            name = f"lash-reader {self.path}"
            reader = threading.Thread(target=self._serve_reads, name=name, daemon=True)
            self._readers.append(reader)
            reader.start()

    def _serve_reads(self) -> None:
        connection: apsw.Connection | None = None
        runner: StepRunner | None = None
        while (ticket := self._reads.get()) is not None:
            if not ticket.take():
                continue
            value: object = None
            failure: BaseException | None = None
            try:
                if connection is None or runner is None:
                    connection = self._connect_reader()
                    runner = StepRunner(connection, self.counters)
                value = _read_once(ticket, connection, runner)
            except Exception as error:
                failure = translated(error, self.path)
            try:
                ticket.loop.call_soon_threadsafe(settle, [Delivery(ticket, value, failure)])
            except RuntimeError:  # the loop is closed: nobody waits any more
                continue
        del runner
        if connection is not None:
            connection.close()


def _read_once(ticket: Ticket[object], connection: apsw.Connection, runner: StepRunner) -> object:
    connection.execute("BEGIN")
    try:
        return runner.run(ticket.program)
    finally:
        if connection.in_transaction:
            connection.execute("COMMIT")


class DataVersion:
    """One connection that only watches. A read of it takes microseconds and never waits."""

    __slots__ = ("_connection",)

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def read(self) -> int:
        """A number that differs from the last one when something was committed in between."""
        try:
            version = self._connection.execute("PRAGMA data_version").fetchall()[0][0]
        except apsw.Error as error:
            raise translated(error, self._connection.filename) from error
        assert isinstance(version, int)
        return version

    def close(self) -> None:
        """Lets go of the file."""
        self._connection.close()
