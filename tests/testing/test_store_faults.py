"""Stores that fail on request, and turns that do not mind."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import lash
from lash.base.errors import InvalidArgument
from lash.sessions.errors import StoreUnavailable
from lash.testing import ScriptedModel, StoreFaults, calls, says

STEPS = [calls("double", number=1), says("2")]


@lash.tool(repeat="idempotent")
async def double(number: int) -> int:
    """Twice a number."""
    return number * 2


@pytest.mark.parametrize("lost", [False, True])
async def test_a_commit_that_fails_once_is_made_again_and_counts_once(tmp_path: Path, lost: bool) -> None:
    faults = StoreFaults()
    async with await faults.open(str(tmp_path / "agent.db")) as store:
        core = lash.StandardCore(model=ScriptedModel(STEPS), tools=[double], store=store)
        async with core, core.session("s") as session:
            faults.fail("commit", lost_acknowledgement=lost)
            turn = await session.run("go")

            assert (turn.text, session.view.revision, len(await session.turns())) == ("2", 1, 1)


async def test_an_acceptance_that_fails_is_told_and_accepts_nothing(tmp_path: Path) -> None:
    faults = StoreFaults()
    async with await faults.open(str(tmp_path / "agent.db")) as store:
        core = lash.StandardCore(model=ScriptedModel(STEPS), tools=[double], store=store)
        async with core, core.session("s") as session:
            faults.fail("accept_turn", times=100)
            with pytest.raises(StoreUnavailable):
                await session.run("go", turn_id="t")
            faults.heal()

            assert (await session.run("go", turn_id="t")).text == "2"


async def test_faults_start_when_they_are_told_to(tmp_path: Path) -> None:
    faults = StoreFaults()
    async with await faults.open(str(tmp_path / "agent.db")) as store:
        faults.fail("read", after=1)
        await store.sessions.list_sessions()
        with pytest.raises(StoreUnavailable, match="list_sessions"):
            await store.sessions.list_sessions()
        await store.sessions.list_sessions()

    assert faults.programs[-3:] == ["list_sessions"] * 3


def test_a_fault_that_never_happens_is_refused() -> None:
    with pytest.raises(InvalidArgument):
        StoreFaults().fail(times=0)


async def test_who_waits_for_a_process_waits_on_while_the_store_is_away(tmp_path: Path) -> None:
    faults = StoreFaults()
    async with await faults.open(str(tmp_path / "agent.db")) as store:
        core = lash.StandardCore(model=ScriptedModel([]), store=store, workers=0, recover=False)
        async with core, asyncio.timeout(20):
            process = await core.processes.start(lash.External("print"), id="p")
            waiting = asyncio.create_task(process.result())
            while faults.programs.count("require") < 2 or "news" not in faults.programs:  # noqa: ASYNC110 - until it waits
                await asyncio.sleep(0.01)
            faults.fail("news")
            faults.fail("require")
            await core.processes.complete("p", "printed")

            assert await waiting == "printed"
            assert faults.programs.count("require") >= 4
