"""Where a session goes on from: nothing, another of its nodes, a copy in a new session, a given state.

All of it is planning: from what is committed to the one commit that says it. A turn's index
never goes back, so that ids made from it stay unique in the session for good.
"""

from __future__ import annotations

import msgspec

from lash.base.messages import Message, unsettled_tool_calls
from lash.runtime.memory import SessionMemory
from lash.sessions.checkpoint import EXECUTION_STATE, Checkpoint, TurnState
from lash.sessions.commit import RuntimeCommit, SessionState
from lash.sessions.errors import UnsafeBranchPoint
from lash.sessions.frames import INITIAL_FRAME, AgentFrame
from lash.sessions.graph import Conversation, GraphReplace, GraphUnchanged, SessionGraph, SessionNode
from lash.sessions.store import PersistedSession


def fresh_start(memory: SessionMemory, now_ms: int) -> RuntimeCommit | None:
    """The session with nothing said: one empty frame. What was spent stays in its ledger, and what it may do."""
    if not memory.head_revision or (not memory.nodes and len(memory.frames) == 1):
        return None
    frame = AgentFrame(INITIAL_FRAME, memory.session_id, created_at_ms=now_ms, assignment=memory.assignment)
    state = memory.checkpoint.turn_state
    kept = TurnState(turn_index=state.turn_index, token_usage=state.token_usage)
    return _commit(memory, GraphReplace(SessionGraph()), [frame], INITIAL_FRAME, Checkpoint(kept))


def given_state(memory: SessionMemory, state: SessionState) -> RuntimeCommit:
    """The session as `state` says. Its ids become this session's."""
    nodes = state.graph.nodes
    _refuse_unsafe(memory.session_id, _path_to(nodes, state.graph.leaf_node_id))
    given = state.checkpoint.turn_state
    turn_state = msgspec.structs.replace(given, turn_index=max(given.turn_index, memory.turn_index))
    frames = state.agent_frames or [AgentFrame(state.current_agent_frame_id, memory.session_id)]
    return _commit(
        memory,
        GraphReplace(state.graph),
        [msgspec.structs.replace(frame, session_id=memory.session_id) for frame in frames],
        state.current_agent_frame_id,
        msgspec.structs.replace(state.checkpoint, turn_state=turn_state),
    )


def branch(memory: SessionMemory, path: PersistedSession) -> RuntimeCommit | None:
    """The same session, going on from the end of `path`. What came after stays stored beside it."""
    nodes = path.graph.nodes
    leaf = nodes[-1].node_id
    if leaf == memory.leaf_node_id:
        return None
    _refuse_unsafe(memory.session_id, nodes)
    frame_id = nodes[-1].agent_frame_id or INITIAL_FRAME
    frames = [
        msgspec.structs.replace(frame, status="active" if frame.frame_id == frame_id else "superseded")
        for frame in memory.frames
    ]
    checkpoint = _as_of(memory.checkpoint, nodes)
    return _commit(memory, GraphUnchanged(leaf), frames, frame_id, checkpoint)


def copied(source: PersistedSession, session_id: str, *, is_head: bool) -> SessionState:
    """The path of `source` as the first state of a new session, its ledger empty.

    `is_head`: the path was read to the session's own end, and not up to an earlier node.
    """
    nodes = source.graph.nodes
    _refuse_unsafe(source.session_id, nodes)
    leaf = nodes[-1].node_id if nodes else None
    frame_id = (nodes[-1].agent_frame_id or INITIAL_FRAME) if nodes else source.current_agent_frame_id
    # Frames come in the order they were opened; those behind the node are not part of the copy.
    position = next(index for index, frame in enumerate(source.agent_frames) if frame.frame_id == frame_id)
    frames = [
        msgspec.structs.replace(
            frame, session_id=session_id, status="active" if frame.frame_id == frame_id else "superseded"
        )
        for frame in source.agent_frames[: position + 1]
    ]
    return SessionState(
        session_id=session_id,
        policy=source.policy,
        agent_frames=frames,
        current_agent_frame_id=frame_id,
        graph=SessionGraph(nodes, leaf),
        checkpoint=source.checkpoint if is_head else _as_of(source.checkpoint, nodes),
    )


def attachment_ids(nodes: list[SessionNode]) -> list[str]:
    """Attachments that messages refer to."""
    parts = (part for message in _messages(nodes) for part in message.parts)
    return sorted({part.attachment.id for part in parts if part.attachment is not None})


def _as_of(checkpoint: Checkpoint, path: list[SessionNode]) -> Checkpoint:
    """The head's checkpoint as it can serve an earlier node.

    The variables of the execution mode are of the head and go; tools and plugins keep their state.
    """
    components = {key: component for key, component in checkpoint.components.items() if key != EXECUTION_STATE}
    said = sum(1 for message in _messages(path) if message.role == "assistant")
    turn_state = msgspec.structs.replace(checkpoint.turn_state, model_calls=said, last_prompt_usage=None)
    return msgspec.structs.replace(checkpoint, turn_state=turn_state, components=components)


def _commit(
    memory: SessionMemory,
    graph: GraphReplace | GraphUnchanged,
    frames: list[AgentFrame],
    frame_id: str,
    checkpoint: Checkpoint,
) -> RuntimeCommit:
    return RuntimeCommit(
        session_id=memory.session_id,
        policy=memory.policy,
        agent_frames=frames,
        current_agent_frame_id=frame_id,
        graph=graph,
        checkpoint=checkpoint,
        expected_head_revision=memory.head_revision or None,
    )


def _refuse_unsafe(session_id: str, path: list[SessionNode]) -> None:
    broken = unsettled_tool_calls(_messages(path))
    if broken:
        raise UnsafeBranchPoint(session_id, path[-1].node_id, broken)


def _path_to(nodes: list[SessionNode], leaf_node_id: str | None) -> list[SessionNode]:
    by_id = {node.node_id: node for node in nodes}
    path: list[SessionNode] = []
    while leaf_node_id is not None and leaf_node_id in by_id:
        path.append(by_id.pop(leaf_node_id))
        leaf_node_id = path[-1].parent_node_id
    path.reverse()
    return path


def _messages(nodes: list[SessionNode]) -> list[Message]:
    return [node.payload.message for node in nodes if isinstance(node.payload, Conversation)]
