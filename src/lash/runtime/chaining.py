"""Nodes behind the leaf of a session, and the frames that they are in."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from lash.base.codec import from_json
from lash.base.messages import Message
from lash.machine.outcome import FrameSwitch
from lash.machine.values import Said, TurnRecord
from lash.plugins.trail import LeftNode
from lash.runtime.memory import SessionMemory
from lash.sessions.frames import INITIAL_FRAME, AgentFrame
from lash.sessions.graph import Conversation, NodePayload, ProtocolEvent, SessionNode


def path_ids(memory: SessionMemory) -> Collection[str]:
    """The nodes of the active path."""
    parents = {node.node_id: node.parent_node_id for node in memory.nodes}
    found: set[str] = set()
    node_id = memory.leaf_node_id
    while node_id is not None and node_id not in found:
        found.add(node_id)
        node_id = parents.get(node_id)
    return found


def chained(
    made: Sequence[LeftNode], memory: SessionMemory, now_ms: int, parent: str | None = None
) -> list[SessionNode]:
    """The nodes behind `parent`, by default the leaf, in the current frame."""
    parent = parent or memory.leaf_node_id
    frame_id = None if memory.frame_id == INITIAL_FRAME else memory.frame_id
    nodes: list[SessionNode] = []
    for node in made:
        nodes.append(SessionNode(node.node_id, node.payload, parent, frame_id, created_at_ms=now_ms))
        parent = node.node_id
    return nodes


def nodes_of(kept: Sequence[TurnRecord], memory: SessionMemory, turn_index: int, now_ms: int) -> list[SessionNode]:
    """What the turn said and recorded, behind the leaf."""
    parent = memory.leaf_node_id
    frame_id = None if memory.frame_id == INITIAL_FRAME else memory.frame_id
    nodes: list[SessionNode] = []
    for number, record in enumerate(kept):
        payload: NodePayload
        if isinstance(record, Said):
            node_id, payload = record.message.id, Conversation(record.message)
        else:
            node_id, payload = f"t{turn_index}.r{number}", ProtocolEvent(record.plugin_id, record.payload)
        nodes.append(SessionNode(node_id, payload, parent, frame_id, created_at_ms=now_ms))
        parent = node_id
    return nodes


def with_variables(frames: list[AgentFrame], frame_id: str, ref: str | None, body: bytes | None) -> list[AgentFrame]:
    """The frames, one of them with the variables of the execution mode."""
    return [
        msgspec.structs.replace(frame, execution_state_ref=ref, execution_state_snapshot=body)
        if frame.frame_id == frame_id
        else frame
        for frame in frames
    ]


def switched(memory: SessionMemory, frames: list[AgentFrame], outcome: FrameSwitch, now_ms: int) -> list[AgentFrame]:
    """The frames with the one that the session goes on in; it is assigned what the current one was."""
    current = next(frame for frame in frames if frame.frame_id == memory.frame_id)
    older = [
        msgspec.structs.replace(frame, status="superseded") if frame.frame_id == memory.frame_id else frame
        for frame in frames
        if frame.frame_id != outcome.frame_id
    ]
    opened = AgentFrame(
        outcome.frame_id,
        memory.session_id,
        reason="continue_as",
        previous_frame_id=memory.frame_id,
        created_at_ms=now_ms,
        assignment=current.assignment,
    )
    return [*older, opened]


def initial_nodes(
    outcome: FrameSwitch, before: Sequence[SessionNode], memory: SessionMemory, turn_index: int, now_ms: int
) -> list[SessionNode]:
    """What the new frame begins with."""
    parent = before[-1].node_id if before else memory.leaf_node_id
    nodes: list[SessionNode] = []
    for number, node in enumerate(outcome.initial_nodes):
        node_id = f"t{turn_index}.i{number}"
        payload: NodePayload
        if isinstance(node, dict) and node.get("type") == "protocol":  # the mode's own record
            payload = from_json(node, ProtocolEvent)
        else:
            payload = Conversation(msgspec.structs.replace(from_json(node, Message), id=node_id))
        nodes.append(SessionNode(node_id, payload, parent, outcome.frame_id, created_at_ms=now_ms))
        parent = node_id
    return nodes
