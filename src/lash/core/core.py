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

from collections.abc import Sequence
from types import TracebackType
from typing import Self, Unpack

from lash.base.arguments import checked_max_turns, checked_names
from lash.base.errors import ConfigurationError, InvalidArgument
from lash.base.ids import is_name
from lash.base.json import JsonObject
from lash.base.tier import DurabilityTier
from lash.core.opened import OpenCore
from lash.core.options import CoreOptions
from lash.core.parts import SessionDeleteReport
from lash.core.plan import CorePlan
from lash.effects.ports import EffectHost
from lash.machine.prompt import PromptContribution
from lash.plugins.plugin import PluginFactory
from lash.runtime.approvals import Approvals
from lash.runtime.background import Background
from lash.runtime.completions import Completions
from lash.runtime.doubt import RunAgain, settle_doubt
from lash.runtime.engine import CoreClosed, DoubtfulEffect, RecoveryReport
from lash.runtime.process_admin import ProcessAdmin
from lash.runtime.trigger_admin import CoreTriggers
from lash.runtime.worker.config import ProcessWorkerConfig
from lash.runtime.worker.worker import ProcessWorker
from lash.session import Session, SessionHome
from lash.sessions.frames import ToolAccess
from lash.sessions.meta import SessionListing
from lash.stores.store import Store
from lash.tools.result import ToolCallOutput
from lash.turn import prompt_json


class LashCore:
    """A core with an execution mode of your choice, `protocol`; `StandardCore` and `RlmCore` preset it.

    Everything else it takes is in `CoreOptions`.
    """

    def __init__(self, *, protocol: PluginFactory, **options: Unpack[CoreOptions]) -> None:
        self._plan = CorePlan(protocol=protocol, **options)
        self._opened: OpenCore | None = None

    # life

    async def open(self) -> Self:
        """Opens the store, checks its schema, starts recovery. Opening twice is harmless."""
        if self._opened is not None:
            return self
        plan = self._plan
        store = plan.store
        if isinstance(store, str):
            store = await Store.open(store, clock=plan.clock, ids=plan.ids)
        opened = None
        try:
            opened = OpenCore(plan, store)
            await opened.prepare()
            self._opened = opened
            await opened.begin()
        except BaseException:
            self._opened = None
            await (plan.plugins if opened is None else opened).close()
            if store is not plan.store:
                await store.close()
            raise
        return self

    def only_asking(self) -> Self:
        """This core, told before it is opened to run nothing by itself: no recovery, no workers.

        For programs that start, signal and look, and leave the work to others.
        """
        if self._opened is not None:
            raise ConfigurationError("the core is open; say only_asking() before it is opened")
        self._plan.recovers = False
        self._plan.workers = 0
        return self

    def working(self, concurrency: int | None = None) -> Self:
        """This core, told before it is opened to be a worker of up to `concurrency` processes at once.

        What `lash worker` does with a core that was built for something else.
        """
        if self._opened is not None:
            raise ConfigurationError("the core is open; say working() before it is opened")
        self._plan.recovers = True
        self._plan.workers = 1
        self._plan.worker_concurrency = concurrency or self._plan.worker_concurrency
        return self

    async def close(self) -> None:
        """Leaves every running turn where it is (it resumes at the next open) and closes what was opened."""
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.close()
        if self._plan.tracer is not None:
            await self._plan.tracer.close()
        if opened is not None and opened.store is not self._plan.store:
            await opened.store.close()
        await self._plan.models.close()

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
        plan, opened = self._plan, self._running()
        prompt = prompt_json(None, prompt_contributions)
        policy = plan.models.policy(max_turns=checked_max_turns(max_turns), prompt=prompt)
        access = ToolAccess(checked_names("tools", tools), checked_names("hidden_tools", hidden_tools))
        actor = opened.actor(session_id, policy)
        if tools is not None or hidden_tools is not None or plugin_options is not None:
            is_limited = tools is not None or hidden_tools is not None
            actor.assign(access if is_limited else None, plan.checked_options(plugin_options))
        home = SessionHome(plan.models, self.session, opened.forget, self._background_work, plan.has_cells)
        return Session(actor, home)

    async def sessions(self) -> list[SessionListing]:
        """Every stored session."""
        return await self.store.sessions.list_sessions()

    async def delete_session(self, session_id: str) -> SessionDeleteReport:
        """Deletes a session for good: its running turn, history, queue, waits, journal and triggers.

        Its id is used up. Its processes go on; what would wake it reaches nobody.
        """
        opened = self._running()
        host, store = opened.engine.host, opened.store
        wait_count = len(await host.open_waits(session_id))
        actor = opened.actors.forget(session_id)
        if actor is not None:
            await actor.cancel()
        # The deletion does both by itself; asked for here, they say what they did.
        processes = await store.processes.delete_session_process_state(session_id)
        subscription_count = await store.triggers.delete_session_subscriptions(session_id)
        # Last before the deletion: a turn that meets a revoked wait shall find its session gone.
        await host.revoke_await_events_for_session(session_id)
        await store.sessions.delete_session(session_id)
        return SessionDeleteReport(session_id, processes, subscription_count, wait_count)

    async def settle(self, effect: DoubtfulEffect, decision: ToolCallOutput | RunAgain) -> None:
        """Says what came of an effect in doubt, and lets its turn go on."""
        opened = self._running()
        await settle_doubt(opened.engine, effect, decision)
        if effect.process_id is not None:
            await opened.worker.go_on(effect.process_id)
            return
        opened.own_actor(effect.session_id).poke()

    @property
    def approvals(self) -> Approvals:
        """Tool calls that wait for a person's word, and how to give it."""
        return Approvals(self.effect_host, self._running().go_on)

    @property
    def processes(self) -> ProcessAdmin:
        """Background processes: start, list, steer them (docs/how-to/background-jobs.md)."""
        return self._background_work().processes

    @property
    def triggers(self) -> CoreTriggers:
        """What starts processes: events, schedules (docs/how-to/reminders.md, docs/how-to/webhooks.md)."""
        return self._background_work().triggers

    @property
    def completions(self) -> Completions:
        """Completes tool calls that were handed to somebody outside."""
        return Completions(self.effect_host, self._running().go_on)

    # processes

    @property
    def worker(self) -> ProcessWorker:
        """What runs registered processes here. `poke` it after registering one; `drain` it before leaving."""
        return self._running().worker

    def process_worker_config(self) -> ProcessWorkerConfig:
        """The parts of this core's worker."""
        return self._running().worker_config()

    # facts

    @property
    def store(self) -> Store:
        """The open store."""
        return self._running().store

    @property
    def effect_host(self) -> EffectHost:
        """The effect boundary."""
        return self._running().engine.host

    @property
    def tier(self) -> DurabilityTier:
        """`durable` when acknowledged work survives this process, else `inline`."""
        return self.effect_host.durability_tier()

    @property
    def recovery(self) -> RecoveryReport:
        """What recovery found when the core was opened, and what it has met since."""
        return self._running().engine.recovery

    @property
    def executor_id(self) -> str:
        """The owner name under which this core holds leases."""
        return self._running().engine.executor_id

    def _background_work(self) -> Background:
        return self._running().background

    def _running(self) -> OpenCore:
        if self._opened is None:
            raise CoreClosed("the core is not open; use `async with core:` or `await core.open()`")
        return self._opened
