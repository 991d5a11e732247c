"""The commit: the one way history changes, in one transaction.

The order of the checks is observable (docs/spec/durability.md §3.2): budget and
binding before the transaction; then stamp, lease, head, claims, components. The
stamp comes first, so that a retry whose queue rows are gone and whose head moved
still finds its own result. All writes then go in one round trip: each part's row
count is a fence, and one that fails rolls everything back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lash.base.codec import encode
from lash.effects.errors import LeaseLost
from lash.effects.lease import Lease
from lash.sessions.commit import CommitResult
from lash.sessions.errors import (
    HeadRevisionConflict,
    InvalidGraphDelta,
    MissingCheckpointComponent,
    QueuedWorkClaimExpired,
    SessionDeleted,
    TurnCommitConflict,
)
from lash.sessions.queue import QueuedWorkCompletion
from lash.stores.dialect import Statement
from lash.stores.program import Query, Row, Steps, each, lock, notify, one, program, together, write
from lash.stores.program import Write as Part
from lash.stores.records import EncodedHead, decode_manifest, decode_turn
from lash.stores.sql.blobs import HAS_BLOB, PUT_BLOB
from lash.stores.sql.claims import MAX_TOGETHER, settle_parts
from lash.stores.sql.leases import KEEP_LEASE, SETTLE_LEASE, session_lock
from lash.stores.sql.queue import DraftRow, follow_up_part


class Standing(NamedTuple):
    """What is stored before a commit."""

    is_deleted: int | None
    head_revision: int | None
    leaf_node_id: str | None
    manifest_json: str | None
    head_json: str | None
    commit_token: str | None
    turn_commit_hash: str | None
    result_json: str | None
    summary_json: str | None
    committed_at_ms: int | None


class HeadToken(NamedTuple):
    """The commit that wrote the head."""

    commit_token: str


class Count(NamedTuple):
    """How many."""

    n: int


class StampPlan(NamedTuple):
    """The stamp of the turn that a commit settles."""

    turn_id: str
    turn_commit_hash: str
    summary_json: str | None


class UsagePlan(NamedTuple):
    """One line for the ledger."""

    delta_id: str | None
    source: str
    model: str
    input_tokens: int
    output_tokens: int
    cached_input_tokens: int
    reasoning_tokens: int


class CommitPlan(NamedTuple):
    """A commit, encoded: everything the program writes, in the form it is written."""

    session_id: str
    commit_token: str
    expected_head_revision: int | None
    head: EncodedHead
    leaf_node_id: str | None
    is_replace: bool
    nodes: Sequence[Row]  # (session_id, node_id, parent_node_id, node_json)
    outside_parents: Sequence[str]  # parents that are not among `nodes`
    usage: Sequence[UsagePlan]
    rolled_up_to: Sequence[str]
    stamp: StampPlan | None
    completions: Sequence[QueuedWorkCompletion]
    attachment_ids: Sequence[str]
    lease: Lease | None
    releases_lease: bool
    follow_ups: Sequence[DraftRow]
    retire_scope_key: str | None
    now_ms: int


STANDING = Query(
    Standing,
    """
    SELECT d.flag, h.head_revision, h.leaf_node_id, h.manifest_json, h.head_json, h.commit_token,
           t.turn_commit_hash, t.result_json, t.summary_json, t.committed_at_ms
    FROM (SELECT CAST(?1 AS TEXT) AS session_id) s
    LEFT JOIN (SELECT 1 AS flag, session_id FROM lash_deleted_sessions) d ON d.session_id = s.session_id
    LEFT JOIN lash_sessions h ON h.session_id = s.session_id
    LEFT JOIN lash_turn_commits t ON t.session_id = s.session_id AND t.turn_id = ?2
    """,
)
HEAD_TOKEN = Query(HeadToken, "SELECT commit_token FROM lash_sessions WHERE session_id = ?1")
# The guard of a commit. The row lock holds off a takeover until we are done.
HOLDS_LEASE = Query(
    Count,
    "SELECT fence FROM lash_session_leases WHERE session_id = ?1 AND lease_token = ?2 {for_update}",
)
HAS_NODE = Query(Count, "SELECT 1 FROM lash_graph_nodes WHERE session_id = ?1 AND node_id = ?2")
INSERT_HEAD = Statement(
    """
    INSERT INTO lash_sessions
      (session_id, head_revision, head_json, manifest_json, leaf_node_id, checkpoint_ref, turn_index, commit_token,
       updated_at_ms)
    VALUES (?1, 1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
    ON CONFLICT (session_id) DO NOTHING
    """
)
# The compare-and-set that is the authority of every commit.
MOVE_HEAD = Statement(
    """
    UPDATE lash_sessions
    SET head_revision = head_revision + 1, head_json = ?2, manifest_json = ?3, leaf_node_id = ?4,
        checkpoint_ref = ?5, turn_index = ?6, commit_token = ?7, updated_at_ms = ?8,
        path_revision = CASE WHEN ?10 = 1 THEN head_revision + 1 ELSE path_revision END
    WHERE session_id = ?1 AND head_revision = ?9
    """
)
DELETE_NODES = Statement("DELETE FROM lash_graph_nodes WHERE session_id = ?1")
INSERT_NODE = Statement(
    "INSERT INTO lash_graph_nodes (session_id, node_id, parent_node_id, node_json) VALUES (?1, ?2, ?3, ?4)"
)
INSERT_USAGE = Statement(
    """
    INSERT INTO lash_usage_deltas
      (session_id, delta_id, head_revision, ordinal, source, model,
       input_tokens, output_tokens, cached_input_tokens, reasoning_tokens)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
    ON CONFLICT (session_id, delta_id) DO NOTHING
    """
)
# The same line in the ledger of an ancestor, while it is there. Its id says whose turn it was.
ROLL_UP_USAGE = Statement(
    """
    INSERT INTO lash_usage_deltas
      (session_id, delta_id, head_revision, ordinal, source, model,
       input_tokens, output_tokens, cached_input_tokens, reasoning_tokens)
    SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10
    WHERE EXISTS (SELECT 1 FROM lash_session_meta WHERE session_id = ?1)
    ON CONFLICT (session_id, delta_id) DO NOTHING
    """
)
# No id of a turn begins so: control characters are no plain text.
ROLLED_UP = "\x1f"
INSERT_STAMP = Statement(
    """
    INSERT INTO lash_turn_commits
      (session_id, turn_id, turn_commit_hash, result_json, summary_json, head_revision, fence, committed_at_ms)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
    """
)
COMMIT_ATTACHMENT = Statement(
    """
    UPDATE lash_attachment_manifest
    SET committed_at_ms = coalesce(committed_at_ms, CAST(?3 AS BIGINT))
    WHERE session_id = ?1 AND attachment_id = ?2
    """
)
RETIRE_SCOPE = Statement("DELETE FROM lash_effect_journal WHERE scope_key = ?1")


@program("write")
def commit(plan: CommitPlan) -> Steps[CommitResult]:
    """See the module docstring."""
    # Also under a lease: an acceptance that looks for its stamp must not miss one that is being
    # written, or it would enqueue settled work again. The lock travels with BEGIN.
    yield from lock(session_lock(plan.session_id))
    standing = yield from _check(plan)
    if isinstance(standing, CommitResult):
        return standing
    actual = standing.head_revision or 0
    yield from _check_references(plan, standing)
    yield from each(PUT_BLOB, [(ref, body, len(body), plan.now_ms) for ref, body in plan.head.bodies])
    if plan.is_replace and actual:
        yield from together(write(DELETE_NODES, plan.session_id))
    result = CommitResult(actual + 1, plan.head.checkpoint_ref, plan.head.manifest)
    yield from _write(plan, standing, result)
    yield from notify()
    return result


@program("write")
def settle_turn(
    lease: Lease,
    stamp: StampPlan,
    result_json: str | None,
    completion: QueuedWorkCompletion | None,
    scope_key: str,
    now_ms: int,
) -> Steps[None]:
    """Settles a turn that changes no history: stamp, receipts, journal, lease. A second run changes nothing."""
    yield from lock(session_lock(lease.key))
    standing = yield from one(STANDING, lease.key, stamp.turn_id)
    assert standing is not None
    if standing.is_deleted is not None:
        raise SessionDeleted(lease.key)
    if standing.turn_commit_hash is not None:
        return
    parts = [write(SETTLE_LEASE, lease.key, lease.token)]
    parts.append(_stamp_part(lease.key, stamp, result_json, standing.head_revision or 0, lease.fence, now_ms))
    parts.append(write(RETIRE_SCOPE, scope_key))
    first_claim = len(parts)
    if completion is not None:
        parts += settle_parts(lease.key, completion.batch_ids, completion.claim_id, completion.lease_token, now_ms)
    counts = yield from _in_turns(parts)
    if counts[0] != 1:
        raise LeaseLost(lease.kind, lease.key, lease.fence)
    if completion is not None and not all(count == 1 for count in counts[first_claim + 1 :: 2]):
        raise QueuedWorkClaimExpired(lease.key, completion.claim_id)
    yield from notify()


def _check(plan: CommitPlan) -> Steps[Standing | CommitResult]:
    """Deleted fence, stamp, lease, head. A commit that is already there answers its stored result.

    The lease row is locked before anything is read: a repeat that runs beside its first try
    must wait for it and then find its stamp.
    """
    held = None
    if plan.lease is not None:
        held = yield from one(HOLDS_LEASE, plan.lease.key, plan.lease.token)
    standing = yield from one(STANDING, plan.session_id, plan.stamp.turn_id if plan.stamp else "")
    assert standing is not None
    if standing.is_deleted is not None:
        raise SessionDeleted(plan.session_id)
    if plan.stamp is not None and standing.turn_commit_hash is not None:
        stored = decode_turn(plan.session_id, plan.stamp.turn_id, standing.result_json, None, 0).result
        if standing.turn_commit_hash != plan.stamp.turn_commit_hash or stored is None:
            raise TurnCommitConflict(plan.session_id, plan.stamp.turn_id)
        return stored
    if standing.commit_token == plan.commit_token:  # ours, acknowledged late
        return CommitResult(standing.head_revision or 0, plan.head.checkpoint_ref, plan.head.manifest)
    if plan.lease is not None and held is None:
        raise LeaseLost(plan.lease.kind, plan.lease.key, plan.lease.fence)
    if plan.expected_head_revision != standing.head_revision:
        raise HeadRevisionConflict(plan.expected_head_revision, standing.head_revision or 0)
    return standing


def _check_references(plan: CommitPlan, standing: Standing) -> Steps[None]:
    """Unchanged components, parents and the leaf must be there."""
    written = {ref for ref, _ in plan.head.bodies}
    known = written
    if standing.manifest_json is not None and plan.head.manifest_json != standing.manifest_json:
        known = written | set(decode_manifest(plan.session_id, standing.manifest_json).values())
    if plan.head.manifest_json != standing.manifest_json:
        for key, ref in plan.head.manifest.items():
            if ref not in known and (yield from one(HAS_BLOB, ref)) is None:
                raise MissingCheckpointComponent(key, ref)
    for ref in plan.head.frame_refs:
        is_stored = standing.head_json is not None and ref in standing.head_json
        if ref not in known and not is_stored and (yield from one(HAS_BLOB, ref)) is None:
            raise MissingCheckpointComponent("agent_frame.execution_state", ref)
    outside = list(plan.outside_parents)
    node_ids = {row[1] for row in plan.nodes}
    if plan.leaf_node_id is not None and plan.leaf_node_id not in node_ids:
        outside.append(plan.leaf_node_id)
    for node_id in outside:
        if plan.is_replace:
            raise InvalidGraphDelta(plan.session_id, f"node {node_id} is not part of the new graph")
        if node_id != standing.leaf_node_id and (yield from one(HAS_NODE, plan.session_id, node_id)) is None:
            raise InvalidGraphDelta(plan.session_id, f"node {node_id} is not stored")


def _write(plan: CommitPlan, standing: Standing, result: CommitResult) -> Steps[None]:
    fence = plan.lease.fence if plan.lease is not None else 0
    head_part = _head_part(plan, standing)
    parts = [head_part]
    for completion in plan.completions:
        parts += settle_parts(
            plan.session_id, completion.batch_ids, completion.claim_id, completion.lease_token, plan.now_ms
        )
    last_claim = len(parts)
    if plan.stamp is not None:
        parts.append(_stamp_part(plan.session_id, plan.stamp, encode(result), result.head_revision, fence, plan.now_ms))
    if plan.retire_scope_key is not None:
        parts.append(write(RETIRE_SCOPE, plan.retire_scope_key))
    parts += [follow_up_part(draft) for draft in plan.follow_ups]
    if plan.lease is not None and (plan.releases_lease or plan.stamp is not None):
        statement = SETTLE_LEASE if plan.releases_lease else KEEP_LEASE
        parts.append(write(statement, plan.lease.key, plan.lease.token))
    revision = result.head_revision
    usage: list[Row] = [
        (plan.session_id, delta.delta_id or f"{revision}:{ordinal}", revision, ordinal, *delta[1:])
        for ordinal, delta in enumerate(plan.usage)
    ]
    small = len(plan.nodes) + len(usage) <= MAX_TOGETHER
    if small:
        parts += [write(INSERT_NODE, *row) for row in plan.nodes]
        parts += [write(INSERT_USAGE, *row) for row in usage]
    counts = yield from _in_turns(parts)
    if counts[0] != 1:
        raise HeadRevisionConflict(plan.expected_head_revision, standing.head_revision or 0)
    position = 1
    for completion in plan.completions:
        settled = counts[position + 1 : position + 2 * len(completion.batch_ids) : 2]
        position += 2 * len(completion.batch_ids)
        if not all(count == 1 for count in settled):
            raise QueuedWorkClaimExpired(plan.session_id, completion.claim_id)
    assert position == last_claim
    if not small:
        yield from each(INSERT_NODE, plan.nodes)
        yield from each(INSERT_USAGE, usage)
    for ancestor in plan.rolled_up_to:
        rolled = [(ancestor, f"{ROLLED_UP}{plan.session_id}:{row[1]!s}", *row[2:]) for row in usage]
        yield from each(ROLL_UP_USAGE, rolled)
    yield from each(
        COMMIT_ATTACHMENT, [(plan.session_id, attachment, plan.now_ms) for attachment in plan.attachment_ids]
    )


def _head_part(plan: CommitPlan, standing: Standing) -> Part:
    head = plan.head
    common = (
        head.head_json,
        head.manifest_json,
        plan.leaf_node_id,
        head.checkpoint_ref,
        head.turn_index,
        plan.commit_token,
        plan.now_ms,
    )
    if not standing.head_revision:
        return write(INSERT_HEAD, plan.session_id, *common)
    turns_off = not _continues(plan, standing.leaf_node_id)
    return write(MOVE_HEAD, plan.session_id, *common, standing.head_revision, int(turns_off))


def _continues(plan: CommitPlan, leaf: str | None) -> bool:
    """Whether the active path goes on from the stored leaf, node by node, to the new one."""
    for _, node_id, parent_node_id, _ in plan.nodes:
        if parent_node_id != leaf:
            return False
        leaf = node_id  # type: ignore[assignment]  # a column of text
    return not plan.is_replace and leaf == plan.leaf_node_id


def _stamp_part(
    session_id: str, stamp: StampPlan, result_json: str | None, head_revision: int, fence: int, now_ms: int
) -> Part:
    return write(
        INSERT_STAMP,
        session_id,
        stamp.turn_id,
        stamp.turn_commit_hash,
        result_json,
        stamp.summary_json,
        head_revision,
        fence,
        now_ms,
    )


def _in_turns(parts: Sequence[Part]) -> Steps[list[int]]:
    """`together` in slices of bounded size; the counts joined."""
    counts: list[int] = []
    for start in range(0, len(parts), 2 * MAX_TOGETHER):
        counts += yield from together(*parts[start : start + 2 * MAX_TOGETHER])
    return counts
