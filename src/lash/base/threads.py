"""Threads for foreign blocking code, of which some may never come back.

A thread cannot be stopped. In a pool of a fixed size every call that hangs takes a
place for good, until nothing runs any more, and the interpreter waits for it at its
exit. Here threads are daemons, made when they are needed and kept for a moment; and
whoever stops waiting for a call gives its place to the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import queue
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

T = TypeVar("T")

# How long a thread without work is kept: making one costs five times as much as waking one.
IDLE_S: Final = 5.0


class CallThreads:
    """Runs blocking calls, at most `limit` awaited ones at a time; more wait their turn.

    May be shared by event loops in several threads.
    """

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._lock = threading.Lock()  # guards all that follows
        self._line: deque[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = deque()
        self._idle: list[_Worker] = []

    async def run(self, call: Callable[[], T], *, name: str) -> T:
        """What `call` returns or raises. A caller who is cancelled leaves the thread running and its place free."""
        await self._enter()
        try:
            loop = asyncio.get_running_loop()
            done: asyncio.Future[T] = loop.create_future()
            with self._lock:
                worker = self._idle.pop() if self._idle else None
            if worker is None:
                worker = _Worker(self)
            worker.jobs.put(_Job(name, call, contextvars.copy_context(), loop, done))
            return await done
        finally:
            self._leave()

    def rest(self, worker: _Worker) -> None:
        """The worker is free for the next call."""
        with self._lock:
            self._idle.append(worker)

    def retire(self, worker: _Worker) -> bool:
        """Whether the worker may end; False when a call is on its way to it."""
        with self._lock:
            if worker not in self._idle:
                return False
            self._idle.remove(worker)
            return True

    async def _enter(self) -> None:
        loop = asyncio.get_running_loop()
        with self._lock:
            if self._free > 0:
                self._free -= 1
                return
            turn: asyncio.Future[None] = loop.create_future()
            self._line.append((loop, turn))
        try:
            await turn
        except asyncio.CancelledError:
            with self._lock:
                is_in_line = (loop, turn) in self._line
                if is_in_line:
                    self._line.remove((loop, turn))
            if not is_in_line:
                self._leave()  # the place was given to us as we left
            raise

    def _leave(self) -> None:
        while True:
            with self._lock:
                if not self._line:
                    self._free += 1
                    return
                loop, turn = self._line.popleft()
            with contextlib.suppress(RuntimeError):  # a loop that was closed wants no place
                loop.call_soon_threadsafe(_settle, turn, None, None)
                return


@dataclass(frozen=True, slots=True)
class _Job:
    name: str
    call: Callable[[], object]
    context: contextvars.Context
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[Any]


class _Worker:
    """One thread."""

    def __init__(self, home: CallThreads) -> None:
        self.jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._home = home
        threading.Thread(target=self._main, name="lash tool", daemon=True).start()

    def _main(self) -> None:
        while True:
            try:
                job = self.jobs.get(timeout=IDLE_S)
            except queue.Empty:
                if self._home.retire(self):
                    return
                continue
            self._do(job)
            del job  # what the call held is free while this thread waits

    def _do(self, job: _Job) -> None:
        threading.current_thread().name = job.name
        value: object = None
        error: BaseException | None = None
        try:
            value = job.context.run(job.call)
        except BaseException as raised:
            error = raised
        # First of all free: whoever hears the answer may have the next call.
        self._home.rest(self)
        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits
            job.loop.call_soon_threadsafe(_settle, job.done, value, error)


def _settle(future: asyncio.Future[Any], value: object, error: BaseException | None) -> None:
    if future.done():
        return  # nobody waits any more
    if error is None:
        future.set_result(value)
    else:
        future.set_exception(error)
