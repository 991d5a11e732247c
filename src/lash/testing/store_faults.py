"""A store that fails when a test says so: before a write, or after it, when its acknowledgement is lost.

```python
faults = StoreFaults()
store = await faults.open("agent.db")
faults.fail("commit", lost_acknowledgement=True)  # the commit is durable, and nobody is told
```
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from lash.base.clock import Clock, SystemClock
from lash.base.errors import InvalidArgument
from lash.base.tier import DurabilityTier
from lash.sessions.errors import StoreUnavailable
from lash.stores.backend import Backend, backend_of
from lash.stores.changes import ChangeSource
from lash.stores.driver import Counters, Driver
from lash.stores.liveness import Liveness
from lash.stores.program import Mode, Program
from lash.stores.store import Store

T = TypeVar("T")


class InjectedFault(StoreUnavailable):
    """A failure that a test asked for."""

    code = "injected_fault"


@dataclass(slots=True)
class _Rule:
    what: str
    after: int
    times: int
    lost_acknowledgement: bool

    def meets(self, name: str, mode: Mode) -> bool:
        """Whether this program fails now; counts it."""
        if self.times == 0 or self.what not in (name, "read" if mode == "read" else "write"):
            return False
        if self.after:
            self.after -= 1
            return False
        self.times -= 1
        return True


class StoreFaults:
    """Rules for one store's failures. Added in 0.1."""

    def __init__(self) -> None:
        self._rules: list[_Rule] = []
        # The programs that ran or failed, by name, in order: what there is to fail.
        self.programs: list[str] = []

    def fail(self, what: str = "write", *, times: int = 1, after: int = 0, lost_acknowledgement: bool = False) -> None:
        """From the `after`-th on, `times` programs fail with `StoreUnavailable`.

        `what` is `write`, `read`, or the name of a store program as in `programs` (`accept_turn`, `commit`).
        """
        if times < 1 or after < 0:
            raise InvalidArgument(f"times={times}, after={after}: give at least one time, and no negative start")
        self._rules.append(_Rule(what, after, times, lost_acknowledgement))

    def heal(self) -> None:
        """Nothing fails any more."""
        self._rules.clear()

    async def open(self, where: str, *, schema: str | None = None, clock: Clock | None = None) -> Store:
        """A store under these rules; see `Store.open`."""
        clock = clock or SystemClock()
        return await Store.over(_FaultyBackend(backend_of(where, schema, clock, read_only=False), self), clock=clock)

    def _meets(self, program: Program[T]) -> _Rule | None:
        self.programs.append(program.name)
        return next((rule for rule in self._rules if rule.meets(program.name, program.mode)), None)


class _FaultyDriver:
    def __init__(self, inner: Driver, faults: StoreFaults) -> None:
        self._inner = inner
        self._faults = faults
        self.counters: Counters = inner.counters
        self.tier: DurabilityTier = inner.tier
        self.on_commit: Callable[[], None] = lambda: None
        inner.on_commit = self._committed

    async def run(self, program: Program[T]) -> T:
        rule = self._faults._meets(program)
        if rule is not None and not rule.lost_acknowledgement:
            raise InjectedFault(f"{program.name} fails as the test asked")
        answer = await self._inner.run(program)
        if rule is not None:
            raise InjectedFault(f"the acknowledgement of {program.name} is lost as the test asked")
        return answer

    async def close(self) -> None:
        await self._inner.close()

    def _committed(self) -> None:
        self.on_commit()


class _FaultyBackend:
    def __init__(self, inner: Backend, faults: StoreFaults) -> None:
        self._inner = inner
        self.where = inner.where
        self.driver: Driver = _FaultyDriver(inner.driver, faults)
        self.liveness: Liveness = inner.liveness

    async def open(self) -> None:
        await self._inner.open()

    async def watch(self) -> ChangeSource:
        return await self._inner.watch()

    async def prepare(self) -> None:
        await self._inner.prepare()

    async def problems(self) -> list[str]:
        return await self._inner.problems()

    async def compact(self) -> None:
        await self._inner.compact()

    async def size_bytes(self) -> int:
        return await self._inner.size_bytes()
