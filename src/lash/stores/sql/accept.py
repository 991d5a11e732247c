"""Acceptance: one program that decides who drives what next.

    deleted?            -> SessionDeleted
    stamp there?        -> Settled; nothing is changed (other input -> TurnInputConflict)
    nothing queued, nothing in flight, lease free?
                        -> the lease names the turn, its input is enqueued as claimed -> Owned
    enqueue by source key (other payload -> TurnInputConflict)
    lease taken?        no -> Waiting
    turn in flight?     -> claim exactly its batches, whoever had them
    else                -> claim the ready prefix at idle, name its turn on the lease row
                        -> Owned

The stamp is looked at first: its journal is gone, and running the turn again
would repeat every side effect (stores §8).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lash.base.codec import encode
from lash.effects.lease import Lease
from lash.sessions.accept import Claimant, TurnInFlight, started_turn_id
from lash.sessions.errors import SessionDeleted, TurnInputConflict
from lash.stores.program import Query, Steps, execute, lock, notify, one, program, write
from lash.stores.records import BatchRow, decode_in_flight
from lash.stores.sql.claims import Claimer, Stamped, insert_claimed, prefix_of, ready_rows, stamp
from lash.stores.sql.leases import (
    GET_LEASE,
    NAME_TURN,
    RELEASE_LEASE,
    Claimed,
    LeaseRow,
    begin_turn,
    claim_lease,
    refuse_deleted,
    session_lock,
)
from lash.stores.sql.queue import BY_ID, DraftRow, insert_or_find_row


class KnownTurn(NamedTuple):
    """What is stored of a session and a turn before it is accepted."""

    is_deleted: int | None
    turn_id: str | None
    result_json: str | None
    summary_json: str | None
    committed_at_ms: int | None
    receipt_hash: str | None
    head_revision: int | None
    turn_index: int | None
    first_queued: int | None

    @property
    def place(self) -> Place:
        """Where the head stands."""
        return Place(self.head_revision or 0, self.turn_index or 0)


class Place(NamedTuple):
    """Where the head of a session stands."""

    head_revision: int
    turn_index: int


class OwnedRow(NamedTuple):
    """The session is ours."""

    lease: Lease
    stamped: Stamped
    turn: TurnInFlight
    is_fresh: bool
    head_revision: int
    has_more: bool


class WaitingRow(NamedTuple):
    """Somebody else drives; `batch` is our input, stored."""

    batch: BatchRow | None
    lease: LeaseRow | None


LOOK_UP = Query(
    KnownTurn,
    """
    SELECT d.flag, t.turn_id, t.result_json, t.summary_json, t.committed_at_ms, r.payload_hash,
           h.head_revision, h.turn_index,
           (SELECT min(b.enqueue_seq) FROM lash_queued_batches b WHERE b.session_id = s.session_id)
    FROM (SELECT CAST(?1 AS TEXT) AS session_id) s
    LEFT JOIN (SELECT 1 AS flag, session_id FROM lash_deleted_sessions) d ON d.session_id = s.session_id
    LEFT JOIN lash_turn_commits t ON t.session_id = s.session_id AND t.turn_id = ?2
    LEFT JOIN lash_queued_receipts r ON r.session_id = s.session_id AND r.source_key = ?3
    LEFT JOIN lash_sessions h ON h.session_id = s.session_id
    """,
)
HEAD_PLACE = Query(Place, "SELECT head_revision, turn_index FROM lash_sessions WHERE session_id = ?1")


@program("write")
def accept_turn(
    turn_id: str, draft: DraftRow, claimant: Claimant, max_batches: int
) -> Steps[OwnedRow | WaitingRow | KnownTurn]:
    """See the module docstring."""
    session_id = draft.session_id
    yield from lock(session_lock(session_id))
    known = yield from one(LOOK_UP, session_id, turn_id, draft.source_key)
    assert known is not None
    if known.is_deleted is not None:
        raise SessionDeleted(session_id)
    if known.turn_id is not None:
        if known.receipt_hash not in (None, draft.payload_hash):
            raise TurnInputConflict(session_id, turn_id)
        return known
    if known.first_queued is None and known.receipt_hash is None and _is_ready(draft):
        owned = yield from _begin(turn_id, draft, claimant, known.place)
        if owned is not None:
            return owned
    row: BatchRow | None = None
    if known.receipt_hash is None:
        row = yield from insert_or_find_row(draft)
    if (known.receipt_hash or (row and row.payload_hash)) != draft.payload_hash:
        raise TurnInputConflict(session_id, turn_id)
    owned = yield from _drive(session_id, claimant, max_batches, known.place)
    if owned is not None:
        return owned
    yield from notify()  # whoever drives the session may take this input along
    return WaitingRow(row, (yield from one(GET_LEASE, session_id)))


@program("write")
def next_turn(session_id: str, claimant: Claimant, max_batches: int) -> Steps[OwnedRow | WaitingRow | None]:
    """What must run next; None when nothing is ready. An idle look writes nothing."""
    yield from lock(session_lock(session_id))
    yield from refuse_deleted(session_id)
    lease = yield from one(GET_LEASE, session_id)
    if lease is None or lease.turn_json is None:
        # As the next owner would see it: what earlier owners had claimed is ready again.
        fence = 1 if lease is None else lease.fence + 1
        look = Claimer(claimant.executor_id, claimant.claim_token, claimant.ttl_ms, fence)
        if not (yield from ready_rows(session_id, look, max_batches)):
            return WaitingRow(None, lease) if lease is not None and _is_held(lease, claimant) else None
    place = (yield from one(HEAD_PLACE, session_id)) or Place(0, 0)
    owned = yield from _drive(session_id, claimant, max_batches, place)
    if owned is not None:
        return owned
    lease = yield from one(GET_LEASE, session_id)
    return None if lease is None or lease.lease_token == "" else WaitingRow(None, lease)


@program("write")
def reclaim_batches(lease: Lease, claimer: Claimer, batch_ids: Sequence[str]) -> Steps[Stamped | None]:
    """Claims exactly these batches under a held lease; None unless all are there and free of newer owners."""
    yield from lock(session_lock(lease.key))
    row = yield from one(GET_LEASE, lease.key)
    if row is None or row.lease_token != lease.token:
        return None
    rows = yield from _found(lease.key, batch_ids)
    if not rows or len(rows) != len(batch_ids) or not all(_is_free(each, claimer) for each in rows):
        return None
    return (yield from stamp(lease.key, claimer, rows, row.now_ms))


def _is_ready(draft: DraftRow) -> bool:
    """Whether it runs as soon as nothing is before it."""
    return draft.available_at_ms == 0 and draft.coalesce_key is None


def _begin(turn_id: str, draft: DraftRow, claimant: Claimant, place: Place) -> Steps[OwnedRow | None]:
    """`_drive` where nothing is queued: the turn is named as the lease is taken, its input is stored as claimed.

    None when a turn is in flight or another owner is live; nothing was changed then.
    """
    session_id = draft.session_id
    turn = TurnInFlight(turn_id, [draft.batch_id], place.head_revision, place.turn_index + 1)
    claimed = yield from begin_turn(session_id, claimant, turn_id, encode(turn))
    if claimed is None:
        return None
    lease = Lease(
        "session", session_id, claimant.executor_id, claimant.lease_token, claimed.fence, claimed.expires_at_ms
    )
    claimer = Claimer(claimant.executor_id, claimant.claim_token, claimant.ttl_ms, claimed.fence)
    stamped = yield from insert_claimed(draft, claimer, claimed.claimed_at_ms)
    return OwnedRow(lease, stamped, turn, True, place.head_revision, False)


def _drive(session_id: str, claimant: Claimant, max_batches: int, place: Place) -> Steps[OwnedRow | None]:
    """Takes the lease and what must run; None when another owner is live or nothing is ready."""
    claimed = yield from claim_lease(session_id, claimant)
    if claimed is None:
        return None
    lease = Lease(
        "session", session_id, claimant.executor_id, claimant.lease_token, claimed.fence, claimed.expires_at_ms
    )
    claimer = Claimer(claimant.executor_id, claimant.claim_token, claimant.ttl_ms, claimed.fence)
    if claimed.turn_json is not None:
        return (yield from _continue(session_id, lease, claimed, claimer, place))
    ready = yield from ready_rows(session_id, claimer, max_batches)
    rows = prefix_of(ready, "idle", max_batches)
    if not rows:
        yield from execute(RELEASE_LEASE, session_id, claimant.lease_token)
        return None
    is_fresh = all(row.claim_fencing_token == 0 for row in rows)
    turn = TurnInFlight(
        started_turn_id(rows[0].source_key, rows[0].batch_id),
        [row.batch_id for row in rows],
        place.head_revision,
        place.turn_index + 1,
    )
    name_turn = write(NAME_TURN, session_id, claimant.lease_token, turn.turn_id, encode(turn))
    stamped = yield from stamp(session_id, claimer, rows, claimed.claimed_at_ms, name_turn)
    return OwnedRow(lease, stamped, turn, is_fresh, place.head_revision, len(ready) > len(rows))


def _continue(
    session_id: str, lease: Lease, claimed: Claimed, claimer: Claimer, place: Place
) -> Steps[OwnedRow | None]:
    """The turn in flight, with exactly its batches. It is fresh only in a repeat of its first claim."""
    turn = decode_in_flight(session_id, claimed.turn_json or "")
    # Whoever else claimed them, the lease that names the turn decides whose they are.
    rows = yield from _found(session_id, turn.batch_ids)
    if rows:
        stamped = yield from stamp(session_id, claimer, rows, claimed.claimed_at_ms)
    else:  # taken out of the database: the turn can only be settled
        stamped = Stamped("", 0, claimed.claimed_at_ms, claimed.expires_at_ms, [])
    is_repeat = bool(stamped.rows) and all(row.claim_token == claimer.token for row in stamped.rows)
    return OwnedRow(lease, stamped, turn, is_repeat and stamped.fencing_token == 1, place.head_revision, True)


def _found(session_id: str, batch_ids: Sequence[str]) -> Steps[list[BatchRow]]:
    rows: list[BatchRow] = []
    for batch_id in batch_ids:
        row = yield from one(BY_ID, session_id, batch_id)
        if row is not None:
            rows.append(row)
    return rows


def _is_free(row: BatchRow, claimer: Claimer) -> bool:
    """Whether nobody else may be at work on it: unclaimed, expired, ours, or of an earlier owner of the lease."""
    if not row.is_live or row.claim_token == claimer.token:
        return True
    return row.claim_generation is not None and row.claim_generation <= (claimer.fence or 0)


def _is_held(lease: LeaseRow, claimant: Claimant) -> bool:
    """Whether somebody else has the session: not by a lease that is over or whose owner is proven dead."""
    return lease.lease_token not in ("", claimant.proven_dead_token) and lease.expires_at_ms > lease.now_ms
