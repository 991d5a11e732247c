"""The rest of a simulated world: nothing goes wrong any more, and everything that was accepted has to end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, Final

from lash.testing.simulation import steps
from lash.testing.simulation.callers import Callers, Retire
from lash.testing.simulation.database import World
from lash.testing.simulation.hosts import HostLife
from lash.testing.simulation.laws import Laws

# How long a world may take to come to rest, in virtual milliseconds: two leases, a retry, a poll, a lot of patience.
REST_MS: Final = 900_000


class Rest:
    """Answers everything, settles every doubt, and tells what stays open all the same."""

    def __init__(
        self, world: World, laws: Laws, callers: Callers, lives: Mapping[int, HostLife], random: Random
    ) -> None:
        self._world = world
        self._laws = laws
        self._callers = callers
        self._lives = lives
        self._random = random

    async def until_quiet(self, life: HostLife) -> None:
        """Returns when nothing is open any more, or breaks a law."""
        started = self._world.loop.time()
        pause_ms = 50
        while True:
            await self.until_done(self._callers.call(life, Retire()), "retiring")
            await self.until_done(self._callers.call(life, steps.Answer(host=-1)), "answering")
            for other in [other for other in self._lives.values() if other.is_alive and other.core is not None]:
                again = self._random.random() < 0.5  # each core knows the doubts that it has met itself
                await self.until_done(self._callers.call(other, steps.Settle(host=-1, again=again)), "settling")
            waits = self._open_work()
            if not waits:
                return
            if (self._world.loop.time() - started) * 1_000 > REST_MS:
                self._laws.broken(f"the world does not come to rest: {'; '.join(waits)}")
                return
            await asyncio.sleep(pause_ms / 1_000)
            pause_ms = min(10_000, pause_ms * 2)

    async def until_done(self, task: asyncio.Task[Any], what: str) -> None:
        """Waits for a task of some host, which may hang."""
        await self.until(task.done, what)

    async def until(self, is_so: Callable[[], bool], what: str) -> None:
        """Looks twice a second; it is a broken law when it takes five minutes."""
        for _ in range(600):
            if is_so():
                return
            await asyncio.sleep(0.5)
        self._laws.broken(f"{what}: not within five minutes")

    def _open_work(self) -> list[str]:
        alive = [life for life in self._lives.values() if life.is_alive]
        waits = self._callers.without_answer(task for life in alive for task in life.host.tasks.values())
        for told, query in _OPEN:
            waits += [told.format(*(value or "nobody" for value in row)) for row in self._world.query(query)]
        return waits


# What nobody may leave in the database.
_OPEN: Final = (
    (
        "turn {0}/{1} of {2} is open",
        "SELECT session_id, turn_id, owner FROM lash_session_leases WHERE lease_token <> '' OR turn_id IS NOT NULL",
    ),
    (
        "process {0} runs, held by {1}",
        "SELECT process_id, lease_owner FROM lash_processes WHERE status = 'running' OR lease_token <> ''",
    ),
    (
        "wake {0}/{1} is not delivered",
        "SELECT process_id, sequence FROM lash_process_wake_outbox WHERE state = 'pending'",
    ),
    (
        "delivery {0} is open",
        "SELECT process_id FROM lash_trigger_deliveries WHERE next_attempt_at_ms IS NOT NULL",
    ),
    (
        "{0}/{1} is queued",
        "SELECT session_id, source_key FROM lash_queued_batches",
    ),
)
