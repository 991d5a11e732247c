"""From a seed that fails to the shortest script that does, printed as a program."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from lash.base.errors import LashError
from lash.testing.simulation.hosts import MakeCore
from lash.testing.simulation.simulation import Simulation, SimulationReport
from lash.testing.simulation.steps import Step

# Enough to bring forty steps down to a handful; a world takes a tenth of a second.
MAX_TRIES: Final = 300


class SimulationFailed(LashError, AssertionError):
    """A law was broken in a simulated world. The message is a program that shows it again. Added in 0.1."""

    code = "simulation_failed"

    def __init__(self, report: SimulationReport) -> None:
        super().__init__(f"seed {report.seed}: {report.problems[0]}\n\n{replay_program(report)}")
        self.report = report


def simulate(
    seeds: int | Iterable[int],
    *,
    hosts: int = 3,
    length: int = 24,
    make: MakeCore | None = None,
) -> int:
    """Runs one world for each seed (a number: so many, from 0) and answers how many; see `Simulation`.

    Raises `SimulationFailed` at the first that breaks a law, with the shortest script that was found.
    Added in 0.1.
    """
    count = 0
    for seed in range(seeds) if isinstance(seeds, int) else seeds:
        report = Simulation(seed, hosts=hosts, length=length, make=make).run()
        if not report.is_ok:
            raise SimulationFailed(shrink(report, make=make))
        count += 1
    return count


def shrink(report: SimulationReport, *, make: MakeCore | None = None, tries: int = MAX_TRIES) -> SimulationReport:
    """A world with as few steps as possible that breaks the same kind of law; at most `tries` worlds are run.

    Steps are left out in halves, quarters, … and then one by one, as long as it still fails.
    """
    best = report

    def fails(script: Sequence[Step]) -> bool:
        nonlocal best
        found = Simulation(report.seed, script=script, make=make).run()
        if _kind(found) != _kind(report):
            return False
        best = found
        return True

    shortest(report.script, fails, tries)
    return best


def shortest(script: Sequence[Step], fails: Callable[[Sequence[Step]], bool], tries: int) -> list[Step]:
    """The rest of a script when everything was left out without which it still `fails` (delta debugging)."""
    kept = list(script)
    size = max(1, len(kept) // 2)
    while tries > 0:
        is_shorter = False
        start = 0
        while start < len(kept) and tries > 0:
            candidate = kept[:start] + kept[start + size :]
            tries -= 1
            if fails(candidate):
                kept, is_shorter = candidate, True
            else:
                start += size
        if size == 1 and not is_shorter:
            break
        size = max(1, size // 2)
    return kept


def replay_program(report: SimulationReport) -> str:
    """A Python program that runs this world again."""
    steps = "".join(f"        {step!r},\n" for step in report.script)
    problems = "".join(f"# {problem}\n" for problem in report.problems)
    return (
        "from lash.testing.simulation import *\n\n"
        f"{problems}"
        "report = Simulation(\n"
        f"    {report.seed},\n"
        f"    script=[\n{steps}    ],\n"
        ").run()\n"
        'print("\\n".join(report.trace))\n'
        "assert report.is_ok, report.problems\n"
    )


def _kind(report: SimulationReport) -> str | None:
    """What was broken first, without the names in it: a shorter script has others."""
    return report.problems[0].partition(":")[0] if report.problems else None
