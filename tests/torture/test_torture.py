"""Four worker processes are killed and sent away all the time; every promise about background processes holds."""

from __future__ import annotations

import os
import random

import pytest

from torture.app import Place
from torture.load import Load
from torture.run import torture

# 20 s for each database, a third of it torment, on two cores that others use too.
TORMENT_S = 8.0
PATIENCE_S = 60.0
SOAK_S = float(os.environ.get("LASH_SOAK_SECONDS", "1700"))


@pytest.mark.timeout(180)
async def test_workers_that_die_all_the_time_keep_every_promise(place: Place) -> None:
    run = await torture(place, Load(), 1, torment_s=TORMENT_S, patience_s=PATIENCE_S)

    assert not run.verdict.broken, str(run.verdict)
    assert run.kills and run.terms, "nobody was tormented"
    assert len(run.evidence.processes) >= Load().processes


@pytest.mark.soak
async def test_two_thousand_processes_outlive_an_hour_of_torment(place: Place) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    load = Load().times(16, SOAK_S - 30)
    run = await torture(place, load, seed, torment_s=SOAK_S, patience_s=600)

    assert not run.verdict.broken, f"seed {seed}:\n{run.verdict}"
    assert len(run.evidence.processes) >= 2_000
