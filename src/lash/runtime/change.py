"""Changes of a session that are no turn: compaction, actions, tool edits, configuration.

One at a time and never beside a turn: the change takes the session lease, waits for the
turn in flight wherever it runs, and is one commit. What is not committed did not happen.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import msgspec

from lash.base.cancel import CancelToken
from lash.effects.lease import Lease
from lash.plugins.errors import PluginSessionError
from lash.plugins.host import PluginSession
from lash.runtime.carried import carried
from lash.runtime.driving import DRIVING, SessionDrives
from lash.runtime.leases import Holding
from lash.runtime.waiting import until_change
from lash.sessions.accept import Waiting
from lash.sessions.checkpoint import Checkpoint
from lash.sessions.commit import LeaseGuard, RuntimeCommit
from lash.sessions.graph import GraphAppend

# Makes the commit from the one that changes nothing; None when there is nothing to commit.
Plan: TypeAlias = Callable[[RuntimeCommit], Awaitable[RuntimeCommit | None]]


class SessionChanges:
    """Applies changes to one session. `poke` sees to a turn that somebody left behind."""

    def __init__(self, drives: SessionDrives, plugins: PluginSession, poke: Callable[[], None]) -> None:
        self._drives = drives
        self._engine = drives.engine
        self._plugins = plugins
        self._poke = poke

    async def apply(self, plan: Plan) -> bool:
        """Runs `plan` between turns and commits what it makes; whether anything was committed.

        Raises `PluginSessionError` when called from inside a turn of the same session: the
        turn would wait for itself.
        """
        memory, store = self._drives.memory, self._drives.store
        if DRIVING.get() == memory.session_id:
            raise PluginSessionError(
                f"session {memory.session_id!r} cannot be changed from inside its own turn; "
                "do it after the turn, or use a directive"
            )
        lease = await self._claimed()
        holding = Holding(lease, CancelToken())
        self._engine.keeper.hold(holding)
        is_released = False
        try:
            async with self._drives.exclusive():
                await memory.refresh(store)
                if self._plugins.states:
                    self._plugins.states.restore(memory.plugin_snapshot)
                try:
                    commit = await plan(self._unchanged(lease))
                    if commit is None:
                        return False
                    commit = msgspec.structs.replace(
                        commit, checkpoint=self._with_carried(commit), guard=LeaseGuard(lease)
                    )
                    result = await store.commit(commit)
                except BaseException:
                    if self._plugins.states:  # what was not committed did not happen
                        self._plugins.states.restore(memory.plugin_snapshot)
                    raise
                is_released = True
                memory.apply(commit, result)
            return True
        finally:
            self._engine.keeper.drop(holding)
            if not is_released:
                await store.release_session_lease(lease)
            self._drives.wake()

    def _unchanged(self, lease: Lease) -> RuntimeCommit:
        memory = self._drives.memory
        return RuntimeCommit(
            session_id=memory.session_id,
            policy=memory.policy,
            agent_frames=memory.frames,
            current_agent_frame_id=memory.frame_id,
            graph=GraphAppend([], memory.leaf_node_id),
            checkpoint=memory.checkpoint,
            expected_head_revision=memory.head_revision or None,
            budget=self._engine.options.commit_budget,
            guard=LeaseGuard(lease),
        )

    def _with_carried(self, commit: RuntimeCommit) -> Checkpoint:
        """The planned checkpoint, with what plugins and tools changed meanwhile."""
        memory = self._drives.memory
        extra = carried(memory, self._plugins, self._drives.tools)
        changed = {
            key: component
            for key, component in extra.components.items()
            if component is not memory.checkpoint.components.get(key)
        }
        planned = {
            key: component
            for key, component in commit.checkpoint.components.items()
            if component is not memory.checkpoint.components.get(key)
        }
        kept = {key: memory.checkpoint.components[key] for key in memory.checkpoint.components}
        dropped = kept.keys() - commit.checkpoint.components.keys()
        components = {key: component for key, component in {**kept, **changed, **planned}.items() if key not in dropped}
        return msgspec.structs.replace(
            commit.checkpoint,
            components=components,
            plugin_snapshot_revision=extra.plugin_snapshot_revision,
        )

    async def _claimed(self) -> Lease:
        """The session lease, once no turn is in flight."""
        memory, store = self._drives.memory, self._drives.store
        proven_dead_token: str | None = None
        while True:
            if self._engine.is_closing:
                raise self._engine.closed(f"session {memory.session_id!r} was changed")
            claimant = self._engine.claimant(proven_dead_token=proven_dead_token)
            lease = await store.try_claim_session_lease(memory.session_id, claimant)
            row = await store.get_session_lease(memory.session_id)
            if lease is not None:
                if row is None or row.turn is None:
                    return lease
                # Somebody left a turn behind; it is settled before anything else commits (decisions 6).
                await store.release_session_lease(lease)
                self._poke()
            proven_dead_token = None
            if row is not None:
                waiting = Waiting(None, row.owner, row.token, row.expires_at_ms, row.is_expired)
                proven_dead_token = await until_change(
                    self._engine, waiting, self._drives.turned, [self._engine.closing]
                )
