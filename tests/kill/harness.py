"""Runs the agent in a process, kills it at given instants, and judges what is left."""

from __future__ import annotations

import contextlib
import multiprocessing
import random
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Literal

import lash
from kill import agent
from lash.base.codec import to_json
from lash.base.messages import unsettled_tool_calls
from lash.effects.scope import ExecutionScope
from lash.sessions.graph import FullGraph

SESSION_ID = "orders"
# A life that needs longer than this has hung; the uninterrupted run takes a tenth of a second.
LIFE_LIMIT_S = 90.0

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["kill.agent", "lash.core", "lash.stores.postgres", "lash.stores.sqlite"])


@dataclass(frozen=True, slots=True)
class Database:
    """Where the agent keeps its work."""

    url: str
    schema: str | None = None


@dataclass(slots=True)
class Verdict:
    """What a run came to."""

    kills: int = 0
    executed_again: list[str] = field(default_factory=list)
    final: Any = None


class Life:
    """One life of the agent's process."""

    def __init__(
        self, database: Database, log_path: Path, host_id: str = "host-a", die_at: agent.DieAt | None = None
    ) -> None:
        receiver, sender = _context.Pipe(duplex=False)
        self._process = _context.Process(
            target=agent.child_main,
            args=(database.url, database.schema, str(log_path), SESSION_ID, host_id, die_at, sender),
            daemon=True,
        )
        self._process.start()
        sender.close()
        receiver.recv()

    def end_after(self, seconds: float) -> bool:
        """Waits that long and kills; True when the agent had finished by itself."""
        self._process.join(seconds)
        if self._process.exitcode is not None:
            assert self._process.exitcode == 0, f"the agent failed with exit code {self._process.exitcode}"
            return True
        with contextlib.suppress(ProcessLookupError):  # it may end in this very moment
            self._process.kill()
        self._process.join()
        return self._process.exitcode == 0

    def is_survivor(self) -> bool:
        """Waits for its end; False when it killed itself."""
        self._process.join(LIFE_LIMIT_S)
        assert self._process.exitcode in (0, -signal.SIGKILL), f"the agent ended with {self._process.exitcode}"
        return self._process.exitcode == 0

    def finish(self) -> None:
        """Waits for its natural end."""
        self._process.join(LIFE_LIMIT_S)
        assert self._process.exitcode == 0, f"the agent ended with {self._process.exitcode}"


async def kill_until_done(database: Database, folder: Path, seed: int, *, span_s: float) -> Verdict:
    """Kills the agent at random instants until one life reaches the end."""
    chance = random.Random(seed)
    log_path = folder / f"executions-{seed}.log"
    log = agent.ExecutionLog(log_path)
    verdict = Verdict()
    recorded_at: list[tuple[int, set[str]]] = []
    while True:
        life = Life(database, log_path)
        # The first lives die young; later ones get ever more time, so that every run ends.
        if life.end_after(chance.uniform(0, span_s) * (1 + verdict.kills / 4)):
            break
        verdict.kills += 1
        recorded_at.append((len(log.lines()), await recorded(database)))
        assert verdict.kills < 60, "the turn makes no progress"
    executions = log.lines()
    for position, keys in recorded_at:
        verdict.executed_again += [line for line in executions[position:] if line in keys]
    verdict.final = await final_state(database)
    return verdict


async def killed_at_every_step(
    make: Callable[[], Awaitable[Database]], folder: Path, when: Literal["before", "after"], stride: int = 1
) -> list[Verdict]:
    """One run for each write that the turn makes, or every so many: killed there once, then driven to its end."""
    verdicts: list[Verdict] = []
    for step in count(1, stride):
        database = await make()
        log_path = folder / f"step-{step}-{when}.log"
        log = agent.ExecutionLog(log_path)
        if Life(database, log_path, die_at=agent.DieAt(step, when)).is_survivor():
            return verdicts
        position, keys = len(log.lines()), await recorded(database)
        Life(database, log_path).finish()
        again = [line for line in log.lines()[position:] if line in keys]
        verdicts.append(Verdict(1, again, await final_state(database)))
    raise AssertionError("unreachable")


async def recorded(database: Database) -> set[str]:
    """Executions whose outcome is in the journal, named as the agent's log names them."""
    async with await lash.Store.open(database.url, schema=database.schema) as store:
        rows = await store.journal.load(ExecutionScope.turn(SESSION_ID, agent.TURN_ID))
        names: set[str] = set()
        for row in rows:
            if row.status != "completed":
                continue
            fields = row.replay_key.removeprefix(f"{SESSION_ID}:{agent.TURN_ID}:").split(":")
            if row.kind == "llm_call":
                names.add(f"llm:{fields[1]}")
            elif row.kind == "tool_call":
                names.add(f"tool:{fields[6]}:{fields[8]}")
        if await _is_committed(store):
            names |= {"llm:0", "llm:1"}
        return names


async def final_state(database: Database) -> Any:
    """Everything that must be equal in every run: no ids of rows, no times."""
    async with await lash.Store.open(database.url, schema=database.schema) as store:
        session = await store.sessions.open_existing_store(SESSION_ID)
        assert session is not None
        stored = await session.load_session(FullGraph())
        assert stored is not None
        messages = [node.payload.message for node in stored.graph.nodes if hasattr(node.payload, "message")]
        assert unsettled_tool_calls(messages) == []
        turns = await session.list_turns(SESSION_ID)
        return {
            "revision": stored.head_revision,
            "messages": [to_json(message) for message in messages],
            "usage": [to_json(entry) for entry in stored.token_ledger],
            "turns": [turn.turn_id for turn in turns],
            "queue": await session.list_queued_work(SESSION_ID),
            "journal": await store.journal.load(ExecutionScope.turn(SESSION_ID, agent.TURN_ID)),
            "turn_state": to_json(stored.checkpoint.turn_state),
        }


async def uninterrupted(database: Database, folder: Path) -> tuple[Any, float]:
    """The final state of a run that nobody disturbs, and how long it took."""
    started = time.perf_counter()
    Life(database, folder / "uninterrupted.log").finish()
    return await final_state(database), time.perf_counter() - started


async def _is_committed(store: lash.Store) -> bool:
    session = await store.sessions.open_existing_store(SESSION_ID)
    if session is None:
        return False
    return await session.load_turn(SESSION_ID, agent.TURN_ID) is not None
