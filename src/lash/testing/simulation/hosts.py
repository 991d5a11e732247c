"""A core on a simulated host: how it comes up, what is asked of it, how it is cleared away."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from lash.base.clock import Clock
from lash.base.ids import IdSource
from lash.core import LashCore
from lash.hosts.choice import HostChoice
from lash.stores.store import Store
from lash.testing.lab.power import Power
from lash.testing.lab.watch import EffectWatch, Execution, WatchedJournal
from lash.testing.simulation.database import SimulatedBackend, Weather, World
from lash.testing.simulation.loop import SimulatedHost
from lash.testing.simulation.time import SeededIds

# A world is over when its tasks are; one that cannot be cancelled for so long is a bug of its own.
FUNERAL_ROUNDS: Final = 200


@dataclass(frozen=True, slots=True)
class Place:
    """What a core on a simulated host is built with: pass all of it on, everything else is yours."""

    host_id: str
    store: Store
    effect_host: HostChoice
    clock: Clock
    ids: IdSource


MakeCore: TypeAlias = Callable[[Place], LashCore]


@dataclass(slots=True)
class Witness(EffectWatch):
    """Tells of every effect that really runs."""

    on_run: Callable[[Execution], None] = field(default=lambda _execution: None)

    def ran(self, execution: Execution) -> None:
        """See `EffectWatch`."""
        self.on_run(execution)


class HostLife:
    """One life of one host, from its start to its end or death."""

    def __init__(
        self,
        world: World,
        name: str,
        make: MakeCore,
        ids: SeededIds,
        ran: Callable[[HostLife, Execution], None],
    ) -> None:
        self.world = world
        self.host: SimulatedHost = world.loop.add_host(name)
        self.core: LashCore | None = None
        self.is_closing = False
        self.is_closed = False
        self._opened = asyncio.Event()
        self._make = make
        self._ids = ids
        self._backend = SimulatedBackend(world, self.host)
        self._store: Store | None = None
        self._witness = Witness(Power(), on_run=lambda execution: ran(self, execution))
        self.start(self._open(), "open")

    @property
    def weather(self) -> Weather:
        """How its way to the store is."""
        return self._backend.way.weather

    @property
    def is_alive(self) -> bool:
        """Whether it takes what it is asked for, now or when it goes on."""
        return self.host.state != "dead" and not self.is_closing

    @property
    def is_over(self) -> bool:
        """Whether it was killed, or has ended in order."""
        return self.host.state == "dead" or self.is_closed

    def start(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """A task of this host."""
        return self.world.loop.start(self.host, work, name)

    async def opened(self) -> LashCore:
        """The open core."""
        await self._opened.wait()
        assert self.core is not None
        return self.core

    def kill(self) -> None:
        """Nothing of it ever runs again."""
        if self.host.state == "dead":
            return
        self.host.state = "dead"
        self.world.died_at[self.host] = int(self.world.loop.time() * 1_000)
        self.world.tell(self.host.name, "killed")

    def pause(self, ms: int) -> None:
        """It stands still for so long."""
        if self.host.state != "running":
            return
        self.host.state = "paused"
        self.world.tell(self.host.name, f"stands still for {ms} ms")
        self.world.loop.call_later(ms / 1_000, self.resume, context=self.world.loop.outside.context)

    def resume(self) -> None:
        """It goes on as if nothing had happened."""
        if self.host.state == "paused":
            self.host.state = "running"
            self.world.tell(self.host.name, "goes on")

    async def close(self) -> None:
        """An orderly end."""
        core = await self.opened()
        self.is_closing = True
        await core.close()
        assert self._store is not None
        await self._store.close()
        self.is_closed = True

    async def bury(self) -> None:
        """Clears away what a killed host left behind, so that nothing of it leaks out of the world."""
        self._backend.way.is_buried = True
        self.host.disarm()
        self.host.state = "running"
        closing = self.start(self._cleared(), "funeral")
        for _ in range(FUNERAL_ROUNDS):
            if not self.host.tasks:
                break
            for task in list(self.host.tasks.values()):
                if task is not closing:
                    task.cancel()
            await asyncio.sleep(0.001)
        self.world.loop.remove_host(self.host)

    async def _open(self) -> None:
        while True:
            try:
                self._store = await Store.over(self._backend, clock=self.world.clock, ids=self._ids)
                core = self._make(
                    Place(
                        self.host.name.partition(".")[0],
                        self._store,
                        WatchedJournal(self._witness),
                        self.world.clock,
                        self._ids,
                    )
                )
                await core.open()
                break
            except Exception as error:  # what supervises a service starts it again
                self.world.tell(self.host.name, f"open raised {type(error).__name__}")
                await asyncio.sleep(1)
        self.core = core
        self._opened.set()

    async def _cleared(self) -> None:
        if self.core is not None:
            with contextlib.suppress(Exception):
                await self.core.close()
        if self._store is not None:
            with contextlib.suppress(Exception):
                await self._store.close()
