"""`Simulation`: one world, from its first step to its rest."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from typing import Final

from lash.base.errors import ConfigurationError
from lash.testing.simulation.database import World
from lash.testing.simulation.director import Director
from lash.testing.simulation.hosts import MakeCore
from lash.testing.simulation.loop import SimulatedLoop, SimulationStuck
from lash.testing.simulation.script import make_script
from lash.testing.simulation.steps import Step
from lash.testing.simulation.time import WorldClock

# A step costs some hundred callbacks, and coming to rest some thousands; ten times that is a world in circles.
CALLBACKS: Final = 40_000
CALLBACKS_A_STEP: Final = 5_000


@dataclass(slots=True)
class SimulationReport:
    """What came of one world. `digest` is equal for equal worlds, whenever and wherever they are run."""

    seed: int
    script: list[Step]
    problems: list[str]
    trace: list[str]
    callbacks: int
    virtual_ms: int

    @property
    def is_ok(self) -> bool:
        """Whether every law held."""
        return not self.problems

    @property
    def digest(self) -> str:
        """SHA-256 of the trace."""
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()


class Simulation:
    """One world of some hosts over one store, and what happens in it. Added in 0.1.

    The seed decides everything: what people do, what goes wrong, who runs when. `script` takes the first
    two from the caller. `make` builds your own core on each host; without it a built-in agent is simulated.
    """

    def __init__(
        self,
        seed: int,
        *,
        script: Sequence[Step] | None = None,
        hosts: int = 3,
        length: int = 24,
        make: MakeCore | None = None,
    ) -> None:
        if hosts < 1 or length < 1:
            raise ConfigurationError(f"hosts={hosts}, length={length}: a world needs at least one of each")
        self.seed = seed
        self.script = list(script) if script is not None else make_script(Random(f"{seed}:script"), length, hosts)
        self._make = make

    def run(self) -> SimulationReport:
        """Plays the script and looks at the laws. Not inside a running event loop: the world has one of its own."""
        loop = SimulatedLoop(Random(f"{self.seed}:schedule"), CALLBACKS + CALLBACKS_A_STEP * len(self.script))
        clock = WorldClock(loop)
        world = World(loop, clock, Random(f"{self.seed}:world"))
        director = Director(self.seed, world, self._make)
        problems: list[str] = director.laws.problems
        with _quiet():
            asyncio.set_event_loop(None)
            try:
                loop.run_until_complete(director.play(self.script))
            except SimulationStuck as stuck:
                problems.append(str(stuck))
            finally:
                with_problems = list(problems)
                try:
                    loop.run_until_complete(director.clear())
                except SimulationStuck as stuck:
                    with_problems.append(f"the world cannot be cleared away: {stuck}")
                loop.close()
                world.close()
        return SimulationReport(
            self.seed, self.script, with_problems, world.trace, loop.steps, int(loop.time() * 1_000)
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """The runtime's warnings about what the script does to it help nobody."""
    logger = logging.getLogger("lash")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)
