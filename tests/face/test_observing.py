"""Watching a session: from a snapshot or a cursor on, in this process and in others (runtime.md §10.2)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

import lash
from face.places import Gate, Place, eventually, texts
from lash.base.cancel import CancelToken
from lash.base.errors import InvalidArgument
from lash.machine.llm import LlmRequest, LlmResponse, LlmStreamEvent
from lash.machine.outcome import AssistantMessage
from lash.models.provider import StreamSink
from lash.runtime.activity import AssistantProseDelta, ModelAttemptReset, QueuedInputAccepted, ToolCallStarted
from lash.runtime.observation.cursor import CursorOfAnotherSession, MalformedCursor
from lash.runtime.observation.events import (
    Committed,
    FrameSwitched,
    Observed,
    QueueChanged,
    SessionSnapshot,
    TurnEnded,
    TurnStarted,
    TurnTold,
)
from lash.testing import ScriptedModel, calls, fails, says
from lash.testing.script import Step
from lash.tools.result import SwitchAgentFrame, ToolResult


class Watcher:
    """An observer in a task of its own, that adds up what it sees."""

    def __init__(self, session: lash.Session, after: str | None = None) -> None:
        self._observer = session.observe(after=after)
        self.seen: list[Observed] = []
        self.mirror = lash.SessionMirror()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Reads until it is stopped; returns when the first item is there."""
        self._task = asyncio.create_task(self._read())
        await eventually(lambda: bool(self.seen) or self._done(), "a first item")

    async def until(self, revision: int) -> None:
        """Reads on until that revision was seen and no turn runs."""
        await eventually(lambda: self.mirror.revision >= revision and self.mirror.turn is None, f"revision {revision}")

    async def stop(self) -> None:
        """Goes away; raises what the observer raised."""
        assert self._task is not None
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    def _done(self) -> bool:
        return self._task is not None and self._task.done()

    async def _read(self) -> None:
        async for seen in self._observer:
            self.seen.append(seen)
            self.mirror.see(seen)

    @property
    def payloads(self) -> list[object]:
        """What the events said; gaps as they are."""
        return [seen if isinstance(seen, lash.Gap) else seen.payload for seen in self.seen]

    @property
    def gaps(self) -> list[str]:
        """The reasons of all gaps."""
        return [seen.reason for seen in self.seen if isinstance(seen, lash.Gap)]

    @property
    def told(self) -> str:
        """The text deltas, in order."""
        return "".join(
            payload.activity.event.text
            for payload in self.payloads
            if isinstance(payload, TurnTold) and isinstance(payload.activity.event, AssistantProseDelta)
        )


@asynccontextmanager
async def watching(session: lash.Session, after: str | None = None) -> AsyncIterator[Watcher]:
    watcher = Watcher(session, after)
    await watcher.start()
    try:
        yield watcher
    finally:
        await watcher.stop()


async def test_an_observer_sees_a_snapshot_then_the_turn_then_its_commit(place: Place) -> None:
    core = await place.core(ScriptedModel([says("one"), says("hello there")]))
    async with core.session("s") as session:
        await session.run("first")
        async with watching(session) as watcher:
            await session.run("x", turn_id="t")
            await watcher.until(2)
            await eventually(lambda: isinstance(watcher.payloads[-1], TurnEnded), "the end of the turn")

    kinds = [type(payload) for payload in watcher.payloads if not isinstance(payload, QueueChanged)]
    assert kinds[:2] == [SessionSnapshot, TurnStarted]
    assert kinds[-2:] == [Committed, TurnEnded]
    assert set(kinds[2:-2]) == {TurnTold}
    assert watcher.told == "hello there"
    assert texts(watcher.mirror.messages) == ["user: first", "assistant: one", "user: x", "assistant: hello there"]
    last = watcher.payloads[-1]
    assert isinstance(last, TurnEnded)
    assert last.outcome == AssistantMessage("hello there")


async def test_what_observers_add_up_to_is_what_is_committed(place: Place) -> None:
    @lash.tool
    async def look() -> str:
        return "seen"

    core = await place.core(ScriptedModel([calls("look"), says("a"), says("b")]), tools=[look])
    async with core.session("s") as session:
        async with watching(session) as one, watching(session) as other:
            await session.run("x")
            await session.run("y")
            await one.until(2)
            await other.until(2)

        assert one.mirror.messages == session.messages == other.mirror.messages
        assert one.mirror.revision == session.view.revision
        assert any(
            isinstance(payload, TurnTold) and isinstance(payload.activity.event, ToolCallStarted)
            for payload in one.payloads
        )


async def test_an_observer_that_comes_back_misses_nothing(place: Place) -> None:
    core = await place.core(ScriptedModel([says("one"), says("two"), says("three")]))
    async with core.session("s") as session:
        async with watching(session) as first:
            await session.run("a")
            await first.until(1)
        cursor = first.mirror.cursor
        await session.run("b")

        async with watching(session, after=cursor) as again:
            await session.run("c")
            await again.until(3)

    assert again.gaps == []
    assert again.told == "twothree"
    assert not any(isinstance(payload, SessionSnapshot) for payload in again.payloads)
    committed = [payload for payload in again.payloads if isinstance(payload, Committed)]
    assert [texts(payload.messages) for payload in committed] == [
        ["user: b", "assistant: two"],
        ["user: c", "assistant: three"],
    ]


async def test_a_cursor_whose_events_are_gone_gets_a_gap_with_a_snapshot(memory: Place) -> None:
    store = await memory.open_store()
    core = lash.StandardCore(
        model=ScriptedModel([says("one"), says("a long story " * 20)]),
        store=store,
        live_replay_store=lash.RecentEvents(max_events=4),
    )
    async with core, core.session("s") as session:
        async with watching(session) as first:
            await session.run("a")
            await first.until(1)
        await session.run("b")

        async with watching(session, after=first.mirror.cursor) as again:
            await again.until(2)

        assert again.gaps == ["evicted"]
        gap = again.seen[0]
        assert isinstance(gap, lash.Gap)
        assert gap.requested == first.mirror.cursor
        assert gap.snapshot.messages == session.messages == again.mirror.messages


async def test_a_slow_observer_gets_a_gap_and_the_turn_does_not_wait(memory: Place) -> None:
    store = await memory.open_store()
    core = lash.StandardCore(
        model=ScriptedModel([says("a long story " * 50)]),
        store=store,
        live_replay_store=lash.RecentEvents(max_events=8),
    )
    async with core, core.session("s") as session:
        observer = session.observe()
        mirror = lash.SessionMirror()
        mirror.see(await anext(observer))
        result = await session.run("x")  # nobody reads meanwhile

        gap = await anext(observer)
        assert isinstance(gap, lash.Gap)
        assert gap.reason == "lagged"
        mirror.see(gap)
        assert mirror.messages == session.messages
        assert result.ok


async def test_an_observer_of_another_process_sees_commits_and_the_queue(durable: Place) -> None:
    gate = Gate()
    here = await durable.core(ScriptedModel([gate.step(says("one")), says("two")]))
    there = await durable.core(ScriptedModel([]), recover=False)
    async with here.session("s") as session, there.session("s") as observed:
        async with watching(observed) as watcher:
            running = asyncio.create_task(session.run("x", turn_id="t"))
            await gate.arrival()
            await eventually(lambda: watcher.mirror.turn is not None, "a turn elsewhere")
            assert watcher.mirror.turn is not None
            assert (watcher.mirror.turn.turn_id, watcher.mirror.turn.is_here) == ("t", False)
            queued = await session.enqueue("y", id="later")
            await eventually(lambda: bool(watcher.mirror.queued), "queued input")
            assert [view.batch_id for view in watcher.mirror.queued] == [queued.batch_id]
            gate.open()
            await running
            await watcher.until(2)
            await eventually(lambda: not watcher.mirror.queued, "an empty queue")

        await session.refresh()
        assert watcher.mirror.messages == session.messages
        assert "not_live_here" in watcher.gaps
        assert watcher.told == ""


async def test_a_cursor_of_another_process_gets_a_gap(durable: Place) -> None:
    here = await durable.core(ScriptedModel([says("one")]))
    async with here.session("s") as session, watching(session) as watcher:
        await session.run("x")
        await watcher.until(1)
    await durable.end(here)
    there = await durable.core(ScriptedModel([]))

    async with there.session("s") as session, watching(session, after=watcher.mirror.cursor) as again:
        assert again.gaps == ["restarted"]
        assert again.mirror.snapshot().messages == watcher.mirror.snapshot().messages


async def test_text_of_an_attempt_that_is_retried_is_retracted(memory: Place) -> None:
    core = await memory.core(ScriptedModel([fails("transport", after_text="half an ans"), says("the whole answer")]))
    async with core.session("s") as session, watching(session) as watcher:
        shown: list[str] = []
        await session.run("x")
        await watcher.until(1)
        mirror = lash.SessionMirror()
        for seen in watcher.seen:
            mirror.see(seen)
            shown.append(mirror.text)

    resets = [
        payload
        for payload in watcher.payloads
        if isinstance(payload, TurnTold) and isinstance(payload.activity.event, ModelAttemptReset)
    ]
    assert len(resets) == 1
    assert "half an ans" in shown
    assert "the whole answer" in shown
    assert not any("half" in text and "whole" in text for text in shown)


class HeldInTheMiddle(ScriptedModel):
    """Waits after its second piece of text."""

    def __init__(self, steps: list[Any]) -> None:
        super().__init__(steps)
        self.gate = Gate()

    async def complete(
        self, request: LlmRequest, stream: StreamSink | None = None, cancel: CancelToken | None = None
    ) -> LlmResponse:
        pieces: list[LlmStreamEvent] = []
        response = await super().complete(request, pieces.append, cancel)
        assert len(pieces) > 2
        for number, piece in enumerate(pieces):
            if number == 2:
                await self.gate.wait()
            if stream is not None:
                stream(piece)
        return response


async def test_who_begins_to_watch_in_the_middle_of_an_answer_gets_all_of_it(memory: Place) -> None:
    """The answer is streamed to a caller from its start; the observer comes after two pieces of it."""
    answer = "a story that is told in several pieces"
    model = HeldInTheMiddle([says(answer)])
    core = await memory.core(model)
    async with core.session("s") as session:
        running = asyncio.create_task(session.turn("x").collect())
        await model.gate.arrival()
        async with watching(session) as watcher:
            assert watcher.mirror.turn is not None
            model.gate.open()
            output = await running
            await watcher.until(1)

    mirror = lash.SessionMirror()
    shown: list[str] = []
    for seen in watcher.seen:
        mirror.see(seen)
        shown.append(mirror.text)
    assert answer in shown
    told_to_caller = [item.event.text for item in output.activities if isinstance(item.event, AssistantProseDelta)]
    assert "".join(told_to_caller) == answer


async def test_a_second_observer_finds_the_text_of_the_running_turn_in_its_snapshot(memory: Place) -> None:
    gate = Gate()

    @lash.tool
    async def wait() -> str:
        await gate.wait()
        return "done"

    core = await memory.core(ScriptedModel([[says("first"), calls("wait")], says("second")]), tools=[wait])
    async with core.session("s") as session, watching(session) as first:
        running = asyncio.create_task(session.run("x", turn_id="t"))
        await gate.arrival()
        async with watching(session) as late:
            assert late.mirror.text == "first"
            assert late.mirror.turn is not None
            assert [tool.name for tool in late.mirror.turn.view().tools] == ["wait"]
            gate.open()
            await running
            await late.until(1)
            await first.until(1)

        assert late.mirror.snapshot() == first.mirror.snapshot()


async def test_a_turn_that_is_driven_again_takes_back_what_it_had_said(file: Place) -> None:
    gate = Gate()

    @lash.tool
    async def wait() -> str:
        await gate.wait()
        return "done"

    script: list[Step] = [[says("first"), calls("wait")], says("second")]
    first = await file.core(ScriptedModel(script), tools=[wait])
    async with first.session("s") as session:
        running = asyncio.create_task(session.run("x", turn_id="t"))
        await gate.arrival()
        await asyncio.sleep(0)
        await file.crash(first)
        with pytest.raises(lash.LashError):
            await running
    gate.open()
    second = await file.core(ScriptedModel(script), tools=[wait], recover=False)
    async with second.session("s") as session, watching(session) as watcher:
        await session.run("x", turn_id="t")
        await watcher.until(1)

    assert watcher.told == "firstsecond"


async def test_a_frame_switch_is_told_before_its_commit(memory: Place) -> None:
    @lash.tool
    async def onward() -> ToolResult:
        return ToolResult.ok("switching").with_control(SwitchAgentFrame("plan", [], "go on"))

    core = await memory.core(ScriptedModel([calls("onward"), says("there")]), tools=[onward])
    async with core.session("s") as session, watching(session) as watcher:
        await session.run("x")
        await watcher.until(2)
        kinds = [type(payload) for payload in watcher.payloads]

        assert kinds.index(FrameSwitched) < kinds.index(Committed)
        assert watcher.mirror.frame_id == session.view.current_frame_id


async def test_input_taken_into_a_running_turn_is_told(memory: Place) -> None:
    gate = Gate()

    @lash.tool
    async def wait() -> str:
        await gate.wait()
        return "done"

    core = await memory.core(ScriptedModel([calls("wait"), says("ok")]), tools=[wait])
    async with core.session("s") as session, watching(session) as watcher:
        running = asyncio.create_task(session.run("x"))
        await gate.arrival()
        await session.enqueue("hurry", delivery_policy="earliest_safe_boundary")
        gate.open()
        await running
        await watcher.until(1)

        accepted = [
            payload.activity.event
            for payload in watcher.payloads
            if isinstance(payload, TurnTold) and isinstance(payload.activity.event, QueuedInputAccepted)
        ]
        assert [texts(event.messages) for event in accepted] == [["user: hurry"]]
        assert "user: hurry" in texts(session.messages)


@pytest.mark.parametrize("cursor", ["", "lash1_", "lash1_AAAA", "lash0_x", "x" * 10_000, "lash1_é"])
async def test_a_text_that_is_no_cursor_is_refused_at_once(memory: Place, cursor: str) -> None:
    core = await memory.core(ScriptedModel([]))
    async with core.session("s") as session:
        with pytest.raises(MalformedCursor) as refused:
            session.observe(after=cursor)
        assert isinstance(refused.value, InvalidArgument)


async def test_a_cursor_of_another_session_is_refused_at_once(memory: Place) -> None:
    core = await memory.core(ScriptedModel([]))
    async with core.session("a") as one, core.session("b") as other:
        seen = await anext(one.observe())
        with pytest.raises(CursorOfAnotherSession):
            other.observe(after=seen.cursor)


async def test_an_observer_hears_of_the_end_of_its_session_and_its_core(place: Place) -> None:
    core = await place.core(ScriptedModel([]))
    async with core.session("a") as one, core.session("b") as other:
        deleted, closed = one.observe(), other.observe()
        await anext(deleted)
        await anext(closed)
        waiting = [asyncio.ensure_future(anext(deleted)), asyncio.ensure_future(anext(closed))]
        await core.delete_session("a")
        with pytest.raises(lash.SessionDeleted):
            await waiting[0]
        await core.close()
        with pytest.raises(lash.LashError, match="closed"):
            await waiting[1]


async def test_observing_costs_no_transaction(place: Place) -> None:
    core = await place.core(ScriptedModel([says("zero"), says("one"), says("two")]))
    async with core.session("s") as session:
        await session.run("0")
        before = core.store.transactions
        await session.run("a")
        unobserved = core.store.transactions - before
        async with watching(session) as watcher:
            before = core.store.transactions
            await session.run("b")
            await watcher.until(3)
            assert core.store.transactions - before == unobserved


async def test_the_message_tree_shows_the_active_path(memory: Place) -> None:
    core = await memory.core(ScriptedModel([says("one"), says("two")]))
    async with core.session("s") as session:
        await session.run("a")
        before = session.view
        await session.run("b")
        tree = session.view.message_tree()

        assert len(before.messages) == 2
        told: list[str] = []
        while tree:
            [node] = tree
            assert node.is_active
            told.append(node.message.text)
            tree = node.children
        assert told == ["a", "one", "b", "two"]
