"""Reading sessions: head, graph, ledger, settled turns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from lash.base.usage import LedgerEntry, TokenUsage, merge_ledger
from lash.sessions.errors import AmbiguousSession, StoredDataCorrupt
from lash.sessions.graph import ActivePath, FullGraph, ReadScope, SessionGraph, SessionNode
from lash.sessions.store import PersistedSession
from lash.stores.program import Query, Steps, many, one, program
from lash.stores.records import (
    decode_checkpoint,
    decode_head,
    decode_manifest,
    decode_node,
    hydrate_frames,
)
from lash.stores.sql.blobs import GET_BLOB
from lash.stores.sql.leases import refuse_deleted


class HeadRow(NamedTuple):
    """The head of a session."""

    head_revision: int
    head_json: str
    manifest_json: str
    leaf_node_id: str | None
    checkpoint_ref: str
    path_revision: int


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


GET_HEAD = Query(
    HeadRow,
    """
    SELECT head_revision, head_json, manifest_json, leaf_node_id, checkpoint_ref, path_revision
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
# The same, up to a node that is known already.
PATH_BEHIND = Query(
    NodeRow,
    """
    WITH RECURSIVE path (parent_node_id, node_json, tombstoned, depth) AS (
      SELECT parent_node_id, node_json, tombstoned, 0
      FROM lash_graph_nodes
      WHERE session_id = ?1 AND node_id = ?2
      UNION ALL
      SELECT n.parent_node_id, n.node_json, n.tombstoned, p.depth + 1
      FROM path p
      JOIN lash_graph_nodes n ON n.session_id = ?1 AND n.node_id = p.parent_node_id
      WHERE p.parent_node_id <> ?3
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


@program("read")
def load_session(session_id: str | None, scope: ReadScope) -> Steps[PersistedSession | None]:
    """One consistent snapshot. None when nothing was committed."""
    found = yield from resolve(session_id)
    if found is None:
        return None
    row = yield from one(GET_HEAD, found)
    if row is None:
        return None
    graph = yield from _graph(found, scope, row.leaf_node_id)
    return (yield from _session(found, row, graph, with_frames=True))


@program("read")
def load_since(session_id: str | None, leaf_node_id: str, revision: int) -> Steps[PersistedSession | None]:
    """The session with the nodes behind a leaf that was its own at `revision`.

    None when the active path has not simply gone on from there. Frames come without their snapshots.
    """
    found = yield from resolve(session_id)
    row = None if found is None else (yield from one(GET_HEAD, found))
    if found is None or row is None or not row.path_revision <= revision <= row.head_revision:
        return None
    nodes: list[SessionNode] = []
    if row.leaf_node_id != leaf_node_id:
        behind = yield from many(PATH_BEHIND, found, row.leaf_node_id, leaf_node_id)
        nodes = [decode_node(found, behind_row.node_json) for behind_row in behind]
        if not nodes or nodes[0].parent_node_id != leaf_node_id:
            return None  # what was between is hidden, or the leaf was never ours
    return (yield from _session(found, row, SessionGraph(nodes, row.leaf_node_id), with_frames=False))


def _session(session_id: str, row: HeadRow, graph: SessionGraph, *, with_frames: bool) -> Steps[PersistedSession]:
    head = decode_head(session_id, row.head_json)
    manifest = decode_manifest(session_id, row.manifest_json)
    refs: set[str | None] = set(manifest.values())
    if with_frames:
        refs |= {frame.execution_state_ref for frame in head.agent_frames}
    blobs: dict[str, bytes] = {}
    for ref in sorted(ref for ref in refs if ref is not None):
        blob = yield from one(GET_BLOB, ref)
        if blob is not None:
            blobs[ref] = blob.content
    ledger = yield from many(LEDGER, session_id)
    return PersistedSession(
        session_id=session_id,
        head_revision=row.head_revision,
        policy=head.policy,
        agent_frames=hydrate_frames(session_id, head.agent_frames, blobs) if with_frames else head.agent_frames,
        current_agent_frame_id=head.current_agent_frame_id,
        graph=graph,
        checkpoint_ref=row.checkpoint_ref,
        checkpoint=decode_checkpoint(session_id, head, manifest, blobs),
        token_ledger=_ledger(ledger),
    )


@program("read")
def load_node(session_id: str | None, node_id: str) -> Steps[NodeRow | None]:
    """A node by its id; a tombstoned one is not shown."""
    found = yield from resolve(session_id)
    return None if found is None else (yield from one(GET_NODE, found, node_id))


@program("read")
def load_ledger(session_id: str | None) -> Steps[list[LedgerEntry]]:
    """What a session and its children have spent, by source and model."""
    found = yield from resolve(session_id)
    return [] if found is None else _ledger((yield from many(LEDGER, found)))


def _ledger(rows: Iterable[UsageRow]) -> list[LedgerEntry]:
    return merge_ledger(LedgerEntry(use.source, use.model, TokenUsage(*use[2:])) for use in rows)


@program("read")
def load_turn(session_id: str, turn_id: str) -> Steps[TurnRow | None]:
    """A stamp."""
    return (yield from one(GET_TURN, session_id, turn_id))


@program("read")
def list_turns(session_id: str) -> Steps[list[TurnRow]]:
    """Stamps in the order of settlement."""
    return (yield from many(ALL_TURNS, session_id))


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
