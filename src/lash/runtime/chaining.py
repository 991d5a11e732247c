"""Nodes behind the leaf of a session."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from lash.plugins.trail import LeftNode
from lash.runtime.memory import SessionMemory
from lash.sessions.frames import INITIAL_FRAME
from lash.sessions.graph import SessionNode


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
