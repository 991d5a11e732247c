"""What is committed in a session, for reading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lash.base.messages import Message
from lash.sessions.frames import AgentFrame
from lash.sessions.graph import Conversation, SessionNode


@dataclass(frozen=True, slots=True)
class MessageNode:
    """A message in the tree of a session. `node_id` is where a fork may begin.

    `is_active`: it lies on the path that the next turn continues.
    """

    node_id: str
    message: Message
    frame_id: str | None
    is_active: bool
    children: list[MessageNode] = field(default_factory=list)


class SessionReadView:
    """What is committed in a session, as of one revision. Later commits do not change it."""

    def __init__(
        self,
        session_id: str,
        revision: int,
        messages: Sequence[Message],
        frames: Sequence[AgentFrame],
        current_frame_id: str,
        nodes: Sequence[SessionNode] = (),
        leaf_node_id: str | None = None,
    ) -> None:
        self.session_id = session_id
        self.revision = revision
        self.messages = list(messages)
        self.frames = list(frames)
        self.current_frame_id = current_frame_id
        self.nodes = list(nodes)
        self.leaf_node_id = leaf_node_id

    def message_tree(self) -> list[MessageNode]:
        """The messages as trees, roots first, in the order they were stored.

        With `residency="active_path_only"` the core keeps one path, and the tree is that path.
        """
        return message_tree(self.nodes, self.leaf_node_id)

    def __repr__(self) -> str:
        return f"SessionReadView({self.session_id!r}, revision {self.revision}, {len(self.messages)} messages)"


def message_tree(nodes: Sequence[SessionNode], leaf_node_id: str | None) -> list[MessageNode]:
    """Message nodes under their nearest ancestor that is a message. Nodes come after their parents."""
    parents = {node.node_id: node.parent_node_id for node in nodes}
    active: set[str] = set()
    at = leaf_node_id
    while at is not None and at not in active:
        active.add(at)
        at = parents.get(at)
    roots: list[MessageNode] = []
    nearest: dict[str, MessageNode | None] = {}
    for node in nodes:
        above = nearest.get(node.parent_node_id or "")
        if not isinstance(node.payload, Conversation):
            nearest[node.node_id] = above
            continue
        found = MessageNode(node.node_id, node.payload.message, node.agent_frame_id, node.node_id in active)
        nearest[node.node_id] = found
        (roots if above is None else above.children).append(found)
    return roots
