"""A session as one core runs it: accepts turns, drives them in order, hands out results.

Acceptance is durable before anything else happens; after that the stores arbitrate.
Several actors for one session, in one process or many, are always safe: whoever
holds the session lease drives, everybody else waits for what it settles.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field

from lash.base.cancel import CancelToken
from lash.base.clock import Clock
from lash.base.codec import to_json
from lash.base.errors import LashError
from lash.base.messages import Message
from lash.effects.errors import EffectInDoubt
from lash.machine.outcome import FrameSwitch, Stopped
from lash.models.provider import Provider
from lash.plugins.hooks import PluginSessionContext, SessionRestored
from lash.plugins.host import PluginSession
from lash.runtime.activity import ActivityStream, Sink
from lash.runtime.drive import Driven, Lost, Parked, TurnDrive
from lash.runtime.engine import Engine
from lash.runtime.facets import guard_facets
from lash.runtime.input import QueuedInput, TurnInput, TurnOptions, prepare_input
from lash.runtime.memory import SessionMemory
from lash.runtime.result import TurnResult
from lash.runtime.settle import follow_up_turn_id, message_ids, stored_summary, turn_result
from lash.sessions.accept import (
    Acceptance,
    AcceptTurn,
    Idle,
    Owned,
    Settled,
    Waiting,
    turn_source_key,
)
from lash.sessions.commit import StoredTurn
from lash.sessions.frames import SessionPolicy
from lash.sessions.graph import ActivePath, FullGraph
from lash.sessions.queue import DeliveryPolicy, EnqueueOutcome, QueuedWorkDraft, SlotPolicy, TurnInputPayload
from lash.sessions.store import SessionCreate, SessionStore

# How often a waiter looks whether a silent owner is still alive.
PROBE_MS = 250


class TurnInputWithdrawn(LashError):
    """The turn's queued input was cancelled before it ran."""

    code = "turn_input_withdrawn"


@dataclass(slots=True)
class TurnRequest:
    """A turn as the caller wants it. `provider` and sinks are live and not stored."""

    turn_input: TurnInput
    turn_id: str | None = None
    options: TurnOptions = field(default_factory=TurnOptions)
    provider: Provider | None = None
    sinks: list[Sink] = field(default_factory=list)
    cancel: CancelToken = field(default_factory=CancelToken)
    retry: bool = False


class SessionActor:
    """One session in one core."""

    def __init__(self, engine: Engine, session_id: str, policy: SessionPolicy) -> None:
        self.session_id = session_id
        self._engine = engine
        self._policy = policy
        self._memory = SessionMemory(session_id, policy, engine.clock.now_ms())
        self._store: SessionStore | None = None
        self._plugins: PluginSession | None = None
        self._opening = asyncio.Lock()
        # Guards the memory: a drive reads it at its start and changes it at its commit.
        self._driving = asyncio.Lock()
        self._live: dict[str, TurnRequest] = {}
        self._running: CancelToken | None = None
        self._drains: asyncio.Task[None] | None = None
        self._was_poked = False
        self._turned = asyncio.Event()

    @property
    def clock(self) -> Clock:
        """The time that timeouts follow."""
        return self._engine.clock

    @property
    def memory(self) -> SessionMemory:
        """What is committed, as far as this core knows."""
        return self._memory

    @property
    def store(self) -> SessionStore:
        """The session's store handle."""
        assert self._store is not None, "the session is not open"
        return self._store

    async def open(self) -> None:
        """Creates or loads the session. Raises `SessionDeleted`."""
        async with self._opening:
            if self._store is not None:
                return
            engine = self._engine
            store = await engine.store.sessions.create_store(SessionCreate(self.session_id, policy=self._policy))
            scope = ActivePath() if engine.options.residency == "active_path_only" else FullGraph()
            stored = await store.load_session(scope if isinstance(scope, ActivePath) else ActivePath())
            if stored is not None:
                self._memory.load(stored)
            self._plugins = engine.plugins.build(PluginSessionContext(self.session_id))
            self._store = store
        if stored is not None:
            await self._plugins.tell(SessionRestored(self.session_id, stored.head_revision))

    async def run(self, request: TurnRequest) -> TurnResult:
        """Accepts the turn and returns it settled, whoever drives it."""
        guard_facets(self._engine)
        await self.open()
        queued = await prepare_input(request.turn_input, request.options, self._engine.attachments)
        turn_id = request.turn_id or self._engine.ids.new_id()
        acceptance = await self._accept(turn_id, queued)
        if request.retry:
            turn_id, acceptance = await self._accept_again(turn_id, queued, acceptance)
        self._live[turn_id] = request
        try:
            return await self._until_settled(turn_id, acceptance, request)
        finally:
            for live_id in [live_id for live_id, live in self._live.items() if live is request]:
                del self._live[live_id]

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
        await self.open()
        queued = await prepare_input(turn_input, options, self._engine.attachments)
        draft = QueuedWorkDraft(
            self.session_id,
            [_payload(queued)],
            source_key=source_key,
            delivery_policy=delivery_policy,
            slot_policy=slot_policy,
        )
        outcome = await self.store.enqueue_queued_work_with_outcome(draft)
        if outcome.status == "inserted":
            self.poke()
        return outcome

    def poke(self) -> None:
        """Work may have arrived: a running turn looks for it, an idle session starts one."""
        self._engine.keeper.new_work(self.session_id)
        self._was_poked = True
        if self._drains is None or self._drains.done():
            self._drains = self._engine.spawn(self._drain(), f"drain {self.session_id}")

    async def cancel(self, turn_id: str | None = None) -> bool:
        """Cancels the running turn, here or wherever it runs; False when none runs."""
        if self._running is not None:
            self._running.cancel("requested")
            return True
        await self.open()
        return await self.store.request_turn_cancel(self.session_id, turn_id)

    async def refresh(self) -> None:
        """Takes over what other processes have committed."""
        await self.open()
        async with self._driving:
            stored = await self.store.load_session(ActivePath())
            if stored is not None and stored.head_revision != self._memory.head_revision:
                self._memory.load(stored)

    # acceptance

    async def _accept(self, turn_id: str, queued: QueuedInput) -> Acceptance:
        draft = QueuedWorkDraft(self.session_id, [_payload(queued)], source_key=turn_source_key(turn_id))
        return await self.store.accept_turn(AcceptTurn(turn_id, draft, self._engine.claimant()))

    async def _accept_again(self, turn_id: str, queued: QueuedInput, acceptance: Acceptance) -> tuple[str, Acceptance]:
        """`retry=True`: a stopped turn is driven again as `{turn_id}#2`, `#3`, … (decisions 7)."""
        number = 1
        attempt_id = turn_id
        while isinstance(acceptance, Settled):
            if not isinstance(stored_summary(acceptance.turn).outcome, Stopped):
                break
            number += 1
            attempt_id = f"{turn_id}#{number}"
            acceptance = await self._accept(attempt_id, queued)
        return attempt_id, acceptance

    async def _until_settled(
        self, turn_id: str, acceptance: Acceptance | Idle, request: TurnRequest | None
    ) -> TurnResult:
        while True:
            match acceptance:
                case Settled(turn=turn):
                    result = await self._stored_result(turn)
                    if result.revision > self._memory.head_revision and not self._driving.locked():
                        # Somebody else drove it: what it committed is part of what the caller sees now.
                        await self.refresh()
                    if not isinstance(result.outcome, FrameSwitch):
                        return result
                    turn_id, acceptance = await self._follow(turn_id, request)
                case Owned():
                    is_mine = acceptance.turn.turn_id == turn_id
                    driven = await self._drive(acceptance, is_mine=is_mine)
                    match driven:
                        case TurnResult() if is_mine and not isinstance(driven.outcome, FrameSwitch):
                            return driven
                        case TurnResult() if is_mine:
                            turn_id, acceptance = await self._follow(turn_id, request)
                            continue
                        case Parked(doubt=doubt):
                            raise EffectInDoubt(doubt.replay_key)
                        case Lost(reason="shutdown"):
                            raise asyncio.CancelledError("the core was closed")
                        case _:
                            pass
                    acceptance = await self._look(turn_id)
                case Waiting():
                    acceptance = await self._wait(turn_id, acceptance)
                case Idle():
                    raise TurnInputWithdrawn(
                        f"turn {turn_id!r} of session {self.session_id!r} was withdrawn from the queue before it ran"
                    )

    async def _follow(self, turn_id: str, request: TurnRequest | None) -> tuple[str, Acceptance | Idle]:
        following = follow_up_turn_id(turn_id)
        if request is not None:
            self._live[following] = request
        return following, await self._look(following)

    async def _look(self, turn_id: str, proven_dead_token: str | None = None) -> Acceptance | Idle:
        settled = await self.store.load_turn(self.session_id, turn_id)
        if settled is not None:
            return Settled(settled)
        claimant = self._engine.claimant(proven_dead_token=proven_dead_token)
        answer = await self.store.next_turn(self.session_id, claimant)
        if isinstance(answer, Idle):
            # It may have been settled between the two questions.
            settled = await self.store.load_turn(self.session_id, turn_id)
            return answer if settled is None else Settled(settled)
        return answer

    async def _wait(self, turn_id: str, waiting: Waiting) -> Acceptance | Idle:
        return await self._look(turn_id, await self._until_change(waiting))

    async def _until_change(self, waiting: Waiting) -> str | None:
        """Waits until the session may be free; the token of an owner that is provably dead."""
        engine = self._engine
        generation = engine.store.changes.generation()
        turned = self._turned
        if waiting.owner != engine.executor_id and await engine.store.liveness.is_dead(waiting.owner):
            return waiting.lease_token
        pause = PROBE_MS
        if waiting.expires_at_ms and not waiting.is_expired:
            pause = max(1, min(pause, waiting.expires_at_ms - engine.clock.now_ms()))
        waiters: list[asyncio.Future[object]] = [
            asyncio.ensure_future(engine.store.changes.changed(generation)),
            asyncio.ensure_future(turned.wait()),
            asyncio.ensure_future(engine.clock.sleep(pause)),
        ]
        try:
            await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for waiter in waiters:
                waiter.cancel()
            for waiter in waiters:
                with contextlib.suppress(asyncio.CancelledError):
                    await waiter
        return None

    # driving

    async def _drive(self, owned: Owned, *, is_mine: bool) -> Driven:
        """Drives in a task of the engine, so that a caller who leaves cannot tear a commit."""
        live = self._live.get(owned.turn.turn_id)
        cancel = live.cancel if live is not None else CancelToken()
        drive = self._engine.spawn(self._drive_owned(owned, cancel, live), f"turn {owned.turn.turn_id}")
        try:
            return await asyncio.shield(drive)
        except asyncio.CancelledError:
            if is_mine and not self._engine.is_closing and not drive.done():
                cancel.cancel("requested")
                with contextlib.suppress(Exception):
                    await drive
            raise

    async def _drive_owned(self, owned: Owned, cancel: CancelToken, live: TurnRequest | None) -> Driven:
        assert self._plugins is not None
        stream = ActivityStream(owned.turn.turn_id, live.sinks if live is not None else [])
        try:
            async with self._driving:
                self._running = cancel
                try:
                    drive = TurnDrive(self._engine, self.store, self._memory, self._plugins, owned, cancel, stream)
                    return await drive.run()
                finally:
                    self._running = None
                    turned, self._turned = self._turned, asyncio.Event()
                    turned.set()
        finally:
            # Not under the lock: who reads the end of this turn slowly holds up no other.
            await stream.settled()

    async def _drain(self) -> None:
        """Runs what is queued until nothing is ready."""
        await self.open()
        proven_dead_token: str | None = None
        while not self._engine.is_closing:
            self._was_poked = False
            claimant = self._engine.claimant(proven_dead_token=proven_dead_token)
            answer = await self.store.next_turn(self.session_id, claimant)
            match answer:
                case Idle():
                    # Work may have been queued after the store had answered.
                    if not self._was_poked:
                        return
                case Waiting():
                    proven_dead_token = await self._until_change(answer)
                case Owned():
                    proven_dead_token = None
                    if isinstance(await self._drive(answer, is_mine=False), Parked):
                        return

    async def _stored_result(self, turn: StoredTurn) -> TurnResult:
        summary = stored_summary(turn)
        messages: list[Message] = []
        for node_id in message_ids(summary):
            node = await self.store.load_node(node_id)
            message = getattr(node.payload, "message", None) if node is not None else None
            if isinstance(message, Message):
                messages.append(message)
        return turn_result(
            turn_id=turn.turn_id,
            revision=turn.result.head_revision if turn.result is not None else self._memory.head_revision,
            summary=summary,
            messages=messages,
            tool_calls=None,
            replayed=True,
        )


def _payload(queued: QueuedInput) -> TurnInputPayload:
    body = to_json(queued)
    assert isinstance(body, dict)
    return TurnInputPayload(body)
