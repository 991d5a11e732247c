"""What the runtime needs of a store bundle. `lash.Store` is one."""

from __future__ import annotations

from typing import Protocol

from lash.artifacts.environments import ProcessEnvStore
from lash.artifacts.store import ArtifactStore
from lash.attachments.store import AttachmentStore
from lash.base.tier import DurabilityTier
from lash.effects.ports import ChangeFeed, JournalStore, WaitStore
from lash.processes.registry import ProcessRegistry
from lash.runtime.observation.relay import ToldLog
from lash.sessions.store import SessionStoreFactory
from lash.triggers.store import TriggerStore


class ExecutorLiveness(Protocol):
    """Locks of the operating system (or the database session) that die with their executor."""

    async def hold(self, executor_id: str) -> None:
        """Takes the executor's lock for as long as this process lives or the store is open."""
        ...

    async def is_dead(self, executor_id: str) -> bool:
        """Whether the executor is provably gone: its lock could be taken."""
        ...


class RuntimeStore(Protocol):
    """One database, as facets that share transactions."""

    @property
    def sessions(self) -> SessionStoreFactory: ...

    @property
    def journal(self) -> JournalStore: ...

    @property
    def waits(self) -> WaitStore: ...

    @property
    def attachments(self) -> AttachmentStore: ...

    @property
    def changes(self) -> ChangeFeed: ...

    @property
    def liveness(self) -> ExecutorLiveness: ...

    @property
    def processes(self) -> ProcessRegistry: ...

    @property
    def process_envs(self) -> ProcessEnvStore: ...

    @property
    def artifacts(self) -> ArtifactStore: ...

    @property
    def triggers(self) -> TriggerStore: ...

    @property
    def told(self) -> ToldLog | None:
        """Where processes share what their turns tell; None when this store has no such place."""
        ...

    def durability_tier(self) -> DurabilityTier: ...
