"""The driver: starts every kind of process through a core that runs nothing, signals, answers, emits, sets clocks.

It keeps book of all it asked for, which is what the judge expects to find.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import lash
from lash.base.json import Json
from lash.effects import Accepted, AlreadyResolved
from lash.processes.errors import ProcessAlreadyTerminal, UnknownProcess
from lash.triggers.delivery import DeliveryFilter
from torture import ordeal
from torture.app import charged
from torture.ordeal import Ordeal


@dataclass(frozen=True, slots=True)
class Load:
    """How much of everything. `spread_s`: within so many seconds it is started."""

    jobs: int = 30
    flaky: int = 12
    charges: int = 12
    orders: int = 10
    ordeals: int = 12
    externals: int = 8
    turns: int = 8
    emits: int = 10
    schedules: int = 2
    sessions: int = 4
    spread_s: float = 6.0

    def times(self, factor: int, spread_s: float) -> Load:
        """So many times as much, in so many seconds; the same number of sessions and schedules."""
        return replace(
            self,
            jobs=self.jobs * factor,
            flaky=self.flaky * factor,
            charges=self.charges * factor,
            orders=self.orders * factor,
            ordeals=self.ordeals * factor,
            externals=self.externals * factor,
            turns=self.turns * factor,
            emits=self.emits * factor,
            spread_s=spread_s,
        )

    @property
    def processes(self) -> int:
        """How many processes come of it at least, those of clocks not counted."""
        single = self.jobs + self.flaky + self.charges + self.orders + self.externals + self.turns + self.emits
        return single + 3 * self.ordeals


@dataclass(slots=True)
class Book:
    """What was asked for. `ends`: the value that a process must end with; `signals`: how many it was sent, in order."""

    ends: dict[str, Json] = field(default_factory=dict)
    signals: dict[str, int] = field(default_factory=dict)
    emits: list[str] = field(default_factory=list)
    schedules: list[str] = field(default_factory=list)
    sessions: list[str] = field(default_factory=list)


class Driver:
    """Asks for all of it."""

    def __init__(self, core: lash.StandardCore, load: Load, seed: int) -> None:
        self._core = core
        self._load = load
        self._chance = random.Random(seed)
        self.book = Book(sessions=[f"inbox-{number}" for number in range(load.sessions)])

    async def run(self) -> None:
        """Starts everything, then sees everything through to its end."""
        await self._subscribe()
        answering = asyncio.create_task(self._answer_orders())
        try:
            async with asyncio.TaskGroup() as group:
                for starting in self._starts():
                    group.create_task(starting)
            for key in self.book.schedules:
                await self._core.triggers.cancel(key)
            await self._note_triggered()
            for process_id in self.book.ends:
                with contextlib.suppress(UnknownProcess):  # the judge will miss it
                    await self._core.store.processes.await_process(process_id)
        finally:
            answering.cancel()
            await asyncio.wait([answering])

    def _starts(self) -> list[Coroutine[Any, Any, None]]:
        load = self._load
        starts: list[Coroutine[Any, Any, None]] = []
        starts += [self._job(number) for number in range(load.jobs)]
        starts += [self._tool(f"flaky-{each}", "flaky", {"number": each}, each) for each in range(load.flaky)]
        charges = [f"charge-{number}" for number in range(load.charges)]
        starts += [self._tool(each, "charge", {}, charged(each)) for each in charges]
        starts += [self._tool(f"order-{number}", "order", {}, "done") for number in range(load.orders)]
        starts += [self._ordeal(number) for number in range(load.ordeals)]
        starts += [self._external(number) for number in range(load.externals)]
        starts += [self._turn(number) for number in range(load.turns)]
        starts += [self._emit(number) for number in range(load.emits)]
        starts.append(self._let_clocks_run())
        self._chance.shuffle(starts)
        return starts

    async def _job(self, number: int) -> None:
        await self._tool(f"job-{number}", "ledger", {"number": number}, {"number": number, "twice": 2 * number})

    async def _tool(self, process_id: str, tool: str, args: dict[str, Json], value: Json) -> None:
        await self._pause()
        await self._core.processes.start(tool, args=args, id=process_id, wake=self._some_session())
        self.book.ends[process_id] = value

    async def _ordeal(self, number: int) -> None:
        process_id = f"ordeal-{number}"
        work = Ordeal(number, 2, 2 + number % 2, 300 if number % 2 else 1_200)
        await self._pause()
        env_ref = await self._env_ref()
        registration = ordeal.registration(process_id, work, env_ref, self._some_session())
        await self._core.store.processes.register_process(registration)
        self.book.ends[process_id] = ordeal.outcome(work)
        for child in ordeal.child_ids(process_id, work):
            self.book.ends[child] = {"number": number, "twice": 2 * number}
        await self._signal(process_id, work.signals)

    async def _external(self, number: int) -> None:
        process_id = f"external-{number}"
        await self._pause()
        work = lash.External("deploy", signals=[ordeal.SIGNAL])
        job = await self._core.processes.start(work, id=process_id, wake=self._some_session())
        sending = asyncio.create_task(self._signal(process_id, 3))
        heard = [await job.wait_signal(ordeal.SIGNAL, nth) for nth in (1, 2, 3)]
        await sending
        await self._core.processes.complete(process_id, heard)
        self.book.ends[process_id] = [1, 2, 3]

    async def _turn(self, number: int) -> None:
        process_id = f"turn-{number}"
        await self._pause()
        await self._core.processes.start(lash.SessionTurn("Enter it."), id=process_id, wake=self._some_session())
        self.book.ends[process_id] = "entered"

    async def _emit(self, number: int) -> None:
        await self._pause()
        for _ in range(2):  # whoever is not sure emits again
            await self._core.triggers.emit("torture.happened", number, key=f"emit-{number}")
        self.book.emits.append(f"emit-{number}")

    async def _signal(self, process_id: str, count: int) -> None:
        job = await self._core.processes.get(process_id)
        self.book.signals[process_id] = count
        for number in range(1, count + 1):
            await asyncio.sleep(self._chance.uniform(0, 0.8))
            for _ in range(1 + self._chance.randrange(2)):  # whoever is not sure sends again
                with contextlib.suppress(ProcessAlreadyTerminal):  # the judge will miss it
                    await job.signal(ordeal.SIGNAL, number, key=f"signal-{number}")

    async def _subscribe(self) -> None:
        triggers = self._core.triggers
        await triggers.subscribe(
            "torture.happened",
            "ledger",
            inputs={"number": "event"},
            key="happened",
            wake=self.book.sessions[0],
        )
        for number in range(self._load.schedules):
            key = f"clock-{number}"
            await triggers.every(
                timedelta(seconds=1),
                start="tick",
                inputs={"event": "event"},
                key=key,
                overlap="allow",
                catch_up="all",
                catch_up_limit=1_000,
                wake=self.book.sessions[0] if number == 0 else None,
            )
            self.book.schedules.append(key)

    async def _let_clocks_run(self) -> None:
        await asyncio.sleep(self._load.spread_s + 1)

    async def _answer_orders(self) -> None:
        """The somebody outside, who answers everything twice."""
        while True:
            for order in await self._core.completions.pending():
                first = await self._core.completions.complete(order.key.token, "done")
                again = await self._core.completions.complete(order.key.token, "done again")
                assert isinstance(first, Accepted | AlreadyResolved), first
                assert isinstance(again, AlreadyResolved), again
            await asyncio.sleep(0.1)

    async def _note_triggered(self) -> None:
        """The processes of triggers, once every occurrence has its process."""
        while True:
            wanted = DeliveryFilter(limit=1_000_000)
            deliveries = await self._core.triggers.deliveries(wanted)
            if all(delivery.state not in ("reserved", "failed") for delivery in deliveries):
                break
            await asyncio.sleep(0.1)
        for delivery in deliveries:
            self.book.ends.setdefault(delivery.process_id, None)

    async def _env_ref(self) -> str:
        plan = await self._core._background_work()._planner.plan("ledger", {"number": 0})
        assert plan.env_ref is not None
        return plan.env_ref

    def _some_session(self) -> str:
        return self._chance.choice(self.book.sessions)

    async def _pause(self) -> None:
        await asyncio.sleep(self._chance.uniform(0, self._load.spread_s))
