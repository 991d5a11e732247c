"""From a domain commit or draft to the rows that a program writes. Pure; runs before the transaction."""

from __future__ import annotations

from collections.abc import Mapping

from lash.base.canonical import canonical_json
from lash.base.codec import encode
from lash.base.errors import InvalidArgument
from lash.sessions.commit import (
    RuntimeCommit,
    TurnStamp,
    check_budget,
    delta_nodes,
    turn_commit_hash,
)
from lash.sessions.errors import InvalidGraphDelta, TurnCommitConflict
from lash.sessions.graph import GraphAppend, GraphReplace, GraphUnchanged, SessionNode
from lash.sessions.queue import QueuedWorkDraft, payload_hash_of
from lash.stores.program import Row
from lash.stores.records import encode_head, encode_merge_key, encode_payloads
from lash.stores.sql.commit import CommitPlan, StampPlan, UsagePlan
from lash.stores.sql.queue import DraftRow


def plan_commit(commit: RuntimeCommit, now_ms: int, token: str, batch_ids: Mapping[int, str]) -> CommitPlan:
    """The plan of a commit; `token` is fresh, `batch_ids` are fresh ids for its follow-ups, by place.

    Raises `CommitBudgetExceeded`, `InvalidGraphDelta` and `TurnCommitConflict` before anything is written.
    """
    check_budget(commit)
    nodes = delta_nodes(commit.graph)
    guard = commit.guard
    return CommitPlan(
        session_id=commit.session_id,
        commit_token=token,
        expected_head_revision=commit.expected_head_revision,
        head=encode_head(commit),
        leaf_node_id=_leaf(commit),
        is_replace=isinstance(commit.graph, GraphReplace),
        nodes=[_node_row(commit.session_id, node) for node in nodes],
        outside_parents=_outside_parents(commit.session_id, nodes),
        usage=[
            UsagePlan(
                delta.delta_id,
                delta.source,
                delta.model,
                delta.usage.input_tokens,
                delta.usage.output_tokens,
                delta.usage.cached_input_tokens,
                delta.usage.reasoning_tokens,
            )
            for delta in commit.usage_deltas
        ],
        rolled_up_to=commit.rolled_up_to,
        stamp=None if commit.turn_commit is None else _plan_stamp(commit, commit.turn_commit),
        completions=commit.completed_queue_claims,
        attachment_ids=commit.committed_attachment_ids,
        lease=None if guard is None else guard.lease,
        releases_lease=guard is not None and guard.release,
        follow_ups=[plan_draft(draft, batch_ids[index], now_ms) for index, draft in enumerate(commit.enqueue)],
        retire_scope_key=commit.retire_scope_key,
        now_ms=now_ms,
    )


def plan_draft(draft: QueuedWorkDraft, batch_id: str, now_ms: int) -> DraftRow:
    """The row of a draft; raises `InvalidArgument` for keys that no database can hold."""
    refuse_nul(draft.session_id, draft.source_key or "", draft.coalesce_key or "")
    payloads_json = encode_payloads(draft.payloads)
    return DraftRow(
        batch_id,
        draft.session_id,
        draft.source_key,
        draft.coalesce_key,
        draft.delivery_policy,
        draft.slot_policy,
        encode_merge_key(draft.merge_key),
        draft.available_at_ms,
        now_ms,
        payloads_json,
        payload_hash_of(payloads_json),
    )


def refuse_nul(*names: str) -> None:
    """Raises `InvalidArgument`: SQLite would take a NUL and PostgreSQL would not."""
    for name in names:
        if "\0" in name:
            raise InvalidArgument(f"{name!r} holds a NUL character; use another id")


def _plan_stamp(commit: RuntimeCommit, stamp: TurnStamp) -> StampPlan:
    """The stamp with the derived hash; the caller's copy is only cross-checked ("" leaves it to us)."""
    derived = turn_commit_hash(commit)
    if stamp.session_id != commit.session_id or stamp.commit_hash not in ("", derived):
        raise TurnCommitConflict(commit.session_id, stamp.turn_id)
    return StampPlan(stamp.turn_id, derived, None if stamp.summary is None else canonical_json(stamp.summary))


def _leaf(commit: RuntimeCommit) -> str | None:
    match commit.graph:
        case GraphAppend(leaf_node_id=leaf) | GraphUnchanged(leaf_node_id=leaf):
            return leaf
        case GraphReplace(graph=graph):
            return graph.leaf_node_id


def _node_row(session_id: str, node: SessionNode) -> Row:
    return (session_id, node.node_id, node.parent_node_id, encode(node))


def _outside_parents(session_id: str, nodes: list[SessionNode]) -> list[str]:
    ids = {node.node_id for node in nodes}
    if len(ids) != len(nodes):
        raise InvalidGraphDelta(session_id, "a node id occurs twice")
    parents = {node.parent_node_id: None for node in nodes if node.parent_node_id is not None}
    return [parent for parent in parents if parent not in ids]
