"""Simulated worlds: the same for the same seed, clean with the shipped runtime, and not blind to bugs."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from lash.effects.journal import JournalRow
from lash.effects.scope import ExecutionScope
from lash.stores.dialect import SQLITE, render
from lash.stores.journal import SqlJournal
from lash.stores.sql import leases
from lash.testing.simulation import (
    Answer,
    Crash,
    Enqueue,
    Every,
    Open,
    Order,
    Pause,
    Run,
    Simulation,
    SimulationFailed,
    SimulationReport,
    Start,
    Step,
    StoreFails,
    Task,
    Wait,
    replay_program,
    shrink,
    simulate,
)

# The two hundred of every run, in parts that several workers share.
PARTS = 8
PART = 25


@pytest.mark.parametrize("part", range(PARTS))
def test_two_hundred_seeds_break_no_law(part: int) -> None:
    assert simulate(range(part * PART, (part + 1) * PART)) == PART


@pytest.mark.soak
@pytest.mark.parametrize("part", range(100))
def test_ten_thousand_seeds_break_no_law(part: int) -> None:
    assert simulate(range(1_000 + part * 100, 1_100 + part * 100), length=32) == 100


def test_a_seed_gives_the_same_trace_in_every_process() -> None:
    program = (
        "from lash.testing.simulation import Simulation\nprint([Simulation(seed).run().digest for seed in (3, 198)])"
    )
    here = str([Simulation(seed).run().digest for seed in (3, 198)]) + "\n"

    elsewhere = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }

    assert elsewhere == {here}


def test_another_seed_plays_the_same_script_in_another_order() -> None:
    script: list[Step] = [Open(0), Open(1), Run(0, "s1", "t1", "t1: echo+nap"), Run(1, "s1", "t2", "t2: echo")]

    digests = {Simulation(seed, script=script).run().digest for seed in range(5)}

    assert len(digests) == 5


def test_a_paused_owner_loses_its_turn_to_another_host_which_ends_it() -> None:
    report = _clean(
        [
            *(Open(0), Open(1), Wait(500)),
            *(Run(0, "s1", "t1", "t1: nap+nap nap"), Wait(200), Pause(0, ms=60_000)),
            *(Run(1, "s1", "t1", "t1: nap+nap nap"), Wait(50_000)),
        ]
    )

    assert any("host1" in line and line.endswith(": commit") for line in _before_the_end(report))


def test_a_turn_whose_owner_dies_unnoticed_goes_on_at_the_restart() -> None:
    """The lease was not yet over when the new core looked, and it looked again."""
    script: list[Step] = [
        *(Open(0), Wait(500), Run(0, "s1", "t1", "t1: hang"), Wait(3_000)),
        *(Crash(0), Open(1), Wait(120_000)),
    ]
    slow_to_notice = next(seed for seed in range(100) if "after 40000 ms" in _noticing(seed))

    report = _clean(script, seed=slow_to_notice)

    assert any("host1" in line and line.endswith(": commit") for line in _before_the_end(report))


def test_input_that_is_queued_already_runs_when_it_is_enqueued_again() -> None:
    """Whoever enqueued it first died before it began to run; its caller asks another host."""
    for depth in range(20, 60):
        report = _clean(
            [
                *(Open(0), Open(1), Wait(500)),
                *(Enqueue(0, "s1", "q1", "q1: echo"), Crash(0, after=depth), Wait(100)),
                *(Enqueue(1, "s1", "q1", "q1: echo"), Wait(5_000)),
            ]
        )

        assert any("host1" in line and line.endswith(": commit") for line in _before_the_end(report)) or any(
            "host0" in line and line.endswith(": commit") for line in report.trace
        )


def test_processes_triggers_and_schedules_end_whatever_happens() -> None:
    report = _clean(
        [
            *(Open(0), Open(1), Wait(500)),
            *(Start(0, "p1", "shaky", wake="s1"), Task(1, "p2", "p2: nap ask", wake="s1"), Order(0, "p3")),
            *(Every(1, "c1", 20, "echo"), Wait(700), StoreFails(1, 3, "unacknowledged"), Crash(0, after=40)),
            *(Wait(45_000), Answer(1), Open(0), Wait(1_000)),
        ]
    )

    assert any("runs tool_call:shaky" in line for line in report.trace)


def test_a_journal_that_forgets_is_found_and_the_script_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    load = SqlJournal.load

    async def forgetful(self: SqlJournal, scope: ExecutionScope) -> list[JournalRow]:
        rows = await load(self, scope)
        done = [row for row in rows if row.status == "completed"]
        return [row for row in rows if row is not (done[-1] if done else None)]

    monkeypatch.setattr(SqlJournal, "load", forgetful)

    with pytest.raises(SimulationFailed, match="recorded, and ran again") as failed:
        simulate(50)

    assert len(failed.value.report.script) <= 6
    with pytest.raises(AssertionError, match="recorded, and ran again"):
        exec(replay_program(failed.value.report), {})


def test_a_store_that_gives_a_held_lease_away_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    may_take = render(leases._MAY_TAKE, SQLITE)
    for query in (leases.CLAIM_LEASE, leases.BEGIN_TURN):
        careless = query.statement.sqlite.replace(may_take, "(?5 <> '-')")
        assert careless != query.statement.sqlite
        monkeypatch.setattr(query.statement, "sqlite", careless)

    failing = next(report for seed in range(200) if not (report := Simulation(seed).run()).is_ok)
    short = shrink(failing)

    assert "taken from its living owner" in short.problems[0]
    assert len(short.script) < len(failing.script)


def _clean(script: list[Step], seed: int = 7) -> SimulationReport:
    report = Simulation(seed, script=script).run()
    assert report.is_ok, report.problems
    return report


def _before_the_end(report: SimulationReport) -> list[str]:
    end = next(index for index, line in enumerate(report.trace) if "script: the end" in line)
    return report.trace[:end]


def _noticing(seed: int) -> str:
    return Simulation(seed, script=[Open(0)]).run().trace[0]
