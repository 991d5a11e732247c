"""The wait facet: durable promises."""

from __future__ import annotations

from lash.base.clock import Clock
from lash.base.codec import encode
from lash.base.ids import IdSource
from lash.base.json import Json, JsonObject
from lash.base.tier import DurabilityTier
from lash.effects.ports import WaitRecord, WaitRow
from lash.effects.scope import ExecutionScope
from lash.effects.waits import (
    Accepted,
    AlreadyResolved,
    AwaitEventKey,
    Resolution,
    ResolveOutcome,
    UnknownOrRevoked,
    WaitCancelled,
    WaitIdentity,
)
from lash.stores.changes import Changes
from lash.stores.driver import Driver
from lash.stores.facet import Facet
from lash.stores.records import decoded
from lash.stores.sql import waits as sql
from lash.stores.watching import Hub, News


class SqlWaits(Facet):
    """Waits in the database."""

    def __init__(self, driver: Driver, clock: Clock, ids: IdSource, changes: Changes) -> None:
        super().__init__(driver, clock, ids)
        self._hub = Hub("a durable wait", changes, self._news)

    async def close(self) -> None:
        """Ends what waits."""
        await self._hub.close()

    def durability_tier(self) -> DurabilityTier:
        """What the database behind it promises."""
        return self._driver.tier

    async def signing_secret(self, candidate: bytes) -> bytes:
        """The store's secret; `candidate` becomes it when there is none yet."""
        return await self._driver.run(sql.signing_secret(candidate))

    async def open_wait(
        self, key: AwaitEventKey, deadline_ms: int | None, subject: JsonObject | None = None
    ) -> WaitRow:
        """Registers the wait unless it is known; the first deadline and the first subject stand."""
        subject_json = None if subject is None else encode(subject)
        return _row(key, await self._driver.run(sql.open_wait(key, deadline_ms, subject_json, self._clock.now_ms())))

    async def list_open(self, session_id: str | None) -> list[WaitRecord]:
        """Unresolved waits that have a subject, oldest first. Those of a turn that is over are left out."""
        rows = await self._driver.run(sql.list_open(session_id))
        records = [(_record(row), row.turn_in_flight) for row in rows]
        return [record for record, turn_id in records if record.scope.turn_id in (None, turn_id)]

    async def find(self, key_id: str) -> WaitRecord | None:
        """A wait by its id, resolved or not."""
        row = await self._driver.run(sql.find(key_id))
        return None if row is None else _record(row)

    async def get_wait(self, key: AwaitEventKey) -> WaitRow | None:
        """The wait as it stands."""
        state = await self._driver.run(sql.get_wait(key))
        return None if state is None else _row(key, state)

    async def settled(self, key: AwaitEventKey) -> WaitRow:
        """The registered wait as soon as it is resolved or revoked."""

        async def look() -> WaitRow | None:
            row = await self.get_wait(key)
            return row if row is not None and (row.is_revoked or row.resolution is not None) else None

        return await self._hub.first(key.key_id, look)

    async def resolve(self, key: AwaitEventKey, resolution: Resolution) -> ResolveOutcome:
        """Stores the resolution if none stands. The caller has checked the signature."""
        state, is_ours = await self._driver.run(sql.resolve(key, encode(resolution), self._clock.now_ms()))
        if state.is_revoked is not None:
            return UnknownOrRevoked()
        if is_ours or state.terminal_json is None:
            return Accepted()
        return AlreadyResolved(_resolution(key.key_id, state.terminal_json))

    async def revoke_session(self, session_id: str) -> None:
        """Invalidates every key of the session for good."""
        await self._driver.run(sql.revoke_session(session_id, self._clock.now_ms()))

    async def cancel_session(self, session_id: str) -> None:
        """Resolves every open wait of the session as cancelled."""
        await self._driver.run(sql.cancel_session(session_id, encode(WaitCancelled()), self._clock.now_ms()))

    async def _news(self, start: int | None) -> News:
        asked = [] if start is None else self._hub.watched
        return News([(row.key_id, 1) for row in await self._driver.run(sql.settled(asked))], 0)


def _row(key: AwaitEventKey, state: sql.WaitState) -> WaitRow:
    resolution = None if state.terminal_json is None else _resolution(key.key_id, state.terminal_json)
    return WaitRow(key.key_id, state.deadline_ms, resolution, state.is_revoked is not None)


def _record(row: sql.RecordRow) -> WaitRecord:
    where = f"wait {row.key_id}"
    wait: WaitIdentity = decoded(
        where,
        row.wait_json,
        WaitIdentity,  # type: ignore[arg-type]  # a union is a shape to msgspec
    )
    return WaitRecord(
        key_id=row.key_id,
        scope=decoded(where, row.scope_json, ExecutionScope),
        wait=wait,
        subject=None if row.subject_json is None else decoded(where, row.subject_json, dict[str, Json]),
        created_at_ms=row.created_at_ms,
        deadline_ms=row.deadline_ms,
    )


def _resolution(key_id: str, terminal_json: str) -> Resolution:
    resolution: Resolution = decoded(
        f"wait {key_id}",
        terminal_json,
        Resolution,  # type: ignore[arg-type]  # a union is a shape to msgspec
    )
    return resolution
