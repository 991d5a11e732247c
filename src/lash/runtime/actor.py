"""A session as one core runs it: opens it, accepts what it is asked for, drains its queue.

Several actors for one session, in one process or many, are always safe: whoever
holds the session lease drives, everybody else waits for what it settles.
"""

from __future__ import annotations

import asyncio
import logging

from lash.base.clock import Clock
from lash.base.errors import InvalidArgument
from lash.base.json import JsonObject
from lash.plugins.hooks import PluginSessionContext, SessionRestored
from lash.plugins.host import PluginSession
from lash.runtime.amend import assign_session
from lash.runtime.ancestry import ancestors_of
from lash.runtime.approvals import Approval, Approvals
from lash.runtime.asides import session_maker, trace_teller
from lash.runtime.branching import branch, fresh_start, given_state
from lash.runtime.caller import Caller
from lash.runtime.change import change_session
from lash.runtime.commands import SessionCommand, SessionCommandReceipt, command_draft, receipt
from lash.runtime.drive import Parked
from lash.runtime.driving import SessionDrives
from lash.runtime.editing import editable, options_of
from lash.runtime.engine import Engine
from lash.runtime.facets import guard_facets, guard_inputs
from lash.runtime.forking import fork_session, path_to
from lash.runtime.input import TurnInput, TurnOptions, prepare_input
from lash.runtime.memory import SessionMemory
from lash.runtime.observation.feed import SessionFeed
from lash.runtime.request import TurnRequest, input_payload
from lash.runtime.result import TurnResult
from lash.runtime.waiting import until_change
from lash.sessions.accept import Idle, Owned, Waiting, turn_source_key
from lash.sessions.commit import SessionState
from lash.sessions.errors import QueuedInputTaken, SessionDeleted, StoreUnavailable
from lash.sessions.frames import SessionPolicy, ToolAccess
from lash.sessions.queue import DeliveryPolicy, EnqueueOutcome, QueuedWorkBatch, QueuedWorkDraft, SlotPolicy
from lash.sessions.store import SessionCreate, SessionStore

logger = logging.getLogger("lash.runtime")

# A drain that cannot reach the store looks again after so long, doubled up to the limit.
RETRY_MS = 100
RETRY_LIMIT_MS = 10_000


class SessionActor:
    """One session in one core."""

    def __init__(self, engine: Engine, session_id: str, policy: SessionPolicy) -> None:
        self.session_id = session_id
        self._engine = engine
        self._policy = policy
        self._tool_access: ToolAccess | None = None
        self._plugin_options: JsonObject | None = None
        # Whether the session is stored with them, as far as anything was said.
        self._is_assigned = True
        self._assigning = asyncio.Lock()
        self._memory = SessionMemory(session_id, policy, engine.clock.now_ms(), engine.options.residency)
        self.feed = SessionFeed(self._memory, engine.clock, engine.ids, engine.options.live_replay)
        self._drives: SessionDrives | None = None
        self._opening = asyncio.Lock()
        self._drains: asyncio.Task[None] | None = None
        self._was_poked = False

    @property
    def clock(self) -> Clock:
        """The time that timeouts follow."""
        return self._engine.clock

    def now_ms(self) -> int:
        """The present, for what is committed."""
        return self._engine.clock.now_ms()

    @property
    def memory(self) -> SessionMemory:
        """What is committed, as far as this core knows."""
        return self._memory

    @property
    def store(self) -> SessionStore:
        """The session's store handle."""
        assert self._drives is not None, "the session is not open"
        return self._drives.store

    def assign(self, tool_access: ToolAccess | None, plugin_options: JsonObject | None) -> None:
        """Options of the session that are stored with it. Raises `InvalidArgument` when plugins run with others."""
        if plugin_options is not None and self._drives is not None and plugin_options != self._given_options():
            raise InvalidArgument(
                f"session {self.session_id!r} is open with other plugin_options; close the core to change them"
            )
        self._tool_access = tool_access if tool_access is not None else self._tool_access
        self._plugin_options = plugin_options if plugin_options is not None else self._plugin_options
        self._is_assigned = False

    async def _ancestors(self, store: SessionStore) -> list[str]:
        if self._memory.assignment.usage_source is None:
            return []  # nobody's child, and nothing more to read
        return await ancestors_of(self._engine.store.sessions, store)

    def _given_options(self) -> JsonObject:
        return self._plugin_options if self._plugin_options is not None else self._memory.assignment.plugin_options

    async def open(self) -> SessionDrives:
        """Creates or loads the session, once. Raises `SessionDeleted`."""
        drives = self._drives  # the common case takes no lock
        if drives is not None:
            return drives
        async with self._opening:
            if self._drives is not None:
                return self._drives
            engine = self._engine
            if engine.is_closing:
                raise engine.closed(f"session {self.session_id!r} was used")
            store = await engine.store.sessions.create_store(SessionCreate(self.session_id, policy=self._policy))
            is_restored = await self._memory.refresh(store)
            access = self._tool_access if self._tool_access is not None else self._memory.assignment.tool_access
            options = {**engine.options.plugin_options, **self._given_options()}
            self._memory.ancestors = await self._ancestors(store)
            parent_id = self._memory.ancestors[0] if self._memory.ancestors else None
            context = PluginSessionContext(self.session_id, parent_id, plugin_options=options, tool_access=access)
            plugins = engine.plugins.build(context)
            plugins.create_session = session_maker(engine, self._memory, plugins.protocol_session)
            if engine.options.tracer is not None:
                plugins.emit_trace = trace_teller(engine.options.tracer, self.session_id)
            if plugins.states:
                plugins.states.restore(self._memory.plugin_snapshot)
            if plugins.protocol_session is not None:
                await self._introduce(plugins, options, is_restored=is_restored)
            self._drives = SessionDrives(engine, store, self._memory, plugins, self.feed)
            engine.opened[self.session_id] = self._drives
        if engine.options.tracer is not None:
            engine.options.tracer.session_started(self.session_id, revision=self._memory.head_revision)
        if is_restored:
            await plugins.tell(SessionRestored(self.session_id, self._memory.head_revision))
        return self._drives

    async def _introduce(self, plugins: PluginSession, options: JsonObject, *, is_restored: bool) -> None:
        mode, item = plugins.protocol_session, plugins.registrations.protocol.item
        assert mode is not None
        assert item is not None
        if item.plugin_id in options:
            mode.apply_session_extension(options[item.plugin_id])
        await (mode.restore_session if is_restored else mode.initialize_session)(self._memory.facts)

    async def run(self, request: TurnRequest) -> TurnResult:
        """Accepts the turn and returns it settled, whoever drives it."""
        guard_facets(self._engine)
        guard_inputs(self._engine, request.plugin_inputs)
        drives = await self.running()
        if (mode := drives.plugins.protocol_session) is not None:
            mode.validate_turn_extension(request.options.protocol_turn_options)
        return await Caller(drives, request, self.poke).result()

    async def enqueue(
        self,
        turn_input: TurnInput,
        *,
        source_key: str | None,
        delivery_policy: DeliveryPolicy,
        slot_policy: SlotPolicy,
        options: TurnOptions,
    ) -> EnqueueOutcome:
        """Stores input for a later turn and sees to it that one runs."""
        guard_facets(self._engine)
        guard_inputs(self._engine, ())
        drives = await self.running()
        queued = await prepare_input(turn_input, options, self._engine.attachments)
        draft = QueuedWorkDraft(
            self.session_id,
            [input_payload(queued)],
            source_key=source_key,
            delivery_policy=delivery_policy,
            slot_policy=slot_policy,
        )
        outcome = await drives.store.enqueue_queued_work_with_outcome(draft)
        if outcome.status != "already_settled":
            self.poke()  # also for input that is there: whoever stored it may have died before it began to run
        return outcome

    async def accept_later(self, turn_input: TurnInput, turn_id: str) -> None:
        """Accepts a turn durably, once, and sees to it that it runs; nobody waits for it here."""
        drives = await self.running()
        queued = await prepare_input(turn_input, TurnOptions(), self._engine.attachments)
        draft = QueuedWorkDraft(self.session_id, [input_payload(queued)], source_key=turn_source_key(turn_id))
        outcome = await drives.store.enqueue_queued_work_with_outcome(draft)
        if outcome.status != "already_settled":
            self.poke()

    async def command(self, command: SessionCommand, key: str | None) -> SessionCommandReceipt:
        """Accepts a command durably, once per key, and sees to it that it is applied."""
        guard_facets(self._engine)
        drives = await self.running()
        draft = command_draft(self.session_id, command, key or self._engine.ids.new_id())
        outcome = await drives.store.enqueue_queued_work_with_outcome(draft)
        if outcome.status != "already_settled":
            self.poke()
        return receipt(outcome)

    async def until_settled(self, batch_id: str) -> None:
        """Returns when queued work was settled or cancelled, and takes over what came of it."""
        drives = await self.running()
        while True:
            generation = self._engine.store.changes.generation()
            queued = await drives.store.list_queued_work(self.session_id)
            if all(batch.batch_id != batch_id for batch in queued):
                return await drives.refresh()
            await self._engine.store.changes.changed(generation)

    async def edit_queued(self, batch_id: str, turn_input: TurnInput) -> QueuedWorkBatch:
        """Replaces queued input that nobody has begun to work on."""
        drives = await self.running()
        batch = editable(self.session_id, batch_id, await drives.store.list_pending_queued_work(self.session_id))
        queued = await prepare_input(turn_input, options_of(batch), self._engine.attachments)
        edited = await drives.store.replace_queued_input(self.session_id, batch_id, input_payload(queued))
        if edited is None:
            raise QueuedInputTaken(self.session_id, batch_id)
        return edited

    def poke(self) -> None:
        """Work may have arrived: a running turn looks for it, an idle session starts one."""
        if self._engine.is_closing:
            return
        self._engine.keeper.new_work(self.session_id)
        self._was_poked = True
        if self._drains is None or self._drains.done():
            self._drains = self._engine.spawn(self._drain(), f"drain {self.session_id}")

    async def cancel(self, turn_id: str | None = None) -> bool:
        """Cancels the running turn, here or wherever it runs; False when none runs."""
        drives = await self.open()
        if drives.cancel(turn_id):
            return True
        return await drives.store.request_turn_cancel(self.session_id, turn_id)

    async def pending_approvals(self) -> list[Approval]:
        """Calls of this session that wait for a word."""
        return await Approvals(self._engine.host).pending(self.session_id)

    async def refresh(self) -> None:
        """Takes over what other processes have committed."""
        await (await self.open()).refresh()

    # observation

    async def observed(self) -> SessionFeed:
        """The session's feed, up to date with the store (at most a look behind) and watched from now on."""
        await self.running()
        await self._engine.observe(self)
        return self.feed

    async def catch_up(self, revision: int) -> bool:
        """Takes over what is committed up to `revision`; False when that must wait for a running turn."""
        return await (await self.open()).catch_up(revision)

    async def open_fresh(self) -> None:
        """Opens the session with nothing said."""
        await change_session(await self.running(), lambda memory: fresh_start(memory, self._engine.clock.now_ms()))

    async def open_with_state(self, state: SessionState) -> None:
        """Opens the session with a given state."""
        await change_session(await self.running(), lambda memory: given_state(memory, state))

    async def branch(self, node_id: str) -> None:
        """Goes on from another node."""
        drives = await self.running()
        path = await path_to(drives.store, self.session_id, node_id)
        await change_session(drives, lambda memory: branch(memory, path))

    async def fork(self, new_id: str, node_id: str | None) -> None:
        """Copies what is committed into a new session."""
        await self.running()
        sessions = self._engine.store.sessions
        await fork_session(sessions, source_id=self.session_id, new_id=new_id, node_id=node_id)

    async def idle(self) -> None:
        """Returns when nothing of the session runs in this core."""
        while True:
            if self._drains is not None and not self._drains.done():
                await asyncio.wait([self._drains])
            elif self._drives is not None and self._drives.is_running:
                await self._drives.turned.wait()
            else:
                return

    async def running(self) -> SessionDrives:
        """The open session; raises `CoreClosed` when its core is closing."""
        if self._engine.is_closing:
            raise self._engine.closed(f"session {self.session_id!r} was used")
        drives = await self.open()
        if not self._is_assigned:  # nothing runs before the session has the authority it was given
            async with self._assigning:
                if not self._is_assigned:
                    access, options = self._tool_access, self._plugin_options
                    await assign_session(drives, access, options)
                    self._is_assigned = (access, options) == (self._tool_access, self._plugin_options)
        return drives

    # the queue

    async def _drain(self) -> None:
        """Runs what is queued until nothing is ready. A store that cannot be reached is asked again later."""
        pause_ms = RETRY_MS
        while not self._engine.is_closing:
            try:
                drives = await self.open()
                self._was_poked = False
                if await self._drain_once(drives) and not self._was_poked:
                    return
                pause_ms = RETRY_MS
            except StoreUnavailable as error:
                logger.warning("the queue of session %s: %s", self.session_id, error)
                await self._engine.clock.sleep(pause_ms)
                pause_ms = min(2 * pause_ms, RETRY_LIMIT_MS)
            except SessionDeleted:
                return
            except Exception:
                logger.exception("the queue of session %s cannot be run", self.session_id)
                return

    async def _drain_once(self, drives: SessionDrives) -> bool:
        """Looks for work and runs or awaits it; whether there is nothing more to do here."""
        proven_dead_token: str | None = None
        while True:
            claimant = self._engine.claimant(proven_dead_token=proven_dead_token)
            answer = await drives.store.next_turn(self.session_id, claimant)
            match answer:
                case Idle():
                    return True
                case Waiting():
                    proven_dead_token = await until_change(self._engine, answer, drives.turned)
                case Owned():
                    proven_dead_token = None
                    if isinstance(await asyncio.shield(drives.start(answer)), Parked):
                        return True
