"""Reading sessions, their meta, and removing them for good."""

from __future__ import annotations

from typing import NamedTuple

from lash.base.usage import LedgerEntry, TokenUsage, merge_ledger
from lash.sessions.errors import AmbiguousSession, StoredDataCorrupt
from lash.sessions.graph import ActivePath, FullGraph, ReadScope, SessionGraph
from lash.sessions.meta import SessionMeta, SessionRelation
from lash.sessions.store import PersistedSession
from lash.stores.dialect import Statement
from lash.stores.program import Query, Steps, execute, lock, many, notify, one, program
from lash.stores.records import (
    BatchRow,
    decode_checkpoint,
    decode_head,
    decode_manifest,
    decode_node,
    decoded,
    hydrate_frames,
)
from lash.stores.sql.blobs import GET_BLOB
from lash.stores.sql.leases import refuse_deleted, session_lock


class HeadRow(NamedTuple):
    """The head of a session."""

    head_revision: int
    head_json: str
    manifest_json: str
    leaf_node_id: str | None
    checkpoint_ref: str


class NodeRow(NamedTuple):
    """A node as stored."""

    node_json: str


class UsageRow(NamedTuple):
    """What one source spent on one model."""

    source: str
    model: str
    input_tokens: int
    output_tokens: int
    cached_input_tokens: int
    reasoning_tokens: int


class MetaRow(NamedTuple):
    """Descriptive facts of a session."""

    session_id: str
    session_name: str
    created_at: str
    model: str
    cwd: str | None
    relation_json: str


class ListingRow(NamedTuple):
    """One line of a list of sessions."""

    session_id: str
    head_revision: int
    turn_index: int
    updated_at_ms: int


class SessionId(NamedTuple):
    """A session."""

    session_id: str


class TurnRow(NamedTuple):
    """A stamp."""

    turn_id: str
    result_json: str | None
    summary_json: str | None
    committed_at_ms: int


class OpenTurnRow(NamedTuple):
    """A session whose lease row names a turn."""

    session_id: str
    turn_json: str
    owner: str
    lease_token: str
    is_live: int


GET_HEAD = Query(
    HeadRow,
    """
    SELECT head_revision, head_json, manifest_json, leaf_node_id, checkpoint_ref
    FROM lash_sessions
    WHERE session_id = ?1
    """,
)
SESSION_IDS = Query(SessionId, "SELECT session_id FROM lash_sessions ORDER BY session_id LIMIT 2")
ALL_HEADS = Query(
    ListingRow,
    "SELECT session_id, head_revision, turn_index, updated_at_ms FROM lash_sessions ORDER BY session_id",
)
FULL_GRAPH = Query(
    NodeRow, "SELECT node_json FROM lash_graph_nodes WHERE session_id = ?1 AND tombstoned = 0 ORDER BY seq"
)
# The path runs through tombstoned nodes and does not show them.
ACTIVE_PATH = Query(
    NodeRow,
    """
    WITH RECURSIVE path (node_id, parent_node_id, node_json, tombstoned, depth) AS (
      SELECT node_id, parent_node_id, node_json, tombstoned, 0
      FROM lash_graph_nodes
      WHERE session_id = ?1 AND node_id = ?2
      UNION ALL
      SELECT n.node_id, n.parent_node_id, n.node_json, n.tombstoned, p.depth + 1
      FROM path p
      JOIN lash_graph_nodes n ON n.session_id = ?1 AND n.node_id = p.parent_node_id
    )
    SELECT node_json FROM path WHERE tombstoned = 0 ORDER BY depth DESC
    """,
)
GET_NODE = Query(
    NodeRow, "SELECT node_json FROM lash_graph_nodes WHERE session_id = ?1 AND node_id = ?2 AND tombstoned = 0"
)
LEDGER = Query(
    UsageRow,
    """
    SELECT source, model, CAST(sum(input_tokens) AS BIGINT), CAST(sum(output_tokens) AS BIGINT),
           CAST(sum(cached_input_tokens) AS BIGINT), CAST(sum(reasoning_tokens) AS BIGINT)
    FROM lash_usage_deltas
    WHERE session_id = ?1
    GROUP BY source, model
    ORDER BY min(head_revision * 1000000 + ordinal)
    """,
)
GET_TURN = Query(
    TurnRow,
    """
    SELECT turn_id, result_json, summary_json, committed_at_ms
    FROM lash_turn_commits
    WHERE session_id = ?1 AND turn_id = ?2
    """,
)
ALL_TURNS = Query(
    TurnRow,
    """
    SELECT turn_id, result_json, summary_json, committed_at_ms
    FROM lash_turn_commits
    WHERE session_id = ?1
    ORDER BY head_revision, fence, committed_at_ms, turn_id
    """,
)
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
    )
)


@program("read")
def load_session(session_id: str | None, scope: ReadScope) -> Steps[PersistedSession | None]:
    """One consistent snapshot. None when nothing was committed."""
    found = yield from resolve(session_id)
    if found is None:
        return None
    row = yield from one(GET_HEAD, found)
    if row is None:
        return None
    head = decode_head(found, row.head_json)
    manifest = decode_manifest(found, row.manifest_json)
    refs = {*manifest.values(), *(frame.execution_state_ref for frame in head.agent_frames)}
    blobs: dict[str, bytes] = {}
    for ref in sorted(ref for ref in refs if ref is not None):
        blob = yield from one(GET_BLOB, ref)
        if blob is not None:
            blobs[ref] = blob.content
    ledger = yield from many(LEDGER, found)
    return PersistedSession(
        session_id=found,
        head_revision=row.head_revision,
        policy=head.policy,
        agent_frames=hydrate_frames(found, head.agent_frames, blobs),
        current_agent_frame_id=head.current_agent_frame_id,
        graph=(yield from _graph(found, scope, row.leaf_node_id)),
        checkpoint_ref=row.checkpoint_ref,
        checkpoint=decode_checkpoint(found, head, manifest, blobs),
        token_ledger=merge_ledger(LedgerEntry(use.source, use.model, TokenUsage(*use[2:])) for use in ledger),
    )


@program("read")
def load_node(session_id: str | None, node_id: str) -> Steps[NodeRow | None]:
    """A node by its id; a tombstoned one is not shown."""
    found = yield from resolve(session_id)
    return None if found is None else (yield from one(GET_NODE, found, node_id))


@program("read")
def load_turn(session_id: str, turn_id: str) -> Steps[TurnRow | None]:
    """A stamp."""
    return (yield from one(GET_TURN, session_id, turn_id))


@program("read")
def list_turns(session_id: str) -> Steps[list[TurnRow]]:
    """Stamps in the order of settlement."""
    return (yield from many(ALL_TURNS, session_id))


@program("write")
def create(meta: MetaRow) -> Steps[None]:
    """Writes meta unless present; raises `SessionDeleted`."""
    yield from lock(session_lock(meta.session_id))
    yield from refuse_deleted(meta.session_id)
    yield from execute(ADD_META, *meta)


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
    for statement in DELETE_SESSION:
        yield from execute(statement, session_id)
    yield from notify()


def resolve(session_id: str | None) -> Steps[str | None]:
    """The session a handle means: its own, or the only one. Raises `AmbiguousSession` and `SessionDeleted`."""
    if session_id is not None:
        yield from refuse_deleted(session_id)
        return session_id
    rows = yield from many(SESSION_IDS)
    if len(rows) > 1:
        everything = yield from many(ALL_HEADS)
        raise AmbiguousSession(len(everything))
    return rows[0].session_id if rows else None


def meta_of(row: MetaRow) -> SessionMeta:
    """Meta as a value."""
    relation: SessionRelation = decoded(
        f"session {row.session_id}: relation",
        row.relation_json,
        SessionRelation,  # type: ignore[arg-type]  # a union is a shape to msgspec
    )
    return SessionMeta(row.session_id, row.session_name, row.created_at, row.model, row.cwd, relation)


def _graph(session_id: str, scope: ReadScope, stored_leaf: str | None) -> Steps[SessionGraph]:
    match scope:
        case FullGraph():
            rows = yield from many(FULL_GRAPH, session_id)
            leaf = stored_leaf
        case ActivePath(leaf_node_id=asked):
            leaf = asked if asked is not None else stored_leaf
            rows = [] if leaf is None else (yield from many(ACTIVE_PATH, session_id, leaf))
            if leaf is not None and not rows:
                raise StoredDataCorrupt(f"session {session_id}: leaf {leaf} is not stored")
    return SessionGraph([decode_node(session_id, row.node_json) for row in rows], leaf)
