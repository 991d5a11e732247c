"""The session facet: the factory, and handles that read and commit one session."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from lash.base.clock import Clock
from lash.base.codec import encode
from lash.base.ids import IdSource
from lash.base.tier import DurabilityTier
from lash.base.usage import LedgerEntry
from lash.effects.lease import Lease
from lash.sessions.commit import CommitResult, RuntimeCommit, StoredTurn
from lash.sessions.errors import InvalidGraphDelta, SessionBindingMismatch, StoredDataCorrupt
from lash.sessions.graph import ReadScope, SessionNode
from lash.sessions.meta import SessionListing, SessionMeta
from lash.sessions.queue import QueuedWorkClaim
from lash.sessions.store import (
    AttachmentIntent,
    GcReport,
    HeldLease,
    OpenTurn,
    PersistedSession,
    SessionCreate,
    SessionStanding,
    SessionStore,
    StandingBatch,
    VacuumReport,
)
from lash.stores.driver import Driver, UniqueViolation
from lash.stores.manifest import SqlManifest
from lash.stores.planning import plan_commit, refuse_nul
from lash.stores.queue import SqlQueue
from lash.stores.records import BatchRow, decode_batch, decode_in_flight, decode_node, decode_turn
from lash.stores.sql import commit as commits
from lash.stores.sql import leases, lifecycle, maintenance
from lash.stores.sql import look as sql_look
from lash.stores.sql import sessions as sql
from lash.stores.turns import SqlTurns


class SqlSessionStore(SqlManifest, SqlQueue, SqlTurns):
    """Reads and writes one session. An unbound handle binds at its first successful commit."""

    def __init__(self, driver: Driver, clock: Clock, ids: IdSource, session_id: str | None = None) -> None:
        super().__init__(driver, clock, ids)
        self._session_id = session_id

    def durability_tier(self) -> DurabilityTier:
        """What the database behind it promises."""
        return self._driver.tier

    @property
    def session_id(self) -> str | None:
        """The session this handle is bound to."""
        return self._session_id

    async def load_session(self, scope: ReadScope) -> PersistedSession | None:
        """One consistent snapshot. None when nothing was committed."""
        return await self._driver.run(sql.load_session(self._session_id, scope))

    async def load_since(self, leaf_node_id: str, head_revision: int) -> PersistedSession | None:
        """What the session became since a revision; None when its path did not simply go on."""
        return await self._driver.run(sql.load_since(self._session_id, leaf_node_id, head_revision))

    async def load_node(self, node_id: str) -> SessionNode | None:
        """A node; a tombstoned one is not shown."""
        row = await self._driver.run(sql.load_node(self._session_id, node_id))
        return None if row is None else decode_node(self._session_id or "", row.node_json)

    async def commit(self, commit: RuntimeCommit) -> CommitResult:
        """Makes one change of the session, whole or not at all."""
        if self._session_id not in (None, commit.session_id):
            raise SessionBindingMismatch(self._session_id or "", commit.session_id)
        batch_ids = {index: self._ids.new_id() for index in range(len(commit.enqueue))}
        plan = plan_commit(commit, self._clock.now_ms(), self._ids.new_token(), batch_ids)
        try:
            result = await self._driver.run(commits.commit(plan))
        except UniqueViolation as error:
            raise InvalidGraphDelta(commit.session_id, f"an id of the new nodes is taken ({error})") from error
        self._session_id = commit.session_id
        return result

    async def load_ledger(self) -> list[LedgerEntry]:
        """What the session and its children have spent, by source and model."""
        return await self._driver.run(sql.load_ledger(self._session_id))

    async def load_turn(self, session_id: str, turn_id: str) -> StoredTurn | None:
        """A settled turn by its id."""
        row = await self._driver.run(sql.load_turn(session_id, turn_id))
        return None if row is None else decode_turn(session_id, *row)

    async def list_turns(self, session_id: str) -> list[StoredTurn]:
        """Settled turns in the order they were committed."""
        return [decode_turn(session_id, *row) for row in await self._driver.run(sql.list_turns(session_id))]

    async def save_session_meta(self, meta: SessionMeta) -> None:
        """Replaces the descriptive facts."""
        await self._driver.run(lifecycle.save_meta(_meta_row(meta)))

    async def load_session_meta(self) -> SessionMeta | None:
        """The descriptive facts."""
        row = await self._driver.run(lifecycle.load_meta(self._session_id))
        return None if row is None else lifecycle.meta_of(row)

    async def tombstone_nodes(self, node_ids: Sequence[str]) -> None:
        """Hides nodes; their descendants stay reachable."""
        await self._driver.run(maintenance.tombstone(self._session_id, list(node_ids)))

    async def vacuum(self) -> VacuumReport:
        """Deletes tombstoned nodes that nothing hangs on."""
        return await self._driver.run(maintenance.vacuum(self._session_id))

    async def gc_unreachable(self) -> GcReport:
        """Deletes blobs that no head and no journal row refers to."""
        return await self._driver.run(maintenance.collect(self._clock.now_ms()))


class SqlSessions:
    """Hands out session stores, and knows all sessions."""

    def __init__(self, driver: Driver, clock: Clock, ids: IdSource) -> None:
        self._driver = driver
        self._clock = clock
        self._ids = ids

    def durability_tier(self) -> DurabilityTier:
        """What the database behind it promises."""
        return self._driver.tier

    def unbound(self) -> SessionStore:
        """A handle that binds to the session of its first commit."""
        return SqlSessionStore(self._driver, self._clock, self._ids)

    async def create_store(self, request: SessionCreate) -> SessionStore:
        """A bound store; writes meta unless present. Raises `SessionDeleted` and `InvalidArgument`."""
        await self._driver.run(lifecycle.create(self._first_meta(request)))
        return self._bound(request.session_id)

    async def create_with_state(self, request: SessionCreate, first: RuntimeCommit) -> bool:
        """Creates a session with its first commit; False when it is there already. Raises `SessionDeleted`."""
        meta = self._first_meta(request)
        store = self._bound(request.session_id)
        for attachment_id in first.committed_attachment_ids:
            now_ms = self._clock.now_ms()
            await store.record_intent(
                AttachmentIntent(attachment_id, request.session_id, f"sha256:{attachment_id}", now_ms)
            )
        plan = plan_commit(first, self._clock.now_ms(), self._ids.new_token(), {})
        return await self._driver.run(lifecycle.create_with_state(meta, plan))

    async def open_existing_store(self, session_id: str) -> SessionStore | None:
        """A bound store of a session that was created or committed before. Raises `SessionDeleted`."""
        return self._bound(session_id) if await self._driver.run(lifecycle.exists(session_id)) else None

    async def delete_session(self, session_id: str) -> None:
        """Removes everything of the session for good; its id is never usable again."""
        await self._driver.run(lifecycle.delete(session_id, self._clock.now_ms()))

    async def list_sessions(self) -> list[SessionListing]:
        """Every session, by id."""
        heads, metas = await self._driver.run(lifecycle.list_sessions())
        by_id = {row.session_id: row for row in heads}
        meta_by_id = {row.session_id: lifecycle.meta_of(row) for row in metas}
        listings: list[SessionListing] = []
        for session_id in sorted({*by_id, *meta_by_id}):
            head = by_id.get(session_id, sql.ListingRow(session_id, 0, 0, 0))
            listings.append(SessionListing(*head, meta_by_id.get(session_id)))
        return listings

    async def open_turns(self) -> list[OpenTurn]:
        """Sessions with a turn in flight or ready queued work, by session id."""
        in_flight, ready = await self._driver.run(lifecycle.open_turns())
        first: dict[str, BatchRow] = {row.session_id: row for row in ready}
        turns = {row.session_id: _open_turn(row.session_id, row, first.pop(row.session_id, None)) for row in in_flight}
        for session_id, batch in first.items():
            turns[session_id] = _open_turn(session_id, None, batch)
        return [turns[session_id] for session_id in sorted(turns)]

    async def look(self, session_ids: Sequence[str]) -> list[SessionStanding]:
        """Where these sessions stand, as of one moment, in the order asked."""
        if not session_ids:
            return []
        rows, queued = await self._driver.run(sql_look.look(list(session_ids)))
        queues: dict[str, list[StandingBatch]] = {session_id: [] for session_id in session_ids}
        for batch in queued:
            queues[batch.session_id].append(
                StandingBatch(batch.batch_id, batch.source_key, batch.payload_hash, batch.is_live == 1)
            )
        standing = {row.session_id: row for row in rows}
        return [
            SessionStanding(
                session_id,
                row.head_revision or 0,
                row.is_deleted is not None,
                row.owner,
                row.turn_id,
                queues[session_id],
            )
            for session_id, row in ((session_id, standing[session_id]) for session_id in session_ids)
        ]

    async def heartbeat(
        self, leases_held: Sequence[Lease], claims: Sequence[QueuedWorkClaim], ttl_ms: int
    ) -> list[HeldLease]:
        """Renews every lease of an executor and the claims under them in one transaction."""
        held = await self._driver.run(leases.heartbeat(list(leases_held), list(claims), ttl_ms))
        return _held(leases_held, held)

    async def read_cancels(self, leases_held: Sequence[Lease]) -> list[HeldLease]:
        """Which of these leases is still ours, and who wants it cancelled."""
        held = await self._driver.run(leases.read_held(list(leases_held)))
        return _held(leases_held, held)

    def _first_meta(self, request: SessionCreate) -> lifecycle.MetaRow:
        refuse_nul(request.session_id)
        created_at = datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC).isoformat().replace("+00:00", "Z")
        model = "" if request.policy.model is None else request.policy.model.id
        return _meta_row(
            SessionMeta(request.session_id, request.session_id, created_at, model, relation=request.relation)
        )

    def _bound(self, session_id: str) -> SessionStore:
        return SqlSessionStore(self._driver, self._clock, self._ids, session_id)


def _held(asked: Sequence[Lease], found: Sequence[leases.Held]) -> list[HeldLease]:
    by_key = {row.session_id: row for row in found}
    answers: list[HeldLease] = []
    for lease in asked:
        row = by_key.get(lease.key)
        if row is None:
            answers.append(HeldLease(lease.key, None, None))
            continue
        renewed = Lease(lease.kind, lease.key, lease.owner, lease.token, lease.fence, row.expires_at_ms)
        answers.append(HeldLease(lease.key, renewed, row.cancel_requested_at_ms))
    return answers


def _meta_row(meta: SessionMeta) -> lifecycle.MetaRow:
    return lifecycle.MetaRow(
        meta.session_id, meta.session_name, meta.created_at, meta.model, meta.cwd, encode(meta.relation)
    )


def _open_turn(session_id: str, row: lifecycle.OpenTurnRow | None, batch: BatchRow | None) -> OpenTurn:
    owner, token, is_live = (None, None, False) if row is None else (row.owner, row.lease_token, row.is_live == 1)
    try:
        turn = None if row is None else decode_in_flight(session_id, row.turn_json)
        first_batch = None if batch is None else decode_batch(batch)
    except StoredDataCorrupt as error:  # one damaged session must not hide the others
        return OpenTurn(session_id, None, owner, token, is_live, None, str(error))
    return OpenTurn(session_id, turn, owner, token, is_live, first_batch)
