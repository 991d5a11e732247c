"""Effect journal rows of a scope that is owned through a lease.

An outcome is one statement that selects the lease row with our token while it
inserts: `{for_share}` makes a takeover and a late row wait for each other. Scopes
without a lease are the subject of `effect_claims.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from lash.effects.errors import LeaseLost
from lash.effects.journal import JournalRow
from lash.effects.lease import Lease, LeaseKind
from lash.effects.scope import ExecutionScope
from lash.stores.dialect import Statement
from lash.stores.program import Query, Row, Steps, each, execute, many, many_each, notify, one, program
from lash.stores.sql.blobs import PUT_BLOB

EFFECT_COLUMNS = """
  replay_key, effect_kind, envelope_hash, status, envelope_json, outcome_json, error_json, lease_token,
  lease_expires_at_ms, due_at_ms, attempts, never, producer, started_at_ms, finished_at_ms
"""


class EffectRow(NamedTuple):
    """One row, in the order of `JournalRow`."""

    replay_key: str
    kind: str
    envelope_hash: str
    status: str
    envelope_json: str | None
    outcome_json: str | None
    error_json: str | None
    lease_token: str | None
    lease_expires_at_ms: int
    due_at_ms: int | None
    attempts: int
    never: int
    producer: str
    started_at_ms: int
    finished_at_ms: int | None

    def value(self) -> JournalRow:
        """The row as the journal's rule sees it."""
        return JournalRow(
            self.replay_key,
            self.kind,
            self.envelope_hash,
            self.status,
            self.envelope_json,
            self.outcome_json,
            self.error_json,
            self.lease_token,
            self.lease_expires_at_ms,
            self.due_at_ms,
            self.attempts,
            self.never == 1,
            self.producer,
            self.started_at_ms,
            self.finished_at_ms,
        )


class Key(NamedTuple):
    """The key of a written row."""

    replay_key: str


class Held(NamedTuple):
    """There is such a lease."""

    found: int


LOAD = Query(EffectRow, f"SELECT {EFFECT_COLUMNS} FROM lash_effect_journal WHERE scope_key = ?1 ORDER BY seq")
GET = Query(EffectRow, f"SELECT {EFFECT_COLUMNS} FROM lash_effect_journal WHERE scope_key = ?1 AND replay_key = ?2")
# Both leases lie beside what they cover: a turn's in the session's lease row, a process's in its own row.
_LEASES = {
    "session": "lash_session_leases WHERE session_id = CAST({key} AS TEXT) AND lease_token = CAST({token} AS TEXT)",
    "process": "lash_processes WHERE process_id = CAST({key} AS TEXT) AND lease_token = CAST({token} AS TEXT)",
}


def _leased(kind: LeaseKind, key: str, token: str) -> str:
    return _LEASES[kind].replace("{key}", key).replace("{token}", token)


def _owner(kind: LeaseKind) -> str:
    return "owner" if kind == "session" else "lease_owner"


def _fenced_insert(kind: LeaseKind) -> str:
    return f"""
    INSERT INTO lash_effect_journal
      (scope_key, replay_key, session_id, process_id, effect_kind, envelope_hash, envelope_json, status,
       outcome_json, error_json, lease_owner, lease_token, lease_expires_at_ms, due_at_ms, attempts, never,
       producer, started_at_ms, finished_at_ms)
    SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, {_owner(kind)}, lease_token, CAST(?11 AS BIGINT),
           CAST(?12 AS BIGINT), CAST(?13 AS BIGINT), CAST(?14 AS BIGINT), ?15, CAST(?16 AS BIGINT), CAST(?17 AS BIGINT)
    FROM {_leased(kind, "?18", "?19")} {{for_share}}
    """


def _append(kind: LeaseKind) -> Query[Key]:
    return Query(Key, _fenced_insert(kind) + "ON CONFLICT (scope_key, replay_key) DO NOTHING RETURNING replay_key")


def _begin(kind: LeaseKind) -> Query[Key]:
    return Query(
        Key,
        _fenced_insert(kind)
        + """
    ON CONFLICT (scope_key, replay_key) DO UPDATE SET
      lease_owner = excluded.lease_owner, lease_token = excluded.lease_token, attempts = excluded.attempts,
      started_at_ms = excluded.started_at_ms
    WHERE lash_effect_journal.status = 'in_progress'
      AND lash_effect_journal.envelope_hash = excluded.envelope_hash
      AND (lash_effect_journal.lease_token = excluded.lease_token
           OR (lash_effect_journal.never = 0 AND lash_effect_journal.lease_expires_at_ms <= {now}))
    RETURNING replay_key
    """,
    )


def _finish(kind: LeaseKind) -> Query[Key]:
    return Query(
        Key,
        f"""
    UPDATE lash_effect_journal
    SET status = ?4, outcome_json = ?5, error_json = ?6, finished_at_ms = CAST(?7 AS BIGINT),
        attempts = CAST(?8 AS BIGINT)
    WHERE scope_key = ?1 AND replay_key = ?2 AND envelope_hash = ?3 AND status = 'in_progress'
      AND lease_token = CAST(?9 AS TEXT)
      AND EXISTS (SELECT 1 FROM {_leased(kind, "?10", "?9")} {{for_share}})
    RETURNING replay_key
    """,
    )


_KINDS: tuple[LeaseKind, ...] = ("session", "process")
HOLDS = {kind: Query(Held, f"SELECT 1 FROM {_leased(kind, '?1', '?2')}") for kind in _KINDS}
APPEND = {kind: _append(kind) for kind in _KINDS}
# Takes over a row that was started and left, unless it is one that must not run twice.
BEGIN = {kind: _begin(kind) for kind in _KINDS}
FINISH = {kind: _finish(kind) for kind in _KINDS}
# An effect is in doubt only when whoever began it no longer owns its scope: one that runs right now is not.
_IS_IN_DOUBT = """
  scope_key = ?1 AND replay_key = ?2 AND status = 'in_progress'
    AND NOT EXISTS (
      SELECT 1 FROM lash_session_leases l
      WHERE l.session_id = lash_effect_journal.session_id AND l.lease_token = lash_effect_journal.lease_token
    )
    AND NOT EXISTS (
      SELECT 1 FROM lash_processes p
      WHERE p.process_id = lash_effect_journal.process_id AND p.lease_token = lash_effect_journal.lease_token
    )
"""
SETTLE_DOUBT = Statement(
    f"""
    UPDATE lash_effect_journal
    SET status = 'completed', outcome_json = ?3, finished_at_ms = {{now}}
    WHERE {_IS_IN_DOUBT}
    """
)
DROP_DOUBT = Statement(f"DELETE FROM lash_effect_journal WHERE {_IS_IN_DOUBT}")


@program("read")
def load(scope_key: str) -> Steps[list[EffectRow]]:
    """Every row of a scope, in the order they were written."""
    return (yield from many(LOAD, scope_key))


@program("read")
def get(scope_key: str, replay_key: str) -> Steps[EffectRow | None]:
    """One row."""
    return (yield from one(GET, scope_key, replay_key))


@program("read")
def holds(lease: Lease) -> Steps[bool]:
    """Whether the lease's token is still on its row."""
    return (yield from one(HOLDS[lease.kind], lease.key, lease.token)) is not None


@program("single")
def append(kind: LeaseKind, rows: Sequence[Row]) -> Steps[list[Key]]:
    """Writes finished rows under their lease, in one statement; answers the keys that were written."""
    return (yield from many_each(APPEND[kind], rows))


@program("write")
def append_with_blobs(
    kind: LeaseKind, rows: Sequence[Row], blobs: Mapping[str, bytes], now_ms: int
) -> Steps[list[Key]]:
    """The same, with the large values that the rows refer to."""
    yield from put_blobs(blobs, now_ms)
    return (yield from many_each(APPEND[kind], rows))


@program("single")
def begin(kind: LeaseKind, row: Row) -> Steps[Key | None]:
    """Writes an `in_progress` row under a lease; None when another owner or an outcome stands in its place."""
    return (yield from one(BEGIN[kind], *row))


@program("write")
def finish(lease: Lease, scope_key: str, row: JournalRow, blobs: Mapping[str, bytes], now_ms: int) -> Steps[None]:
    """Ends a row that `begin` wrote; raises `LeaseLost`. Ending it again in the same way is a repeat."""
    yield from put_blobs(blobs, now_ms)
    done = yield from one(
        FINISH[lease.kind],
        scope_key,
        row.replay_key,
        row.envelope_hash,
        row.status,
        row.outcome_json,
        row.error_json,
        row.finished_at_ms,
        row.attempts,
        lease.token,
        lease.key,
    )
    if done is None and not (yield from is_ours(scope_key, row, lease.token)):
        raise LeaseLost(lease.kind, lease.key, lease.fence)


@program("read")
def are_ours(scope_key: str, rows: Sequence[JournalRow], token: str) -> Steps[bool]:
    """Whether rows that could not be written are our own, acknowledged late.

    A row in progress with our token is not: that slip would let a fenced owner go on.
    """
    for row in rows:
        if not (yield from is_ours(scope_key, row, token)):
            return False
    return True


@program("write")
def settle(scope_key: str, replay_key: str, outcome_json: str | None) -> Steps[bool]:
    """Ends a doubt: records the outcome, or removes the row so that the effect runs again; False when there is none."""
    if outcome_json is None:
        changed = yield from execute(DROP_DOUBT, scope_key, replay_key)
    else:
        changed = yield from execute(SETTLE_DOUBT, scope_key, replay_key, outcome_json)
    if changed:
        yield from notify()
    return changed > 0


def fenced_row(scope: ExecutionScope, lease: Lease, row: JournalRow) -> Row:
    """The arguments of a fenced insert."""
    return (
        scope.journal_key,
        row.replay_key,
        scope.session_id,
        scope.process_id,
        row.kind,
        row.envelope_hash,
        row.envelope_json,
        row.status,
        row.outcome_json,
        row.error_json,
        row.lease_expires_at_ms,
        row.due_at_ms,
        row.attempts,
        int(row.never),
        row.producer,
        row.started_at_ms,
        row.finished_at_ms,
        lease.key,
        lease.token,
    )


def put_blobs(blobs: Mapping[str, bytes], now_ms: int) -> Steps[None]:
    if blobs:
        yield from each(PUT_BLOB, [(ref, blobs[ref], len(blobs[ref]), now_ms) for ref in sorted(blobs)])


def is_ours(scope_key: str, row: JournalRow, token: str) -> Steps[bool]:
    stored = yield from one(GET, scope_key, row.replay_key)
    return (
        stored is not None
        and stored.status == row.status
        and stored.status != "in_progress"
        and stored.lease_token == token
        and stored.envelope_hash == row.envelope_hash
    )
