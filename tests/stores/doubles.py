"""Backends for tests: one whose programs all run twice, one with a VFS or a page limit of the test's choice."""

from __future__ import annotations

from typing import TypeVar

from lash.base.clock import Clock, SystemClock
from lash.stores import Store
from lash.stores.backend import SqliteBackend
from lash.stores.driver import Driver
from lash.stores.program import Program

T = TypeVar("T")


class TwiceDriver:
    """Runs every write twice with the same arguments, as after a lost acknowledgement; the second answer counts."""

    def __init__(self, inner: Driver) -> None:
        self._inner = inner
        self.counters = inner.counters
        self.tier = inner.tier
        self.on_commit = inner.on_commit
        self.seen: set[str] = set()

    async def run(self, program: Program[T]) -> T:
        """Once for reads, twice for writes."""
        if program.mode == "read":
            return await self._inner.run(program)
        self.seen.add(program.name)
        await self._inner.run(program)
        return await self._inner.run(program)

    async def close(self) -> None:
        """Closes the driver beneath."""
        await self._inner.close()


async def open_twice(where: str) -> tuple[Store, TwiceDriver]:
    """A store whose programs all run twice."""
    backend = SqliteBackend(where, SystemClock(), read_only=False)
    twice = TwiceDriver(backend.driver)
    backend.driver = twice
    return await Store.over(backend), twice


async def open_limited(
    where: str, *, clock: Clock | None = None, vfs: str | None = None, max_pages: int | None = None
) -> Store:
    """A store on one file, through a VFS or with at most so many pages."""
    backend = SqliteBackend(where, clock or SystemClock(), read_only=False, vfs=vfs, max_pages=max_pages)
    return await Store.over(backend, clock=clock)
