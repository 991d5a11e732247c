"""One torture from beginning to end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from torture.app import Place, core
from torture.chaos import Fleet
from torture.effects_log import Execution
from torture.evidence import Evidence, collect, rows, watch
from torture.judge import Verdict, judge
from torture.load import Driver, Load


@dataclass(frozen=True, slots=True)
class Run:
    """What came of it."""

    evidence: Evidence
    verdict: Verdict
    kills: int
    terms: int


async def torture(
    place: Place, load: Load, seed: int, *, torment_s: float, patience_s: float, leave_one: bool = False
) -> Run:
    """Tortures for so long, waits for the rest, judges. What has not ended after `patience_s` more is judged too."""
    fleet = Fleet(place, seed)
    executed_again: list[Execution] = []
    stop = asyncio.Event()
    async with await place.open() as store, core(place, store, workers=0) as asking:
        driver = Driver(asking, load, seed)
        try:
            await fleet.start()
            watching = asyncio.create_task(watch(place, executed_again, stop))
            driving = asyncio.create_task(driver.run())
            await fleet.torment(torment_s)
            if leave_one:
                await fleet.leave_one()
            try:
                async with asyncio.timeout(patience_s):
                    await driving
                    await _quiet(place)
            except TimeoutError:
                driving.cancel()
                await asyncio.wait([driving])
            stop.set()
            await watching
            await fleet.leave()
        finally:
            await asyncio.to_thread(fleet.kill_all)
    evidence = await collect(place, driver.book)
    evidence.executed_again = executed_again
    evidence.exits = fleet.exits
    return Run(evidence, judge(evidence), fleet.kills, fleet.terms)


async def _quiet(place: Place) -> None:
    """Returns when every wake was read by its session."""
    left = (
        "SELECT (SELECT count(*) FROM lash_process_wake_outbox WHERE state = 'pending')"
        " + (SELECT count(*) FROM lash_queued_batches)"
        " + (SELECT count(*) FROM lash_session_leases WHERE turn_json IS NOT NULL)"
    )
    while (await rows(place, left))[0][0]:  # noqa: ASYNC110 - other processes
        await asyncio.sleep(0.1)
