"""What hooks leave behind along the effects of one drive: states of plugins, nodes for the commit, usage.

An effect is recorded with what its hooks left. A replay runs no hook, and takes over what is recorded.
"""

from __future__ import annotations

import msgspec

from lash.base.codec import from_json, to_json
from lash.base.json import JsonObject
from lash.base.usage import LedgerEntry
from lash.plugins.snapshots import KeptPlugin, PluginStates
from lash.sessions.graph import NodePayload

RECORDED = "plugins"
LEFT = "hooks"


class LeftNode(msgspec.Struct, frozen=True):
    """A node that a hook appended; it is committed with the turn."""

    node_id: str
    payload: NodePayload


class _Left(msgspec.Struct, frozen=True, omit_defaults=True):
    nodes: list[LeftNode] = []
    # By the key of the question, so that none is charged twice.
    spent: dict[str, LedgerEntry] = {}


class HookTrail:
    """One drive's trail."""

    def __init__(self, states: PluginStates) -> None:
        self._states = states
        self._known = states.revisions()
        self._nodes: dict[str, LeftNode] = {}
        self._spent: dict[str, LedgerEntry] = {}
        # Of these: what is recorded already.
        self._told: set[str] = set()

    @property
    def nodes(self) -> list[LeftNode]:
        """What hooks appended to the session, in order."""
        return list(self._nodes.values())

    @property
    def usage(self) -> list[LedgerEntry]:
        """What hooks spent on models."""
        return list(self._spent.values())

    @property
    def has_moved(self) -> bool:
        """Whether there is something that no recorded effect tells yet."""
        return bool(self._untold) or (bool(self._states) and self._states.revisions() != self._known)

    def leave(self, node: LeftNode) -> None:
        """A hook appended a node; the same one again is one."""
        self._nodes.setdefault(node.node_id, node)

    def spend(self, key: str, entry: LedgerEntry) -> None:
        """A hook asked a model; the same question again is one."""
        self._spent.setdefault(key, entry)

    def record(self, body: JsonObject) -> JsonObject:
        """The body of a live outcome with what came up since the last one."""
        if untold := self._untold:
            left = _Left(
                [node for node in self._nodes.values() if node.node_id in untold],
                {key: entry for key, entry in self._spent.items() if key in untold},
            )
            self._told |= untold
            body = {**body, LEFT: to_json(left)}
        changed = self._states.changed(self._known) if self._states else None
        if not changed:
            return body
        self._known = self._states.revisions()
        return {**body, RECORDED: to_json(changed)}

    def follow(self, body: JsonObject) -> None:
        """After any outcome: a recorded one brings along what hooks left in it."""
        if (left := body.get(LEFT)) is not None:
            known = from_json(left, _Left)
            for node in known.nodes:
                self.leave(node)
            for key, entry in known.spent.items():
                self.spend(key, entry)
            self._told.update(known.spent, (node.node_id for node in known.nodes))
        recorded = body.get(RECORDED)
        if recorded is not None:
            self._states.follow(from_json(recorded, dict[str, KeptPlugin]))
            self._known = {**self._known, **self._states.revisions()}

    @property
    def _untold(self) -> set[str]:
        return {*self._nodes, *self._spent} - self._told if self._nodes or self._spent else set()
