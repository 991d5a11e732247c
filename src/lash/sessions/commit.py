"""The commit: the one way history changes.

Graph, checkpoint, usage, queue settlement, attachments and the turn stamp become
visible together or not at all. The order of the checks is observable and fixed in
docs/spec/durability.md §3.2; the stamp comes first, so that a retry whose queue
rows are gone and whose head moved still finds its own result.
"""

from __future__ import annotations

import msgspec

from lash.base.canonical import sha256_hex, tagged_hash
from lash.base.codec import encode, to_json
from lash.base.json import Json, JsonObject
from lash.base.usage import LedgerEntry, TokenUsage
from lash.effects.lease import Lease
from lash.sessions.checkpoint import Checkpoint, Component
from lash.sessions.errors import CommitBudgetExceeded
from lash.sessions.frames import INITIAL_FRAME, AgentFrame, SessionPolicy
from lash.sessions.graph import (
    Conversation,
    GraphAppend,
    GraphDelta,
    GraphReplace,
    GraphUnchanged,
    SessionGraph,
    SessionNode,
)
from lash.sessions.queue import QueuedWorkCompletion, QueuedWorkDraft


class UsageDelta(msgspec.Struct, frozen=True):
    """One line for the ledger; `delta_id` is unique in its session, so a retry cannot count twice."""

    source: str
    model: str
    usage: TokenUsage
    delta_id: str | None = None


class TurnStamp(msgspec.Struct, frozen=True):
    """Marks a commit as that of one turn. `commit_hash` is cross-checked, never trusted."""

    session_id: str
    turn_id: str
    commit_hash: str
    summary: JsonObject | None = None


class CommitBudget(msgspec.Struct, frozen=True):
    """The largest commit a host accepts; None is unbounded."""

    max_bytes: int | None = None
    max_nodes: int | None = None


class LeaseGuard(msgspec.Struct, frozen=True):
    """Commit only while this session lease is held, and release it in the same transaction."""

    lease: Lease
    release: bool = True


class RuntimeCommit(msgspec.Struct, frozen=True):
    """One change of one session."""

    session_id: str
    policy: SessionPolicy
    agent_frames: list[AgentFrame]
    current_agent_frame_id: str
    graph: GraphDelta
    checkpoint: Checkpoint
    expected_head_revision: int | None = None
    usage_deltas: list[UsageDelta] = []
    turn_commit: TurnStamp | None = None
    completed_queue_claims: list[QueuedWorkCompletion] = []
    committed_attachment_ids: list[str] = []
    budget: CommitBudget = CommitBudget()
    guard: LeaseGuard | None = None
    # Follow-up work of the same transaction: the next turn after a frame switch (decisions 9).
    enqueue: list[QueuedWorkDraft] = []
    # Sessions, the parent first, whose ledgers book the same usage: what a child spends its ancestors spend.
    # Those that are gone book nothing.
    rolled_up_to: list[str] = []
    # The journal of this scope is retired: its stamp answers for it from now on (stores §6).
    retire_scope_key: str | None = None


class CommitResult(msgspec.Struct, frozen=True):
    """What a commit made. `manifest` maps component keys to their refs."""

    head_revision: int
    checkpoint_ref: str
    manifest: dict[str, str] = {}


class StoredTurn(msgspec.Struct, frozen=True):
    """A settled turn: its commit's result and the summary its stamp carries."""

    turn_id: str
    result: CommitResult | None
    summary: JsonObject | None
    committed_at_ms: int


class SessionState(msgspec.Struct, frozen=True):
    """A session in memory, as much of it as a commit needs."""

    session_id: str
    policy: SessionPolicy = SessionPolicy()
    agent_frames: list[AgentFrame] = []
    current_agent_frame_id: str = INITIAL_FRAME
    graph: SessionGraph = SessionGraph()
    checkpoint: Checkpoint = Checkpoint()
    head_revision: int | None = None
    graph_replace_required: bool = False


def persisted_state(
    state: SessionState, usage: list[UsageDelta] | None = None, attachment_ids: list[str] | None = None
) -> RuntimeCommit:
    """The commit that stores `state`: a full graph the first time or when required, else unchanged."""
    is_full = state.graph_replace_required or state.head_revision is None
    graph: GraphDelta = GraphReplace(state.graph) if is_full else GraphUnchanged(state.graph.leaf_node_id)
    frames = state.agent_frames or [AgentFrame(state.current_agent_frame_id, state.session_id)]
    return RuntimeCommit(
        session_id=state.session_id,
        policy=state.policy,
        agent_frames=frames,
        current_agent_frame_id=state.current_agent_frame_id,
        graph=graph,
        checkpoint=state.checkpoint,
        expected_head_revision=state.head_revision,
        usage_deltas=usage or [],
        committed_attachment_ids=attachment_ids or [],
    )


def turn_commit_hash(commit: RuntimeCommit) -> str:
    """The identity of a turn's commit: what it says, not where or when.

    Left out: the expected revision, the stamp, queue completions, the budget, and
    every id, parent and time that a store or a retry may assign anew.
    """
    frames: list[Json] = [
        {
            "frame_id": frame.frame_id,
            "reason": frame.reason,
            "status": frame.status,
            "previous_frame_id": frame.previous_frame_id,
            "assignment": to_json(frame.assignment),
            "protocol_turn_options": frame.protocol_turn_options,
        }
        for frame in commit.agent_frames
    ]
    return tagged_hash(
        "lash.turn.commit/v1",
        commit.session_id,
        to_json(commit.policy),
        frames,
        commit.current_agent_frame_id,
        _graph_content(commit.graph),
        to_json(commit.checkpoint.turn_state),
        {key: component_ref(component) for key, component in commit.checkpoint.components.items()},
        [to_json(delta) for delta in commit.usage_deltas],
        list[Json](sorted(commit.committed_attachment_ids)),
    )


def component_ref(component: Component) -> str:
    """The content ref of a component, computed from its body when it has one."""
    return sha256_hex(component.body) if component.body is not None else component.ref or ""


def check_budget(commit: RuntimeCommit) -> None:
    """Raises `CommitBudgetExceeded` before anything is written."""
    budget = commit.budget
    nodes = delta_nodes(commit.graph)
    if budget.max_nodes is not None and len(nodes) > budget.max_nodes:
        raise CommitBudgetExceeded("nodes", len(nodes), budget.max_nodes)
    if budget.max_bytes is None:
        return
    size = sum(len(encode(node).encode()) for node in nodes)
    size += sum(len(component.body or b"") for component in commit.checkpoint.components.values())
    if size > budget.max_bytes:
        raise CommitBudgetExceeded("bytes", size, budget.max_bytes)


def delta_nodes(delta: GraphDelta) -> list[SessionNode]:
    """The nodes that a delta writes."""
    match delta:
        case GraphAppend(nodes=nodes):
            return nodes
        case GraphReplace(graph=graph):
            return graph.nodes
        case GraphUnchanged():
            return []


def ledger_of(deltas: list[UsageDelta]) -> list[LedgerEntry]:
    """Usage deltas as ledger entries, in order."""
    return [LedgerEntry(delta.source, delta.model, delta.usage) for delta in deltas]


def _graph_content(delta: GraphDelta) -> Json:
    nodes: list[Json] = [_node_content(node) for node in delta_nodes(delta)]
    return {"type": delta.__struct_config__.tag, "nodes": nodes}


def _node_content(node: SessionNode) -> Json:
    if not isinstance(node.payload, Conversation):
        return to_json(node.payload)
    message = node.payload.message
    parts: list[Json] = []
    for part in message.parts:
        json = to_json(part)
        assert isinstance(json, dict)
        json.pop("id")
        parts.append(json)
    return {"role": message.role, "parts": parts, "origin": to_json(message.origin)}
