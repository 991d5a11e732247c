"""Session leases: who drives a session.

A claim is one upsert: free, expired, already mine, or held by an executor that is
proven dead. Claims and renewals compare the time; guarded writes compare only the
token, which a takeover replaces under the row lock and a release clears.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lash.effects.errors import LeaseLost
from lash.effects.lease import Lease
from lash.sessions.accept import Claimant
from lash.sessions.errors import SessionDeleted
from lash.sessions.queue import QueuedWorkClaim
from lash.stores.dialect import Statement
from lash.stores.program import Query, Steps, each, execute, lock, many, many_each, notify, one, program


class Claimed(NamedTuple):
    """A lease row just after we took it."""

    fence: int
    claimed_at_ms: int
    expires_at_ms: int
    turn_json: str | None


class LeaseRow(NamedTuple):
    """A lease row as it stands."""

    session_id: str
    owner: str
    lease_token: str
    fence: int
    expires_at_ms: int
    turn_json: str | None
    cancel_requested_at_ms: int | None
    now_ms: int


class Held(NamedTuple):
    """A lease row that a heartbeat found still ours."""

    session_id: str
    expires_at_ms: int
    cancel_requested_at_ms: int | None


class Flag(NamedTuple):
    """Whether something is so."""

    n: int


IS_DELETED = Query(Flag, "SELECT 1 FROM lash_deleted_sessions WHERE session_id = ?1")

# A free row has token '' and expiry 0. The fence rises with every new owner and not with a repeat.
_TAKE_LEASE = """
      owner = excluded.owner,
      lease_token = excluded.lease_token,
      fence = lash_session_leases.fence
        + CASE WHEN lash_session_leases.lease_token = excluded.lease_token THEN 0 ELSE 1 END,
      claimed_at_ms = {now},
      expires_at_ms = {now} + CAST(?4 AS BIGINT)
"""
_MAY_TAKE = """(
      lash_session_leases.lease_token = excluded.lease_token
      OR lash_session_leases.expires_at_ms <= {now}
      OR lash_session_leases.lease_token = CAST(?5 AS TEXT)
    )"""
CLAIM_LEASE = Query(
    Claimed,
    f"""
    INSERT INTO lash_session_leases (session_id, owner, lease_token, fence, claimed_at_ms, expires_at_ms)
    VALUES (?1, ?2, ?3, 1, {{now}}, {{now}} + CAST(?4 AS BIGINT))
    ON CONFLICT (session_id) DO UPDATE SET {_TAKE_LEASE}
    WHERE {_MAY_TAKE}
    RETURNING fence, claimed_at_ms, expires_at_ms, turn_json
    """,
)
# The same for a turn that begins with it; not while another is in flight.
BEGIN_TURN = Query(
    Claimed,
    f"""
    INSERT INTO lash_session_leases
      (session_id, owner, lease_token, fence, claimed_at_ms, expires_at_ms, turn_id, turn_json)
    VALUES (?1, ?2, ?3, 1, {{now}}, {{now}} + CAST(?4 AS BIGINT), ?6, ?7)
    ON CONFLICT (session_id) DO UPDATE SET {_TAKE_LEASE},
      turn_id = excluded.turn_id, turn_json = excluded.turn_json, cancel_requested_at_ms = NULL
    WHERE lash_session_leases.turn_id IS NULL AND {_MAY_TAKE}
    RETURNING fence, claimed_at_ms, expires_at_ms, turn_json
    """,
)
GET_LEASE = Query(
    LeaseRow,
    """
    SELECT session_id, owner, lease_token, fence, expires_at_ms, turn_json, cancel_requested_at_ms, {now}
    FROM lash_session_leases
    WHERE session_id = ?1
    """,
)
# The strict renewal: still ours and not expired.
RENEW_LEASE = Query(
    Held,
    """
    UPDATE lash_session_leases
    SET expires_at_ms = {now} + CAST(?3 AS BIGINT)
    WHERE session_id = ?1 AND lease_token = ?2 AND expires_at_ms > {now}
    RETURNING session_id, expires_at_ms, cancel_requested_at_ms
    """,
)
# The heartbeat revives an expired lease that nobody took.
REVIVE_LEASE = Query(
    Held,
    """
    UPDATE lash_session_leases
    SET expires_at_ms = {now} + CAST(?3 AS BIGINT)
    WHERE session_id = ?1 AND lease_token = ?2
    RETURNING session_id, expires_at_ms, cancel_requested_at_ms
    """,
)
READ_HELD = Query(
    Held,
    """
    SELECT session_id, expires_at_ms, cancel_requested_at_ms
    FROM lash_session_leases
    WHERE session_id = ?1 AND lease_token = ?2
    """,
)
RENEW_CLAIM = Statement(
    """
    UPDATE lash_queued_batches
    SET claim_expires_at_ms = {now} + CAST(?4 AS BIGINT)
    WHERE session_id = ?1 AND claim_id = ?2 AND claim_token = ?3
    """
)
# The turn in flight stays named: whoever comes next finishes it.
RELEASE_LEASE = Statement(
    "UPDATE lash_session_leases SET lease_token = '', expires_at_ms = 0 WHERE session_id = ?1 AND lease_token = ?2"
)
# A settled turn no longer owns the session.
SETTLE_LEASE = Statement(
    """
    UPDATE lash_session_leases
    SET lease_token = '', expires_at_ms = 0, turn_id = NULL, turn_json = NULL, cancel_requested_at_ms = NULL
    WHERE session_id = ?1 AND lease_token = ?2
    """
)
KEEP_LEASE = Statement(
    """
    UPDATE lash_session_leases
    SET turn_id = NULL, turn_json = NULL, cancel_requested_at_ms = NULL
    WHERE session_id = ?1 AND lease_token = ?2
    """
)
NAME_TURN = Statement(
    """
    UPDATE lash_session_leases
    SET turn_id = ?3, turn_json = ?4, cancel_requested_at_ms = NULL
    WHERE session_id = ?1 AND lease_token = ?2
    """
)
REQUEST_CANCEL = Statement(
    """
    UPDATE lash_session_leases
    SET cancel_requested_at_ms = coalesce(cancel_requested_at_ms, CAST(?3 AS BIGINT))
    WHERE session_id = ?1 AND turn_id IS NOT NULL AND (turn_id = CAST(?2 AS TEXT) OR CAST(?2 AS TEXT) = '')
    """
)


def claim_lease(session_id: str, claimant: Claimant) -> Steps[Claimed | None]:
    """Takes the lease, or answers None while another owner is live. Claiming again with one's own token is a repeat."""
    return (
        yield from one(
            CLAIM_LEASE,
            session_id,
            claimant.executor_id,
            claimant.lease_token,
            claimant.ttl_ms,
            claimant.proven_dead_token or "",
        )
    )


def begin_turn(session_id: str, claimant: Claimant, turn_id: str, turn_json: str) -> Steps[Claimed | None]:
    """Takes the lease for this turn, or answers None while another owner is live or another turn in flight."""
    return (
        yield from one(
            BEGIN_TURN,
            session_id,
            claimant.executor_id,
            claimant.lease_token,
            claimant.ttl_ms,
            claimant.proven_dead_token or "",
            turn_id,
            turn_json,
        )
    )


def refuse_deleted(session_id: str) -> Steps[None]:
    """Raises `SessionDeleted`. Call it under the session's lock or lease row."""
    if (yield from one(IS_DELETED, session_id)) is not None:
        raise SessionDeleted(session_id)


def session_lock(session_id: str) -> str:
    """The lock that everybody takes who creates or deletes rows of a session."""
    return f"session:{session_id}"


@program("write")
def try_claim(session_id: str, claimant: Claimant) -> Steps[Claimed | None]:
    """The lease alone, for a writer that is no turn."""
    yield from lock(session_lock(session_id))
    yield from refuse_deleted(session_id)
    return (yield from claim_lease(session_id, claimant))


@program("single")
def renew(lease: Lease, ttl_ms: int) -> Steps[Held]:
    """Extends a lease that is ours and unexpired; raises `LeaseLost`."""
    held = yield from one(RENEW_LEASE, lease.key, lease.token, ttl_ms)
    if held is None:
        raise LeaseLost(lease.kind, lease.key, lease.fence)
    return held


@program("write")
def release(lease: Lease) -> Steps[None]:
    """Gives a lease back; a lost one is left alone."""
    if (yield from execute(RELEASE_LEASE, lease.key, lease.token)):
        yield from notify()


@program("read")
def get_lease(session_id: str) -> Steps[LeaseRow | None]:
    """The lease row of a session."""
    return (yield from one(GET_LEASE, session_id))


@program("write")
def heartbeat(leases: Sequence[Lease], claims: Sequence[QueuedWorkClaim], ttl_ms: int) -> Steps[list[Held]]:
    """Renews leases and the claims under them; answers the leases that are still ours."""
    held = yield from many_each(REVIVE_LEASE, [(lease.key, lease.token, ttl_ms) for lease in leases])
    yield from each(RENEW_CLAIM, [(claim.session_id, claim.claim_id, claim.lease_token, ttl_ms) for claim in claims])
    return held


@program("read")
def read_held(leases: Sequence[Lease]) -> Steps[list[Held]]:
    """The leases that are still ours, without writing."""
    held: list[Held] = []
    for lease in leases:
        held += yield from many(READ_HELD, lease.key, lease.token)
    return held


@program("write")
def request_cancel(session_id: str, turn_id: str | None, now_ms: int) -> Steps[bool]:
    """Marks the turn in flight as unwanted; False when there is none (of that id)."""
    changed = yield from execute(REQUEST_CANCEL, session_id, turn_id or "", now_ms)
    if changed:
        yield from notify()
    return changed > 0
