"""Changes that keep the conversation: compaction, actions, tool edits, options, configuration.

One at a time and never beside a turn: an amendment waits for the session, and is one
commit that carries along what plugins and tools changed meanwhile.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import msgspec

from lash.base.codec import DecodeError, from_json, to_json
from lash.base.errors import InvalidArgument
from lash.base.json import JsonObject
from lash.plugins.errors import PluginSessionError
from lash.runtime.carried import carried
from lash.runtime.change import change_session
from lash.runtime.driving import DRIVING, SessionDrives
from lash.runtime.memory import SessionMemory
from lash.sessions.checkpoint import Checkpoint
from lash.sessions.commit import RuntimeCommit
from lash.sessions.frames import FrameAssignment, SessionPolicy, ToolAccess
from lash.sessions.graph import GraphAppend

# Makes the commit from the one that changes nothing; None when there is nothing to commit.
Amendment: TypeAlias = Callable[[RuntimeCommit], Awaitable[RuntimeCommit | None]]


async def amend_session(drives: SessionDrives, amendment: Amendment) -> bool:
    """Runs `amendment` between turns and commits what it makes; whether anything was committed.

    Raises `PluginSessionError` from inside a turn of the same session, which would wait for
    itself, and `EffectInDoubt` when the turn in flight waits for the host.
    """
    if DRIVING.get() == drives.memory.session_id and drives.is_running:
        raise PluginSessionError(
            f"session {drives.memory.session_id!r} cannot be changed from inside its own turn; "
            "do it after the turn, or use a directive"
        )

    async def plan(memory: SessionMemory) -> RuntimeCommit | None:
        commit = await amendment(_unchanged(drives, memory))
        if commit is None:
            return None
        _check_readable(commit)
        return msgspec.structs.replace(commit, checkpoint=_with_carried(drives, commit.checkpoint))

    return await change_session(drives, plan)


async def assign_session(
    drives: SessionDrives, tool_access: ToolAccess | None, plugin_options: JsonObject | None
) -> None:
    """Stores what the host says about tools and plugin options with the current frame; None leaves it as it is."""
    memory = drives.memory

    def wanted() -> FrameAssignment:
        known = memory.assignment
        return msgspec.structs.replace(
            known,
            tool_access=known.tool_access if tool_access is None else tool_access,
            plugin_options=known.plugin_options if plugin_options is None else plugin_options,
        )

    async def amendment(commit: RuntimeCommit) -> RuntimeCommit | None:
        assignment = wanted()
        if assignment == memory.assignment:
            return None
        frames = [
            msgspec.structs.replace(frame, assignment=assignment)
            if frame.frame_id == commit.current_agent_frame_id
            else frame
            for frame in commit.agent_frames
        ]
        return msgspec.structs.replace(commit, agent_frames=frames)

    if wanted() != memory.assignment:
        await amend_session(drives, amendment)


def _check_readable(commit: RuntimeCommit) -> None:
    """What plugins and hosts made of the session can be read back: what cannot would be lost with all it is part of."""
    try:
        from_json(to_json(commit.policy), SessionPolicy)
        for frame in commit.agent_frames:
            from_json(to_json(frame.assignment), FrameAssignment)
    except DecodeError as error:
        raise InvalidArgument(f"session {commit.session_id!r} stays as it is: {error}") from error


def _unchanged(drives: SessionDrives, memory: SessionMemory) -> RuntimeCommit:
    return RuntimeCommit(
        session_id=memory.session_id,
        policy=memory.policy,
        agent_frames=memory.frames,
        current_agent_frame_id=memory.frame_id,
        graph=GraphAppend([], memory.leaf_node_id),
        checkpoint=memory.checkpoint,
        expected_head_revision=memory.head_revision or None,
        budget=drives.engine.options.commit_budget,
    )


def _with_carried(drives: SessionDrives, planned: Checkpoint) -> Checkpoint:
    """The planned checkpoint with what else changed; what the plan says of a component wins."""
    memory = drives.memory
    extra = carried(memory, drives.plugins, drives.tools)
    stored = memory.checkpoint.components
    changed = {key: kept for key, kept in extra.components.items() if kept is not stored.get(key)}
    said = {key: kept for key, kept in planned.components.items() if kept is not stored.get(key)}
    return msgspec.structs.replace(
        planned,
        components={**planned.components, **changed, **said},
        plugin_snapshot_revision=extra.plugin_snapshot_revision,
    )
