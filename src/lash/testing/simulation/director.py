"""The director of a simulated world plays a script: hosts start and end, stores fail, people ask."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from random import Random

from lash.base.waiting import first_of
from lash.core import LashCore, StandardCore
from lash.testing.lab.watch import Execution
from lash.testing.simulation import steps
from lash.testing.simulation.agent import AgentNotes, agent_model, agent_tools
from lash.testing.simulation.callers import Callers
from lash.testing.simulation.database import World
from lash.testing.simulation.hosts import HostLife, MakeCore, Place
from lash.testing.simulation.laws import Laws
from lash.testing.simulation.rest import Rest
from lash.testing.simulation.steps import Step
from lash.testing.simulation.time import SeededIds


class Director:
    """Plays one script in one world."""

    def __init__(self, seed: int, world: World, make: MakeCore | None) -> None:
        self.world = world
        self.notes = AgentNotes()
        self.laws = Laws(world, self.notes)
        world.after_write = self.laws.after_write
        self._seed = seed
        self._random = Random(f"{seed}:director")
        self._make = make or self._own_agent
        self._lives: dict[int, HostLife] = {}
        self._all_lives: list[HostLife] = []
        self._callers = Callers(world, self.laws)
        self._rest = Rest(world, self.laws, self._callers, self._lives, self._random)
        world.notice_death_ms = self._random.choice((0, 0, 0, 2_000, 40_000))
        proof = "at once" if not world.notice_death_ms else f"after {world.notice_death_ms} ms"
        world.tell("world", f"there is proof of a death {proof}")

    async def play(self, script: Sequence[Step]) -> None:
        """Plays every step, then brings the world to rest and looks at the laws. The first broken one ends it."""
        await first_of(self._play(script), self.laws.are_broken.wait())

    async def clear(self) -> None:
        """Ends every task of the world."""
        for life in self._all_lives:
            await life.bury()

    async def _play(self, script: Sequence[Step]) -> None:
        for step in script:
            self.world.tell("script", repr(step))
            await self._do(step)
            await asyncio.sleep(0)
            self.laws.after_step()
        await self._come_to_rest()

    async def _do(self, step: Step) -> None:
        match step:
            case steps.Wait(ms=ms):
                await asyncio.sleep(ms / 1_000)
                return
            case steps.ClockSet(ms=ms):
                self.world.clock.step(ms)
                return
            case steps.Open(host=number):
                if number not in self._lives or not self._lives[number].is_alive:
                    self._start(number)
                return
            case _:
                pass
        life = self._lives.get(step.host)
        if life is None or not life.is_alive:
            self.world.tell("script", "skipped: the host is not there")
            return
        match step:
            case steps.Crash(after=after):
                life.host.after(after, life.kill)
            case steps.Pause(ms=ms, after=after):
                life.host.after(after, partial(life.pause, ms))
            case steps.StoreFails(programs=count, trouble=trouble):
                life.weather.failing, life.weather.trouble = count, trouble
            case steps.StoreSlow(programs=count, ms=ms):
                life.weather.slow, life.weather.slow_ms = count, ms
            case steps.Leave(turn=turn):
                self._callers.leave(life, step.host, turn)
            case _:
                self._callers.call(life, step)

    async def _come_to_rest(self) -> None:
        """Nothing goes wrong any more; everything that was accepted has to end."""
        self.world.tell("script", "the end; nothing goes wrong any more")
        ending = self._random.choice(("crash", "close", "stay"))
        for life in self._lives.values():
            life.host.disarm()
            life.weather.clear()
            life.resume()
            if ending == "crash":
                life.kill()
            elif ending == "close" and life.is_alive:
                self._callers.call(life, steps.Close(host=-1))
        if ending == "close":
            await self._rest.until(lambda: all(life.is_over for life in self._all_lives), "close")
        # What noticed a death late has noticed it by now.
        await asyncio.sleep(self.world.notice_death_ms / 1_000)
        last = self._start(len(self._lives) + 100)
        await self._rest.until_quiet(last)
        self._callers.ask_again(last)
        await self._rest.until_quiet(last)
        self.laws.at_rest(self._callers.said())
        for life in list(self._lives.values()):
            if life.is_alive:
                await self._rest.until_done(self._callers.call(life, steps.Close(host=-1)), "an orderly close")

    def _start(self, number: int) -> HostLife:
        name = f"host{number}.{len(self._all_lives)}"
        ids = SeededIds(self.world.clock, Random(f"{self._seed}:{name}"))
        life = HostLife(self.world, name, self._make, ids, self._ran)
        self._lives[number] = life
        self._all_lives.append(life)
        return life

    def _ran(self, life: HostLife, execution: Execution) -> None:
        self.world.tell(life.host.name, f"runs {execution.name} {execution.key}")
        if life.core is not None:
            self.laws.on_run(execution, life.core.executor_id)

    def _own_agent(self, place: Place) -> LashCore:
        random = Random(f"{self._seed}:model:{place.host_id}")
        return StandardCore(
            model=agent_model(self.notes, place.clock, random),  # type: ignore[arg-type]
            tools=agent_tools(self.notes),
            store=place.store,
            effect_host=place.effect_host,
            clock=place.clock,
            ids=place.ids,
            host_id=place.host_id,
        )
