"""The journal facet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lash.base.tier import DurabilityTier
from lash.effects.errors import LeaseLost
from lash.effects.journal import JournalRow
from lash.effects.lease import Lease
from lash.effects.ports import ClaimAnswer, ClaimRequest
from lash.effects.scope import ExecutionScope
from lash.stores.facet import Facet
from lash.stores.sql import blobs as blob_sql
from lash.stores.sql import effect_claims
from lash.stores.sql import journal as sql


class SqlJournal(Facet):
    """Journal rows in the database. Every method is one transaction."""

    def durability_tier(self) -> DurabilityTier:
        """What the database behind it promises."""
        return self._driver.tier

    async def load(self, scope: ExecutionScope) -> list[JournalRow]:
        """Every row of the scope, in the order they were written."""
        return [row.value() for row in await self._driver.run(sql.load(scope.journal_key))]

    async def get(self, scope: ExecutionScope, replay_key: str) -> JournalRow | None:
        """One row."""
        row = await self._driver.run(sql.get(scope.journal_key, replay_key))
        return None if row is None else row.value()

    async def holds(self, lease: Lease) -> bool:
        """Whether the lease's token is still on its row."""
        return await self._driver.run(sql.holds(lease))

    async def append(
        self, scope: ExecutionScope, lease: Lease, rows: Sequence[JournalRow], blobs: Mapping[str, bytes]
    ) -> None:
        """Writes finished rows under the lease; a row of our own that is there counts as written."""
        if not rows:
            return
        fenced = [sql.fenced_row(scope, lease, row) for row in rows]
        if blobs:
            written = await self._driver.run(sql.append_with_blobs(lease.kind, fenced, blobs, self._clock.now_ms()))
        else:
            written = await self._driver.run(sql.append(lease.kind, fenced))
        if len(written) == len(rows):
            return
        keys = {key.replay_key for key in written}
        missing = [row for row in rows if row.replay_key not in keys]
        if not await self._driver.run(sql.are_ours(scope.journal_key, missing, lease.token)):
            raise LeaseLost(lease.kind, lease.key, lease.fence)

    async def begin(self, scope: ExecutionScope, lease: Lease, row: JournalRow) -> None:
        """Writes an `in_progress` row under the lease, before a `never` effect or a wait starts."""
        if await self._driver.run(sql.begin(lease.kind, sql.fenced_row(scope, lease, row))) is None:
            raise LeaseLost(lease.kind, lease.key, lease.fence)

    async def finish(self, scope: ExecutionScope, lease: Lease, row: JournalRow, blobs: Mapping[str, bytes]) -> None:
        """Completes a row that `begin` wrote; raises `LeaseLost`."""
        await self._driver.run(sql.finish(lease, scope.journal_key, row, blobs, self._clock.now_ms()))

    async def claim(self, scope: ExecutionScope, request: ClaimRequest) -> ClaimAnswer:
        """Decides about an effect of an unowned scope and writes the claim row if it is ours to run."""
        return await self._driver.run(effect_claims.claim(scope, request))

    async def finalize(self, scope: ExecutionScope, row: JournalRow, token: str, blobs: Mapping[str, bytes]) -> bool:
        """Completes or fails a claimed row that is still ours and unexpired; False when it is not."""
        return await self._driver.run(
            effect_claims.finalize(scope.journal_key, row, token, blobs, self._clock.now_ms())
        )

    async def renew(self, scope: ExecutionScope, replay_key: str, token: str, ttl_ms: int) -> bool:
        """Extends a claim; False when it is no longer ours."""
        return await self._driver.run(effect_claims.renew(scope.journal_key, replay_key, token, ttl_ms)) > 0

    async def release(self, scope: ExecutionScope, replay_key: str, token: str) -> None:
        """Gives a claim back without an outcome."""
        await self._driver.run(effect_claims.release(scope.journal_key, replay_key, token))

    async def settle(self, scope: ExecutionScope, replay_key: str, outcome_json: str | None) -> bool:
        """Ends a doubt: records the outcome, or with None removes the row so that it runs again."""
        return await self._driver.run(sql.settle(scope.journal_key, replay_key, outcome_json))

    async def get_blob(self, ref: str) -> bytes | None:
        """Content-addressed bytes written beside rows."""
        return await self._driver.run(blob_sql.get_blob(ref))
