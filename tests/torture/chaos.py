"""Four worker processes, one of which is killed or told to go every second, and replaced at once."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import random
import signal
import time
from dataclasses import dataclass, field
from typing import Any

from torture.app import Place, worker_main

WORKERS = 4
# A worker that was told to go has drained by then, or hangs.
LEAVE_LIMIT_S = 30.0

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["torture.app", "lash.core", "lash.stores.postgres", "lash.stores.sqlite"])


@dataclass(eq=False, slots=True)
class Worker:
    """One worker process."""

    name: str
    process: Any
    ready: Any
    is_killed: bool = False


@dataclass(slots=True)
class Fleet:
    """The workers, and the chance that ends them. `exits`: how those ended that were asked to go."""

    place: Place
    seed: int
    workers: list[Worker] = field(default_factory=list)
    leaving: list[Worker] = field(default_factory=list)
    exits: list[tuple[str, int | None]] = field(default_factory=list)
    kills: int = 0
    terms: int = 0
    _started: int = 0

    async def start(self) -> None:
        """Starts all of them; returns when they work."""
        self.workers = [self._new() for _ in range(WORKERS)]
        for worker in self.workers:
            await _until_ready(worker)

    async def torment(self, seconds: float) -> None:
        """Ends one after another."""
        chance = random.Random(self.seed)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            await asyncio.sleep(chance.uniform(0.5, 1.5))
            slot = chance.randrange(WORKERS)
            worker = self.workers[slot]
            if worker.process.exitcode is not None:
                self.exits.append((worker.name, worker.process.exitcode))  # nobody ended it
            elif chance.random() < 0.6 or not worker.ready.poll():  # it does not hear signals yet
                self._kill(worker)
                await _gone(worker)
            else:
                self.terms += 1
                os.kill(worker.process.pid, signal.SIGTERM)
                self.leaving.append(worker)
            if self.leaving and chance.random() < 0.2:
                leaver = self.leaving.pop(chance.randrange(len(self.leaving)))
                self._kill(leaver)
                await _gone(leaver)
            self.workers[slot] = self._new()

    async def leave_one(self) -> None:
        """Kills all but the youngest, and replaces nobody: what the others left it must find by itself."""
        for worker in self.workers:
            await _until_ready(worker)
        for worker in [*self.workers[:-1], *self.leaving]:
            self._kill(worker)
            await _gone(worker)
        self.workers, self.leaving = self.workers[-1:], []

    async def leave(self) -> None:
        """Tells the others to go too, and waits for all who go."""
        for worker in self.workers:
            await _until_ready(worker)
            if worker.process.exitcode is None:
                os.kill(worker.process.pid, signal.SIGTERM)
        self.leaving += self.workers
        self.workers = []
        for worker in self.leaving:
            await asyncio.to_thread(worker.process.join, LEAVE_LIMIT_S)
            self.exits.append((worker.name, worker.process.exitcode))
        self.kill_all()

    def kill_all(self) -> None:
        """Leaves nobody behind."""
        for worker in [*self.workers, *self.leaving]:
            self._kill(worker)
            worker.process.join()
        self.workers, self.leaving = [], []

    def _kill(self, worker: Worker) -> None:
        worker.is_killed = True
        self.kills += 1
        with contextlib.suppress(ProcessLookupError):
            worker.process.kill()

    def _new(self) -> Worker:
        self._started += 1
        name = f"worker-{self._started}"
        receiver, sender = _context.Pipe(duplex=False)
        process = _context.Process(target=worker_main, args=(self.place, name, sender), daemon=True)
        process.start()
        sender.close()
        return Worker(name, process, receiver)


async def _until_ready(worker: Worker) -> None:
    """Returns when it works, so that it hears signals as it should."""
    with contextlib.suppress(EOFError):  # it died young; its exit code tells
        await asyncio.to_thread(worker.ready.poll, LEAVE_LIMIT_S)


async def _gone(worker: Worker) -> None:
    await asyncio.to_thread(worker.process.join)
