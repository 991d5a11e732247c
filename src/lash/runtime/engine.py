"""The engine of one core: what all its sessions share, and its life.

One engine is one *executor*: it owns leases under `{host_id}/{executor}`, holds an
operating-system lock that dies with it, and keeps every task it starts.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from weakref import WeakValueDictionary

from lash.attachments.store import AttachmentStore
from lash.base.cancel import CancelToken
from lash.base.clock import Clock
from lash.base.errors import ConfigurationError
from lash.base.ids import IdSource
from lash.base.json import JsonObject
from lash.effects.lease import LeaseTimings
from lash.effects.ports import EffectHost
from lash.machine.capability import ModelCapability
from lash.machine.prompt import PromptContribution
from lash.models.provider import Provider
from lash.models.spec import ModelFacts
from lash.plugins.host import PluginHost, PluginSession
from lash.runtime.input import TurnOptions
from lash.runtime.leases import LeaseKeeper
from lash.runtime.observation.relay import Relay, SharedReplay
from lash.runtime.observation.replay import LiveReplayStore, RecentEvents
from lash.runtime.observation.watch import Followed, StoreWatch
from lash.runtime.ports import RuntimeStore
from lash.runtime.residency import Residency
from lash.sessions.accept import Claimant
from lash.sessions.commit import CommitBudget
from lash.tools.catalog import ToolCatalog
from lash.tracing.tracer import Tracer

if TYPE_CHECKING:  # engines and services build on the runtime
    from lash.runtime.driving import SessionDrives
    from lash.runtime.hook_services.asking import ServiceDoors
    from lash.runtime.worker.engines import ProcessEngine

logger = logging.getLogger("lash.runtime")
T = TypeVar("T")


class CoreClosed(ConfigurationError):
    """The core is not open, or was closed while somebody waited for it."""

    code = "core_closed"


@dataclass(frozen=True, slots=True)
class ChosenModel:
    """A model ready to be asked."""

    provider: Provider
    facts: ModelFacts
    capability: ModelCapability = field(default_factory=ModelCapability)


@dataclass(frozen=True, slots=True)
class PromptRequest:
    """What the prompt of one model call is rendered from."""

    session_id: str
    turn_id: str
    iteration: int
    session_prompt: JsonObject | None
    turn_prompt: JsonObject | None
    plugins: PluginSession
    catalog: ToolCatalog
    # What context transforms add for this turn, and live inputs of plugins.
    context_prompt: Sequence[PromptContribution] = ()
    turn_inputs: Mapping[str, object] = field(default_factory=dict)


class ModelChooser(Protocol):
    """Resolves the model of a turn from the core's default and the turn's own wish."""

    def __call__(self, options: TurnOptions) -> ChosenModel: ...


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """Everything the host application decides."""

    choose_model: ModelChooser
    render_prompt: Callable[[PromptRequest], str]
    build_catalog: Callable[[PluginSession], ToolCatalog]
    timings: LeaseTimings = field(default_factory=LeaseTimings)
    max_turns: int | None = None
    residency: Residency = "keep_all"
    commit_budget: CommitBudget = field(default_factory=CommitBudget)
    # A drive that raises is tried this often before the turn is settled as failed (decisions 7).
    drive_attempts: int = 5
    plugin_options: JsonObject = field(default_factory=dict)
    drive_backoff_ms: int = 100
    live_replay: LiveReplayStore = field(default_factory=RecentEvents)
    # What runs processes that the runtime does not know, by kind.
    process_engines: Mapping[str, ProcessEngine] = field(default_factory=dict)
    # What the hooks of a turn may reach beyond it; None where there is no core around.
    doors: ServiceDoors | None = None
    # None where nobody traces: then nothing on the way of a turn knows of it.
    tracer: Tracer | None = None
    # Hears what programs do in processes (docs/spec/lashlang.md §9.5).
    execution_sink: Callable[[JsonObject], None] | None = None


@dataclass(frozen=True, slots=True)
class TurnRef:
    """A turn of a session."""

    session_id: str
    turn_id: str


@dataclass(frozen=True, slots=True)
class DoubtfulEffect:
    """An effect declared `never` that started and whose outcome nobody knows."""

    session_id: str
    turn_id: str
    replay_key: str
    # Set for an effect of a process, which has no session and no turn.
    process_id: str | None = None


@dataclass(slots=True)
class RecoveryReport:
    """What recovery found when the core was opened, and what it has met since.

    `resumed`: turns driven in the background; await one with `run` and its id.
    `waiting`: turns that waited for an approval or for a detached call when the core was opened; they
    are back at their wait, and go on by themselves when it is resolved.
    `in_doubt`: effects whose outcome the host must settle.
    """

    resumed: list[TurnRef] = field(default_factory=list)
    waiting: list[TurnRef] = field(default_factory=list)
    in_doubt: list[DoubtfulEffect] = field(default_factory=list)


class Engine:
    """Shared parts and owned tasks of one core."""

    def __init__(
        self,
        *,
        store: RuntimeStore,
        host: EffectHost,
        plugins: PluginHost,
        attachments: AttachmentStore,
        clock: Clock,
        ids: IdSource,
        executor_id: str,
        options: EngineOptions,
    ) -> None:
        self.store = store
        self.host = host
        self.plugins = plugins
        self.attachments = attachments
        self.clock = clock
        self.ids = ids
        self.executor_id = executor_id
        self.options = options
        self.keeper = LeaseKeeper(store.sessions, store.processes, clock, options.timings)
        shared = options.live_replay if isinstance(options.live_replay, SharedReplay) else None
        told = None if shared is None else store.told
        if shared is not None and told is None:
            raise ConfigurationError(
                "live_replay_store=SharedReplay(): this store has no place that processes share; use postgresql://…"
            )
        self.relay: Relay | None = None
        if shared is not None and told is not None:
            self.relay = Relay(told, clock, ids, shared.max_age_ms, self.spawn)
        self.watch = StoreWatch(store.sessions, store.changes, clock, executor_id, told)
        self.recovery = RecoveryReport()
        # Cancelled with reason `shutdown` when the core is closed: whoever waits is woken.
        self.closing = CancelToken()
        # The sessions that are open here, by id.
        self.opened: WeakValueDictionary[str, SessionDrives] = WeakValueDictionary()
        self._has_warned_of_window = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._watching: asyncio.Task[None] | None = None

    def window_of(self, model: ModelFacts) -> int | None:
        """How much the model can read. Not to know it is worth one warning per core (decisions 24)."""
        if model.context_window_tokens is None and not self._has_warned_of_window:
            self._has_warned_of_window = True
            logger.warning(
                "model %s: its context window is unknown, so overflow detection and context budgets are off; "
                "pass ModelSpec(context_window_tokens=…)",
                model.id,
            )
        return model.context_window_tokens

    async def load_attachment(self, attachment_id: str) -> bytes:
        """The bytes of an attachment, for a wire that is about to send it."""
        return (await self.attachments.get(attachment_id)).data

    @property
    def is_closing(self) -> bool:
        """Whether the core was closed."""
        return self.closing.is_cancelled

    def closed(self, what: str) -> CoreClosed:
        """The error for somebody whose work the closing of the core has interrupted."""
        if self.host.durability_tier() == "durable":
            return CoreClosed(f"the core was closed while {what}; what was accepted goes on at the next open")
        return CoreClosed(f"the core was closed while {what}; its host is not durable, so what ran is lost")

    def claimant(self, *, proven_dead_token: str | None = None) -> Claimant:
        """A request for a session lease with fresh tokens."""
        return Claimant(
            executor_id=self.executor_id,
            lease_token=self.ids.new_token(),
            claim_token=self.ids.new_token(),
            ttl_ms=self.options.timings.ttl_ms,
            proven_dead_token=proven_dead_token,
        )

    def spawn(self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Starts a task that the engine owns; its exceptions are never lost."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    async def observe(self, session: Followed) -> None:
        """Brings the feed of a session up to date with the store, and keeps it so while somebody reads it."""
        await self.watch.look_at(session)
        if self._watching is None or self._watching.done():
            self._watching = self.spawn(self.watch.run(), "observation")

    async def close(self) -> None:
        """Cancels and awaits every task, then stops the heartbeat."""
        self.closing.cancel("shutdown")
        self.watch.end(CoreClosed("the core was closed while the session was observed; observe it in another core"))
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task
        await self.keeper.close()

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.debug("task %s ended with %r", task.get_name(), task.exception())
