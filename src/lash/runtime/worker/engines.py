"""Process engines: what runs inputs that the runtime does not know, by their kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias

import msgspec

from lash.artifacts.store import ArtifactStore
from lash.base.json import Json
from lash.plugins.host import PluginSession
from lash.processes.environment import ProcessExecutionEnvSpec
from lash.processes.outputs import ProcessAwaitOutput
from lash.processes.registry import ProcessRegistry
from lash.processes.starting import StartsProcesses
from lash.runtime.direct import DirectModel
from lash.runtime.worker.run import Park, ProcessRun
from lash.tools.catalog import ToolCatalog
from lash.triggers.store import TriggerStore


class ProcessParts(msgspec.Struct, frozen=True):
    """What a process runs with: its environment, rebuilt, and the worker's live parts."""

    env: ProcessExecutionEnvSpec
    session_id: str
    plugins: PluginSession
    catalog: ToolCatalog
    processes: ProcessRegistry
    start: StartsProcesses
    artifacts: ArtifactStore
    triggers: TriggerStore
    # For tools that ask a model something themselves.
    model: DirectModel
    # What plugins add to the programs of the language.
    surface_contributions: Sequence[Json] = ()


EngineOutcome: TypeAlias = ProcessAwaitOutput | Park


class ProcessEngine(Protocol):
    """Runs processes of one kind of input (`engine{kind}`; `lashlang` for lashlang processes).

    A run may be repeated from its beginning at any time: everything that meets the world goes
    through `run.controller`, which answers what is recorded. While it only waits it stands in
    `async with run.waiting():`, or answers `Park` and is run again when there is something to do.
    """

    async def run(self, run: ProcessRun, parts: ProcessParts) -> EngineOutcome:
        """Runs until the process ends or waits. Raises what no process can end with."""
        ...
