"""What tests of acceptance and commits are made of."""

from __future__ import annotations

from lash.base.messages import user_message
from lash.base.usage import TokenUsage
from lash.effects.journal import JournalRow
from lash.effects.scope import ExecutionScope
from lash.sessions.accept import AcceptTurn, Claimant, Owned, turn_source_key
from lash.sessions.checkpoint import Checkpoint, TurnState
from lash.sessions.commit import LeaseGuard, RuntimeCommit, TurnStamp, UsageDelta
from lash.sessions.frames import INITIAL_FRAME, AgentFrame, SessionPolicy
from lash.sessions.graph import Conversation, GraphAppend, SessionNode
from lash.sessions.queue import QueuedWorkDraft, TurnInputPayload
from lash.sessions.store import SessionStore

SESSION = "s"


def claimant(name: str, *, ttl_ms: int = 60_000, dead: str | None = None) -> Claimant:
    """Somebody with tokens of their own."""
    return Claimant(f"host/{name}", f"lease-{name}", f"claim-{name}", ttl_ms, dead)


def request(turn_id: str, who: Claimant, text: str = "hello") -> AcceptTurn:
    """A directly run turn."""
    draft = QueuedWorkDraft(SESSION, [TurnInputPayload({"text": text})], source_key=turn_source_key(turn_id))
    return AcceptTurn(turn_id, draft, who)


async def accepted(session: SessionStore, turn_id: str, who: Claimant) -> Owned:
    """The turn, accepted and owned."""
    answer = await session.accept_turn(request(turn_id, who))
    assert isinstance(answer, Owned), answer
    return answer


def scope(turn_id: str) -> ExecutionScope:
    """The scope of a turn."""
    return ExecutionScope.turn(SESSION, turn_id)


def commit_of(owned: Owned, *, parent: str | None = None) -> RuntimeCommit:
    """A plain turn: two messages, one usage delta, its stamp, its claim, its lease."""
    turn_id = owned.turn.turn_id
    said = SessionNode(f"{turn_id}:0", Conversation(user_message(f"{turn_id}:m0", "hello")), parent)
    answered = SessionNode(f"{turn_id}:1", Conversation(user_message(f"{turn_id}:m1", "hi")), said.node_id)
    return RuntimeCommit(
        session_id=SESSION,
        policy=SessionPolicy(),
        agent_frames=[AgentFrame(INITIAL_FRAME, SESSION)],
        current_agent_frame_id=INITIAL_FRAME,
        graph=GraphAppend([said, answered], answered.node_id),
        checkpoint=Checkpoint(TurnState(owned.turn.turn_index)),
        expected_head_revision=owned.head_revision or None,
        usage_deltas=[UsageDelta("turn", "m", TokenUsage(10, 5), f"{turn_id}:0")],
        turn_commit=TurnStamp(SESSION, turn_id, "", {"outcome": "done"}),
        completed_queue_claims=[owned.claim.completion()],
        guard=LeaseGuard(owned.lease),
        retire_scope_key=scope(turn_id).journal_key,
    )


def done(key: str, *, envelope_hash: str = "hash", never: bool = False) -> JournalRow:
    """A finished effect."""
    return JournalRow(
        key, "tool_call", envelope_hash, "completed", envelope_json="{}", outcome_json='{"ok":true}', never=never
    )
