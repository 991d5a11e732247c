"""The turn in flight: acceptance, leases, cancellation, settlement without a commit."""

from __future__ import annotations

from collections.abc import Mapping

from lash.base.canonical import canonical_json
from lash.base.codec import encode
from lash.effects.lease import Lease
from lash.effects.scope import ExecutionScope
from lash.sessions.accept import (
    Acceptance,
    AcceptTurn,
    Claimant,
    Idle,
    NextTurn,
    Owned,
    Settled,
    Waiting,
)
from lash.sessions.commit import StoredTurn
from lash.sessions.queue import QueuedPayload, QueuedWorkClaim
from lash.sessions.store import SessionLeaseRow
from lash.stores.facet import Facet
from lash.stores.planning import plan_draft
from lash.stores.queue import claim_of
from lash.stores.records import BatchRow, decode_batch, decode_in_flight, decode_turn
from lash.stores.sql import accept, claims, leases
from lash.stores.sql import commit as commits

# The stamp of a turn that committed nothing: no commit can hash to it.
NOTHING_COMMITTED = "settled-without-commit"


class SqlTurns(Facet):
    """What a turn driver needs besides the commit."""

    async def accept_turn(self, request: AcceptTurn) -> Acceptance:
        """Look up, enqueue, lease and claim in one transaction (sql/accept.py)."""
        draft = plan_draft(request.draft, self._ids.new_id(), self._clock.now_ms())
        program = accept.accept_turn(request.turn_id, draft, request.claimant, request.max_batches)
        answer = await self._driver.run(program)
        match answer:
            case accept.OwnedRow():
                return _owned(answer, request.claimant, {draft.batch_id: request.draft.payloads})
            case accept.WaitingRow():
                return _waiting(answer)
            case accept.KnownTurn():
                turn = decode_turn(
                    draft.session_id,
                    request.turn_id,
                    answer.result_json,
                    answer.summary_json,
                    answer.committed_at_ms or 0,
                )
                return Settled(turn)

    async def next_turn(self, session_id: str, claimant: Claimant, max_batches: int = 64) -> NextTurn:
        """Takes the lease and claims what must run next."""
        answer = await self._driver.run(accept.next_turn(session_id, claimant, max_batches))
        match answer:
            case accept.OwnedRow():
                return _owned(answer, claimant)
            case accept.WaitingRow():
                return _waiting(answer)
            case None:
                return Idle()

    async def settle_without_commit(self, guard: Lease, turn: StoredTurn, claim: QueuedWorkClaim | None) -> None:
        """Settles a turn that changes no history: stamp, receipts, journal and lease in one transaction."""
        stamp = commits.StampPlan(
            turn.turn_id, NOTHING_COMMITTED, None if turn.summary is None else canonical_json(turn.summary)
        )
        scope_key = ExecutionScope.turn(guard.key, turn.turn_id).journal_key
        completion = None if claim is None else claim.completion()
        result = None if turn.result is None else encode(turn.result)
        await self._driver.run(commits.settle_turn(guard, stamp, result, completion, scope_key, self._clock.now_ms()))

    async def get_session_lease(self, session_id: str) -> SessionLeaseRow | None:
        """The lease row as it stands."""
        row = await self._driver.run(leases.get_lease(session_id))
        if row is None:
            return None
        turn = None if row.turn_json is None else decode_in_flight(session_id, row.turn_json)
        return SessionLeaseRow(
            session_id,
            row.owner,
            row.lease_token,
            row.fence,
            row.expires_at_ms,
            turn,
            row.cancel_requested_at_ms,
            row.expires_at_ms <= row.now_ms,
        )

    async def try_claim_session_lease(self, session_id: str, claimant: Claimant) -> Lease | None:
        """The lease alone; None while another owner is live."""
        claimed = await self._driver.run(leases.try_claim(session_id, claimant))
        if claimed is None:
            return None
        return Lease(
            "session", session_id, claimant.executor_id, claimant.lease_token, claimed.fence, claimed.expires_at_ms
        )

    async def renew_session_lease(self, lease: Lease, ttl_ms: int) -> Lease:
        """Extends a lease that is still ours and unexpired; raises `LeaseLost`."""
        held = await self._driver.run(leases.renew(lease, ttl_ms))
        return Lease(lease.kind, lease.key, lease.owner, lease.token, lease.fence, held.expires_at_ms)

    async def release_session_lease(self, lease: Lease) -> None:
        """Gives the lease back; a lost one is left alone. The turn in flight stays named."""
        await self._driver.run(leases.release(lease))

    async def request_turn_cancel(self, session_id: str, turn_id: str | None = None) -> bool:
        """Asks for the end of the turn in flight, wherever it runs; False when there is none."""
        return await self._driver.run(leases.request_cancel(session_id, turn_id, self._clock.now_ms()))


def _owned(row: accept.OwnedRow, claimant: Claimant, known: Mapping[str, list[QueuedPayload]] | None = None) -> Owned:
    claimer = claims.Claimer(claimant.executor_id, claimant.claim_token, claimant.ttl_ms, row.lease.fence)
    claim = claim_of(row.lease.key, claimer, row.stamped, known)
    return Owned(row.lease, claim, row.turn, row.is_fresh, row.head_revision, row.has_more)


def _waiting(row: accept.WaitingRow) -> Waiting:
    batch = None if row.batch is None else decode_batch(row.batch)
    lease = row.lease
    if lease is not None and lease.lease_token:
        is_expired = lease.expires_at_ms <= lease.now_ms
        return Waiting(batch, lease.owner, lease.lease_token, lease.expires_at_ms, is_expired)
    return Waiting(batch, _claim_owner(row.batch), "", _ready_at_ms(row.batch), is_expired=False)


def _claim_owner(row: BatchRow | None) -> str:
    """Who has claimed the input outside a session lease."""
    return "" if row is None or row.claim_owner is None else row.claim_owner


def _ready_at_ms(row: BatchRow | None) -> int:
    """When the input can be claimed: it is not available yet, or claimed outside a session lease."""
    return 0 if row is None else max(row.available_at_ms, row.claim_expires_at_ms)
