"""Four worker processes are killed and sent away all the time; every promise about background processes holds."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from torture.app import Place
from torture.evidence import collect, rows
from torture.judge import judge
from torture.load import Load
from torture.run import torture

# A third of the time that a database takes; the long torment is in `make soak`.
TORMENT_S = 4.0
PATIENCE_S = 90.0
SOAK_S = float(os.environ.get("LASH_SOAK_SECONDS", "1700"))


@pytest.mark.timeout(180)
async def test_workers_that_die_all_the_time_keep_every_promise(place: Place) -> None:
    run = await torture(place, Load(), 1, torment_s=TORMENT_S, patience_s=PATIENCE_S, leave_one=True)

    assert not run.verdict.broken, str(run.verdict)
    assert run.kills > 0, "nobody was tormented"
    assert len(run.evidence.processes) >= Load().processes


@pytest.mark.soak
@pytest.mark.timeout(0)
async def test_two_thousand_processes_outlive_an_hour_of_torment(place: Place) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    load = Load().times(16, SOAK_S - 30)
    run = await torture(place, load, seed, torment_s=SOAK_S, patience_s=600, leave_one=True)

    assert not run.verdict.broken, f"seed {seed}:\n{run.verdict}"
    assert len(run.evidence.processes) >= 2_000


@pytest.mark.timeout(60)
async def test_a_violation_planted_in_a_real_database_is_found(tmp_path: Path) -> None:
    place = Place(str(tmp_path / "torture.db"), None, tmp_path)
    load = Load(2, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0.1)
    run = await torture(place, load, 1, torment_s=0, patience_s=30)
    assert not run.verdict.broken, str(run.verdict)

    executed = next(each for each in run.evidence.executions if "job-" in each.effect)
    place.log.write("another-key", executed.effect)
    await rows(place, "DELETE FROM lash_process_events WHERE process_id = 'ordeal-0' AND sequence = 2")
    await rows(place, "UPDATE lash_processes SET lease_token = 'left', lease_owner = 'dead' WHERE process_id = 'job-0'")

    verdict = judge(await collect(place, run.evidence.book))
    assert set(verdict.broken) == {
        "no_event_is_lost_doubled_or_out_of_order",
        "no_lease_is_orphaned",
        "side_effects_carry_the_same_key",
    }
