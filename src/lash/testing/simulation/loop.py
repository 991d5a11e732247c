"""An event loop without a machine under it: time is a number, and a seed picks who runs next.

Every simulated host has a queue of callbacks of its own, run in the order asyncio promises; between
hosts the seed chooses. So each host sees the event loop it would see alone, and any interleaving of
hosts can happen. A host that is paused keeps its queue and runs nothing of it; one that was killed
never does again (its frames stay as they are, as after SIGKILL no `finally` runs).

Time moves only when nobody can run: straight to the next timer.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar
from functools import partial
from random import Random
from typing import Any, Final, Literal, TypeAlias

HostState: TypeAlias = Literal["running", "paused", "dead"]


class SimulationStuck(AssertionError):
    """Nobody can run and no timer is set, or the world turns in circles."""


class SimulatedHost:
    """One operating-system process of the simulated world: callbacks of its own, which may stop for good."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.state: HostState = "running"
        self.queue: deque[asyncio.Handle] = deque()
        self.tasks: dict[int, asyncio.Task[Any]] = {}
        self.context = Context()
        self.context.run(HOST.set, self)
        # Callbacks that it may still run, and what happens then.
        self._fuses: list[tuple[int, int, Callable[[], None]]] = []
        self._fuses_set = 0
        self._callbacks = 0

    def __repr__(self) -> str:
        return f"SimulatedHost({self.name!r}, {self.state})"

    def after(self, callbacks: int, act: Callable[[], None]) -> None:
        """Calls `act` when so many more callbacks of this host have run; at once for none."""
        if callbacks <= 0:
            act()
        else:
            self._fuses_set += 1
            heapq.heappush(self._fuses, (self._callbacks + callbacks, self._fuses_set, act))

    def ran(self) -> None:
        """One more callback ran."""
        self._callbacks += 1
        while self._fuses and self._fuses[0][0] <= self._callbacks:
            heapq.heappop(self._fuses)[2]()

    def disarm(self) -> None:
        """What was to happen to it does not."""
        self._fuses.clear()


HOST: ContextVar[SimulatedHost | None] = ContextVar("lash_simulated_host", default=None)


class SimulatedLoop(asyncio.BaseEventLoop):
    """See the module docstring. `steps` counts the callbacks that ran."""

    def __init__(self, random: Random, limit: int) -> None:
        """`limit`: past so many callbacks the world is taken to turn in circles."""
        super().__init__()
        self._random = random
        self._limit = limit
        self._now = 0.0
        self._serial = 0
        self.steps = 0
        self.outside = SimulatedHost("outside")
        self._hosts: list[SimulatedHost] = [self.outside]
        self.set_task_factory(self._make_task)
        self.set_exception_handler(lambda _loop, _context: None)

    # hosts

    def add_host(self, name: str) -> SimulatedHost:
        """A new host that runs."""
        host = SimulatedHost(name)
        self._hosts.append(host)
        return host

    def remove_host(self, host: SimulatedHost) -> None:
        """Forgets a host that was buried."""
        self._hosts.remove(host)

    def start(self, host: SimulatedHost, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """A task of that host."""
        return self.create_task(work, name=name, context=host.context.copy())

    # asyncio's side

    def time(self) -> float:
        """Virtual seconds since the world began."""
        return self._now

    def create_future(self) -> asyncio.Future[Any]:
        """A future whose place in a set does not depend on its address."""
        self._serial += 1
        return _Future(self._serial, loop=self)

    def call_soon_threadsafe(  # type: ignore[override]
        self, *args: Any, **kwargs: Any
    ) -> asyncio.Handle:
        """Refuses: what a thread does cannot be repeated."""
        raise RuntimeError("a simulated world has no threads; make the tool `async def`")

    def run_in_executor(self, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        """Refuses: what a thread does cannot be repeated."""
        raise RuntimeError("a simulated world has no threads; make the tool `async def`")

    def _make_task(self, _loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
        self._serial += 1
        context: Context | None = options.get("context")
        host = (HOST.get() if context is None else context.get(HOST)) or self.outside
        task = _Task(self._serial, work, loop=self, **options)
        host.tasks[self._serial] = task
        task.add_done_callback(partial(_forget, host.tasks, task.serial), context=_NOWHERE)
        return task

    def _run_once(self) -> None:
        ready: deque[asyncio.Handle] = self._ready  # type: ignore[attr-defined]
        while ready:
            handle = ready.popleft()
            self._host_of(handle).queue.append(handle)
        runnable = [host for host in self._hosts if host.queue and host.state == "running"]
        if not runnable:
            if not self._stopping:  # type: ignore[attr-defined]
                self._move_time()
            return
        host = runnable[0] if len(runnable) == 1 else runnable[int(self._random.random() * len(runnable))]
        handle = host.queue.popleft()
        if handle.cancelled():
            return
        self.steps += 1
        if self.steps > self._limit:
            self._limit += self._limit  # whoever clears the world away may go on
            raise SimulationStuck(f"the world turns in circles: {self.steps} callbacks and no end")
        handle._run()
        host.ran()

    def _move_time(self) -> None:
        timers: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        while timers and timers[0].cancelled():
            heapq.heappop(timers)
        if not timers:
            raise SimulationStuck("nobody can run and nobody waits for a time")
        self._now = max(self._now, timers[0].when())
        while timers and timers[0].when() <= self._now:
            timer = heapq.heappop(timers)
            if not timer.cancelled():
                self._host_of(timer).queue.append(timer)

    def _host_of(self, handle: asyncio.Handle) -> SimulatedHost:
        return handle._context.get(HOST) or self.outside  # type: ignore[attr-defined]

    def _process_events(self, event_list: Any) -> None:
        pass

    def _write_to_self(self) -> None:
        pass


_NOWHERE: Final = Context()


def _forget(tasks: dict[int, asyncio.Task[Any]], serial: int, _task: asyncio.Task[Any]) -> None:
    tasks.pop(serial, None)


class _Future(asyncio.Future[Any]):
    """A future with a hash of its own: sets of futures have the same order in every run."""

    def __init__(self, serial: int, *, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self.serial = serial

    def __hash__(self) -> int:
        return self.serial


class _Task(asyncio.Task[Any]):
    """The same for tasks."""

    def __init__(self, serial: int, work: Any, **options: Any) -> None:
        self.serial = serial
        super().__init__(work, **options)

    def __hash__(self) -> int:
        return self.serial
