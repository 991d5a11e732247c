"""What observers add up to is what stands, whatever they miss (runtime.md §10.2)."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lash.base.ids import SystemIds
from lash.base.messages import Message, Part
from lash.runtime.activity import (
    AssistantProseDelta,
    ModelAttemptReset,
    ReasoningDelta,
    ToolCallCompleted,
    ToolCallStarted,
    TurnActivity,
    TurnEvent,
)
from lash.runtime.memory import SessionMemory
from lash.runtime.observation.cursor import Cursor, MalformedCursor, decode_cursor, encode_cursor
from lash.runtime.observation.events import Gap, Observed, QueuedView
from lash.runtime.observation.feed import RETENTION_MS, SessionFeed
from lash.runtime.observation.mirror import SessionMirror
from lash.runtime.observation.observer import SessionObserver
from lash.runtime.observation.replay import RecentEvents
from lash.sessions.checkpoint import Checkpoint
from lash.sessions.commit import CommitResult, RuntimeCommit, TurnStamp
from lash.sessions.frames import SessionPolicy
from lash.sessions.graph import Conversation, GraphAppend, GraphReplace, SessionGraph, SessionNode
from lash.testing.clock import VirtualClock
from lash.tools.result import ToolCallOutput


@dataclass
class Reader:
    """An observer that comes and goes, and keeps what it knows in between."""

    mirror: SessionMirror = field(default_factory=SessionMirror)
    observer: SessionObserver | None = None
    gaps: list[str] = field(default_factory=list)


class World:
    """A session whose core may be restarted, driven by hand."""

    session_id = "s"

    def __init__(self, max_events: int) -> None:
        self.clock = VirtualClock()
        self.max_events = max_events
        self.memory = SessionMemory("s", SessionPolicy(), 0)
        self.feed = self._feed(self.memory)
        self.turn: str | None = None
        self.elsewhere: str | None = None
        self.queued: list[QueuedView] = []
        self.count = 0

    def _feed(self, memory: SessionMemory) -> SessionFeed:
        return SessionFeed(memory, self.clock, SystemIds(), RecentEvents(self.max_events))

    async def observed(self) -> SessionFeed:
        self.feed.open()
        self.feed.queue_seen(list(self.queued), set())
        self.feed.elsewhere(self.elsewhere)
        return self.feed

    def tell(self, correlation_id: str, event: TurnEvent) -> None:
        self.count += 1
        if self.turn is not None and self.feed.is_wanted:
            self.feed.hear(TurnActivity(str(self.count), correlation_id, event))

    def commit(self, *, replace: bool = False) -> None:
        self.count += 1
        memory = self.memory
        node_id = f"n{self.count}"
        parent = None if replace else memory.leaf_node_id
        message = Message(node_id, "user", [Part("p0", "text", f"said {self.count}")])
        node = SessionNode(node_id, Conversation(message), parent)
        graph = GraphReplace(SessionGraph([node], node_id)) if replace else GraphAppend([node], node_id)
        stamp = None if self.turn is None or replace else TurnStamp("s", self.turn, "")
        commit = RuntimeCommit("s", memory.policy, memory.frames, memory.frame_id, graph, Checkpoint(), None, [], stamp)
        memory.apply(commit, CommitResult(memory.head_revision + 1, ""))

    async def do(self, step: str) -> None:
        """One step of the session."""
        self.count += 1
        match step:
            case "start" if self.turn is None and self.elsewhere is None:
                self.turn = f"t{self.count}"
                self.feed.turn_started(self.turn)
            case "prose":
                self.tell(f"llm:{self.count % 3}", AssistantProseDelta(f"<{self.count}>"))
            case "think":
                self.tell(f"llm:{self.count % 3}", ReasoningDelta(f"({self.count})"))
            case "reset":
                self.tell("turn", ModelAttemptReset([f"llm:{self.count % 3}"]))
            case "call":
                self.tell("tool:a", ToolCallStarted("a", "look", {}))
            case "called":
                self.tell("tool:a", ToolCallCompleted("a", "look", {}, ToolCallOutput.ok("x"), 1))
            case "commit":
                self.commit()
            case "replace":
                self.commit(replace=True)
            case "end" if self.turn is not None:
                self.feed.turn_ended(self.turn, None)
                self.turn = None
            case "elsewhere" if self.turn is None:
                self.elsewhere = f"far{self.count}"
                self.feed.elsewhere(self.elsewhere)
            case "back" if self.turn is None:
                self.elsewhere = None
                self.feed.elsewhere(None)
            case "queue":
                self.queued = [*self.queued[-2:], QueuedView(f"b{self.count}", None, "h")]
                self.feed.queue_seen(list(self.queued), set())
            case "drain":
                self.queued = self.queued[1:]
                self.feed.queue_seen(list(self.queued), {"b1"})
            case "edit" if self.queued:
                self.queued = [QueuedView(self.queued[0].batch_id, None, f"h{self.count}"), *self.queued[1:]]
                self.feed.queue_seen(list(self.queued), set())
            case "pause":
                await self.clock.advance(RETENTION_MS // 2 + 1)
                self.feed.rest()
            case "restart" if self.turn is None:
                fresh = SessionMemory("s", SessionPolicy(), 0)
                fresh.head_revision, fresh.leaf_node_id = self.memory.head_revision, self.memory.leaf_node_id
                fresh._messages = self.memory.messages
                self.memory = fresh
                self.feed.end(RuntimeError("gone"))
                self.feed = self._feed(fresh)
            case _:
                pass

    async def read(self, reader: Reader, limit: int) -> None:
        """Lets a reader read what is there, at most `limit` items."""
        for _ in range(limit):
            if reader.observer is None:
                reader.observer = SessionObserver(self, reader.mirror.cursor)
            waiting = asyncio.ensure_future(anext(reader.observer))
            await asyncio.sleep(0)
            if not waiting.done():
                waiting.cancel()
                await asyncio.wait([waiting])
                return
            try:
                seen: Observed = waiting.result()
            except RuntimeError:  # its core was restarted: it connects again
                reader.observer = None
                continue
            if isinstance(seen, Gap):
                reader.gaps.append(seen.reason)
            reader.mirror.see(seen)


TURN_STEPS = ["start", "prose", "prose", "prose", "think", "reset", "call", "called", "commit", "end", "replace"]
STEPS = st.sampled_from([*TURN_STEPS, "queue", "drain", "edit", "elsewhere", "back", "pause", "restart"])
ACTIONS = st.one_of(
    STEPS,
    st.tuples(st.just("read"), st.integers(0, 2), st.integers(1, 12)),
    st.tuples(st.just("leave"), st.integers(0, 2), st.just(0)),
)


async def test_an_observer_is_woken_behind_what_a_turn_has_made_ready() -> None:
    world, order = World(max_events=100), []
    observer = SessionObserver(world, None)
    await anext(observer)  # the snapshot

    async def read() -> None:
        async for seen in observer:
            assert not isinstance(seen, Gap)
            order.append(type(seen.payload).__name__)

    reader = asyncio.create_task(read())
    await asyncio.sleep(0)
    await world.do("start")
    await world.do("prose")
    asyncio.get_running_loop().call_soon(order.append, "the store has the commit")
    await asyncio.sleep(0)
    assert order == ["the store has the commit"]
    await asyncio.sleep(0)

    assert order == ["the store has the commit", "TurnStarted", "TurnTold"]
    reader.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await reader


@settings(max_examples=300, deadline=None)
@given(st.lists(ACTIONS, max_size=60), st.sampled_from([1, 2, 5, 64]))
def test_whatever_is_missed_the_sum_is_what_stands(actions: list[str | tuple[str, int, int]], max_events: int) -> None:
    async def run() -> None:
        world = World(max_events)
        readers = [Reader(), Reader(), Reader()]
        for action in actions:
            if isinstance(action, str):
                await world.do(action)
                continue
            kind, number, limit = action
            if kind == "read":
                await world.read(readers[number], limit)
            else:
                readers[number].observer = None
        for reader in readers:
            await world.read(reader, 1_000)
            assert reader.mirror.snapshot() == world.feed.snapshot()

    asyncio.run(run())


@given(st.lists(STEPS, max_size=40))
def test_an_observer_that_stays_near_gets_no_gap_while_the_turns_run_here(steps: list[str]) -> None:
    async def run() -> None:
        world, reader = World(64), Reader()
        await world.read(reader, 10)
        for step in steps:
            if step not in ("elsewhere", "restart"):
                await world.do(step)
                await world.read(reader, 10)
                assert reader.mirror.snapshot() == world.feed.snapshot()
        assert reader.gaps == []

    asyncio.run(run())


@given(st.text(max_size=20), st.text(max_size=20), st.integers(0, 2**40), st.integers(0, 2**40))
def test_a_cursor_survives_its_text(session_id: str, epoch: str, position: int, revision: int) -> None:
    cursor = Cursor(session_id, epoch, position, revision)
    assert decode_cursor(encode_cursor(cursor), session_id) == cursor


@given(st.text(max_size=80) | st.text("lash1_ABCdef-=", max_size=40).map(lambda rest: f"lash1_{rest}"))
def test_any_other_text_is_refused_by_name(text: str) -> None:
    with pytest.raises(MalformedCursor) as refused:
        decode_cursor(text, "s")
    assert len(str(refused.value)) < 300


@given(st.integers(0, 200), st.characters())
def test_a_damaged_cursor_is_refused(place: int, letter: str) -> None:
    cursor = Cursor("s", "epoch", 17, 3)
    sound = encode_cursor(cursor)
    place %= len(sound)
    with contextlib.suppress(MalformedCursor):
        # What is not refused says the same: the spare bits of the last letter, or the letter that was there.
        assert decode_cursor(sound[:place] + letter + sound[place + 1 :], "s") == cursor
