"""What a process runs with, rebuilt from references alone (docs/spec/durability.md §5.3).

The session that started the process is never opened: it may be gone. Providers and
plugins are the worker's, options and policy are what was captured.
"""

from __future__ import annotations

from lash.artifacts.environments import load_process_env
from lash.plugins.errors import PluginSessionError
from lash.plugins.hooks import PluginSessionContext
from lash.processes.environment import ProcessExecutionEnvSpec
from lash.processes.registration import ProcessRegistration
from lash.runtime.asides import trace_teller
from lash.runtime.direct import DirectModel
from lash.runtime.input import TurnOptions
from lash.runtime.worker.config import ProcessWorkerConfig
from lash.runtime.worker.engines import ProcessParts

# Under this id plugins add to what programs meet; the language itself is loaded by those who run programs.
SURFACE_EXTENSION = "lashlang_surface"
# Environments that are kept in memory: they never change under their name.
KEPT = 256


class Environments:
    """Rebuilds the environments of runs; what was loaded once is not loaded again."""

    def __init__(self, config: ProcessWorkerConfig) -> None:
        self._config = config
        self._kept: dict[str, ProcessExecutionEnvSpec] = {}

    async def rebuild(self, registration: ProcessRegistration) -> ProcessParts:
        """The parts of a run. Raises `PluginSessionError` and `ProcessEnvError`."""
        if registration.env_ref is None:
            raise PluginSessionError(f"process `{registration.id}` is missing a captured execution env")
        env = await self._load(registration.env_ref)
        config = self._config
        session_id = f"process-env:{registration.id}"
        options = {**config.engine.options.plugin_options, **env.plugin_options}
        plugins = config.engine.plugins.build(PluginSessionContext(session_id, plugin_options=options))
        if (tracer := config.engine.options.tracer) is not None:
            plugins.emit_trace = trace_teller(tracer, None)
        catalog = config.engine.options.build_catalog(plugins)
        chosen = config.engine.options.choose_model(TurnOptions())
        model = DirectModel(chosen.provider, chosen.facts, chosen.capability, config.engine.load_attachment)
        added = config.engine.plugins.contributed(SURFACE_EXTENSION)
        return ProcessParts(
            env, session_id, plugins, catalog, config.processes, config.artifacts, config.triggers, model, added
        )

    async def _load(self, env_ref: str) -> ProcessExecutionEnvSpec:
        env = self._kept.get(env_ref)
        if env is None:
            env = await load_process_env(self._config.process_envs, env_ref, ProcessExecutionEnvSpec)
            while len(self._kept) >= KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[env_ref] = env
        return env
