"""What a core is built from: every option checked, every default chosen, and no IO yet."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, Literal

from lash.attachments.store import AttachmentStore
from lash.base.arguments import checked_max_turns
from lash.base.clock import Clock, SystemClock
from lash.base.errors import InvalidArgument
from lash.base.ids import IdSource, SystemIds
from lash.base.json import JsonObject
from lash.core.models import CoreModels
from lash.core.parts import core_layer, tool_plugin
from lash.effects.lease import LeaseTimings
from lash.effects.ports import EffectHost
from lash.hosts.choice import HostChoice
from lash.machine.prompt import PromptLayer
from lash.models.resolver import ModelChoice
from lash.plugins.host import PluginHost, PluginSession
from lash.plugins.plugin import PluginFactory
from lash.processes.environment import ProcessExecutionEnvSpec
from lash.runtime.observation.replay import LiveReplayStore, RecentEvents
from lash.runtime.prompting import Prompting
from lash.runtime.worker.config import CONCURRENCY
from lash.runtime.worker.contributed import engines_of
from lash.sessions.commit import CommitBudget
from lash.stock.output_budget import ToolOutputBudget
from lash.stores.store import Store
from lash.tools.catalog import CatalogCache, ToolCatalog, ToolSource
from lash.tools.decorator import Tool
from lash.tools.provider import ToolProvider
from lash.tracing.choice import choose_tracer
from lash.tracing.records import TraceContext, TraceLevel, TraceSink
from lash.tracing.tracer import Tracer

MAIN_AGENT_INTRO = "You are an assistant that works in a durable session: what you say and do is kept."


class CorePlan:
    """The options of one core, checked. Raises `InvalidArgument`, and whatever plugins and tools say of each other."""

    def __init__(
        self,
        *,
        protocol: PluginFactory,
        model: ModelChoice | None = None,
        store: str | Store = ":memory:",
        effect_host: HostChoice | EffectHost | None = None,
        attachment_store: AttachmentStore | None = None,
        tools: Sequence[Tool[..., Any] | ToolProvider] = (),
        plugins: Sequence[PluginFactory] = (),
        plugin_options: JsonObject | None = None,
        instructions: str | None = None,
        prompt: PromptLayer | None = None,
        max_turns: int | None = None,
        residency: Literal["keep_all", "active_path_only"] = "keep_all",
        workers: int = 1,
        worker_concurrency: int = CONCURRENCY,
        commit_budget: CommitBudget | None = None,
        live_replay_store: LiveReplayStore | None = None,
        trace_sink: TraceSink | None = None,
        trace_jsonl_path: str | os.PathLike[str] | None = None,
        trace_level: TraceLevel = "standard",
        trace_context: TraceContext | None = None,
        lashlang_execution_sink: Callable[[JsonObject], None] | None = None,
        recover: bool = True,
        host_id: str | None = None,
        lease_timings: LeaseTimings | None = None,
        clock: Clock | None = None,
        ids: IdSource | None = None,
    ) -> None:
        if workers not in (0, 1):
            raise InvalidArgument(
                f"workers={workers}: a core has one inline worker, or 0 when others run its processes"
            )
        if worker_concurrency < 1:
            raise InvalidArgument(
                f"worker_concurrency={worker_concurrency}: a worker runs at least one process at once"
            )
        if host_id is not None and (not host_id.strip() or "/" in host_id):
            raise InvalidArgument(f"host_id={host_id!r}: give a non-empty name without '/'")
        self.models = CoreModels(model)
        self.store = store
        self.effect_host = effect_host
        self.attachments = attachment_store
        self.plugins = PluginHost([protocol, *tool_plugin(tools), *plugins], [ToolOutputBudget()])
        self.process_engines = engines_of(self.plugins.factories)
        self.plugin_options = self.checked_options(plugin_options) or {}
        self.prompting = Prompting({"main_agent_intro": MAIN_AGENT_INTRO}, core_layer(instructions, prompt))
        self.has_cells = protocol.id == "rlm_protocol"
        self.max_turns = checked_max_turns(max_turns)
        self.residency = residency
        self.workers = workers
        self.worker_concurrency = worker_concurrency
        self.commit_budget = commit_budget or CommitBudget()
        self.live_replay = live_replay_store or RecentEvents()
        self.recovers = recover
        self.host_id = host_id
        self.timings = lease_timings or LeaseTimings()
        self.clock: Clock = clock or SystemClock()
        self.ids: IdSource = ids or SystemIds()
        self.tracer: Tracer | None = choose_tracer(
            trace_sink, trace_jsonl_path, trace_level, trace_context, clock=self.clock, ids=self.ids
        )
        self.execution_sink = lashlang_execution_sink
        self._plain_environment = ProcessExecutionEnvSpec(policy=self.models.policy())
        self._catalogs = CatalogCache()
        # Fail at construction, not at the first session, when plugins or tools do not fit together.
        self.probe = self.plugins.build_probe(self.plugin_options)
        self.build_catalog(self.probe)

    def checked_options(self, given: JsonObject | None) -> JsonObject | None:
        """Options by plugin id; raises `InvalidArgument` for a plugin that the core does not have."""
        known = {factory.id for factory in self.plugins.factories}
        if unknown := sorted(set(given or ()) - known):
            raise InvalidArgument(
                f"plugin_options names {unknown[0]!r}; the core's plugins are: {', '.join(sorted(known))}"
            )
        return given

    def build_catalog(self, plugins: PluginSession) -> ToolCatalog:
        """The tools of a session with these plugins."""
        sources = [
            ToolSource(registered.plugin_id, registered.value)
            for registered in plugins.registrations.tool_providers.items
        ]
        sources += [ToolSource(source_id, provider) for source_id, provider in plugins.added_sources.items()]
        return self._catalogs.build(sources)

    def own_catalog(self) -> ToolCatalog:
        """The tools that processes may be started with."""
        return self.build_catalog(self.probe)

    def environment(self) -> ProcessExecutionEnvSpec:
        """What a process that is started now captures; workers add tools and credentials of their own."""
        if not self.plugin_options:
            return self._plain_environment
        return ProcessExecutionEnvSpec(self.plugin_options, self.models.policy())
