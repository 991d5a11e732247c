"""The writer thread: many programs, one transaction, one fsync.

1. `submit` puts the programs of one loop tick on the queue; the thread takes what
   is there (at most 128) and opens `BEGIN IMMEDIATE`. A lone `single` needs none:
   its statement is the transaction.
2. The first program, and every `single`, runs bare; others inside a savepoint. A
   failing program is rolled back alone.
3. One COMMIT. Values *and exceptions* are delivered after it: an exception may
   quote a neighbour's rows that were not durable yet.
4. One wake-up of the event loop per commit.
5. Some errors (disk full, I/O) end the whole transaction. Then the innocent
   programs run again in a new group and the guilty one gets its error.

A program belongs either to the writer or to a cancelled caller: whoever takes
its token first.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar, cast

import apsw

from lash.sessions.errors import StoreUnavailable
from lash.stores.driver import Counters
from lash.stores.program import Program
from lash.stores.sqlite_connection import StepRunner, translated

T = TypeVar("T")

MAX_GROUP: Final = 128
_IDLE_CHECKPOINT_S: Final = 1.0


class Ticket(Generic[T]):
    """One submitted program, its caller's future, and the token that says who has it."""

    __slots__ = ("_ended", "_token", "future", "is_settled", "loop", "program")

    def __init__(self, program: Program[T], loop: asyncio.AbstractEventLoop) -> None:
        self.program = program
        self.loop = loop
        self.future: asyncio.Future[T] = loop.create_future()
        self.is_settled = False
        self._token = [True]
        self._ended: asyncio.Event | None = None

    def take(self) -> bool:
        """Takes the program; False when the other side was first. Safe between threads."""
        try:
            return self._token.pop()
        except IndexError:
            return False

    def settle(self, value: T, error: BaseException | None) -> None:
        """Tells the caller what came of it, or that it has ended when the caller left."""
        self.is_settled = True
        if self._ended is not None:
            self._ended.set()
        if self.future.done():
            return
        if error is None:
            self.future.set_result(value)
        else:
            self.future.set_exception(error)
            self.future.exception()  # a caller that left must not leave a "never retrieved" behind

    async def until_settled(self) -> None:
        """Waits for a transaction that cannot be recalled, however often we are cancelled."""
        while not self.is_settled:
            if self._ended is None:
                self._ended = asyncio.Event()
            try:
                await self._ended.wait()
            except asyncio.CancelledError:
                continue


class Delivery:
    """What came of one program."""

    __slots__ = ("error", "has_news", "ticket", "value")

    def __init__(
        self, ticket: Ticket[object], value: object, error: BaseException | None, *, has_news: bool = False
    ) -> None:
        self.has_news = has_news
        self.ticket = ticket
        self.value = value
        self.error = error


class Writer:
    """Owns the one writing connection of this process."""

    def __init__(
        self,
        connect: Callable[[], apsw.Connection],
        where: str,
        counters: Counters,
        delivered: Callable[[Sequence[Delivery]], None],
        *,
        daemon: bool = True,
    ) -> None:
        self._connect = connect
        self._where = where
        self._counters = counters
        self._delivered = delivered
        self._queue: queue.SimpleQueue[list[Ticket[object]] | None] = queue.SimpleQueue()
        self._opened: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._main, name=f"lash-writer {where}", daemon=daemon)

    def start(self) -> None:
        """Opens the connection on the thread; raises what opening raised."""
        self._thread.start()
        error = self._opened.get()
        if error is not None:
            self._thread.join()
            raise error

    def submit(self, tickets: list[Ticket[object]]) -> None:
        """Queues programs in order."""
        self._queue.put(tickets)

    def stop(self) -> None:
        """Ends the thread after everything queued before; blocks until it is gone."""
        if not self._thread.is_alive():
            return
        self._queue.put(None)
        self._thread.join()

    def _main(self) -> None:
        try:
            connection = self._connect()
        except BaseException as error:
            self._opened.put(translated(error, self._where) if isinstance(error, Exception) else error)
            return
        self._connection = connection
        self._runner = StepRunner(connection, self._counters)
        self._opened.put(None)
        try:
            self._serve()
        finally:
            del self._runner
            _close(connection)

    def _serve(self) -> None:
        is_clean = True
        while True:
            try:
                tickets = self._queue.get(timeout=None if is_clean else _IDLE_CHECKPOINT_S)
            except queue.Empty:
                _checkpoint(self._connection)
                is_clean = True
                continue
            is_clean = False
            group: list[Ticket[object]] = []
            is_last = tickets is None
            while tickets is not None:
                group += tickets
                if len(group) >= MAX_GROUP:
                    break
                try:
                    tickets = self._queue.get_nowait()
                except queue.Empty:
                    break
                is_last = tickets is None
            for start in range(0, len(group), MAX_GROUP):
                self._run_group([ticket for ticket in group[start : start + MAX_GROUP] if ticket.take()])
            if is_last:
                return

    def _run_group(self, tickets: list[Ticket[object]]) -> None:
        while tickets:
            try:
                if len(tickets) == 1 and tickets[0].program.mode == "single":
                    done, tickets = [self._run_alone(tickets[0])], []
                else:
                    done, tickets = self._run_transaction(tickets)
            except Exception as error:  # even the rollback failed: nobody may wait for ever
                seen = StoreUnavailable(f"{self._where}: {error}")
                done, tickets = [Delivery(ticket, None, seen) for ticket in tickets], []
            self._deliver(done)

    def _run_alone(self, ticket: Ticket[object]) -> Delivery:
        """One statement is its own transaction."""
        connection = self._connection
        try:
            value = self._runner.run(ticket.program, is_alone=True)
            if connection.in_transaction:
                connection.execute("COMMIT")
        except Exception as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            return Delivery(ticket, None, translated(error, self._where))
        self._counters.transactions += 1
        self._counters.programs += 1
        return Delivery(ticket, value, None, has_news=self._runner.has_news)

    def _run_transaction(self, tickets: list[Ticket[object]]) -> tuple[list[Delivery], list[Ticket[object]]]:
        """Runs programs in one transaction: what is to be delivered, and what must run again."""
        connection = self._connection
        done: list[Delivery] = []
        try:
            connection.execute("BEGIN IMMEDIATE")
            for position, ticket in enumerate(tickets):
                delivery = self._run_one(ticket, is_first=position == 0)
                done.append(delivery)
                if not connection.in_transaction:  # this one took the whole transaction down
                    innocent = [other for other in tickets if other is not ticket]
                    return [delivery], innocent
            connection.execute("COMMIT")
            self._counters.transactions += 1
        except Exception as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            seen = translated(error, self._where)
            if not isinstance(seen, StoreUnavailable):
                seen = StoreUnavailable(f"{self._where}: the commit failed: {seen}")
            return [Delivery(ticket, None, seen) for ticket in tickets], []
        self._counters.programs += len(done)
        return done, []

    def _run_one(self, ticket: Ticket[object], *, is_first: bool) -> Delivery:
        connection = self._connection
        program = ticket.program
        is_bare = is_first or program.mode == "single"
        if not is_bare:
            connection.execute("SAVEPOINT p")
        try:
            value = self._runner.run(program)
        except Exception as error:
            if connection.in_transaction:
                if not is_bare:
                    connection.execute("ROLLBACK TO p")
                    connection.execute("RELEASE p")
                elif is_first:
                    connection.execute("ROLLBACK")
                    connection.execute("BEGIN IMMEDIATE")
            return Delivery(ticket, None, translated(error, self._where))
        if not is_bare:
            connection.execute("RELEASE p")
        return Delivery(ticket, value, None, has_news=self._runner.has_news)

    def _deliver(self, done: list[Delivery]) -> None:
        by_loop: dict[asyncio.AbstractEventLoop, list[Delivery]] = {}
        for delivery in done:
            by_loop.setdefault(delivery.ticket.loop, []).append(delivery)
        for loop, deliveries in by_loop.items():
            try:
                loop.call_soon_threadsafe(self._delivered, deliveries)
            except RuntimeError:  # the loop is closed: nobody waits any more
                continue


def settle(deliveries: Sequence[Delivery]) -> None:
    """Completes the callers' futures; runs on their loop."""
    for delivery in deliveries:
        delivery.ticket.settle(delivery.value, delivery.error)


def erased(ticket: Ticket[T]) -> Ticket[object]:
    """A ticket as the writer sees it."""
    return cast("Ticket[object]", ticket)


def _checkpoint(connection: apsw.Connection) -> None:
    with contextlib.suppress(apsw.Error):  # it is only tidying up; the next commit does it
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)


def _close(connection: apsw.Connection) -> None:
    with contextlib.suppress(apsw.Error):  # other processes still read; the last one to leave truncates
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    connection.close()
