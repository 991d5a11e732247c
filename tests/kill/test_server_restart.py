"""The PostgreSQL server goes away and comes back under a running turn; the turn does not mind."""

from __future__ import annotations

import asyncio
import signal
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import asyncpg
import pytest

import lash
from kill import agent
from kill.harness import SESSION_ID, Database, final_state, recorded
from lash.sessions.errors import StoreUnavailable
from services.postgres import PostgresServer

# How a host reacts to `StoreUnavailable`: it asks again, under the same turn id.
ASKS = 20


@dataclass(slots=True)
class Restart:
    """Stops the server at the `step`-th write of the turn, and starts it on the same data."""

    server: PostgresServer
    database: Database
    log: agent.ExecutionLog
    step: int
    when: Literal["before", "after"]
    how: signal.Signals
    steps: int = 0
    has_happened: bool = False
    recorded: set[str] = field(default_factory=set)
    lines_before: int = 0

    def arm(self, store: lash.Store) -> None:
        """Counts the writes of this store."""
        driver: Any = store._driver
        run = driver.run

        async def counted(program: Any) -> Any:
            if program.mode == "read":
                return await run(program)
            self.steps += 1
            mine = self.steps == self.step
            if mine and self.when == "before":
                await self._restart()
            answer = await run(program)
            if mine and self.when == "after":
                await self._restart()
            return answer

        driver.run = counted

    async def _restart(self) -> None:
        await asyncio.to_thread(self.server.stop, self.how)
        await asyncio.to_thread(self.server.start)
        # In this order: what is recorded now must not be executed from now on.
        self.recorded = await recorded(self.database)
        self.lines_before = len(self.log.lines())
        self.has_happened = True

    @property
    def executed_again(self) -> list[str]:
        """Recorded effects that were executed after the restart."""
        return [line for line in self.log.lines()[self.lines_before :] if line in self.recorded]


@pytest.fixture
def server(durable_postgres: Callable[[], PostgresServer]) -> PostgresServer:
    """A server of this test's own."""
    return durable_postgres()


async def test_a_turn_outlives_a_crash_of_the_server_at_any_write(server: PostgresServer, tmp_path: Path) -> None:
    await _judge(server, tmp_path, "after", signal.SIGQUIT)


@pytest.mark.soak
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT, signal.SIGKILL])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_turn_outlives_any_restart_of_the_server_at_any_write(
    server: PostgresServer, tmp_path: Path, when: Literal["before", "after"], how: signal.Signals
) -> None:
    await _judge(server, tmp_path, when, how)


async def test_a_turn_outlives_an_orderly_restart_of_the_server_in_its_middle(
    server: PostgresServer, tmp_path: Path
) -> None:
    calm = await _uninterrupted(server, tmp_path)

    restart = await _restarted(server, tmp_path, 3, "before", signal.SIGINT)

    assert restart.has_happened
    assert restart.executed_again == []
    assert await final_state(restart.database) == calm


async def test_a_turn_waits_for_a_server_that_stays_away(server: PostgresServer, tmp_path: Path) -> None:
    calm = await _uninterrupted(server, tmp_path)
    database = await _database(server)
    log = agent.ExecutionLog(tmp_path / "away.log")
    async with await lash.Store.open(database.url, schema=database.schema) as store:
        core = lash.StandardCore(model=agent._model(log), tools=agent._tools(log), store=store)
        async with core, core.session(SESSION_ID) as session:
            server.stop(signal.SIGQUIT)

            with pytest.raises(StoreUnavailable):
                await session.run(agent.INPUT, turn_id=agent.TURN_ID)
            server.start()

            assert (await session.run(agent.INPUT, turn_id=agent.TURN_ID)).ok
    assert await final_state(database) == calm


async def _judge(server: PostgresServer, folder: Path, when: Literal["before", "after"], how: signal.Signals) -> None:
    calm = await _uninterrupted(server, folder)
    step = 1
    while (restart := await _restarted(server, folder, step, when, how)).has_happened:
        assert restart.executed_again == [], f"at write {step}"
        assert await final_state(restart.database) == calm, f"at write {step}"
        step += 1
    assert step > 4


async def _restarted(
    server: PostgresServer, folder: Path, step: int, when: Literal["before", "after"], how: signal.Signals
) -> Restart:
    database = await _database(server)
    log = agent.ExecutionLog(folder / f"step-{step}-{when}-{how}.log")
    restart = Restart(server, database, log, step, when, how)
    async with await lash.Store.open(database.url, schema=database.schema) as store:
        restart.arm(store)
        await _run(store, log)
    return restart


async def _run(store: lash.Store, log: agent.ExecutionLog) -> None:
    core = lash.StandardCore(model=agent._model(log), tools=agent._tools(log), store=store)
    async with core, core.session(SESSION_ID) as session:
        for _ in range(ASKS):
            try:
                turn = await session.run(agent.INPUT, turn_id=agent.TURN_ID)
            except StoreUnavailable:
                continue
            assert turn.ok, turn
            return
    raise AssertionError(f"the turn was not settled when it was asked for {ASKS} times")


async def _uninterrupted(server: PostgresServer, folder: Path) -> Any:
    database = await _database(server)
    async with await lash.Store.open(database.url, schema=database.schema) as store:
        await _run(store, agent.ExecutionLog(folder / "uninterrupted.log"))
    return await final_state(database)


async def _database(server: PostgresServer) -> Database:
    schema = f"restart_{uuid.uuid4().hex}"
    admin = await asyncpg.connect(server.url)
    await admin.execute(f"CREATE SCHEMA {schema}")
    await admin.close()
    return Database(server.url, schema)
