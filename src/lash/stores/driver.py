"""What a driver offers to the facets, whichever database is behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from lash.base.tier import DurabilityTier
from lash.sessions.errors import StoreError
from lash.stores.program import Program

T = TypeVar("T")


class UniqueViolation(StoreError):
    """A row with this key is there already. Programs that can meet it translate it."""

    code = "unique_violation"


class Counters:
    """What a driver has done so far: tests count commits with it."""

    __slots__ = ("programs", "statements", "transactions")

    def __init__(self) -> None:
        self.transactions = 0
        self.statements = 0
        self.programs = 0


class Driver(Protocol):
    """Runs programs."""

    counters: Counters
    tier: DurabilityTier
    # Called on the event loop after a program of this process that asked to `notify` became durable.
    on_commit: Callable[[], None]

    async def run(self, program: Program[T]) -> T:
        """The program's value once it is durable.

        A cancelled caller waits until its running program has ended; a program that
        was still queued is withdrawn. Raises what the program raises, and
        `StoreUnavailable` or `StoredDataCorrupt` for the database's own trouble.
        """
        ...

    async def close(self) -> None:
        """Waits for what was submitted, then lets go of everything."""
        ...
