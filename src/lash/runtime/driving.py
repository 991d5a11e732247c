"""The drives of one session in one core: one turn at a time, for everybody who listens to it."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TypeAlias

import msgspec

from lash.base.cancel import CancelToken
from lash.base.codec import to_json
from lash.base.messages import Message
from lash.effects.lease import Lease
from lash.plugins.host import PluginSession
from lash.runtime.activity import ActivityStream, Sink, TurnActivity
from lash.runtime.ancestry import tell_ancestors
from lash.runtime.commands import apply_command, leading_command
from lash.runtime.drive import Driven, TurnDrive
from lash.runtime.engine import Engine
from lash.runtime.leases import Holding
from lash.runtime.memory import SessionMemory
from lash.runtime.observation.feed import SessionFeed
from lash.runtime.request import TurnRequest
from lash.runtime.result import TurnResult
from lash.runtime.settle import message_ids, stored_summary, turn_result
from lash.runtime.tooling import SessionTools
from lash.sessions.accept import Owned
from lash.sessions.commit import LeaseGuard, RuntimeCommit, StoredTurn
from lash.sessions.store import SessionStore
from lash.tracing.records import TraceContext
from lash.tracing.tracer import Tracer

# The session whose turn the current task is part of: what must not wait for that turn asks here.
DRIVING: ContextVar[str | None] = ContextVar("lash_driving", default=None)
# From what is committed to the commit that changes it; None when there is nothing to change.
ChangePlan: TypeAlias = Callable[[SessionMemory], RuntimeCommit | Awaitable[RuntimeCommit | None] | None]


class SessionDrives:
    """Drives owned turns, and knows who listens to which."""

    def __init__(
        self, engine: Engine, store: SessionStore, memory: SessionMemory, plugins: PluginSession, feed: SessionFeed
    ) -> None:
        self.tools = SessionTools(memory, plugins, engine.options.build_catalog)
        self.engine = engine
        self.store = store
        self.memory = memory
        # Set, and replaced, whenever a drive of this core ends.
        self.turned = asyncio.Event()
        self.plugins = plugins
        self._feed = feed
        # Guards the memory: a drive reads it at its start and changes it at its commit.
        self._driving = asyncio.Lock()
        self._listeners: dict[str, list[TurnRequest]] = {}
        self._running: tuple[str, CancelToken] | None = None

    def join(self, turn_id: str, request: TurnRequest) -> None:
        """From now on the request's sinks are told of the turn, and its token cancels it."""
        self._listeners.setdefault(turn_id, []).append(request)
        if self._running is not None and self._running[0] == turn_id:
            _link(request.cancel, self._running[1])

    def leave(self, request: TurnRequest) -> None:
        """Forgets the request."""
        for turn_id in [turn_id for turn_id, listeners in self._listeners.items() if request in listeners]:
            self._listeners[turn_id].remove(request)
            if not self._listeners[turn_id]:
                del self._listeners[turn_id]

    def is_heard_by_another(self, turn_id: str, request: TurnRequest) -> bool:
        """Whether somebody else in this core wants the turn."""
        return any(listener is not request for listener in self._listeners.get(turn_id, ()))

    def start(self, owned: Owned) -> asyncio.Task[Driven]:
        """Drives in a task of the engine, so that a caller who leaves cannot tear a commit."""
        return self.engine.spawn(self.drive(owned), f"turn {owned.turn.turn_id}")

    @property
    def is_running(self) -> bool:
        """Whether a turn runs here."""
        return self._running is not None

    def cancel(self, turn_id: str | None = None) -> bool:
        """Cancels the turn that runs here; False when none (of that id) does."""
        if self._running is None or turn_id not in (None, self._running[0]):
            return False
        self._running[1].cancel("requested")
        return True

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[None]:
        """While no turn of this core touches the memory."""
        async with self._driving:
            yield

    def wake(self) -> None:
        """Something ended that others of this core may wait for."""
        turned, self.turned = self.turned, asyncio.Event()
        turned.set()

    def turn_inputs(self, turn_id: str) -> dict[str, object]:
        """The live inputs that callers hand to plugins with a turn."""
        return {
            given.plugin_id: given.value
            for request in self._listeners.get(turn_id, ())
            for given in request.plugin_inputs
        }

    async def change(self, lease: Lease, plan: ChangePlan) -> bool:
        """Commits what `plan` says of the newest state under a lease without a turn, and gives the lease back.

        Whether anything was committed. What was not, plugins forget again.
        """
        holding = Holding(lease, CancelToken())
        self.engine.keeper.hold(holding)  # a plan may ask a model
        async with self._driving:
            is_held, states = True, self.plugins.states
            try:
                await self.memory.refresh(self.store)
                if states:
                    states.restore(self.memory.plugin_snapshot)
                planned = plan(self.memory)
                commit = await planned if inspect.isawaitable(planned) else planned
                if commit is not None:
                    await self.store.commit(msgspec.structs.replace(commit, guard=LeaseGuard(lease)))
                    is_held = False
                    await self.memory.refresh(self.store)
                    if commit.rolled_up_to and commit.usage_deltas:
                        await tell_ancestors(self.engine, commit.rolled_up_to)
                return commit is not None
            finally:
                self.engine.keeper.drop(holding)
                if states:
                    states.restore(self.memory.plugin_snapshot)
                if is_held:
                    with contextlib.suppress(Exception):  # it runs out by itself otherwise
                        await asyncio.shield(self.store.release_session_lease(lease))

    async def refresh(self) -> None:
        """Takes over what other processes have committed."""
        async with self._driving:
            before = self.memory.head_revision
            await self.memory.refresh(self.store)
            if self.plugins.states and self.memory.head_revision != before:
                self.plugins.states.restore(self.memory.plugin_snapshot)

    async def catch_up(self, revision: int) -> bool:
        """The same up to a revision; False when a running turn must end first."""
        if self.memory.head_revision >= revision:
            return True
        if self._driving.locked():
            return False
        await self.refresh()
        return True

    async def stored_result(self, turn: StoredTurn) -> TurnResult:
        """The result of a settled turn."""
        summary = stored_summary(turn)
        messages: list[Message] = []
        for node_id in message_ids(summary):
            node = await self.store.load_node(node_id)
            message = getattr(node.payload, "message", None) if node is not None else None
            if isinstance(message, Message):
                messages.append(message)
        revision = turn.result.head_revision if turn.result is not None else self.memory.head_revision
        if revision > self.memory.head_revision and self._running is not None and self._running[0] == turn.turn_id:
            # It is being driven here, and its commit is known to others before the drive hears of it.
            await self.turned.wait()
        if revision > self.memory.head_revision and not self._driving.locked():
            # Somebody else drove it: what it committed is part of what the caller sees now.
            await self.refresh()
        return turn_result(
            turn_id=turn.turn_id,
            revision=revision,
            summary=summary,
            messages=messages,
            tool_calls=None,
            replayed=True,
        )

    async def drive(self, owned: Owned) -> Driven:
        """Drives to the end of the turn. Call it in a task of the engine; see `start`."""
        turn_id = owned.turn.turn_id
        cancel, stream = CancelToken(), None
        driven: Driven | None = None
        try:
            async with self._driving:
                command = leading_command(owned)
                if command is not None:
                    return await apply_command(self.engine, self.store, self.memory, self.plugins, owned, command)
                listeners = list(self._listeners.get(turn_id, ()))
                links = [_link(listener.cancel, cancel) for listener in listeners]
                sinks = [sink for listener in listeners for sink in listener.sinks]
                if self.engine.relay is not None:
                    sinks.append(self.engine.relay.sink(self.memory.session_id, turn_id))
                tracer = self.engine.options.tracer
                if tracer is not None and tracer.is_extended:
                    sinks.append(activity_trace(tracer, self.memory.session_id, turn_id))
                stream = ActivityStream(turn_id, sinks, self._feed)
                self._running = (turn_id, cancel)
                self._feed.turn_started(turn_id)
                try:
                    DRIVING.set(self.memory.session_id)
                    inputs = self.turn_inputs(turn_id) if listeners else {}
                    drive = TurnDrive(
                        self.engine, self.store, self.memory, self.plugins, self.tools, owned, cancel, stream, inputs
                    )
                    drive.process_run = next((one.process_run for one in listeners if one.process_run), None)
                    driven = await drive.run()
                    return driven
                finally:
                    self._running = None
                    for unlink in links:
                        unlink()
                    self._feed.turn_ended(turn_id, driven.outcome if isinstance(driven, TurnResult) else None)
                    self.wake()
        finally:
            if stream is not None:
                # Not under the lock: who reads the end of this turn slowly holds up no other.
                await stream.settled()


def activity_trace(tracer: Tracer, session_id: str, turn_id: str) -> Sink:
    """A sink that traces what is told of a turn; what a replay tells again is marked by its own records."""
    context = TraceContext(session_id=session_id, turn_id=turn_id)

    def hear(told: TurnActivity) -> None:
        tracer.emit(
            "runtime_stream_event", context, {"event": to_json(told.event), "correlation_id": told.correlation_id}
        )

    return hear


def _link(wish: CancelToken, drive: CancelToken) -> Callable[[], None]:
    """A wish of a listener cancels the drive, with the same reason. Returns the end of it."""
    return wish.on_cancel(lambda: drive.cancel(wish.reason or "requested"))
