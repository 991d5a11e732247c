"""Cores: the composition that a host application builds once.

```python
async with lash.StandardCore(model="openai:gpt-5.4-mini", tools=[lookup], store="agent.db") as core:
    async with core.session("chat-42") as chat:
        turn = await chat.run("Where is order 7?", turn_id="req-1")
```

Building validates everything and performs no IO; entering opens the store, checks its
schema and starts recovery.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Literal, Self

from lash.artifacts.environments import persist_process_env
from lash.attachments.store import AttachmentStore
from lash.base.clock import Clock, SystemClock
from lash.base.errors import ConfigurationError, InvalidArgument
from lash.base.ids import IdSource, SystemIds, is_name
from lash.base.json import JsonObject
from lash.base.tier import DurabilityTier
from lash.core.models import CoreModels
from lash.core.parts import SessionDeleteReport, bind_host, core_layer, machine_id, tool_plugin
from lash.effects.lease import LeaseTimings
from lash.effects.ports import EffectHost
from lash.hosts.choice import HostChoice
from lash.machine.prompt import PromptContribution, PromptLayer
from lash.models.resolver import ModelChoice
from lash.plugins.background import BackgroundServices
from lash.plugins.host import PluginHost, PluginSession
from lash.plugins.plugin import CoreServices, PluginFactory
from lash.processes.environment import ProcessExecutionEnvSpec
from lash.runtime.actor import SessionActor
from lash.runtime.actors import SessionActors
from lash.runtime.approvals import Approvals
from lash.runtime.background import Background
from lash.runtime.completions import Completions
from lash.runtime.doubt import RunAgain, settle_doubt
from lash.runtime.engine import CoreClosed, DoubtfulEffect, Engine, EngineOptions, RecoveryReport
from lash.runtime.hook_services.asking import ServiceDoors
from lash.runtime.hook_services.lending import lending
from lash.runtime.observation.replay import LiveReplayStore, RecentEvents
from lash.runtime.process_admin import ProcessAdmin
from lash.runtime.prompting import Prompting
from lash.runtime.recovery import recover
from lash.runtime.trigger_admin import TriggerAdmin
from lash.runtime.worker.config import CONCURRENCY, ProcessWorkerConfig
from lash.runtime.worker.contributed import engines_of
from lash.runtime.worker.environment import SURFACE_EXTENSION
from lash.runtime.worker.ticking import TriggerTicking
from lash.runtime.worker.worker import ProcessWorker
from lash.session import Session, SessionHome
from lash.sessions.commit import CommitBudget
from lash.sessions.frames import SessionPolicy, ToolAccess
from lash.sessions.meta import SessionListing
from lash.stock.output_budget import ToolOutputBudget
from lash.stores.store import Store
from lash.tools.catalog import CatalogCache, ToolCatalog, ToolSource
from lash.tools.decorator import Tool
from lash.tools.provider import ToolProvider
from lash.tools.result import ToolCallOutput
from lash.tracing.choice import choose_tracer
from lash.tracing.records import TraceContext, TraceLevel, TraceSink
from lash.tracing.tracer import Tracer
from lash.turn import prompt_json

MAIN_AGENT_INTRO = "You are an assistant that works in a durable session: what you say and do is kept."


class DurableStorePeerRequired(ConfigurationError):
    """A durable part was given an ephemeral one to work with."""

    code = "durable_store_peer_required"


class LashCore:
    """A core with an execution mode of your choice; `StandardCore` presets it."""

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
        if max_turns is not None and max_turns < 1:
            raise InvalidArgument(f"max_turns={max_turns}: a turn needs at least one iteration")
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
        self._models = CoreModels(model)
        self._store_choice = store
        self._host_choice = effect_host
        self._attachment_choice = attachment_store
        self._plugin_host = PluginHost([protocol, *tool_plugin(tools), *plugins], [ToolOutputBudget()])
        self._process_engines = engines_of(self._plugin_host.factories)
        self._plugin_options = _options(plugin_options, self._plugin_host) or {}
        self._prompting = Prompting({"main_agent_intro": MAIN_AGENT_INTRO}, core_layer(instructions, prompt))
        self._has_cells = protocol.id == "rlm_protocol"
        self._max_turns = max_turns
        self._residency = residency
        self._workers = workers
        self._worker_concurrency = worker_concurrency
        self._worker: ProcessWorker | None = None
        self._commit_budget = commit_budget or CommitBudget()
        self._live_replay = live_replay_store or RecentEvents()
        self._recover = recover
        self._host_id = host_id
        self._timings = lease_timings or LeaseTimings()
        self._clock: Clock = clock or SystemClock()
        self._ids: IdSource = ids or SystemIds()
        self._tracer: Tracer | None = choose_tracer(
            trace_sink, trace_jsonl_path, trace_level, trace_context, clock=self._clock, ids=self._ids
        )
        self._execution_sink = lashlang_execution_sink
        self._plain_environment = ProcessExecutionEnvSpec(policy=self._models.policy())
        self._actors = SessionActors()
        self._catalogs = CatalogCache()
        self._engine: Engine | None = None
        self._background: Background | None = None
        self._store: Store | None = None
        # Fail at construction, not at the first session, when plugins or tools do not fit together.
        self._probe = self._plugin_host.build_probe(self._plugin_options)
        self._build_catalog(self._probe)

    # life

    async def open(self) -> Self:
        """Opens the store, checks its schema, starts recovery. Opening twice is harmless."""
        if self._engine is not None:
            return self
        store = self._store_choice
        if isinstance(store, str):
            store = await Store.open(store, clock=self._clock, ids=self._ids)
        try:
            await self._start(store)
        except BaseException:
            await self._plugin_host.close()
            if store is not self._store_choice:
                await store.close()
            raise
        return self

    def only_asking(self) -> Self:
        """This core, told before it is opened to run nothing by itself: no recovery, no workers.

        For programs that start, signal and look, and leave the work to others.
        """
        if self._engine is not None:
            raise ConfigurationError("the core is open; say only_asking() before it is opened")
        self._recover = False
        self._workers = 0
        return self

    def working(self, concurrency: int | None = None) -> Self:
        """This core, told before it is opened to be a worker of up to `concurrency` processes at once.

        What `lash worker` does with a core that was built for something else.
        """
        if self._engine is not None:
            raise ConfigurationError("the core is open; say working() before it is opened")
        self._recover = True
        self._workers = 1
        self._worker_concurrency = concurrency or self._worker_concurrency
        return self

    async def close(self) -> None:
        """Leaves every running turn where it is (it resumes at the next open) and closes what was opened."""
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.close()
            await self._plugin_host.close()
        if self._tracer is not None:
            await self._tracer.close()
        store, self._store = self._store, None
        if store is not None and store is not self._store_choice:
            await store.close()
        self._actors.clear()
        await self._models.close()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # sessions

    def session(
        self,
        session_id: str,
        *,
        max_turns: int | None = None,
        prompt_contributions: Sequence[PromptContribution] = (),
        tools: Sequence[str] | None = None,
        hidden_tools: Sequence[str] | None = None,
        plugin_options: JsonObject | None = None,
    ) -> Session:
        """A session by its id: `async with core.session(id) as s`, or `await core.session(id).open()`.

        `tools`, by name or id, is all the session may use (empty: everything), less
        `hidden_tools`; `plugin_options` are JSON by plugin id. Both are stored with the
        session when it opens, and hold until they are given anew.
        """
        if not is_name(session_id):
            raise InvalidArgument(f"session id {session_id!r} is empty or no plain text; choose another")
        prompt = prompt_json(None, prompt_contributions)
        policy = self._models.policy(max_turns=max_turns, prompt=prompt)
        actor = self._actor(session_id, policy)
        if tools is not None or hidden_tools is not None or plugin_options is not None:
            access = ToolAccess(list(tools or ()), list(hidden_tools or ()))
            is_limited = tools is not None or hidden_tools is not None
            actor.assign(access if is_limited else None, _options(plugin_options, self._plugin_host))
        home = SessionHome(self._models, self.session, self._forget, self._background_work, self._has_cells)
        return Session(actor, home)

    async def sessions(self) -> list[SessionListing]:
        """Every stored session."""
        return await self._running().store.sessions.list_sessions()

    async def delete_session(self, session_id: str) -> SessionDeleteReport:
        """Deletes a session for good: its running turn, history, queue, waits, journal and triggers.

        Its id is used up. Its processes go on; what would wake it reaches nobody.
        """
        engine = self._running()
        wait_count = len(await engine.host.open_waits(session_id))
        actor = self._actors.forget(session_id)
        if actor is not None:
            await actor.cancel()
        # The deletion does both by itself; asked for here, they say what they did.
        processes = await self.store.processes.delete_session_process_state(session_id)
        subscription_count = await self.store.triggers.delete_session_subscriptions(session_id)
        # Last before the deletion: a turn that meets a revoked wait shall find its session gone.
        await engine.host.revoke_await_events_for_session(session_id)
        await engine.store.sessions.delete_session(session_id)
        return SessionDeleteReport(session_id, processes, subscription_count, wait_count)

    async def settle(self, effect: DoubtfulEffect, decision: ToolCallOutput | RunAgain) -> None:
        """Says what came of an effect in doubt, and lets its turn go on."""
        engine = self._running()
        await settle_doubt(engine, effect, decision)
        if effect.process_id is not None:
            await self.worker.go_on(effect.process_id)
            return
        self._actor(effect.session_id, self._models.policy()).poke()

    @property
    def approvals(self) -> Approvals:
        """Tool calls that wait for a person's word, and how to give it."""
        return Approvals(self._running().host, self._go_on)

    @property
    def processes(self) -> ProcessAdmin:
        """Background processes: start, list, steer them (docs/how-to/background-jobs.md)."""
        return self._background_work().processes

    @property
    def triggers(self) -> TriggerAdmin:
        """What starts processes: events, schedules (docs/how-to/reminders.md, docs/how-to/webhooks.md)."""
        return self._background_work().triggers

    @property
    def completions(self) -> Completions:
        """Completes tool calls that were handed to somebody outside."""
        return Completions(self._running().host, self._go_on)

    # processes

    @property
    def worker(self) -> ProcessWorker:
        """What runs registered processes here. `poke` it after registering one; `drain` it before leaving."""
        self._running()
        assert self._worker is not None
        return self._worker

    def process_worker_config(self) -> ProcessWorkerConfig:
        """The parts of this core's worker."""
        engine = self._running()
        config = ProcessWorkerConfig.of(
            engine, lambda session_id: self._actor(session_id, self._models.policy()), self._worker_concurrency
        )
        return replace(config, recovers=self._recover)

    # facts

    @property
    def store(self) -> Store:
        """The open store."""
        self._running()
        assert self._store is not None
        return self._store

    @property
    def effect_host(self) -> EffectHost:
        """The effect boundary."""
        return self._running().host

    @property
    def tier(self) -> DurabilityTier:
        """`durable` when acknowledged work survives this process, else `inline`."""
        return self._running().host.durability_tier()

    @property
    def recovery(self) -> RecoveryReport:
        """What recovery found when the core was opened, and what it has met since."""
        return self._running().recovery

    @property
    def executor_id(self) -> str:
        """The owner name under which this core holds leases."""
        return self._running().executor_id

    # parts

    async def _start(self, store: Store) -> None:
        executor_id = f"{self._host_id or machine_id()}/{self._ids.new_token()}"
        attachments = self._attachment_choice or store.attachments
        host = bind_host(self._host_choice, store, self._clock, self._ids, executor_id, self._timings)
        if store.durability_tier() == "durable" and attachments.durability_tier() != "durable":
            raise DurableStorePeerRequired(
                "store= is durable and attachment_store= is not; leave it out or pass a folder or S3"
            )
        await store.liveness.hold(executor_id)
        options = EngineOptions(
            choose_model=self._models.choose,
            render_prompt=self._prompting.render,
            build_catalog=self._build_catalog,
            timings=self._timings,
            max_turns=self._max_turns,
            residency=self._residency,
            commit_budget=self._commit_budget,
            plugin_options=self._plugin_options,
            live_replay=self._live_replay,
            tracer=self._tracer,
            process_engines=self._process_engines,
            doors=ServiceDoors(
                lambda session_id: self._actor(session_id, self._models.policy()),
                self._forget,
                lambda session_id: self.session(session_id).processes,
                lending,
            ),
            execution_sink=self._execution_sink,
        )
        engine = Engine(
            store=store,
            host=host,
            plugins=self._plugin_host,
            attachments=attachments,
            clock=self._clock,
            ids=self._ids,
            executor_id=executor_id,
            options=options,
        )
        background = BackgroundServices(
            store.processes,
            store.triggers,
            store.artifacts,
            store.process_envs,
            lambda: persist_process_env(store.process_envs, self._environment()),
            self._poke,
            self._models.know,
            self._poke_clock,
        )
        await self._plugin_host.open(CoreServices(attachments, self._clock, background, self._execution_sink))
        self._engine, self._store = engine, store
        self._worker = ProcessWorker(self.process_worker_config())
        declared = {name: found.value for name, found in self._probe.registrations.triggers.items()}
        self._background = Background(
            store,
            self._clock,
            self._ids,
            self._own_catalog,
            self._environment,
            attachments,
            self._poke,
            declared,
            self._plugin_host.contributed(SURFACE_EXTENSION),
        )
        if self._workers:
            self._worker.ticking = TriggerTicking(engine, self._background.ticker)
            if self._recover:
                await self._worker.start_if_needed()
        if self._recover and host.durability_tier() == "durable":
            await recover(engine, lambda session_id: self._actor(session_id, self._models.policy()))

    def _actor(self, session_id: str, policy: SessionPolicy) -> SessionActor:
        engine = self._running()
        actor, is_new = self._actors.get(session_id, lambda: SessionActor(engine, session_id, policy))
        if not is_new:
            actor.memory.configure(policy)
        return actor

    def _forget(self, session_id: str) -> None:
        if self._engine is not None and self._engine.watch.follows(session_id):
            return  # its observers would hear nothing of it any more
        self._actors.forget(session_id)

    def _go_on(self, session_id: str) -> None:
        """A wait was answered here. Whoever drove its turn may be dead; then it is ours to take up."""
        engine = self._engine
        if self._recover and engine is not None and engine.host.durability_tier() == "durable":
            self._actor(session_id, self._models.policy()).poke()

    def _own_catalog(self) -> ToolCatalog:
        """The tools that processes may be started with."""
        return self._build_catalog(self._probe)

    def _environment(self) -> ProcessExecutionEnvSpec:
        """What a process that is started now captures; workers add tools and credentials of their own."""
        if not self._plugin_options:
            return self._plain_environment
        return ProcessExecutionEnvSpec(self._plugin_options, self._models.policy())

    def _poke(self) -> None:
        """Tells the workers here that there is news; those elsewhere hear of it from the store."""
        if self._worker is not None and self._workers:
            self._worker.poke()

    def _poke_clock(self) -> None:
        """Tells the clock here that a schedule was put."""
        self._background_work().ticker.poke()

    def _background_work(self) -> Background:
        self._running()
        assert self._background is not None
        return self._background

    def _running(self) -> Engine:
        if self._engine is None:
            raise CoreClosed("the core is not open; use `async with core:` or `await core.open()`")
        return self._engine

    def _build_catalog(self, plugins: PluginSession) -> ToolCatalog:
        sources = [
            ToolSource(registered.plugin_id, registered.value)
            for registered in plugins.registrations.tool_providers.items
        ]
        sources += [ToolSource(source_id, provider) for source_id, provider in plugins.added_sources.items()]
        return self._catalogs.build(sources)


def _options(given: JsonObject | None, host: PluginHost) -> JsonObject | None:
    """Options by plugin id; raises `InvalidArgument` for a plugin that the core does not have."""
    known = {factory.id for factory in host.factories}
    if unknown := sorted(set(given or ()) - known):
        raise InvalidArgument(
            f"plugin_options names {unknown[0]!r}; the core's plugins are: {', '.join(sorted(known))}"
        )
    return given
