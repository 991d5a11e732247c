"""Power that can be cut: a store behind which the process dies at a chosen instant.

After the cut nothing more reaches the database, whoever asks; the executor lock is free as
soon as the store is closed, as the operating system would free it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, NoReturn, TypeAlias, TypeVar

from lash.base.tier import DurabilityTier
from lash.sessions.errors import StoreUnavailable
from lash.stores.backend import Backend
from lash.stores.changes import ChangeSource
from lash.stores.driver import Counters, Driver
from lash.stores.liveness import Liveness
from lash.stores.program import Program

T = TypeVar("T")
KILLED: Final = "the process was killed by the lab"
Instant: TypeAlias = Literal["before", "after"]


class ProcessKilled(StoreUnavailable):
    """The process behind this store is dead."""

    code = "process_killed"


@dataclass(frozen=True, slots=True)
class WriteCut:
    """Cut at the `number`-th write (from 1) of a life: just before it, or when it is durable and nobody knows."""

    number: int
    when: Instant


class Power:
    """On until it is cut. `writes` names the writes of this life, in order."""

    def __init__(self) -> None:
        self._off = asyncio.Event()
        self._buried = asyncio.Event()
        self.writes: list[str] = []

    @property
    def is_off(self) -> bool:
        """Whether it was cut."""
        return self._off.is_set()

    def cut(self) -> None:
        """From now on nothing reaches the database."""
        self._off.set()

    async def die(self) -> NoReturn:
        """Cuts. A dead process does not go on: whoever died here only hears of it at the funeral."""
        self.cut()
        await self._buried.wait()
        raise ProcessKilled(KILLED)

    def bury(self) -> None:
        """The life is being cleared away: nobody is to wait any longer."""
        self.cut()
        self._buried.set()

    async def outage(self) -> None:
        """Returns when it was cut."""
        await self._off.wait()


class MortalDriver:
    """A driver under a power switch."""

    def __init__(self, inner: Driver, power: Power, cut_at: WriteCut | None) -> None:
        self._inner = inner
        self._power = power
        self._cut_at = cut_at
        self.counters: Counters = inner.counters
        self.tier: DurabilityTier = inner.tier
        self.on_commit: Callable[[], None] = lambda: None
        inner.on_commit = self._committed

    async def run(self, program: Program[T]) -> T:
        """See `Driver`. Raises `ProcessKilled` after the cut."""
        self._refuse()
        if program.mode == "read":
            return await self._inner.run(program)
        self._power.writes.append(program.name)
        cut = self._cut_at if self._cut_at is not None and len(self._power.writes) == self._cut_at.number else None
        if cut is not None and cut.when == "before":
            await self._power.die()
        answer = await self._inner.run(program)
        if cut is not None:
            await self._power.die()
        self._refuse()
        return answer

    async def close(self) -> None:
        """See `Driver`."""
        await self._inner.close()

    def _committed(self) -> None:
        self.on_commit()

    def _refuse(self) -> None:
        if self._power.is_off:
            raise ProcessKilled(KILLED)


class MortalBackend:
    """A backend whose driver is under a power switch."""

    def __init__(self, inner: Backend, power: Power, cut_at: WriteCut | None) -> None:
        self._inner = inner
        self.where = inner.where
        self.driver: Driver = MortalDriver(inner.driver, power, cut_at)
        self.liveness: Liveness = inner.liveness

    async def open(self) -> None:
        """See `Backend`."""
        await self._inner.open()

    async def watch(self) -> ChangeSource:
        """See `Backend`."""
        return await self._inner.watch()

    async def prepare(self) -> None:
        """See `Backend`."""
        await self._inner.prepare()

    async def problems(self) -> list[str]:
        """See `Backend`."""
        return await self._inner.problems()

    async def compact(self) -> None:
        """See `Backend`."""
        await self._inner.compact()

    async def size_bytes(self) -> int:
        """See `Backend`."""
        return await self._inner.size_bytes()
