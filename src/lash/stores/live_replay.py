"""The log of what running turns tell, as processes share it (decisions 30)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lash.base.clock import Clock
from lash.base.codec import decode, encode
from lash.base.ids import IdSource
from lash.runtime.activity import TurnActivity
from lash.runtime.observation.relay import Told, ToldBatch
from lash.stores.driver import Driver
from lash.stores.facet import Facet
from lash.stores.sql import live_replay as sql

SWEEP_EVERY_MS: Final = 10_000


class SqlToldLog(Facet):
    """`ToldLog` in one unlogged table."""

    def __init__(self, driver: Driver, clock: Clock, ids: IdSource) -> None:
        super().__init__(driver, clock, ids)
        self._swept_at_ms = 0

    async def append(self, batches: Sequence[ToldBatch], max_age_ms: int) -> None:
        """Appends batches, and now and then forgets what is older than `max_age_ms`."""
        now_ms = self._clock.now_ms()
        sweep = now_ms - max_age_ms if now_ms - self._swept_at_ms >= SWEEP_EVERY_MS else None
        rows = [
            (
                batch.session_id,
                batch.turn_id,
                batch.drive_id,
                batch.first_number,
                encode(list(batch.activities)),
                now_ms,
            )
            for batch in batches
        ]
        await self._driver.run(sql.append(rows, sweep))
        if sweep is not None:
            self._swept_at_ms = now_ms

    async def after(self, session_id: str, turn_id: str, seq: int) -> list[Told]:
        """What followed a place in the log, in order."""
        rows = await self._driver.run(sql.after(session_id, turn_id, seq))
        return [
            Told(row.seq, row.drive_id, row.first_number, decode(row.activities_json, list[TurnActivity]))
            for row in rows
        ]
