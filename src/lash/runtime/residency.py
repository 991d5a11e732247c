"""How much of a session's graph is kept in memory, and what to do when its head points nowhere.

`keep_all` loads every node, `active_path_only` the path that the next turn continues. A
stored session whose active path comes back empty has lost the node its head points to:
then everything is loaded, and the newest node leads on (docs/spec/runtime.md §3.1).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Literal, TypeAlias

import msgspec

from lash.sessions.errors import StoredDataCorrupt
from lash.sessions.graph import ActivePath, FullGraph, SessionGraph, SessionNode
from lash.sessions.store import PersistedSession, SessionStore

logger = logging.getLogger("lash.runtime")

Residency: TypeAlias = Literal["keep_all", "active_path_only"]


@dataclass(frozen=True, slots=True)
class Resident:
    """A stored session, and its nodes from the root to the leaf."""

    stored: PersistedSession
    path: list[SessionNode]


async def load_resident(store: SessionStore, residency: Residency) -> Resident | None:
    """The stored session with as much of its graph as is kept; None when nothing was committed."""
    if residency == "active_path_only":
        try:
            stored = await store.load_session(ActivePath())
        except StoredDataCorrupt:
            return await _healed(store)  # which raises again when the path is there and cannot be read
        return None if stored is None else Resident(stored, stored.graph.nodes)
    stored = await store.load_session(FullGraph())
    if stored is None:
        return None
    path = _path(stored.graph)
    if path is not None:
        return Resident(stored, path)
    try:
        by_path = await store.load_session(ActivePath())  # the store also sees through tombstones
    except StoredDataCorrupt:
        return await _healed(store)
    if by_path is None or by_path.head_revision != stored.head_revision:
        return await load_resident(store, residency)  # a commit came in between
    return Resident(stored, by_path.graph.nodes)


def _path(graph: SessionGraph) -> list[SessionNode] | None:
    """The nodes from the root to the leaf; None when one of them is missing."""
    by_id = {node.node_id: node for node in graph.nodes}
    path: list[SessionNode] = []
    node_id = graph.leaf_node_id
    while node_id is not None:
        node = by_id.pop(node_id, None)
        if node is None:
            return None
        path.append(node)
        node_id = node.parent_node_id
    path.reverse()
    return path


async def _healed(store: SessionStore) -> Resident | None:
    stored = await store.load_session(FullGraph())
    if stored is None:
        return None
    nodes, lost = stored.graph.nodes, stored.graph.leaf_node_id
    if any(node.node_id == lost for node in nodes):
        raise StoredDataCorrupt(f"session {stored.session_id}: the path to node {lost} cannot be read")
    whole: set[str] = set()  # nodes with their way to the root; a parent is stored before its children
    newest: str | None = None
    for node in nodes:
        if node.parent_node_id is None or node.parent_node_id in whole:
            whole.add(node.node_id)
            newest = node.node_id
    graph = SessionGraph(nodes, newest)
    logger.warning(
        "session %s: its head points to node %s, which is gone; it goes on from %s", stored.session_id, lost, newest
    )
    return Resident(msgspec.structs.replace(stored, graph=graph), _path(graph) or [])
