"""The parent: starts processes, kills each at its boundary, lets the last one finish."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import lash
from lash.cli.demo.audit import PROMPT
from lash.cli.demo.boundaries import BOUNDARIES, Boundary, Execution, read_log
from lash.cli.demo.children import DEADLINE_S, Child
from lash.cli.demo.evidence import Kill, Recorded, Seen, ran_again
from lash.cli.demo.orders import Orders
from lash.cli.demo.witness import DemoBroken, Witness


@dataclass(frozen=True, slots=True)
class Killed:
    """Told when a process is dead: what it took from the journal, what it ran although recorded."""

    kill: Kill
    replayed: int
    ran: tuple[Execution, ...]
    ran_again: int


@dataclass(frozen=True, slots=True)
class Finished:
    """Told when the last process is done."""

    process: int
    pid: int
    executions: int


Narrate: TypeAlias = Callable[[Killed | Finished], None]


class Stage:
    """One performance: a folder to audit, a store, a scratch folder for everything outside of it."""

    def __init__(self, folder: Path, store: str, scratch: Path, narrate: Narrate) -> None:
        self.session_id = f"demo-{secrets.token_hex(4)}"
        self.turn_id = "audit-1"
        self._folder = folder
        self._store = store
        self._log = scratch / "executions.jsonl"
        self._outbox = scratch / "outbox"
        self._errors = scratch / "errors.txt"
        self._narrate = narrate
        self._witness = Witness(store, self.session_id, self.turn_id)

    async def play(self) -> Seen:
        """Kills at every boundary, lets the last process finish, and returns what was seen."""
        self._outbox.mkdir()
        async with await lash.Store.open(self._store):
            pass  # a database and its schema; from here on we only look
        kills: list[Kill] = []
        for number, boundary in enumerate(BOUNDARIES, start=1):
            kills.append(await self._kill_at(number, boundary, kills[-1].recorded if kills else ()))
        committed = await self._witness.committed()
        before = len(read_log(self._log))
        told = await self._finish(len(BOUNDARIES) + 1, before)
        return Seen(
            prompt=PROMPT,
            kills=tuple(kills),
            log=tuple(execution for execution in read_log(self._log) if execution.turn_id == self.turn_id),
            committed=committed,
            executions_when_asked_again=told.executions,
            same_answer_again=told.is_same_answer,
            next_turn_ok=told.next_ok,
            next_messages=await self._witness.messages(),
            deliveries=len(list(self._outbox.iterdir())),
        )

    async def forget(self) -> None:
        """Deletes the demo's session from a store that stays."""
        async with await lash.Store.open(self._store) as store:
            await store.sessions.delete_session(self.session_id)

    async def _kill_at(self, number: int, boundary: Boundary, recorded_before: tuple[Recorded, ...]) -> Kill:
        child = await self._start(number, boundary.name)
        try:
            await child.reaches(boundary.name, boundary.told)
            await self._until_recorded(boundary)
        finally:
            by_sigkill = await child.kill()
        recorded, is_committed = await self._witness.look()
        kill = Kill(number, child.pid, boundary, by_sigkill, recorded, is_committed)
        log = read_log(self._log)
        ran = tuple(execution for execution in log if execution.process == number)
        again = ran_again(recorded_before, ran, number - 1)
        self._narrate(Killed(kill, len(recorded_before) - again, ran, again))
        return kill

    async def _until_recorded(self, boundary: Boundary) -> None:
        """Waits until what the boundary wants is durable: then the kill proves something."""
        if not boundary.recorded:
            return
        deadline = asyncio.get_running_loop().time() + DEADLINE_S
        async with await self._witness.open() as store:
            while not (await self._witness.executions_recorded(store)).issuperset(boundary.recorded):
                if asyncio.get_running_loop().time() > deadline:
                    raise DemoBroken(f"{', '.join(boundary.recorded)}: not recorded within {DEADLINE_S:.0f} s")
                await asyncio.sleep(0.002)

    async def _finish(self, number: int, executions_before: int) -> _Told:
        child = await self._start(number, None)
        try:
            first, again = await child.fact(), await child.fact()
            executions = len(read_log(self._log)) - executions_before
            child.go_on()
            following = await child.fact()
            await child.end()
        finally:
            await child.kill()
        self._narrate(Finished(number, child.pid, executions))
        is_same = (
            bool(first["told"]) and first["told"] == again["told"] and first["replayed"] is again["replayed"] is True
        )
        return _Told(executions, is_same, next_ok=following.get("next_ok") is True)

    async def _start(self, number: int, stop_at: str | None) -> Child:
        orders = Orders(
            number=number,
            store=self._store,
            session_id=self.session_id,
            turn_id=self.turn_id,
            folder=str(self._folder),
            log=str(self._log),
            outbox=str(self._outbox),
            stop_at=stop_at,
        )
        return await Child.start(orders, self._errors)


@dataclass(frozen=True, slots=True)
class _Told:
    executions: int
    is_same_answer: bool
    next_ok: bool
