"""What an open core lends to plugins that start background work for its sessions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from lash.artifacts.environments import ProcessEnvStore
from lash.artifacts.store import ArtifactStore
from lash.models.resolver import ModelSpec
from lash.models.spec import ModelFacts
from lash.processes.registry import ProcessRegistry
from lash.processes.starting import StartsProcesses
from lash.triggers.store import TriggerStore


@dataclass(frozen=True, slots=True)
class BackgroundServices:
    """Where background work of a core is kept.

    `start` registers a process, which runs here at once if there is room; `capture` keeps the environment that
    whatever is started now runs with, and gives its reference;
    `poke` tells the workers of this core that there is news. Added in 0.1.
    """

    processes: ProcessRegistry
    start: StartsProcesses
    triggers: TriggerStore
    artifacts: ArtifactStore
    envs: ProcessEnvStore
    capture: Callable[[], Awaitable[str]]
    poke: Callable[[], None]
    # Makes a model known to the core: turns may name it from then on.
    know_model: Callable[[ModelSpec], ModelFacts]
    # Tells the clock of this core that a schedule was put.
    poke_clock: Callable[[], None]
