"""lash: W1 to W4 on SQLite, W1 to W3 on PostgreSQL. The model is scripted, everything else as a user gets it.

Each turn of W1 and W2 runs in a new session, as the peers' do; what creating the session
costs on top is a figure of its own. Like theirs, the model answers in one piece and
says what it used, so that no time goes into acting. *Observed* is the same turn while
somebody reads the session's observation.
"""

from __future__ import annotations

import asyncio
import os
import uuid

from common import (
    GROWTH_MARKS,
    REPLY_TEXT,
    TURNS,
    USER_TEXT,
    WARM_UP,
    WORKFLOWS,
    asked_for,
    database_bytes,
    emit,
    emit_growth,
    emit_steps,
    emit_turns,
    now,
    postgres_url,
    scratch,
)

import lash
from lash.effects.envelope import EffectEnvelope, durable_step_command
from lash.effects.invocation import Invocation, RuntimeScope, turn_replay_key
from lash.effects.local import Local
from lash.effects.scope import ExecutionScope
from lash.hosts import JournaledEffectHost
from lash.runtime.observation.events import TurnEnded
from lash.sessions.accept import Claimant
from lash.sessions.store import SessionCreate
from lash.testing import ScriptedModel, calls, says

LOOKUPS = [calls("lookup", key=f"k{index}") for index in range(3)]


@lash.tool
async def lookup(key: str) -> str:
    """Look a key up."""
    return f"value of {key}"


def scripted(steps: list) -> ScriptedModel:
    return ScriptedModel(steps, usage=lash.TokenUsage(300, 80), chunk_chars=10_000)


class Turns:
    """Seconds of each turn: alone, with the creation of its session, and observed."""

    def __init__(self) -> None:
        self.alone: list[float] = []
        self.whole: list[float] = []
        self.observed: list[float] = []


async def timed_turns(store: str, steps: list) -> Turns:
    """Turns that nobody observes and turns that are observed, in turn: a slow moment of the disk hits both."""
    turns = Turns()
    async with lash.StandardCore(model=scripted(steps), tools=[lookup], store=store) as core:
        for _ in range(TURNS):
            started = now()
            async with core.session(uuid.uuid4().hex) as session:
                turns.alone.append(await timed(session))
            turns.whole.append(now() - started)
            async with core.session(uuid.uuid4().hex) as session:
                observer = await observing(session)
                turns.observed.append(await timed(session))
                await observer
    return turns


async def timed(session: lash.Session) -> float:
    started = now()
    turn = await session.run(USER_TEXT)
    ended = now()
    assert turn.text == REPLY_TEXT.strip()
    return ended - started


async def observing(session: lash.Session) -> asyncio.Task[None]:
    """Somebody who is there before the turn and sees it to its end."""
    is_there = asyncio.Event()

    async def read() -> None:
        async for seen in session.observe():
            is_there.set()
            if isinstance(seen.payload, TurnEnded):
                return

    reader = asyncio.create_task(read())
    await is_there.wait()
    return reader


async def timed_conversation(store: str) -> list[float]:
    seconds = []
    model = scripted([says(REPLY_TEXT)] * GROWTH_MARKS[-1])
    async with lash.StandardCore(model=model, store=store) as core, core.session("s") as session:
        for _ in range(GROWTH_MARKS[-1]):
            started = now()
            await session.run(USER_TEXT)
            seconds.append(now() - started)
    return seconds


async def timed_workflows(where: str) -> list[float]:
    """100 `durable_step` effects in one turn scope, each recorded before the next begins."""

    async def step() -> int:
        return 1

    seconds = []
    async with await lash.Store.open(where) as store:
        host = JournaledEffectHost(store.journal, store.waits)
        await host.open()
        for _ in range(WORKFLOWS):
            session_id = uuid.uuid4().hex
            session = await store.sessions.create_store(SessionCreate(session_id))
            lease = await session.try_claim_session_lease(
                session_id, Claimant("bench/1", uuid.uuid4().hex, uuid.uuid4().hex, 30_000)
            )
            scope = RuntimeScope(session_id, "t", 1)
            started = now()
            controller = await host.owned(
                ExecutionScope.turn(session_id, "t"), lease, is_fresh=True, on_lost=lambda: None
            )
            for number in range(1, 101):
                key = turn_replay_key(scope, "durable_step", number)
                invocation = Invocation.effect(scope, str(number), "durable_step", key)
                envelope = EffectEnvelope(invocation, durable_step_command(f"s{number}"))
                await controller.execute(envelope, Local.durable_step(step))
            await controller.barrier()
            seconds.append(now() - started)
    return seconds


async def measure(workloads: set[str], who: str, store: str) -> None:
    for workload, steps in (("w1", [says(REPLY_TEXT)]), ("w2", [LOOKUPS, says(REPLY_TEXT)])):
        if workload in workloads:
            turns = await timed_turns(store, steps)
            emit_turns(workload.upper(), who, turns.alone)
            for metric, seconds in (("turn, observed", turns.observed), ("new session and turn", turns.whole)):
                emit(workload.upper(), who, metric, [value * 1e3 for value in seconds[WARM_UP:]], "ms")
    if "w3" in workloads:
        emit_steps(who, await timed_workflows(store))


async def main() -> None:
    workloads, folder = asked_for(["w1", "w2", "w3", "w4"]), scratch()
    await measure(workloads, "lash, SQLite", os.path.join(folder, "agent.db"))
    if "w4" in workloads:
        path = os.path.join(folder, "w4.db")
        seconds = await timed_conversation(path)
        emit_growth("lash, SQLite", seconds, database_bytes(path))
    if workloads & {"w1", "w2", "w3"}:
        await measure(workloads, "lash, PostgreSQL", postgres_url())


asyncio.run(main())
