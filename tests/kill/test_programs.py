"""Agents of every kind, killed everywhere: nothing recorded runs again, the end is always the same."""

from __future__ import annotations

import pytest

import lash
from kill import programs
from kill.programs import Agent
from lash.stock import RollingHistory
from lash.testing import Lab, calls, fails, says

AGENTS = {
    "a conversation": Agent(programs.talks, [says("a"), says("b"), says("c")]),
    "parallel tools": Agent(
        programs.works,
        [[calls("double", number=1), calls("double", number=2), calls("count_lines", text="a\nb")], says("done")],
        [programs.double, programs.count_lines],
    ),
    "rounds of tools": Agent(
        programs.works,
        [calls("double", number=1), calls("double", number=2), calls("double", number=3), says("done")],
        [programs.double],
    ),
    "a retried tool": Agent(programs.works, [calls("flaky"), says("done")], [programs.flaky]),
    "a model that fails": Agent(
        programs.works,
        [fails("stream", after_text="half"), calls("double", number=1), fails("http", status=503), says("done")],
        [programs.double],
    ),
    "approvals": Agent(
        programs.is_approved,
        [[calls("refund", order=7), calls("refund", order=8), calls("double", number=1)], says("done")],
        [programs.refund, programs.double],
    ),
    "a detached tool": Agent(
        programs.is_completed,
        [[calls("analyse"), calls("double", number=1)], says("done")],
        [programs.analyse, programs.double],
    ),
    "a payment": Agent(
        programs.works,
        [[calls("pay", order=7), calls("double", number=1)], says("paid")],
        [
            programs.pay,
            programs.double,
        ],
    ),
    "forks": Agent(programs.forks, [says("one"), says("two"), says("three")]),
    "compaction": Agent(
        programs.compacts, [says("one"), says("summary"), says("two")], plugins=lambda: [RollingHistory()]
    ),
    "queued input": Agent(
        programs.is_interrupted_by_input,
        [says("a"), calls("double", number=1), says("b"), says("c")],
        [programs.double],
    ),
    "a program in a process": Agent(programs.runs_a_program, [], [programs.double, programs.count_lines]),
    "a fresh start": Agent(programs.starts_anew, [says("one"), says("two")]),
}

# The others are killed at instants spread over their run, and everywhere in `make soak`.
KILLED_EVERYWHERE = ["parallel tools", "approvals", "a payment", "compaction"]


def lab(name: str, store: str) -> Lab:
    return Lab(AGENTS[name].core, stores=[store], settle=lambda _effect: lash.ToolResult.ok("paid 7"))


@pytest.mark.parametrize("name", KILLED_EVERYWHERE)
async def test_an_agent_survives_every_kill(name: str) -> None:
    report = await lab(name, "sqlite").kill_everywhere(AGENTS[name].program)

    report.raise_for_problems()
    assert report.kills >= 10


@pytest.mark.parametrize("name", [name for name in AGENTS if name not in KILLED_EVERYWHERE])
async def test_an_agent_survives_kills(name: str) -> None:
    report = await lab(name, "sqlite").kill_everywhere(AGENTS[name].program, limit=10)

    report.raise_for_problems()
    assert report.kills >= 8


@pytest.mark.parametrize("name", AGENTS)
async def test_an_agent_survives_kills_on_postgresql(name: str, postgres_url: str) -> None:
    report = await lab(name, postgres_url).kill_everywhere(AGENTS[name].program, limit=2)

    report.raise_for_problems()


@pytest.mark.soak
@pytest.mark.parametrize("name", AGENTS)
async def test_every_agent_survives_every_kill(name: str) -> None:
    report = await lab(name, "sqlite").kill_everywhere(AGENTS[name].program)

    report.raise_for_problems()


@pytest.mark.soak
@pytest.mark.parametrize("name", AGENTS)
async def test_an_agent_survives_every_kill_on_postgresql(name: str, postgres_url: str) -> None:
    report = await lab(name, postgres_url).kill_everywhere(AGENTS[name].program)

    report.raise_for_problems()


@pytest.mark.soak
async def test_a_program_that_is_parked_at_every_wait_survives_every_kill() -> None:
    report = await Lab(programs.parking_core, stores=["sqlite"]).kill_everywhere(programs.runs_a_program)

    report.raise_for_problems()
