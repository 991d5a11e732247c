"""The registry's handle grants."""

from __future__ import annotations

from collections.abc import Sequence

from lash.base.codec import encode
from lash.base.tier import DurabilityTier
from lash.processes.handles import (
    GrantEntry,
    ProcessHandleDescriptor,
    ProcessHandleGrant,
    SessionDeleteReport,
)
from lash.processes.scopes import SessionScope
from lash.stores.facet import Facet
from lash.stores.planning import refuse_nul
from lash.stores.process_records import decode_record
from lash.stores.records import decoded
from lash.stores.sql import process_grants as sql
from lash.stores.sql.processes import GrantRow


class SqlProcessHandles(Facet):
    """Who sees which process."""

    def durability_tier(self) -> DurabilityTier:
        """What the database behind it promises."""
        return self._driver.tier

    async def grant_handle(
        self, scope: SessionScope, process_id: str, descriptor: ProcessHandleDescriptor
    ) -> ProcessHandleGrant:
        """See `ProcessRegistry`."""
        await self._driver.run(sql.grant(self._grant_row(scope, process_id, descriptor)))
        return ProcessHandleGrant(scope.session_id, process_id, descriptor)

    async def revoke_handle(self, scope: SessionScope, process_id: str) -> None:
        """See `ProcessRegistry`."""
        await self._driver.run(sql.revoke(scope.id, process_id))

    async def transfer_handle_grants(
        self, from_scope: SessionScope, to_scope: SessionScope, process_ids: Sequence[str]
    ) -> None:
        """See `ProcessRegistry`."""
        if process_ids:
            await self._driver.run(
                sql.transfer(from_scope.id, from_scope.session_id, to_scope.id, to_scope.session_id, process_ids)
            )

    async def list_handle_grants(self, scope: SessionScope) -> list[GrantEntry]:
        """See `ProcessRegistry`."""
        return await self._entries(scope, only_live=False)

    async def list_live_handle_grants(self, scope: SessionScope) -> list[GrantEntry]:
        """See `ProcessRegistry`."""
        return await self._entries(scope, only_live=True)

    async def has_handle_grant(self, scope: SessionScope, process_id: str) -> bool:
        """See `ProcessRegistry`."""
        return await self._driver.run(sql.has(scope.id, process_id))

    async def handle_grants_for_process(self, process_id: str) -> list[ProcessHandleGrant]:
        """See `ProcessRegistry`."""
        rows = await self._driver.run(sql.of_process(process_id))
        return [_grant(row.session_id, row.process_id, row.descriptor_json) for row in rows]

    async def delete_session_process_state(self, session_id: str) -> SessionDeleteReport:
        """See `ProcessRegistry`."""
        return await self._driver.run(sql.delete_session_state(session_id, self._clock.now_ms()))

    async def _entries(self, scope: SessionScope, *, only_live: bool) -> list[GrantEntry]:
        grants, rows = await self._driver.run(sql.of_scope(scope.id, only_live=only_live))
        records = {row.process_id: decode_record(row) for row in rows}
        return [
            (_grant(grant.session_id, grant.process_id, grant.descriptor_json), records[grant.process_id])
            for grant in grants
            if grant.process_id in records
        ]

    def _grant_row(self, scope: SessionScope, process_id: str, descriptor: ProcessHandleDescriptor) -> GrantRow:
        refuse_nul(scope.id)
        return GrantRow(scope.id, process_id, scope.session_id, encode(descriptor))


def _grant(session_id: str, process_id: str, descriptor_json: str) -> ProcessHandleGrant:
    what = f"process {process_id}: handle of session {session_id}"
    return ProcessHandleGrant(session_id, process_id, decoded(what, descriptor_json, ProcessHandleDescriptor))
