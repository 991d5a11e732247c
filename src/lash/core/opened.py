"""The parts of a core while it is open: engine, sessions in memory, worker, background work.

Opening binds them to one store, in the order in which they may be needed: the effect host, the
operating-system lock that tells others when we die, plugins, worker, recovery.
"""

from __future__ import annotations

from dataclasses import replace

from lash.artifacts.environments import persist_process_env
from lash.attachments.store import AttachmentStore
from lash.base.errors import ConfigurationError
from lash.core.parts import bind_host, machine_id
from lash.core.plan import CorePlan
from lash.effects.ports import EffectHost
from lash.plugins.background import BackgroundServices
from lash.plugins.plugin import CoreServices
from lash.processes.handles import ProcessStartGrant
from lash.processes.record import ProcessRecord
from lash.processes.registration import ProcessRegistration
from lash.runtime.actor import SessionActor
from lash.runtime.actors import SessionActors
from lash.runtime.background import Background
from lash.runtime.engine import Engine, EngineOptions
from lash.runtime.hook_services.asking import ServiceDoors
from lash.runtime.hook_services.lending import lending
from lash.runtime.recovery import recover
from lash.runtime.session_processes import SessionProcesses
from lash.runtime.worker.config import ProcessWorkerConfig
from lash.runtime.worker.environment import SURFACE_EXTENSION
from lash.runtime.worker.ticking import TriggerTicking
from lash.runtime.worker.worker import ProcessWorker
from lash.sessions.frames import SessionPolicy
from lash.stores.store import Store


class DurableStorePeerRequired(ConfigurationError):
    """A durable part was given an ephemeral one to work with."""

    code = "durable_store_peer_required"


class OpenCore:
    """A core over one open store."""

    def __init__(self, plan: CorePlan, store: Store) -> None:
        executor_id = f"{plan.host_id or machine_id()}/{plan.ids.new_token()}"
        self.plan = plan
        self.store = store
        self.actors = SessionActors()
        self.attachments = _attachments(plan, store)
        host = bind_host(plan.effect_host, store, plan.clock, plan.ids, executor_id, plan.timings)
        self.engine = self._engine(executor_id, host)
        self.background = self._background()
        self.worker = ProcessWorker(self.worker_config())
        self._is_ready = False

    async def prepare(self) -> None:
        """Says that we live, and opens the plugins."""
        await self.store.liveness.hold(self.engine.executor_id)
        plan = self.plan
        services = CoreServices(self.attachments, plan.clock, self._background_services(), plan.execution_sink)
        await plan.plugins.open(services)
        self._is_ready = True

    async def begin(self) -> None:
        """Begins to work by itself, as far as the plan says so: worker, recovery."""
        if self.plan.workers:
            self.worker.ticking = TriggerTicking(self.engine, self.background.ticker)
            if self.plan.recovers:
                await self.worker.start_if_needed()
        if self._takes_over:
            await recover(self.engine, self.own_actor)

    async def close(self) -> None:
        """Leaves every running turn where it is."""
        await self.engine.close()
        await self.plan.plugins.close()
        self.actors.clear()

    # sessions in memory

    def actor(self, session_id: str, policy: SessionPolicy) -> SessionActor:
        """The session's actor, which follows `policy` from now on."""
        actor, is_new = self.actors.get(session_id, lambda: SessionActor(self.engine, session_id, policy))
        if not is_new:
            actor.memory.configure(policy)
        return actor

    def own_actor(self, session_id: str) -> SessionActor:
        """The session's actor under the core's own policy."""
        return self.actor(session_id, self.plan.models.policy())

    def forget(self, session_id: str) -> None:
        """Drops a session from memory, unless somebody observes it."""
        if self.engine.watch.follows(session_id):
            return  # its observers would hear nothing of it any more
        self.actors.forget(session_id)

    def go_on(self, session_id: str) -> None:
        """A wait was answered here. Whoever drove its turn may be dead; then it is ours to take up."""
        if self._takes_over and not self.engine.is_closing:
            self.own_actor(session_id).poke()

    @property
    def _takes_over(self) -> bool:
        return self.plan.recovers and self.engine.host.durability_tier() == "durable"

    # processes

    def worker_config(self) -> ProcessWorkerConfig:
        """The parts of this core's worker."""
        config = ProcessWorkerConfig.of(self.engine, self.own_actor, self.plan.worker_concurrency)
        return replace(config, recovers=self.plan.recovers)

    def poke(self) -> None:
        """Tells the workers here that there is news; those elsewhere hear of it from the store."""
        if self.plan.workers and self._is_ready:  # a process that a plugin starts as it opens waits for the others
            self.worker.poke()

    async def start_process(
        self, registration: ProcessRegistration, grant: ProcessStartGrant | None = None
    ) -> ProcessRecord:
        """Registers a process; the worker here runs it at once if it has room."""
        if self.plan.workers and self._is_ready:
            return await self.worker.start(registration, grant)
        return await self.store.processes.register_process(registration, grant)

    def _processes_of(self, session_id: str) -> SessionProcesses:
        return self.background.processes_of(session_id, self.own_actor(session_id).running)

    # parts

    def _engine(self, executor_id: str, host: EffectHost) -> Engine:
        plan = self.plan
        options = EngineOptions(
            choose_model=plan.models.choose,
            render_prompt=plan.prompting.render,
            build_catalog=plan.build_catalog,
            timings=plan.timings,
            max_turns=plan.max_turns,
            residency=plan.residency,
            commit_budget=plan.commit_budget,
            plugin_options=plan.plugin_options,
            live_replay=plan.live_replay,
            tracer=plan.tracer,
            process_engines=plan.process_engines,
            doors=ServiceDoors(self.own_actor, self.forget, self._processes_of, lending),
            execution_sink=plan.execution_sink,
        )
        return Engine(
            store=self.store,
            host=host,
            plugins=plan.plugins,
            attachments=self.attachments,
            clock=plan.clock,
            ids=plan.ids,
            executor_id=executor_id,
            options=options,
        )

    def _background(self) -> Background:
        plan = self.plan
        return Background(
            self.store,
            plan.clock,
            plan.ids,
            plan.own_catalog,
            plan.environment,
            self.attachments,
            self.poke,
            self.start_process,
            {name: found.value for name, found in plan.probe.registrations.triggers.items()},
            plan.plugins.contributed(SURFACE_EXTENSION),
        )

    def _background_services(self) -> BackgroundServices:
        store, plan = self.store, self.plan
        return BackgroundServices(
            store.processes,
            self.start_process,
            store.triggers,
            store.artifacts,
            store.process_envs,
            lambda: persist_process_env(store.process_envs, plan.environment()),
            self.poke,
            plan.models.know,
            self.background.ticker.poke,
        )


def _attachments(plan: CorePlan, store: Store) -> AttachmentStore:
    attachments = plan.attachments or store.attachments
    if store.durability_tier() == "durable" and attachments.durability_tier() != "durable":
        raise DurableStorePeerRequired(
            "store= is durable and attachment_store= is not; leave it out or pass a folder or S3"
        )
    return attachments
