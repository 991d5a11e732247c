"""Programs that models write, killed everywhere: each process is started once, and the end is always the same."""

from __future__ import annotations

import pytest

from kill.cells import PROGRAMS
from lash.testing import Lab

# The programs with the most going on at once.
ON_POSTGRESQL = ("nested processes", "a trigger", "subagents together")


@pytest.mark.parametrize("name", PROGRAMS)
async def test_a_program_survives_kills(name: str) -> None:
    program = PROGRAMS[name]

    report = await Lab(program.core).kill_everywhere(program.program, limit=6)

    report.raise_for_problems()
    assert report.kills >= 4


@pytest.mark.soak
@pytest.mark.parametrize("name", PROGRAMS)
async def test_a_program_survives_every_kill(name: str) -> None:
    program = PROGRAMS[name]

    report = await Lab(program.core).kill_everywhere(program.program)

    report.raise_for_problems()
    assert report.kills >= 20


@pytest.mark.parametrize("name", ON_POSTGRESQL)
async def test_a_program_survives_kills_on_postgresql(name: str, postgres_url: str) -> None:
    program = PROGRAMS[name]

    report = await Lab(program.core, stores=[postgres_url]).kill_everywhere(program.program, limit=2)

    report.raise_for_problems()
