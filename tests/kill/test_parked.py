"""A turn that waits for people and outsiders survives kill -9, and answers come from other processes."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Literal

import pytest

import lash
from kill import parked
from kill.agent import DieAt, ExecutionLog
from kill.harness import LIFE_LIMIT_S, Database
from lash.base.codec import to_json
from lash.effects.scope import ExecutionScope
from lash.sessions.graph import FullGraph

NewDatabase = Callable[[], Awaitable[Database]]
SCOPE = ExecutionScope.turn(parked.SESSION_ID, parked.TURN_ID)

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["kill.parked", "lash.core", "lash.stores.postgres", "lash.stores.sqlite"])


@pytest.fixture(params=["sqlite", "postgres"])
async def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[NewDatabase]:
    """Makes empty databases of one kind."""
    made: list[str] = []

    async def make() -> Database:
        made.append(f"kill_{uuid.uuid4().hex}")
        if request.param == "sqlite":
            return Database(str(tmp_path / f"{made[-1]}.db"))
        await admin.execute(f"CREATE SCHEMA {made[-1]}")
        return Database(url, made[-1])

    if request.param == "sqlite":
        yield make
        return

    import asyncpg

    url: str = request.getfixturevalue("postgres_url")
    admin = await asyncpg.connect(url)
    yield make
    for name in made:
        await admin.execute(f"DROP SCHEMA {name} CASCADE")
    await admin.close()


def process(main: Callable[..., None], *args: object) -> Any:
    receiver, sender = _context.Pipe(duplex=False)
    child = _context.Process(target=main, args=(*args, sender), daemon=True)
    child.start()
    sender.close()
    receiver.recv()
    return child


def life(database: Database, log: Path, die_at: DieAt | None = None, *, answers: bool = False) -> Any:
    """A process that runs the turn."""
    return process(parked.child_main, database.url, database.schema, str(log), die_at, answers)


def end_of(child: Any) -> int:
    child.join(LIFE_LIMIT_S)
    assert child.exitcode in (0, -signal.SIGKILL), f"the agent ended with {child.exitcode}"
    return int(child.exitcode)


async def both_wait(store: lash.Store) -> None:
    """Returns when the turn waits for a person and for an outsider, and its third call is recorded."""
    async with asyncio.timeout(LIFE_LIMIT_S):
        while len(await store.waits.list_open(parked.SESSION_ID)) < 2:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)
        # A safe tool may still be on its way to the store, and would then run again.
        while not any("call_0_2" in row.replay_key for row in await store.journal.load(SCOPE)):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_turn_killed_while_it_waits_goes_on_with_answers_from_elsewhere(
    new_database: NewDatabase, tmp_path: Path
) -> None:
    database, log_path = await new_database(), tmp_path / "parked.log"
    first = life(database, log_path)
    async with await lash.Store.open(database.url, schema=database.schema) as store:
        await both_wait(store)
        first.kill()
        first.join()
        # Killed again while it waits again: nobody is asked twice.
        second = life(database, log_path)
        await asyncio.to_thread(_until_line, log_path, "found-waiting")
        second.kill()
        second.join()

    assert end_of(process(parked.answer_main, database.url, database.schema)) == 0
    assert end_of(life(database, log_path)) == 0

    lines = ExecutionLog(log_path).lines()
    assert lines[-1] == "said:done"
    done = sorted(line for line in lines if line not in ("found-waiting", "said:done"))
    assert done == ["ask:call_0_0", "llm:0", "llm:1", "tool:call_0_0", "tool:call_0_1", "tool:call_0_2"]


async def test_answers_reach_a_turn_that_lives_in_another_process(new_database: NewDatabase, tmp_path: Path) -> None:
    database, log_path = await new_database(), tmp_path / "parked.log"
    agent = life(database, log_path)
    async with await lash.Store.open(database.url, schema=database.schema) as store:
        await both_wait(store)

    assert end_of(process(parked.answer_main, database.url, database.schema)) == 0

    assert end_of(agent) == 0
    assert ExecutionLog(log_path).lines()[-1] == "said:done"


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_waiting_turn_killed_at_a_write_runs_nothing_recorded_again(
    new_database: NewDatabase, tmp_path: Path, when: Literal["before", "after"]
) -> None:
    # Both halves together see every other write.
    await _kill_at_writes(new_database, tmp_path, when, range(1 if when == "before" else 3, 100, 4))


@pytest.mark.soak
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_waiting_turn_killed_at_any_write_runs_nothing_recorded_again(
    new_database: NewDatabase, tmp_path: Path, when: Literal["before", "after"]
) -> None:
    await _kill_at_writes(new_database, tmp_path, when, range(1, 100))


async def _kill_at_writes(
    new_database: NewDatabase, tmp_path: Path, when: Literal["before", "after"], steps: range
) -> None:
    calm = await new_database()
    assert end_of(life(calm, tmp_path / "calm.log", answers=True)) == 0
    expected = await final_state(calm)

    for step in steps:
        database, log_path = await new_database(), tmp_path / f"{step}.log"
        if end_of(life(database, log_path, DieAt(step, when), answers=True)) == 0:
            break
        position, known = len(ExecutionLog(log_path).lines()), await recorded(database)
        assert end_of(life(database, log_path, answers=True)) == 0
        again = ExecutionLog(log_path).lines()[position:]

        assert known.isdisjoint(again), f"step {step}"
        assert await final_state(database) == expected, f"step {step}"
    assert step > 8


async def recorded(database: Database) -> set[str]:
    """Executions whose outcome is in the journal, named as the agent's log names them."""
    names: set[str] = set()
    async with await lash.Store.open(database.url, schema=database.schema) as store:
        rows = await store.journal.load(SCOPE)
        if not rows:
            session = await store.sessions.open_existing_store(parked.SESSION_ID)
            if session is not None and await session.load_turn(parked.SESSION_ID, parked.TURN_ID) is not None:
                return {"llm:0", "llm:1", "ask:call_0_0", "tool:call_0_0", "tool:call_0_1", "tool:call_0_2"}
        for row in rows:
            parts = row.replay_key.removeprefix(f"{parked.SESSION_ID}:{parked.TURN_ID}:").split(":")
            if row.kind == "llm_call":
                names.add(f"llm:{parts[1]}")
            elif row.kind == "tool_call":
                names.add(f"tool:{parts[6]}")
            elif parts[-1] == "approval":
                names.add(f"ask:{parts[6]}")
    return names


async def final_state(database: Database) -> Any:
    """What must be equal in every run."""
    async with await lash.Store.open(database.url, schema=database.schema) as store:
        session = await store.sessions.open_existing_store(parked.SESSION_ID)
        assert session is not None
        stored = await session.load_session(FullGraph())
        assert stored is not None
        messages = [node.payload.message for node in stored.graph.nodes if hasattr(node.payload, "message")]
        return {
            "revision": stored.head_revision,
            "messages": [to_json(message) for message in messages],
            "turns": [turn.turn_id for turn in await session.list_turns(parked.SESSION_ID)],
            "journal": await store.journal.load(SCOPE),
            "open waits": await store.waits.list_open(None),
        }


def _until_line(path: Path, line: str) -> None:
    for _ in range(int(LIFE_LIMIT_S / 0.01)):
        if line in ExecutionLog(path).lines():
            return
        time.sleep(0.01)
    raise AssertionError(f"never written: {line}")
