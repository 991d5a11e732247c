"""Sessions as such: created, described, listed, recovered, deleted for good."""

from __future__ import annotations

from typing import NamedTuple

from lash.sessions.errors import AmbiguousSession
from lash.sessions.meta import SessionMeta, SessionRelation
from lash.stores.dialect import Statement
from lash.stores.program import Query, Steps, execute, lock, many, notify, one, program
from lash.stores.records import (
    BatchRow,
    decoded,
)
from lash.stores.sql import commit as commits
from lash.stores.sql.leases import refuse_deleted, session_lock
from lash.stores.sql.process_grants import forget_session
from lash.stores.sql.sessions import ALL_HEADS, GET_HEAD, ListingRow


class MetaRow(NamedTuple):
    """Descriptive facts of a session."""

    session_id: str
    session_name: str
    created_at: str
    model: str
    cwd: str | None
    relation_json: str


class OpenTurnRow(NamedTuple):
    """A session whose lease row names a turn."""

    session_id: str
    turn_json: str
    owner: str
    lease_token: str
    is_live: int


GET_META = Query(
    MetaRow,
    """
    SELECT session_id, session_name, created_at, model, cwd, relation_json
    FROM lash_session_meta
    WHERE session_id = ?1
    """,
)
ALL_META = Query(
    MetaRow,
    "SELECT session_id, session_name, created_at, model, cwd, relation_json FROM lash_session_meta ORDER BY session_id",
)
ADD_META = Statement(
    """
    INSERT INTO lash_session_meta (session_id, session_name, created_at, model, cwd, relation_json)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT (session_id) DO NOTHING
    """
)
PUT_META = Statement(
    """
    INSERT INTO lash_session_meta (session_id, session_name, created_at, model, cwd, relation_json)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT (session_id) DO UPDATE SET
      session_name = excluded.session_name, created_at = excluded.created_at, model = excluded.model,
      cwd = excluded.cwd, relation_json = excluded.relation_json
    """
)
IN_FLIGHT = Query(
    OpenTurnRow,
    """
    SELECT session_id, turn_json, owner, lease_token,
           CASE WHEN lease_token <> '' AND expires_at_ms > {now} THEN 1 ELSE 0 END
    FROM lash_session_leases
    WHERE turn_id IS NOT NULL
    ORDER BY session_id
    """,
)
# The first batch of each session that nobody is working on.
FIRST_READY = Query(
    BatchRow,
    """
    SELECT b.enqueue_seq, b.batch_id, b.session_id, b.source_key, b.coalesce_key, b.delivery_policy, b.slot_policy,
           b.merge_key_json, b.available_at_ms, b.enqueued_at_ms, b.payloads_json, b.payload_hash, b.claim_id,
           b.claim_owner, b.claim_token, b.claim_fencing_token, b.claim_generation, b.claim_claimed_at_ms,
           b.claim_expires_at_ms, 0
    FROM lash_queued_batches b
    JOIN (
      SELECT session_id, min(enqueue_seq) AS first_seq
      FROM lash_queued_batches
      WHERE available_at_ms <= {now} AND (claim_token IS NULL OR claim_expires_at_ms <= {now})
      GROUP BY session_id
    ) f ON f.first_seq = b.enqueue_seq
    ORDER BY b.session_id
    """,
)
MARK_DELETED = Statement(
    """
    INSERT INTO lash_deleted_sessions (session_id, deleted_at_ms) VALUES (?1, ?2)
    ON CONFLICT (session_id) DO NOTHING
    """
)
REVOKE_WAITS = Statement(
    """
    INSERT INTO lash_await_revoked_sessions (session_id, revoked_at_ms) VALUES (?1, ?2)
    ON CONFLICT (session_id) DO NOTHING
    """
)
# The lease row goes first: a guarded commit holds it, so one of the two waits for the other.
DELETE_SESSION = tuple(
    Statement(f"DELETE FROM {table} WHERE session_id = ?1")
    for table in (
        "lash_session_leases",
        "lash_queued_batches",
        "lash_queued_receipts",
        "lash_usage_deltas",
        "lash_graph_nodes",
        "lash_turn_commits",
        "lash_session_meta",
        "lash_sessions",
        "lash_attachment_manifest",
        "lash_effect_journal",
        "lash_await_events",
        "lash_live_replay",
    )
)
# What the session registered starts nothing any more; what it has started goes on.
DELETE_REGISTERED = tuple(
    Statement(f"DELETE FROM {table} WHERE registrant_session_id = ?1")
    for table in ("lash_trigger_subscriptions", "lash_schedules")
)


@program("write")
def create(meta: MetaRow) -> Steps[None]:
    """Writes meta unless present; raises `SessionDeleted`."""
    yield from lock(session_lock(meta.session_id))
    yield from refuse_deleted(meta.session_id)
    yield from execute(ADD_META, *meta)


@program("write")
def create_with_state(meta: MetaRow, first: commits.CommitPlan) -> Steps[bool]:
    """Meta and first commit of a new session; False when there is one already. Raises `SessionDeleted`."""
    yield from lock(session_lock(meta.session_id))
    yield from refuse_deleted(meta.session_id)
    head = yield from one(commits.HEAD_TOKEN, meta.session_id)
    if head is not None:
        return head.commit_token == first.commit_token  # ours, acknowledged late
    if not (yield from execute(ADD_META, *meta)):
        return False
    yield from commits.commit(first).start()
    return True


@program("read")
def exists(session_id: str) -> Steps[bool]:
    """Whether a session was created or committed; raises `SessionDeleted`."""
    yield from refuse_deleted(session_id)
    if (yield from one(GET_META, session_id)) is not None:
        return True
    return (yield from one(GET_HEAD, session_id)) is not None


@program("write")
def save_meta(meta: MetaRow) -> Steps[None]:
    """Replaces the meta of a session."""
    yield from lock(session_lock(meta.session_id))
    yield from refuse_deleted(meta.session_id)
    yield from execute(PUT_META, *meta)


@program("read")
def load_meta(session_id: str | None) -> Steps[MetaRow | None]:
    """The meta of a session; of the only one when the handle is unbound."""
    if session_id is not None:
        return (yield from one(GET_META, session_id))
    rows = yield from many(ALL_META)
    if len(rows) > 1:
        raise AmbiguousSession(len(rows))
    return rows[0] if rows else None


@program("read")
def list_sessions() -> Steps[tuple[list[ListingRow], list[MetaRow]]]:
    """Every head, and every meta."""
    return (yield from many(ALL_HEADS)), (yield from many(ALL_META))


@program("read")
def open_turns() -> Steps[tuple[list[OpenTurnRow], list[BatchRow]]]:
    """Turns in flight, and the first ready batch of each session."""
    return (yield from many(IN_FLIGHT)), (yield from many(FIRST_READY))


@program("write")
def delete(session_id: str, now_ms: int) -> Steps[None]:
    """Removes everything of a session; its id and its waits are never usable again."""
    yield from lock(session_lock(session_id))
    yield from execute(MARK_DELETED, session_id, now_ms)
    yield from execute(REVOKE_WAITS, session_id, now_ms)
    for statement in (*DELETE_SESSION, *DELETE_REGISTERED):
        yield from execute(statement, session_id)
    yield from forget_session(session_id, now_ms)  # processes go on
    yield from notify()


def meta_of(row: MetaRow) -> SessionMeta:
    """Meta as a value."""
    relation: SessionRelation = decoded(
        f"session {row.session_id}: relation",
        row.relation_json,
        SessionRelation,  # type: ignore[arg-type]  # a union is a shape to msgspec
    )
    return SessionMeta(row.session_id, row.session_name, row.created_at, row.model, row.cwd, relation)
