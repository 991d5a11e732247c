"""What a worker is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from lash.artifacts.environments import ProcessEnvStore
from lash.artifacts.store import ArtifactStore
from lash.attachments.store import AttachmentStore
from lash.effects.ports import EffectHost
from lash.processes.registry import ProcessRegistry
from lash.processes.starting import StartsProcesses
from lash.runtime.actor import SessionActor
from lash.runtime.ancestry import MAX_DEPTH
from lash.runtime.engine import Engine
from lash.runtime.worker.engines import ProcessEngine
from lash.sessions.store import SessionStoreFactory
from lash.triggers.store import TriggerStore

# Processes of one core that run at once; those that wait for others are not counted.
CONCURRENCY = 64
# A wait that lasts longer than so long is a row and no task.
PARK_AFTER_MS = 1_000


@dataclass(frozen=True, slots=True)
class ProcessWorkerConfig:
    """The parts of a worker. Everything else of a run comes from what its process captured.

    `actor_of` opens a session of the core by its id, with the core's defaults. `engines` are the
    process engines by kind. `start` is how processes start others; a worker's own unless it is given.
    """

    engine: Engine
    host: EffectHost
    attachments: AttachmentStore
    artifacts: ArtifactStore
    process_envs: ProcessEnvStore
    sessions: SessionStoreFactory
    processes: ProcessRegistry
    triggers: TriggerStore
    actor_of: Callable[[str], SessionActor]
    engines: Mapping[str, ProcessEngine] = field(default_factory=dict)
    concurrency: int = CONCURRENCY
    park_after_ms: int = PARK_AFTER_MS
    max_depth: int = MAX_DEPTH
    # Whether turns that nobody drives any more are taken up.
    recovers: bool = True
    start: StartsProcesses | None = None

    @staticmethod
    def of(
        engine: Engine, actor_of: Callable[[str], SessionActor], concurrency: int = CONCURRENCY
    ) -> ProcessWorkerConfig:
        """The worker of one core, over its store."""
        store = engine.store
        return ProcessWorkerConfig(
            engine,
            engine.host,
            engine.attachments,
            store.artifacts,
            store.process_envs,
            store.sessions,
            store.processes,
            store.triggers,
            actor_of,
            engine.options.process_engines,
            concurrency,
        )
