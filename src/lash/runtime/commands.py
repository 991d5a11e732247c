"""Session commands: maintenance that waits its turn in the queue (docs/spec/runtime.md §9.3).

A command is queued work like any other: accepted durably, once per key, in order with the
input around it. It runs between two turns, and one commit applies it and settles its batch.
"""

from __future__ import annotations

import contextlib
import logging
from typing import Literal, TypeAlias

import msgspec

from lash.base.codec import from_json, to_json
from lash.effects.errors import LeaseLost
from lash.plugins.host import PluginSession
from lash.runtime.branching import fresh_start
from lash.runtime.drive import Applied, Lost
from lash.runtime.engine import Engine
from lash.runtime.memory import SessionMemory
from lash.sessions.accept import Owned
from lash.sessions.commit import LeaseGuard, RuntimeCommit
from lash.sessions.graph import GraphUnchanged
from lash.sessions.queue import EnqueueOutcome, QueuedWorkBatch, QueuedWorkDraft, SessionCommandPayload
from lash.sessions.store import SessionStore
from lash.tools.definition import Availability
from lash.tools.errors import UnknownTool
from lash.tools.state import apply_edit, overridden, rebind

logger = logging.getLogger("lash.runtime")


class RefreshToolCatalog(msgspec.Struct, frozen=True, tag="refresh_tool_catalog", tag_field="kind"):
    """Ask the tool sources again what they offer."""

    reason: str


class ResetSession(msgspec.Struct, frozen=True, tag="reset_session", tag_field="kind"):
    """Begin again with nothing said. What was spent stays in the ledger."""

    reason: str


class SetToolAvailability(msgspec.Struct, frozen=True, tag="set_tool_availability", tag_field="kind"):
    """Override whether a tool may be called; None takes the override back."""

    tool: str
    availability: Availability | None


SessionCommand: TypeAlias = RefreshToolCatalog | ResetSession | SetToolAvailability


class SessionCommandReceipt(msgspec.Struct, frozen=True):
    """A command was accepted and will be applied once. `status` says whether it was known before."""

    session_id: str
    batch_id: str
    source_key: str
    status: Literal["inserted", "existing", "already_settled"]


def command_draft(session_id: str, command: SessionCommand, key: str) -> QueuedWorkDraft:
    """A command as queued work."""
    body = to_json(command)
    assert isinstance(body, dict)
    return QueuedWorkDraft(
        session_id, [SessionCommandPayload(body)], source_key=f"command:{command.__struct_config__.tag}:{key}"
    )


def receipt(outcome: EnqueueOutcome) -> SessionCommandReceipt:
    """What the sender of a command gets."""
    batch = outcome.batch
    return SessionCommandReceipt(batch.session_id, batch.batch_id, batch.source_key or "", outcome.status)


def leading_command(owned: Owned) -> QueuedWorkBatch | None:
    """The command that is to run next, if it is one."""
    for batch in owned.claim.batches[:1]:
        if any(isinstance(item.payload, SessionCommandPayload) for item in batch.items):
            return batch
    return None


async def apply_command(
    engine: Engine,
    store: SessionStore,
    memory: SessionMemory,
    plugins: PluginSession,
    owned: Owned,
    batch: QueuedWorkBatch,
) -> Applied | Lost:
    """Applies a claimed command and settles it; always gives the lease back."""
    is_settled = False
    try:
        await memory.refresh(store)
        commit = _plan(engine, memory, plugins, batch) or _unchanged(memory)
        await store.commit(
            msgspec.structs.replace(
                commit, guard=LeaseGuard(owned.lease), completed_queue_claims=[owned.claim.completion()]
            )
        )
        is_settled = True
        await memory.refresh(store)
        if plugins.states:
            plugins.states.restore(memory.plugin_snapshot)
    except LeaseLost as lost:
        return Lost(str(lost))
    finally:
        if not is_settled:
            with contextlib.suppress(Exception):  # it runs out by itself otherwise
                await store.release_session_lease(owned.lease)
    return Applied(batch.batch_id)


def _plan(
    engine: Engine, memory: SessionMemory, plugins: PluginSession, batch: QueuedWorkBatch
) -> RuntimeCommit | None:
    """What the command changes; None when it changes nothing that is stored."""
    for item in batch.items:
        if not isinstance(item.payload, SessionCommandPayload):
            continue
        match item.payload.command.get("kind"):
            case "reset_session":
                return fresh_start(memory, engine.clock.now_ms())
            case "refresh_tool_catalog":
                try:
                    engine.options.build_catalog(plugins)
                except Exception:
                    logger.exception("session %s: its tools do not fit together", memory.session_id)
            case "set_tool_availability":
                return _availability(engine, memory, plugins, from_json(item.payload.command, SetToolAvailability))
            case kind:
                # Left in the queue it would hold up everything behind it.
                logger.error("session %s: a command of kind %r is not known and is dropped", memory.session_id, kind)
    return None


def _availability(
    engine: Engine, memory: SessionMemory, plugins: PluginSession, command: SetToolAvailability
) -> RuntimeCommit | None:
    state = rebind(memory.tool_state, engine.options.build_catalog(plugins))
    try:
        edited = overridden(state, command.tool, command.availability)
    except UnknownTool as error:  # it went since
        logger.warning("session %s: %s", memory.session_id, error)
        return None
    commit = _unchanged(memory)
    return msgspec.structs.replace(commit, checkpoint=commit.checkpoint.with_tool_state(apply_edit(state, edited)))


def _unchanged(memory: SessionMemory) -> RuntimeCommit:
    """A commit that changes nothing: what settles a command that has no effect on history."""
    return RuntimeCommit(
        session_id=memory.session_id,
        policy=memory.policy,
        agent_frames=memory.frames,
        current_agent_frame_id=memory.frame_id,
        graph=GraphUnchanged(memory.leaf_node_id),
        checkpoint=memory.checkpoint,
        expected_head_revision=memory.head_revision or None,
    )
