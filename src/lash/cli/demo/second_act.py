"""The second act: programs, killed in the middle of a cell and of two sleeps, woken by one of their own.

The witness reads the store from outside, while nobody runs or somebody sleeps.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

import lash
from lash.base.canonical import parse_json
from lash.base.json import Json
from lash.base.messages import ProcessOrigin
from lash.cli.demo.boundaries import Execution, read_log
from lash.cli.demo.children import DEADLINE_S, Child
from lash.cli.demo.orders import Orders
from lash.cli.demo.programs import HIT_CALL, IN_BACKGROUND, MID_CELL, TWO_SLEEPS, Overview, Report
from lash.cli.demo.second_facts import Background, Death, ProgramsSeen, Row, Settled, ran_again_of
from lash.cli.demo.witness import DemoBroken
from lash.cli.effect_keys import parse_key, short_key
from lash.effects.journal import JournalRow
from lash.effects.scope import ExecutionScope
from lash.machine.outcome import SubmittedValue, TurnOutcome
from lash.processes.record import ProcessRecord
from lash.processes.registry import ProcessQuery
from lash.processes.scopes import SessionOriginator, SessionScope
from lash.runtime.settle import message_ids, stored_summary
from lash.sessions.commit import StoredTurn
from lash.sessions.graph import Conversation
from lash.sessions.store import SessionStore

TURN_ID: Final = "programs-1"


@dataclass(frozen=True, slots=True)
class Died:
    """Told when a process is dead: what it found recorded, what it ran, what it ran although recorded."""

    death: Death
    told: str
    found: int
    ran: tuple[Execution, ...]
    ran_again: int


@dataclass(frozen=True, slots=True)
class Woken:
    """Told when the session was woken and has submitted."""

    process: int
    pid: int
    found: int
    ran: tuple[Execution, ...]


NarrateSecond: TypeAlias = Callable[[Died | Woken], None]


class SecondAct:
    """One performance of it."""

    def __init__(self, folder: Path, store: str, scratch: Path, narrate: NarrateSecond) -> None:
        self.session_id = f"demo-{secrets.token_hex(4)}"
        self._folder = folder
        self._store = store
        self._scratch = scratch
        self._log = scratch / "programs.jsonl"
        self._narrate = narrate
        self._prefix = f"{self.session_id}:{TURN_ID}:1:"

    async def play(self) -> ProgramsSeen:
        """Kills three processes, lets the fourth one be woken, and returns what was seen."""
        deaths: list[Death] = []
        for number, stop_at in enumerate((MID_CELL, TWO_SLEEPS, IN_BACKGROUND), 1):
            deaths.append(await self._kill(number, stop_at, deaths[-1] if deaths else None))
        child = await self._start(4, None)
        try:
            first = await child.fact()
            await self._until_woken(child)
            ran = self._ran_in(4)
            self._narrate(Woken(4, child.pid, len(deaths[-1].rows), ran))
            before = len(read_log(self._log))
            child.go_on()
            again = await child.fact()
            executions = len(read_log(self._log)) - before
            child.go_on()
            await child.end()
        finally:
            await child.kill()
        async with await self._open() as store:
            turns = await self._turns(store)
            background = await self._background(store)
        return ProgramsSeen(
            tuple(deaths),
            tuple(read_log(self._log)),
            tuple(turns),
            background,
            executions,
            first["value"] == again["value"] and again["replayed"] is True and again["type"] == Overview.__name__,
        )

    async def forget(self) -> None:
        """Deletes the act's session from a store that stays. Its process has ended."""
        async with await lash.Store.open(self._store) as store:
            await store.sessions.delete_session(self.session_id)

    # the processes

    async def _start(self, number: int, stop_at: str | None) -> Child:
        orders = Orders(
            number=number,
            store=self._store,
            session_id=self.session_id,
            turn_id=TURN_ID,
            folder=str(self._folder),
            log=str(self._log),
            outbox="",
            stop_at=stop_at,
            act="programs",
        )
        return await Child.start(orders, self._scratch / "errors.txt")

    async def _kill(self, number: int, stop_at: str, before: Death | None) -> Death:
        child = await self._start(number, stop_at)
        try:
            if stop_at == MID_CELL:
                await child.reaches(MID_CELL, "in the middle of a cell")
                await self._until_two_are_recorded(child)
            elif stop_at == TWO_SLEEPS:
                await self._until_two_sleep(child)
            else:
                await child.fact()
                await child.reaches(IN_BACKGROUND, "after the first turn")
        finally:
            by_sigkill = await child.kill()
        killed_at = time.time_ns() // 1_000_000
        async with await self._open() as store:
            rows = await self._rows(store)
            session = await store.sessions.open_existing_store(self.session_id)
            turn = None if session is None else await session.load_turn(self.session_id, TURN_ID)
        death = Death(number, child.pid, by_sigkill, killed_at, tuple(rows), turn is not None)
        ran = self._ran_in(number)
        again = 0 if before is None else ran_again_of(before.rows, ran, number - 1)
        self._narrate(Died(death, _told(stop_at, death), 0 if before is None else len(before.rows), ran, again))
        return death

    async def _until_two_are_recorded(self, child: Child) -> None:
        """Waits until the calls before the one that is hit are durable."""

        async def are_recorded(store: lash.Store) -> bool:
            found = [row for row in await self._rows(store) if (row.execution or "").startswith("tool:")]
            return len(found) == HIT_CALL - 1

        async with await self._open() as store:
            await self._until(lambda: are_recorded(store), child, f"{HIT_CALL - 1} recorded calls")

    async def _until_two_sleep(self, child: Child) -> None:
        """Waits until the cell and the background process have both written down when their sleep ends."""

        async def both_sleep(store: lash.Store) -> bool:
            rows = [row for row in await self._rows(store) if row.due_at_ms is not None]
            return {row.is_background for row in rows} == {False, True}

        async with await self._open() as store:
            await self._until(lambda: both_sleep(store), child, "two sleeps")

    async def _until_woken(self, child: Child) -> None:
        async with await self._open() as store:
            session = await self._session(store)

            async def is_woken() -> bool:
                return len(await session.list_turns(self.session_id)) > 1

            await self._until(is_woken, child, "turn that the background process woke")

    async def _until(self, is_so: Callable[[], Awaitable[bool]], child: Child, what: str) -> None:
        deadline = asyncio.get_running_loop().time() + DEADLINE_S
        while not await is_so():
            if asyncio.get_running_loop().time() > deadline:
                raise DemoBroken(f"no {what} within {DEADLINE_S:.0f} s; {child.last_words()}")
            await asyncio.sleep(0.01)

    def _ran_in(self, number: int) -> tuple[Execution, ...]:
        return tuple(execution for execution in read_log(self._log) if execution.process == number)

    # the store

    async def _open(self) -> lash.Store:
        return await lash.Store.open(self._store, read_only=True)

    async def _session(self, store: lash.Store) -> SessionStore:
        session = await store.sessions.open_existing_store(self.session_id)
        if session is None:
            raise DemoBroken(f"session {self.session_id} is gone; please report this")
        return session

    async def _processes(self, store: lash.Store) -> list[ProcessRecord]:
        query = ProcessQuery(originator=SessionOriginator(SessionScope(self.session_id)))
        return await store.processes.list_processes(query)

    async def _rows(self, store: lash.Store) -> list[Row]:
        """What is recorded of the first turn, and of the background process."""
        found = [self._row(row) for row in await _recorded(store, ExecutionScope.turn(self.session_id, TURN_ID))]
        session = await store.sessions.open_existing_store(self.session_id)
        if session is not None and not found:  # it is committed, and its journal is gone
            settled = await session.load_turn(self.session_id, TURN_ID)
            effects = [] if settled is None else stored_summary(settled).effects
            found = [Row(f"{TURN_ID}/{one[0]}", str(one[1]), None, is_background=False) for one in effects]
        for process in await self._processes(store):
            rows = await _recorded(store, ExecutionScope.process(process.id))
            found += [Row(row.replay_key, row.envelope_hash, _call_of(row), True, row.due_at_ms) for row in rows]
        return found

    def _row(self, row: JournalRow) -> Row:
        key = f"{TURN_ID}/{row.replay_key.removeprefix(self._prefix)}"
        execution = _call_of(row)
        parsed = parse_key(short_key(row.replay_key, self.session_id, TURN_ID))
        if row.kind == "llm_call" and parsed is not None:
            execution = f"model:{TURN_ID}:{parsed.iteration}"
        return Row(key, row.envelope_hash, execution, is_background=False, due_at_ms=row.due_at_ms)

    async def _turns(self, store: lash.Store) -> list[Settled]:
        session = await self._session(store)
        return [await self._settled(session, turn) for turn in await session.list_turns(self.session_id)]

    async def _settled(self, session: SessionStore, turn: StoredTurn) -> Settled:
        summary = stored_summary(turn)
        woken_by: str | None = None
        for node_id in message_ids(summary):
            node = await session.load_node(node_id)
            if node is not None and isinstance(node.payload, Conversation):
                origin = node.payload.message.origin
                woken_by = origin.process_id if isinstance(origin, ProcessOrigin) else woken_by
        value = _submitted(summary.outcome)
        return Settled(
            turn.turn_id,
            value,
            _is_of_type(value, Overview if turn.turn_id == TURN_ID else Report),
            tuple((f"{turn.turn_id}/{effect[0]}", str(effect[1])) for effect in summary.effects),
            turn.committed_at_ms,
            woken_by,
        )

    async def _background(self, store: lash.Store) -> Background:
        processes = await self._processes(store)
        if len(processes) != 1:
            raise DemoBroken(f"{len(processes)} background processes were started; please report this")
        [process] = processes
        rows = await _recorded(store, ExecutionScope.process(process.id))
        events = await store.processes.events_after(process.id, 0)
        woke = [event.occurred_at for event in events if event.semantics.wake is not None]
        return Background(
            process.id,
            process.status.state,
            tuple(Row(row.replay_key, row.envelope_hash, _call_of(row), True, row.due_at_ms) for row in rows),
            woke[0] if woke else None,
        )


def _told(stop_at: str, death: Death) -> str:
    """Where a process died, from what it left."""
    if stop_at == MID_CELL:
        return "in the middle of the first program, in the third of its four calls"
    sleeping = [row for row in death.rows if row.due_at_ms is not None and row.due_at_ms > death.killed_at_ms]
    if stop_at == TWO_SLEEPS:
        who = "program and background process both sleep" if len(sleeping) == 2 else f"{len(sleeping)} of two sleep"
        return f"while {who}"
    state = "sleeps" if sleeping else "is about to wake it"
    return f"after the first answer, while the background process {state}"


async def _recorded(store: lash.Store, scope: ExecutionScope) -> list[JournalRow]:
    return [row for row in await store.journal.load(scope) if row.status != "in_progress"]


def _call_of(row: JournalRow) -> str | None:
    """The key of a tool call in the execution log."""
    envelope = None if row.envelope_json is None else parse_json(row.envelope_json)
    command = envelope.get("command") if isinstance(envelope, dict) else None
    call = command.get("call") if isinstance(command, dict) else None
    if not isinstance(command, dict) or not isinstance(call, dict):
        return None
    return f"tool:{call.get('call_id')}:{command.get('attempt')}"


def _submitted(outcome: TurnOutcome) -> Json:
    return outcome.value if isinstance(outcome, SubmittedValue) else None


def _is_of_type(value: Json, type_: type[Overview] | type[Report]) -> bool:
    try:
        msgspec.convert(value, type_)
    except msgspec.ValidationError:
        return False
    return True
