"""The session graph: an append-mostly tree of nodes with one leaf.

The path from the root to the leaf is the active path. A node is a message of the
conversation, a protocol event of the execution mode, or a plugin's record.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from lash.base.causes import CausalRef
from lash.base.json import Json
from lash.base.messages import Message


class Conversation(msgspec.Struct, frozen=True, tag="conversation", tag_field="type"):
    """A message."""

    message: Message


class ProtocolEvent(msgspec.Struct, frozen=True, tag="protocol", tag_field="type"):
    """An opaque record of the execution mode."""

    plugin_id: str
    payload: Json


class PluginBody(msgspec.Struct, frozen=True, tag="plugin", tag_field="type"):
    """An opaque record of a plugin."""

    plugin_type: str
    body: Json


NodePayload: TypeAlias = Conversation | ProtocolEvent | PluginBody


class SessionNode(msgspec.Struct, frozen=True):
    """One node. `created_at_ms` is outside every hash."""

    node_id: str
    payload: NodePayload
    parent_node_id: str | None = None
    agent_frame_id: str | None = None
    caused_by: CausalRef | None = None
    created_at_ms: int = 0


class SessionGraph(msgspec.Struct, frozen=True):
    """Nodes in insertion order, and the leaf of the active path."""

    nodes: list[SessionNode] = []
    leaf_node_id: str | None = None


class GraphUnchanged(msgspec.Struct, frozen=True, tag="unchanged", tag_field="type"):
    """No new nodes; the leaf may move."""

    leaf_node_id: str | None = None


class GraphAppend(msgspec.Struct, frozen=True, tag="append", tag_field="type"):
    """New nodes, create-only, and the new leaf."""

    nodes: list[SessionNode]
    leaf_node_id: str | None = None


class GraphReplace(msgspec.Struct, frozen=True, tag="replace_full", tag_field="type"):
    """A whole new graph in place of the stored one."""

    graph: SessionGraph


GraphDelta: TypeAlias = GraphUnchanged | GraphAppend | GraphReplace


class FullGraph(msgspec.Struct, frozen=True):
    """Read scope: every node that is not tombstoned, in insertion order."""


class ActivePath(msgspec.Struct, frozen=True):
    """Read scope: the ancestors of a leaf (default: the stored leaf), root first."""

    leaf_node_id: str | None = None


ReadScope: TypeAlias = FullGraph | ActivePath
