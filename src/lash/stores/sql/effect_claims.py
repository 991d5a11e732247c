"""Journal rows of scopes without a lease: the row itself is the claim.

Decided by `effects.journal.decide` (docs/spec/durability.md §2.7). A turn whose
session has a live owner is busy for everybody else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from lash.effects.journal import Busy, Claim, Decision, JournalRow, decide
from lash.effects.ports import ClaimAnswer, ClaimRequest
from lash.effects.scope import ExecutionScope
from lash.stores.dialect import Statement
from lash.stores.program import Query, Steps, execute, lock, notify, one, program
from lash.stores.sql.journal import EFFECT_COLUMNS, EffectRow, Key, is_ours, put_blobs


class Now(NamedTuple):
    """The store's clock."""

    now_ms: int


class Expiry(NamedTuple):
    """When the covering lease runs out."""

    expires_at_ms: int


GET_LOCKED = Query(
    EffectRow,
    f"SELECT {EFFECT_COLUMNS} FROM lash_effect_journal WHERE scope_key = ?1 AND replay_key = ?2 {{for_update}}",
)
NOW = Query(Now, "SELECT {now}")
LIVE_LEASE = Query(
    Expiry,
    """
    SELECT expires_at_ms
    FROM lash_session_leases
    WHERE session_id = ?1 AND lease_token <> '' AND expires_at_ms > {now}
    """,
)
INSERT_CLAIM = Query(
    Key,
    """
    INSERT INTO lash_effect_journal
      (scope_key, replay_key, session_id, process_id, effect_kind, envelope_hash, envelope_json, status,
       lease_owner, lease_token, lease_expires_at_ms, due_at_ms, attempts, never, producer, started_at_ms)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'in_progress', ?8, ?9, ?10, ?11, 1, ?12, ?13, ?14)
    ON CONFLICT (scope_key, replay_key) DO NOTHING
    RETURNING replay_key
    """,
)
TAKE_OVER = Statement(
    """
    UPDATE lash_effect_journal
    SET lease_owner = ?3, lease_token = ?4, lease_expires_at_ms = ?5, attempts = ?6
    WHERE scope_key = ?1 AND replay_key = ?2 AND status = 'in_progress'
    """
)
FINALIZE = Statement(
    """
    UPDATE lash_effect_journal
    SET status = ?4, outcome_json = ?5, error_json = ?6, finished_at_ms = CAST(?7 AS BIGINT)
    WHERE scope_key = ?1 AND replay_key = ?2 AND envelope_hash = ?3 AND status = 'in_progress'
      AND lease_token = ?8 AND lease_expires_at_ms > {now}
    """
)
RENEW = Statement(
    """
    UPDATE lash_effect_journal
    SET lease_expires_at_ms = {now} + CAST(?4 AS BIGINT)
    WHERE scope_key = ?1 AND replay_key = ?2 AND status = 'in_progress' AND lease_token = ?3
    """
)
RELEASE = Statement(
    """
    UPDATE lash_effect_journal
    SET lease_expires_at_ms = 0
    WHERE scope_key = ?1 AND replay_key = ?2 AND status = 'in_progress' AND lease_token = ?3
    """
)


@program("write")
def claim(scope: ExecutionScope, request: ClaimRequest) -> Steps[ClaimAnswer]:
    """Decides about one effect of an unowned scope, and writes the claim when it is ours to run."""
    scope_key = scope.journal_key
    yield from lock(f"effect:{scope_key}:{request.replay_key}")
    stored = yield from one(GET_LOCKED, scope_key, request.replay_key)
    clock = yield from one(NOW)
    now_ms = 0 if clock is None else clock.now_ms
    decision = decide(
        None if stored is None else stored.value(),
        envelope_hash=request.envelope_hash,
        ownership="unowned",
        is_never=request.is_never,
        token=request.token,
        due_at_ms=_due(request, now_ms),
        now_ms=now_ms,
        is_strict_replay=request.is_strict_replay,
    )
    if isinstance(decision, Claim):
        decision = yield from _write_claim(scope, request, decision, stored is None, now_ms)
    return ClaimAnswer(decision, now_ms)


@program("write")
def finalize(scope_key: str, row: JournalRow, token: str, blobs: Mapping[str, bytes], now_ms: int) -> Steps[bool]:
    """Ends a claimed row that is still ours and unexpired."""
    yield from put_blobs(blobs, now_ms)
    changed = yield from execute(
        FINALIZE,
        scope_key,
        row.replay_key,
        row.envelope_hash,
        row.status,
        row.outcome_json,
        row.error_json,
        row.finished_at_ms,
        token,
    )
    if changed:
        yield from notify()
        return True
    return (yield from is_ours(scope_key, row, token))


@program("single")
def renew(scope_key: str, replay_key: str, token: str, ttl_ms: int) -> Steps[int]:
    """Extends a claim."""
    return (yield from execute(RENEW, scope_key, replay_key, token, ttl_ms))


@program("single")
def release(scope_key: str, replay_key: str, token: str) -> Steps[int]:
    """Gives a claim back without an outcome."""
    return (yield from execute(RELEASE, scope_key, replay_key, token))


def _write_claim(
    scope: ExecutionScope, request: ClaimRequest, decision: Claim, is_new: bool, now_ms: int
) -> Steps[Decision]:
    expires = now_ms + request.ttl_ms
    if is_new:
        if scope.type == "turn":  # a live owner of the turn's session runs its effects itself
            lease = yield from one(LIVE_LEASE, scope.session_id)
            if lease is not None:
                return Busy(lease.expires_at_ms)
        inserted = yield from one(
            INSERT_CLAIM,
            scope.journal_key,
            request.replay_key,
            scope.session_id,
            scope.process_id,
            request.kind,
            request.envelope_hash,
            request.envelope_json,
            request.owner,
            request.token,
            expires,
            decision.due_at_ms,
            int(request.is_never),
            request.producer,
            now_ms,
        )
        return decision if inserted is not None else Busy(now_ms)
    yield from execute(
        TAKE_OVER,
        scope.journal_key,
        request.replay_key,
        request.owner,
        request.token,
        expires,
        decision.attempts,
    )
    return decision


def _due(request: ClaimRequest, now_ms: int) -> int | None:
    if request.until_ms is not None:
        return request.until_ms
    return None if request.sleep_ms is None else now_ms + request.sleep_ms
