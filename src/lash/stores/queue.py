"""Queued work, as the session store offers it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lash.effects.lease import Lease
from lash.sessions.errors import StoredDataCorrupt
from lash.sessions.queue import (
    Boundary,
    EnqueueOutcome,
    QueuedPayload,
    QueuedWorkBatch,
    QueuedWorkClaim,
    QueuedWorkDraft,
    TurnInputPayload,
)
from lash.stores.facet import Facet
from lash.stores.planning import plan_draft
from lash.stores.records import batch_items, decode_batch
from lash.stores.sql import accept, claims
from lash.stores.sql import queue as sql


class SqlQueue(Facet):
    """The queues of all sessions of a store."""

    async def enqueue_queued_work(self, draft: QueuedWorkDraft) -> QueuedWorkBatch:
        """Stores work once per source key; the original batch when it is known."""
        return (await self.enqueue_queued_work_with_outcome(draft)).batch

    async def enqueue_queued_work_with_outcome(self, draft: QueuedWorkDraft) -> EnqueueOutcome:
        """The same, and what was found. Of settled work only id and payload hash are left."""
        row = plan_draft(draft, self._ids.new_id(), self._clock.now_ms())
        enqueued = await self._driver.run(sql.enqueue(row))
        if enqueued.receipt is not None:
            return EnqueueOutcome("already_settled", _settled_batch(draft, row.payload_hash, enqueued.receipt))
        if enqueued.row is None:
            raise StoredDataCorrupt(f"queued batch {row.batch_id} of session {draft.session_id} is gone")
        return EnqueueOutcome("inserted" if enqueued.is_new else "existing", decode_batch(enqueued.row))

    async def claim_ready_queued_work(
        self, session_id: str, owner_id: str, boundary: Boundary, lease_ttl_ms: int, max_batches: int
    ) -> QueuedWorkClaim | None:
        """Claims the leading prefix of what is ready (sessions/queue.py)."""
        if max_batches <= 0:
            return None
        claimer = claims.Claimer(owner_id, self._ids.new_token(), lease_ttl_ms, None)
        stamped = await self._driver.run(claims.claim_ready(session_id, claimer, boundary, max_batches))
        return None if stamped is None else claim_of(session_id, claimer, stamped)

    async def claim_ready_queued_work_by_batch_ids(
        self, session_id: str, owner_id: str, boundary: Boundary, lease_ttl_ms: int, batch_ids: Sequence[str]
    ) -> QueuedWorkClaim | None:
        """Claims exactly these batches if they are what would be claimed next; else changes nothing."""
        if not batch_ids:
            return None
        claimer = claims.Claimer(owner_id, self._ids.new_token(), lease_ttl_ms, None)
        stamped = await self._driver.run(claims.claim_exactly(session_id, claimer, boundary, list(batch_ids)))
        return None if stamped is None else claim_of(session_id, claimer, stamped)

    async def renew_queued_work_claim(self, claim: QueuedWorkClaim, lease_ttl_ms: int) -> QueuedWorkClaim:
        """Extends a claim that is still ours; raises `QueuedWorkClaimExpired`."""
        stamp = await self._driver.run(claims.renew_claim(claim, lease_ttl_ms))
        return QueuedWorkClaim(
            claim.session_id,
            claim.claim_id,
            claim.owner_id,
            claim.lease_token,
            claim.fencing_token,
            claim.claimed_at_epoch_ms,
            stamp.claim_expires_at_ms,
            claim.batches,
        )

    async def abandon_queued_work_claim(self, claim: QueuedWorkClaim) -> None:
        """Gives a claim back; a stale one changes nothing."""
        await self._driver.run(claims.abandon_claim(claim))

    async def cancel_queued_work_batch(self, session_id: str, batch_id: str) -> QueuedWorkBatch | None:
        """Removes a batch that nobody is working on; None when somebody is, or it is gone."""
        row = await self._driver.run(sql.cancel_batch(session_id, batch_id, self._clock.now_ms()))
        return None if row is None else decode_batch(row)

    async def replace_queued_input(
        self, session_id: str, batch_id: str, payload: TurnInputPayload
    ) -> QueuedWorkBatch | None:
        """Puts another input in the place of one that nobody is working on."""
        row = plan_draft(QueuedWorkDraft(session_id, [payload]), batch_id, self._clock.now_ms())
        edited = await self._driver.run(sql.replace_payload(session_id, batch_id, row.payloads_json, row.payload_hash))
        return None if edited is None else decode_batch(edited)

    async def list_queued_work(self, session_id: str) -> list[QueuedWorkBatch]:
        """Every stored batch, claimed or not, in order."""
        return [decode_batch(row) for row in await self._driver.run(sql.list_batches(session_id))]

    async def list_pending_queued_work(self, session_id: str) -> list[QueuedWorkBatch]:
        """Batches that nobody is working on, in order."""
        rows = await self._driver.run(sql.list_batches(session_id))
        return [decode_batch(row) for row in rows if not row.is_live]

    async def claim_at_checkpoint(
        self, lease: Lease, claim_token: str, max_batches: int, ttl_ms: int
    ) -> QueuedWorkClaim | None:
        """Claims early work for the running turn that holds the lease. Raises `LeaseLost`."""
        claimer = claims.Claimer(lease.owner, claim_token, ttl_ms, lease.fence)
        stamped = await self._driver.run(claims.claim_under_lease(lease, claimer, max_batches))
        return None if stamped is None else claim_of(lease.key, claimer, stamped)

    async def reclaim_batches(
        self, lease: Lease, claim_token: str, batch_ids: Sequence[str], ttl_ms: int
    ) -> QueuedWorkClaim | None:
        """Claims exactly these batches under the session lease: what a replayed checkpoint had taken."""
        claimer = claims.Claimer(lease.owner, claim_token, ttl_ms, lease.fence)
        stamped = await self._driver.run(accept.reclaim_batches(lease, claimer, list(batch_ids)))
        return None if stamped is None else claim_of(lease.key, claimer, stamped)


def claim_of(
    session_id: str,
    claimer: claims.Claimer,
    stamped: claims.Stamped,
    known: Mapping[str, list[QueuedPayload]] | None = None,
) -> QueuedWorkClaim:
    """A claim as a value. Payloads that are `known`, by batch id, need not be read."""
    known = known or {}
    return QueuedWorkClaim(
        session_id,
        stamped.claim_id,
        claimer.owner,
        claimer.token,
        stamped.fencing_token,
        stamped.claimed_at_ms,
        stamped.expires_at_ms,
        [decode_batch(row, known.get(row.batch_id)) for row in stamped.rows],
    )


def _settled_batch(draft: QueuedWorkDraft, payload_hash: str, receipt: sql.ReceiptRow) -> QueuedWorkBatch:
    """The original batch. Its payload is known only when the draft says the same again."""
    is_same = payload_hash == receipt.payload_hash
    return QueuedWorkBatch(
        batch_id=receipt.batch_id,
        session_id=draft.session_id,
        enqueue_seq=receipt.enqueue_seq,
        items=batch_items(receipt.batch_id, draft.payloads) if is_same else [],
        source_key=draft.source_key,
        enqueued_at_ms=receipt.enqueued_at_ms,
    )
