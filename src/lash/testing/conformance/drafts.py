"""What the scenarios of the store suites are made of."""

from __future__ import annotations

import msgspec

from lash.base.json import JsonObject
from lash.base.messages import user_message
from lash.sessions.checkpoint import Checkpoint, TurnState
from lash.sessions.commit import RuntimeCommit, SessionState, TurnStamp, persisted_state, turn_commit_hash
from lash.sessions.frames import INITIAL_FRAME, AgentFrame
from lash.sessions.graph import Conversation, SessionGraph, SessionNode
from lash.sessions.queue import (
    DeliveryPolicy,
    MergeGroup,
    MergeKey,
    ProcessWakePayload,
    QueuedWorkBatch,
    QueuedWorkCompletion,
    QueuedWorkDraft,
    SlotPolicy,
    TurnInputPayload,
)

EARLY: DeliveryPolicy = "earliest_safe_boundary"
AFTER: DeliveryPolicy = "after_current_turn_commit"
TTL_MS = 60_000
# The year 2100: available to nobody who runs these suites.
FAR_FUTURE_MS = 4_102_444_800_000


def draft(
    session_id: str,
    text: str,
    policy: DeliveryPolicy = AFTER,
    slot: SlotPolicy = "exclusive",
    *,
    source_key: str | None = None,
    group: str | None = None,
    available_at_ms: int = 0,
) -> QueuedWorkDraft:
    """One `turn_input` payload."""
    merge_key: MergeKey = "never" if group is None else MergeGroup(group)
    payload = TurnInputPayload({"text": text})
    return QueuedWorkDraft(
        session_id,
        [payload],
        source_key=source_key,
        delivery_policy=policy,
        slot_policy=slot,
        merge_key=merge_key,
        available_at_ms=available_at_ms,
    )


def wake_draft(session_id: str, wake_id: str, process_id: str, sequence: int) -> QueuedWorkDraft:
    """The delivery of a process wake."""
    wake: JsonObject = {"wake_id": wake_id, "process_id": process_id, "sequence": sequence}
    return QueuedWorkDraft(
        session_id,
        [ProcessWakePayload(wake)],
        source_key=f"wake:{process_id}:{sequence}",
        coalesce_key=wake_id,
        delivery_policy=EARLY,
    )


def text_of(batch: QueuedWorkBatch) -> object:
    """The text of a batch made by `draft`."""
    payload = batch.items[0].payload
    return payload.input.get("text") if isinstance(payload, TurnInputPayload) else None


def texts_of(batches: list[QueuedWorkBatch]) -> list[object]:
    """The texts of batches, in order."""
    return [text_of(batch) for batch in batches]


def node(node_id: str, parent: str | None = None) -> SessionNode:
    """A node that says its own name."""
    return SessionNode(node_id, Conversation(user_message(f"m:{node_id}", node_id)), parent)


def state(session_id: str, *, turn_index: int = 0, head_revision: int | None = None) -> SessionState:
    """A session with its initial frame and nothing said."""
    return SessionState(
        session_id,
        agent_frames=[AgentFrame(INITIAL_FRAME, session_id)],
        checkpoint=Checkpoint(TurnState(turn_index)),
        head_revision=head_revision,
    )


def graph_state(session_id: str, graph: SessionGraph) -> SessionState:
    """A session with a whole graph to be written."""
    return SessionState(
        session_id,
        agent_frames=[AgentFrame(INITIAL_FRAME, session_id)],
        graph=graph,
        graph_replace_required=True,
    )


def plain_commit(
    session_id: str, *completions: QueuedWorkCompletion, head_revision: int | None = None
) -> RuntimeCommit:
    """A commit that says nothing and settles claims."""
    return with_claims(persisted_state(state(session_id, head_revision=head_revision)), *completions)


def with_claims(commit: RuntimeCommit, *completions: QueuedWorkCompletion) -> RuntimeCommit:
    """The commit with claims to settle."""
    return replaced(commit, completed_queue_claims=list(completions))


def stamped(commit: RuntimeCommit, turn_id: str) -> RuntimeCommit:
    """The commit as that of a turn."""
    return replaced(commit, turn_commit=TurnStamp(commit.session_id, turn_id, turn_commit_hash(commit)))


def replaced(commit: RuntimeCommit, **changes: object) -> RuntimeCommit:
    """A copy with other fields."""
    return msgspec.structs.replace(commit, **changes)
