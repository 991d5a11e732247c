"""The ports of session storage.

A `SessionStore` handle is bound to one session (from the factory) or unbound; an
unbound one binds at its first successful commit. Every method is one transaction
and changes nothing when it raises (docs/spec/durability.md §3).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from lash.base.tier import DurabilityTier
from lash.base.usage import LedgerEntry
from lash.effects.lease import Lease
from lash.sessions.accept import Acceptance, AcceptTurn, Claimant, NextTurn, TurnInFlight
from lash.sessions.checkpoint import Checkpoint
from lash.sessions.commit import CommitResult, RuntimeCommit, StoredTurn
from lash.sessions.frames import AgentFrame, SessionPolicy
from lash.sessions.graph import ReadScope, SessionGraph, SessionNode
from lash.sessions.meta import RootSession, SessionListing, SessionMeta, SessionRelation
from lash.sessions.queue import (
    Boundary,
    EnqueueOutcome,
    QueuedWorkBatch,
    QueuedWorkClaim,
    QueuedWorkDraft,
    TurnInputPayload,
)


class PersistedSession(msgspec.Struct, frozen=True):
    """One consistent snapshot of a stored session."""

    session_id: str
    head_revision: int
    policy: SessionPolicy
    agent_frames: list[AgentFrame]
    current_agent_frame_id: str
    graph: SessionGraph
    checkpoint_ref: str
    checkpoint: Checkpoint
    token_ledger: list[LedgerEntry]


class SessionLeaseRow(msgspec.Struct, frozen=True):
    """The lease row of a session as it stands; `token` is empty when released."""

    session_id: str
    owner: str
    token: str
    fence: int
    expires_at_ms: int
    turn: TurnInFlight | None
    cancel_requested_at_ms: int | None
    is_expired: bool


class AttachmentIntent(msgspec.Struct, frozen=True):
    """The promise to put attachment bytes, written before they are."""

    attachment_id: str
    session_id: str
    canonical_uri: str
    intent_at_epoch_ms: int


class ManifestEntry(msgspec.Struct, frozen=True):
    """One row of the attachment manifest."""

    attachment_id: str
    session_id: str
    canonical_uri: str
    intent_at_epoch_ms: int
    committed_at_epoch_ms: int | None


class VacuumReport(msgspec.Struct, frozen=True):
    """What one vacuum removed."""

    removed_node_count: int


class GcReport(msgspec.Struct, frozen=True):
    """What one collection found and deleted."""

    root_count: int
    retained_blob_count: int
    deleted_blob_count: int


class AttachmentManifest(Protocol):
    """Which attachment bytes which session has announced and committed."""

    async def record_intent(self, intent: AttachmentIntent) -> None: ...

    async def commit_refs(self, session_id: str, attachment_ids: Sequence[str]) -> None: ...

    async def list_uncommitted(self, older_than_ms: int) -> list[ManifestEntry]:
        """Entries announced at or before `older_than_ms` and never committed, oldest first."""
        ...

    async def forget(self, attachment_id: str, session_id: str | None = None) -> None: ...


class SessionStore(AttachmentManifest, Protocol):
    """Reads and writes one session, and the queues of any session of the store."""

    def durability_tier(self) -> DurabilityTier: ...

    async def load_session(self, scope: ReadScope) -> PersistedSession | None: ...

    async def load_since(self, leaf_node_id: str, head_revision: int) -> PersistedSession | None:
        """What the session became since `leaf_node_id` was its leaf, at `head_revision`: the graph has new nodes only.

        Frames name their snapshots and do not have them. None when its active path did not simply go on from
        there; then it must be read whole.
        """
        ...

    async def load_node(self, node_id: str) -> SessionNode | None: ...

    async def commit(self, commit: RuntimeCommit) -> CommitResult: ...

    async def load_ledger(self) -> list[LedgerEntry]:
        """What the session and its children have spent, by source and model; also before its first commit."""
        ...

    async def load_turn(self, session_id: str, turn_id: str) -> StoredTurn | None:
        """A settled turn by its id."""
        ...

    async def list_turns(self, session_id: str) -> list[StoredTurn]:
        """Settled turns in the order they were committed."""
        ...

    # queue
    async def enqueue_queued_work(self, draft: QueuedWorkDraft) -> QueuedWorkBatch: ...

    async def enqueue_queued_work_with_outcome(self, draft: QueuedWorkDraft) -> EnqueueOutcome: ...

    async def claim_ready_queued_work(
        self, session_id: str, owner_id: str, boundary: Boundary, lease_ttl_ms: int, max_batches: int
    ) -> QueuedWorkClaim | None: ...

    async def claim_ready_queued_work_by_batch_ids(
        self, session_id: str, owner_id: str, boundary: Boundary, lease_ttl_ms: int, batch_ids: Sequence[str]
    ) -> QueuedWorkClaim | None: ...

    async def renew_queued_work_claim(self, claim: QueuedWorkClaim, lease_ttl_ms: int) -> QueuedWorkClaim: ...

    async def abandon_queued_work_claim(self, claim: QueuedWorkClaim) -> None: ...

    async def cancel_queued_work_batch(self, session_id: str, batch_id: str) -> QueuedWorkBatch | None: ...

    async def replace_queued_input(
        self, session_id: str, batch_id: str, payload: TurnInputPayload
    ) -> QueuedWorkBatch | None:
        """Puts another input in the place of one that nobody is working on; None when somebody is, or it is gone.

        Id, place, source key and policies stay.
        """
        ...

    async def list_queued_work(self, session_id: str) -> list[QueuedWorkBatch]: ...

    async def list_pending_queued_work(self, session_id: str) -> list[QueuedWorkBatch]: ...

    # the turn in flight
    async def accept_turn(self, request: AcceptTurn) -> Acceptance:
        """Look up, enqueue, lease and claim in one transaction (sessions/accept.py).

        Raises `TurnInputConflict` and `SessionDeleted`.
        """
        ...

    async def next_turn(self, session_id: str, claimant: Claimant, max_batches: int = 64) -> NextTurn:
        """Takes the lease and claims what must run next: the turn in flight, else the queue's prefix."""
        ...

    async def settle_without_commit(self, guard: Lease, turn: StoredTurn, claim: QueuedWorkClaim | None) -> None:
        """Writes the stamp of a turn that changes no history, settles its batches, retires its
        journal and releases the lease (decisions 7)."""
        ...

    async def get_session_lease(self, session_id: str) -> SessionLeaseRow | None: ...

    async def try_claim_session_lease(self, session_id: str, claimant: Claimant) -> Lease | None:
        """The lease alone, for a writer that is no turn; None while another owner is live."""
        ...

    async def renew_session_lease(self, lease: Lease, ttl_ms: int) -> Lease:
        """Extends a lease that is still ours and unexpired; raises `LeaseLost`."""
        ...

    async def release_session_lease(self, lease: Lease) -> None:
        """Gives the lease back; a lost one is left alone. The turn in flight stays named."""
        ...

    async def claim_at_checkpoint(
        self, lease: Lease, claim_token: str, max_batches: int, ttl_ms: int
    ) -> QueuedWorkClaim | None:
        """Claims early work for the running turn that holds the lease. Raises `LeaseLost`."""
        ...

    async def reclaim_batches(
        self, lease: Lease, claim_token: str, batch_ids: Sequence[str], ttl_ms: int
    ) -> QueuedWorkClaim | None:
        """Claims exactly these batches under the session lease: what a replayed checkpoint had taken."""
        ...

    async def request_turn_cancel(self, session_id: str, turn_id: str | None = None) -> bool:
        """Asks the owner of the session, wherever it runs, to cancel its turn; False when none runs."""
        ...

    # meta and maintenance
    async def save_session_meta(self, meta: SessionMeta) -> None: ...

    async def load_session_meta(self) -> SessionMeta | None: ...

    async def tombstone_nodes(self, node_ids: Sequence[str]) -> None: ...

    async def vacuum(self) -> VacuumReport: ...

    async def gc_unreachable(self) -> GcReport: ...


class HeldLease(msgspec.Struct, frozen=True):
    """What one heartbeat says of one lease: still ours, and whether a cancel was requested."""

    key: str
    lease: Lease | None
    cancel_requested_at_ms: int | None


class OpenTurn(msgspec.Struct, frozen=True):
    """Accepted, unsettled work of a session, as recovery sees it. `problem`: why it cannot be read."""

    session_id: str
    turn: TurnInFlight | None
    owner: str | None
    lease_token: str | None
    is_lease_live: bool
    first_batch: QueuedWorkBatch | None
    problem: str | None = None


class StandingBatch(msgspec.Struct, frozen=True):
    """A queued batch without its content. `is_claimed`: somebody is at work on it."""

    batch_id: str
    source_key: str | None
    payload_hash: str
    is_claimed: bool


class SessionStanding(msgspec.Struct, frozen=True):
    """Where a session stands, for who watches it. `owner` drives `turn_id`, unless both are None."""

    session_id: str
    head_revision: int
    is_deleted: bool = False
    owner: str | None = None
    turn_id: str | None = None
    queue: list[StandingBatch] = []


class SessionCreate(msgspec.Struct, frozen=True):
    """What a new session needs."""

    session_id: str
    relation: SessionRelation = RootSession()
    policy: SessionPolicy = SessionPolicy()


class SessionStoreFactory(Protocol):
    """Hands out session stores, and knows all sessions."""

    def durability_tier(self) -> DurabilityTier: ...

    async def create_store(self, request: SessionCreate) -> SessionStore:
        """A bound store; writes meta unless present. Raises `SessionDeleted`."""
        ...

    async def create_with_state(self, request: SessionCreate, first: RuntimeCommit) -> bool:
        """Creates a session with its first commit, attachments announced: whole or not at all.

        False when the session is there already; then nothing is changed. Raises `SessionDeleted`.
        """
        ...

    async def open_existing_store(self, session_id: str) -> SessionStore | None: ...

    async def delete_session(self, session_id: str) -> None:
        """Removes everything of the session for good; its id is never usable again."""
        ...

    async def list_sessions(self) -> list[SessionListing]: ...

    async def open_turns(self) -> list[OpenTurn]:
        """Sessions with a turn in flight or ready queued work, by session id."""
        ...

    async def look(self, session_ids: Sequence[str]) -> list[SessionStanding]:
        """Where these sessions stand, as of one moment, in the order asked; unknown ones at revision 0."""
        ...

    async def heartbeat(
        self, leases: Sequence[Lease], claims: Sequence[QueuedWorkClaim], ttl_ms: int
    ) -> list[HeldLease]:
        """Renews every lease of an executor and the claims under them in one transaction.

        A renewal revives an expired lease that nobody took. A lease that is gone answers None.
        """
        ...

    async def read_cancels(self, leases: Sequence[Lease]) -> list[HeldLease]:
        """The same without writing: which of these leases is still ours, and who wants it cancelled."""
        ...
