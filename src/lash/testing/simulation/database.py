"""The database of a simulated world: the shipped SQL on one SQLite connection, and everything that can go wrong
between it and a host.

A program runs at once, whole, in one transaction, as it would for a host that got the lock. Before it
lies the way there and behind it the way back, and on both a host may be paused, be killed or lose its patience.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Final, Literal, TypeAlias, TypeVar

from lash.base.tier import DurabilityTier
from lash.sessions.errors import StoreUnavailable
from lash.stores.changes import ChangeSource
from lash.stores.driver import Counters, Driver
from lash.stores.liveness import Liveness
from lash.stores.program import Program
from lash.stores.sql import migrate as schema_sql
from lash.stores.sqlite_connection import StepRunner, open_connection, translated
from lash.testing.simulation.loop import SimulatedHost, SimulatedLoop
from lash.testing.simulation.time import WorldClock

T = TypeVar("T")
# A row as laws read it.
Facts: TypeAlias = tuple[int | str, ...]
# refused: nothing reached the database; unacknowledged: it did, and the host hears of an error;
# repeated: it did, and the driver asks again because the answer got lost
Trouble: TypeAlias = Literal["refused", "unacknowledged", "repeated"]

# What a notification that got lost is made good by: the same second as on PostgreSQL.
LOOK_AGAIN_S: Final = 1.0


class StoreTrouble(StoreUnavailable):
    """The store failed because the script said so."""

    code = "simulated_store_trouble"


class HostKilled(StoreUnavailable):
    """The host behind this store is dead."""

    code = "simulated_host_killed"


@dataclass(slots=True)
class Weather:
    """How the way between one host and the store is. `slow_ms` is added to each of the next `slow` programs."""

    slow: int = 0
    slow_ms: int = 0
    failing: int = 0
    trouble: Trouble = "refused"

    def clear(self) -> None:
        """Fine again."""
        self.slow = self.failing = 0


class World:
    """One database, its hosts, and the log of what they did."""

    def __init__(self, loop: SimulatedLoop, clock: WorldClock, random: Random) -> None:
        self.loop = loop
        self.clock = clock
        self.trace: list[str] = []
        self.counters = Counters()
        self.random = random
        self.feeds: dict[SimulatedHost, list[SimulatedFeed]] = {}
        # Executor ids, and the host that holds their lock.
        self.locks: dict[str, SimulatedHost] = {}
        # How long the system takes to notice that a host is dead.
        self.notice_death_ms = 0
        self.died_at: dict[SimulatedHost, int] = {}
        # Told after every program that wrote, with the wall clock.
        self.after_write: Callable[[int], None] = lambda _now_ms: None
        self._connection = open_connection(":memory:", clock.now_ms)
        self._connection.deserialize("main", _empty_database())
        self._runner = StepRunner(self._connection, self.counters)

    def tell(self, who: str, what: str) -> None:
        """One line of the log."""
        self.trace.append(f"{int(self.loop.time() * 1_000):>8} {who}: {what}")

    def query(self, sql: str, *args: str | int | None) -> list[Facts]:
        """Looks into the database, for laws. Nothing becomes the empty text."""
        rows = self._connection.execute(sql, args).fetchall()
        return [tuple(cell if isinstance(cell, int | str) else str(cell or "") for cell in row) for row in rows]

    def run(self, program: Program[T], host: SimulatedHost) -> T:
        """Runs a program in one transaction, and tells other hosts of its news."""
        self._connection.execute("BEGIN")
        try:
            value = self._runner.run(program)
            self._connection.execute("COMMIT")
        except Exception as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            seen = translated(error, "simulation")
            self.tell(host.name, f"{program.name} raised {type(seen).__name__}")
            raise seen from error
        self.tell(host.name, program.name)
        if program.mode != "read":
            self.counters.transactions += 1
            self.after_write(self.clock.now_ms())
        self.counters.programs += 1
        return value

    @property
    def has_news(self) -> bool:
        """Whether the program that ran last wants others to look."""
        return self._runner.has_news

    def notify(self, sender: SimulatedHost) -> None:
        """Tells every other host, late, twice or not at all."""
        for host, feeds in self.feeds.items():
            if host is sender or host.state == "dead":
                continue
            for feed in feeds:
                luck = self.random.random()
                for _ in range(0 if luck < 0.1 else 2 if luck > 0.9 else 1):
                    self.loop.call_later(self.random.random() ** 3 * 0.4, feed.ring, context=host.context)

    def close(self) -> None:
        """Lets go of the database."""
        self._connection.close()


class SimulatedDriver:
    """One host's way to the database."""

    def __init__(self, world: World, host: SimulatedHost) -> None:
        self.counters = Counters()
        self.tier: DurabilityTier = "durable"
        self.on_commit: Callable[[], None] = lambda: None
        self.weather = Weather()
        self.is_buried = False
        self._world = world
        self._host = host
        self._submitted = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def run(self, program: Program[T]) -> T:
        """See `Driver`. Raises `StoreTrouble` as the script said, and `HostKilled` at the funeral."""
        self._refuse()
        self._submitted += 1
        self._idle.clear()
        try:
            return await self._run(program)
        finally:
            self._submitted -= 1
            if not self._submitted:
                self._idle.set()

    async def close(self) -> None:
        """See `Driver`."""
        if not self.is_buried:
            await self._idle.wait()

    async def _run(self, program: Program[T]) -> T:
        weather, random = self.weather, self._world.random
        delay_ms = 0
        if weather.slow:
            weather.slow -= 1
            delay_ms = weather.slow_ms
        trouble: Trouble | None = None
        if weather.failing:
            weather.failing -= 1
            trouble = weather.trouble
        await self._on_the_way(delay_ms * random.random())  # cancelled here: it never happened
        self._refuse()
        if trouble == "refused":
            raise StoreTrouble(f"{program.name}: the store cannot be reached; nothing was written, try again")
        value, failure, has_news, is_cancelled = None, None, False, False
        try:
            value = self._world.run(program, self._host)
            has_news = self._world.has_news
            if trouble == "repeated":
                is_cancelled = await self._on_the_way_back(delay_ms)
                self._refuse()
                value = self._world.run(program, self._host)
        except Exception as error:
            failure = error
        if has_news:
            self._world.notify(self._host)
        self.counters.transactions += program.mode != "read"
        self.counters.programs += 1
        is_cancelled = await self._on_the_way_back(delay_ms * random.random()) or is_cancelled
        self._refuse()
        if has_news:
            self.on_commit()
        if is_cancelled:
            raise asyncio.CancelledError
        if failure is not None:
            raise failure
        if trouble == "unacknowledged":
            raise StoreTrouble(f"{program.name}: the connection was lost before the answer came")
        return value  # type: ignore[return-value]

    def _refuse(self) -> None:
        if self.is_buried:
            raise HostKilled("the host was killed")

    async def _on_the_way(self, delay_ms: float) -> None:
        luck = self._world.random.random()
        # Most programs take no time at all, so that a script is not all about waiting.
        delay_ms += 0 if luck < 0.8 else luck * 8
        await asyncio.sleep(delay_ms / 1_000)

    async def _on_the_way_back(self, delay_ms: float) -> bool:
        """A transaction cannot be recalled: a cancelled caller waits. Whether it was cancelled."""
        try:
            await self._on_the_way(delay_ms)
        except asyncio.CancelledError:
            if not self.is_buried:
                await self._on_the_way(0)
            return True
        return False


class SimulatedFeed:
    """Notifications as one host hears them."""

    def __init__(self) -> None:
        self._signal = asyncio.Event()

    def ring(self) -> None:
        """A notification has arrived."""
        self._signal.set()

    async def wait(self) -> bool:
        """Until the next one, at most a second."""
        try:
            async with asyncio.timeout(LOOK_AGAIN_S):
                await self._signal.wait()
        except TimeoutError:
            pass
        self._signal.clear()
        return True

    async def close(self) -> None:
        """Nothing to do."""


class SimulatedLocks:
    """Executor locks. A paused host keeps its own; that of a dead one is free once the system has noticed."""

    def __init__(self, world: World, host: SimulatedHost) -> None:
        self._world = world
        self._host = host

    async def hold(self, executor_id: str) -> None:
        """See `Liveness`."""
        self._world.locks[executor_id] = self._host

    async def release(self, executor_id: str) -> None:
        """See `Liveness`."""
        self._world.locks.pop(executor_id, None)

    async def is_dead(self, executor_id: str) -> bool:
        """See `Liveness`."""
        holder = self._world.locks.get(executor_id)
        if holder is None:
            return True
        if holder.state != "dead":
            return False
        return int(self._world.loop.time() * 1_000) >= self._world.died_at[holder] + self._world.notice_death_ms

    async def close(self) -> None:
        """See `Liveness`: an orderly end gives every lock back."""
        for executor_id in [key for key, holder in self._world.locks.items() if holder is self._host]:
            del self._world.locks[executor_id]


class SimulatedBackend:
    """What a store of one host stands on."""

    where = "simulation"

    def __init__(self, world: World, host: SimulatedHost) -> None:
        self._world = world
        self._host = host
        self.way = SimulatedDriver(world, host)
        self.driver: Driver = self.way
        self.liveness: Liveness = SimulatedLocks(world, host)

    async def open(self) -> None:
        """See `Backend`: there is nothing to connect to."""

    async def watch(self) -> ChangeSource:
        """See `Backend`."""
        feed = SimulatedFeed()
        self._world.feeds.setdefault(self._host, []).append(feed)
        return feed

    async def prepare(self) -> None:
        """See `Backend`."""

    async def problems(self) -> list[str]:
        """See `Backend`."""
        return [str(row[0]) for row in self._world.query("PRAGMA integrity_check") if row[0] != "ok"]

    async def compact(self) -> None:
        """See `Backend`."""

    async def size_bytes(self) -> int:
        """See `Backend`."""
        return 0


@cache
def _empty_database() -> bytes:
    """A fresh database of this release, made once: building it costs more than a short life in it."""
    connection = open_connection(":memory:", lambda: 0)
    try:
        runner = StepRunner(connection, Counters())
        connection.execute("BEGIN")
        runner.run(schema_sql.migrate("simulation", upgrade=False))
        connection.execute("COMMIT")
        return bytes(connection.serialize("main"))
    finally:
        connection.close()
