"""What a process runs with, rebuilt from references alone (docs/spec/durability.md §5.3).

The session that started the process is never opened: it may be gone. Providers and
plugins are the worker's, options and policy are what was captured.
"""

from __future__ import annotations

from dataclasses import dataclass

from lash.artifacts.environments import load_process_env
from lash.plugins.errors import PluginSessionError
from lash.plugins.hooks import PluginSessionContext
from lash.plugins.host import PluginSession
from lash.plugins.registrations import Registrations
from lash.plugins.snapshots import PluginStates
from lash.processes.environment import ProcessExecutionEnvSpec
from lash.processes.registration import ProcessRegistration
from lash.runtime.asides import trace_teller
from lash.runtime.direct import DirectModel
from lash.runtime.engine import ChosenModel
from lash.runtime.input import TurnOptions
from lash.runtime.worker.config import ProcessWorkerConfig
from lash.runtime.worker.engines import ProcessParts

# Under this id plugins add to what programs meet; the language itself is loaded by those who run programs.
SURFACE_EXTENSION = "lashlang_surface"
# A process asks for no model of its own.
AS_CONFIGURED = TurnOptions()
# Environments that are kept in memory: they never change under their name.
KEPT = 256


@dataclass(slots=True)
class Kept:
    """An environment in memory, and what plugins register in it where that is the same for every process."""

    env: ProcessExecutionEnvSpec
    registrations: Registrations | None = None


class Environments:
    """Rebuilds the environments of runs; what was loaded once is not loaded again."""

    def __init__(self, config: ProcessWorkerConfig) -> None:
        self._config = config
        self._kept: dict[str, Kept] = {}
        # What is lent to tools that ask a model, beside the choice that it was made of.
        self._lent: tuple[ChosenModel, DirectModel] | None = None

    async def rebuild(self, registration: ProcessRegistration) -> ProcessParts:
        """The parts of a run. Raises `PluginSessionError` and `ProcessEnvError`."""
        if registration.env_ref is None:
            raise PluginSessionError(f"process `{registration.id}` is missing a captured execution env")
        kept = self._kept.get(registration.env_ref) or await self._load(registration.env_ref)
        config = self._config
        session_id = f"process-env:{registration.id}"
        plugins = self._plugins(session_id, kept)
        if (tracer := config.engine.options.tracer) is not None:
            plugins.emit_trace = trace_teller(tracer, None)
        catalog = config.engine.options.build_catalog(plugins)
        added = config.engine.plugins.contributed(SURFACE_EXTENSION)
        return ProcessParts(
            kept.env,
            session_id,
            plugins,
            catalog,
            config.processes,
            config.start or config.processes.register_process,
            config.artifacts,
            config.triggers,
            self._model(),
            added,
        )

    def _plugins(self, session_id: str, kept: Kept) -> PluginSession:
        if kept.registrations is not None:
            return PluginSession(kept.registrations, PluginStates())
        engine = self._config.engine
        options = {**engine.options.plugin_options, **kept.env.plugin_options}
        plugins = engine.plugins.build(PluginSessionContext(session_id, plugin_options=options))
        if engine.plugins.registers_alike:
            kept.registrations = plugins.registrations
        return plugins

    def _model(self) -> DirectModel:
        engine = self._config.engine
        chosen = engine.options.choose_model(AS_CONFIGURED)
        if self._lent is None or self._lent[0] is not chosen:
            self._lent = (
                chosen,
                DirectModel(chosen.provider, chosen.facts, chosen.capability, engine.load_attachment),
            )
        return self._lent[1]

    async def _load(self, env_ref: str) -> Kept:
        kept = Kept(await load_process_env(self._config.process_envs, env_ref, ProcessExecutionEnvSpec))
        while len(self._kept) >= KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[env_ref] = kept
        return kept
