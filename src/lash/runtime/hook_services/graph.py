"""Appending to the graph of a session or of its children, from inside a turn.

The turn in flight owns its session (decisions 6): what is appended to it travels with the effects of the
turn and is committed with it, behind what the turn said. A child is changed at once, between its turns.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from lash.base.canonical import stable_hash
from lash.base.codec import from_json, to_json
from lash.base.json import Json, JsonObject
from lash.base.messages import Message, unsettled_tool_calls
from lash.plugins.directives import EmitTrace
from lash.plugins.errors import PluginSessionError
from lash.plugins.services import Appended, AppendOutcome, PluginRecord, StaleBranch
from lash.plugins.trail import LeftNode
from lash.runtime.branching import attachment_ids
from lash.runtime.chaining import chained, path_ids
from lash.runtime.change import change_session
from lash.runtime.hook_services.asking import Asking
from lash.runtime.hook_services.lifecycle import child_of
from lash.runtime.memory import SessionMemory
from lash.sessions.commit import RuntimeCommit
from lash.sessions.graph import Conversation, GraphAppend, NodePayload, PluginBody, SessionNode


class HookGraph:
    """See `GraphService`."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    async def append(
        self,
        nodes: Sequence[Message | PluginRecord],
        *,
        session_id: str | None = None,
        required_ancestor: str | None = None,
    ) -> AppendOutcome:
        """See `GraphService`."""
        asking = self._asking
        broken = unsettled_tool_calls([node for node in nodes if isinstance(node, Message)])
        if broken:
            raise PluginSessionError(
                f"plugin {asking.plugin_id!r} appends tool call {broken[0]!r} without its result; append both"
            )
        own = asking.turn.memory.session_id
        written: list[Json] = [to_json(node) for node in nodes]
        asked: JsonObject = {"session_id": session_id or own, "nodes": written, "required_ancestor": required_ancestor}
        is_own = session_id in (None, own)

        async def step(key: str) -> Json:
            made = _made(asking.plugin_id, key, nodes)
            if is_own:
                return to_json(self._in_this_turn(made, required_ancestor))
            return to_json(await self._in_child(str(session_id), made, required_ancestor))

        outcome: AppendOutcome = from_json(
            await asking.do("append", asked, step),
            AppendOutcome,  # type: ignore[arg-type]  # a union is a shape to msgspec
        )
        if is_own and isinstance(outcome, Appended):  # also where the effect was recorded: the commit is yet to come
            for node_id, node in zip(outcome.node_ids, nodes, strict=True):
                asking.turn.trail.leave(LeftNode(node_id, _payload(asking.plugin_id, node_id, node)))
        return outcome

    def emit_trace(self, name: str, payload: Json = None, context: JsonObject | None = None) -> None:
        """See `GraphService`."""
        turn = self._asking.turn
        if turn.plugins.emit_trace is not None:
            turn.plugins.emit_trace(
                self._asking.plugin_id, turn.scope.turn_id or "", EmitTrace(name, payload, context or {})
            )

    def _in_this_turn(self, made: Sequence[LeftNode], required_ancestor: str | None) -> AppendOutcome:
        memory, left = self._asking.turn.memory, [node.node_id for node in self._asking.turn.trail.nodes]
        leaf = left[-1] if left else memory.leaf_node_id
        if required_ancestor is not None and required_ancestor not in {*left, *path_ids(memory)}:
            return StaleBranch(leaf)
        return Appended([node.node_id for node in made], made[-1].node_id if made else leaf)

    async def _in_child(
        self, session_id: str, made: Sequence[LeftNode], required_ancestor: str | None
    ) -> AppendOutcome:
        actor = await child_of(self._asking, session_id)
        drives = await actor.running()
        outcome: list[AppendOutcome] = []

        def plan(memory: SessionMemory) -> RuntimeCommit | None:
            path = path_ids(memory)
            ids = [node.node_id for node in made]
            if ids and ids[-1] in {node.node_id for node in memory.nodes}:  # an earlier drive was here
                outcome.append(Appended(ids, memory.leaf_node_id))
                return None
            if required_ancestor is not None and required_ancestor not in path:
                outcome.append(StaleBranch(memory.leaf_node_id))
                return None
            appended = chained(made, memory, drives.engine.clock.now_ms())
            outcome.append(Appended(ids, appended[-1].node_id if appended else memory.leaf_node_id))
            return _append(memory, appended) if appended else None

        if await change_session(drives, plan):
            ids = {node.node_id for node in made}
            await drives.plugins.tell_appended([node for node in drives.memory.nodes if node.node_id in ids])
        return outcome[-1]


def _append(memory: SessionMemory, nodes: list[SessionNode]) -> RuntimeCommit:
    return RuntimeCommit(
        session_id=memory.session_id,
        policy=memory.policy,
        agent_frames=memory.frames,
        current_agent_frame_id=memory.frame_id,
        graph=GraphAppend(nodes, nodes[-1].node_id),
        checkpoint=memory.checkpoint,
        expected_head_revision=memory.head_revision or None,
        committed_attachment_ids=attachment_ids(nodes),
    )


def _made(plugin_id: str, key: str, nodes: Sequence[Message | PluginRecord]) -> list[LeftNode]:
    base = stable_hash(key)[:20]
    ids = [f"h{base}.{number}" for number in range(len(nodes))]
    return [LeftNode(node_id, _payload(plugin_id, node_id, node)) for node_id, node in zip(ids, nodes, strict=True)]


def _payload(plugin_id: str, node_id: str, node: Message | PluginRecord) -> NodePayload:
    if isinstance(node, PluginRecord):
        return PluginBody(plugin_id, node.payload)
    return Conversation(msgspec.structs.replace(node, id=node_id))
