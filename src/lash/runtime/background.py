"""The background work of one core: its processes and triggers, put together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from lash.artifacts.environments import ProcessEnvStore
from lash.artifacts.store import ArtifactStore
from lash.attachments.store import AttachmentStore
from lash.base.clock import Clock
from lash.base.ids import IdSource
from lash.base.json import Json
from lash.processes.environment import ProcessExecutionEnvSpec
from lash.processes.registry import ProcessRegistry
from lash.processes.starting import StartsProcesses
from lash.runtime.process_admin import ProcessAdmin, ProcessPorts
from lash.runtime.process_starter import RegistryStarter
from lash.runtime.schedules import ScheduleClock
from lash.runtime.session_processes import SessionProcesses
from lash.runtime.session_triggers import SessionTriggers
from lash.runtime.trigger_admin import CoreTriggers
from lash.runtime.trigger_router import TriggerRouter
from lash.runtime.work import WorkPlanner
from lash.tools.catalog import ToolCatalog
from lash.triggers.sources import TriggerEvent
from lash.triggers.store import TriggerStore


class BackgroundStore(Protocol):
    """The facets that background work is kept in."""

    @property
    def processes(self) -> ProcessRegistry: ...

    @property
    def triggers(self) -> TriggerStore: ...

    @property
    def process_envs(self) -> ProcessEnvStore: ...

    @property
    def artifacts(self) -> ArtifactStore: ...


class Background:
    """What `core.processes`, `core.triggers` and `session.processes` are made of."""

    def __init__(
        self,
        store: BackgroundStore,
        clock: Clock,
        ids: IdSource,
        catalog: Callable[[], ToolCatalog],
        environment: Callable[[], ProcessExecutionEnvSpec],
        attachments: AttachmentStore,
        poke: Callable[[], None] = lambda: None,
        start: StartsProcesses | None = None,
        declared: Mapping[str, TriggerEvent] | None = None,
        contributions: Sequence[Json] = (),
    ) -> None:
        """`poke` tells whoever runs processes here that there may be something to do; `start` starts one here.

        `contributions` is what plugins add to programs.
        """
        start = start or store.processes.register_process
        self._ports = ProcessPorts(store.processes, start, ids, clock, poke)
        self._planner = WorkPlanner(
            catalog, environment, store.process_envs, attachments, store.artifacts, contributions
        )
        self._triggers = store.triggers
        self._declared = declared or {}
        self.processes = ProcessAdmin(self._ports, self._planner)
        self.router = TriggerRouter(
            store.triggers, RegistryStarter(store.processes, start), on_started=poke, on_left=self._left
        )
        self.ticker = ScheduleClock(store.triggers, self.router, clock)
        self.triggers = CoreTriggers(
            store.triggers, self.router, self.ticker, planner=self._planner, declared=self._declared
        )

    def _left(self) -> None:
        self.ticker.poke()

    def triggers_of(self, session_id: str) -> SessionTriggers:
        """The triggers of one session."""
        return SessionTriggers(session_id, self._triggers, self.router, self.ticker, self._planner, self._declared)

    def processes_of(self, session_id: str, opened: Callable[[], Awaitable[object]]) -> SessionProcesses:
        """The processes of one session."""
        return SessionProcesses(session_id, self._ports, self._planner, opened)
