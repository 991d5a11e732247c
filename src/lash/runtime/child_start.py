"""What a child session begins with: nothing, or what its parent has said and remembers."""

from __future__ import annotations

import msgspec

from lash.plugins.directives import CreateSession
from lash.runtime.branching import copied
from lash.runtime.engine import Engine
from lash.sessions.checkpoint import PLUGIN_ARTIFACT, PLUGIN_SNAPSHOT, Checkpoint
from lash.sessions.commit import SessionState
from lash.sessions.frames import INITIAL_FRAME, AgentFrame, FrameAssignment, SessionPolicy
from lash.sessions.graph import ActivePath, Conversation, NodePayload, SessionGraph, SessionNode


def completed_policy(asked: SessionPolicy | None, base: SessionPolicy) -> SessionPolicy:
    """What a policy leaves open is the parent's."""
    if asked is None:
        return base
    return msgspec.structs.replace(
        asked,
        provider_id=asked.provider_id or base.provider_id,
        model=asked.model or base.model,
        max_turns=base.max_turns if asked.max_turns is None else asked.max_turns,
        prompt=base.prompt if asked.prompt is None else asked.prompt,
    )


async def first_state(engine: Engine, parent_id: str, policy: SessionPolicy, request: CreateSession) -> SessionState:
    """The first state of a child. Its parent is read as it stands committed."""
    assignment = FrameAssignment(policy, request.plugin_options, request.tool_access, request.usage_source or "child")
    now_ms = engine.clock.now_ms()
    frame = AgentFrame(INITIAL_FRAME, request.session_id, created_at_ms=now_ms, assignment=assignment)
    state = SessionState(request.session_id, policy, [frame], INITIAL_FRAME)
    if (request.start, request.plugin_source) != ("empty", "fresh"):
        parent = await engine.store.sessions.open_existing_store(parent_id)
        path = None if parent is None else await parent.load_session(ActivePath())
        if path is not None:
            whole = copied(path, request.session_id, is_head=True)
            checkpoint = _remembered(whole.checkpoint, request)
            state = msgspec.structs.replace(state, checkpoint=checkpoint)
            if request.start == "parent":
                frames = [
                    msgspec.structs.replace(known, assignment=assignment)
                    if known.frame_id == whole.current_agent_frame_id
                    else known
                    for known in whole.agent_frames
                ]
                state = msgspec.structs.replace(whole, policy=policy, agent_frames=frames, checkpoint=checkpoint)
    return msgspec.structs.replace(state, graph=_begun(state, request, now_ms))


def _remembered(checkpoint: Checkpoint, request: CreateSession) -> Checkpoint:
    def is_plugins(key: str) -> bool:
        return key == PLUGIN_SNAPSHOT or key.startswith(PLUGIN_ARTIFACT)

    is_forked, is_whole = request.plugin_source == "fork", request.start == "parent"
    components = {
        key: component
        for key, component in checkpoint.components.items()
        if (is_forked if is_plugins(key) else is_whole)
    }
    base = checkpoint if is_whole else Checkpoint()
    revision = checkpoint.plugin_snapshot_revision if is_forked else None
    return msgspec.structs.replace(base, components=components, plugin_snapshot_revision=revision)


def _begun(state: SessionState, request: CreateSession, now_ms: int) -> SessionGraph:
    nodes, parent = list(state.graph.nodes), state.graph.leaf_node_id
    frame_id = None if state.current_agent_frame_id == INITIAL_FRAME else state.current_agent_frame_id
    payloads: list[NodePayload] = [*request.records, *(Conversation(message) for message in request.messages)]
    for number, payload in enumerate(payloads):
        nodes.append(SessionNode(f"i{number}", payload, parent, frame_id, created_at_ms=now_ms))
        parent = nodes[-1].node_id
    return SessionGraph(nodes, parent)
