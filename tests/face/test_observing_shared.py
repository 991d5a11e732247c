"""Live replay that processes share: text reaches observers wherever the turn runs (decisions 30)."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lash
from face.places import Gate, Place, eventually
from face.test_observing import HeldInTheMiddle, watching
from lash.runtime.activity import AssistantProseDelta, TurnActivity
from lash.runtime.observation.relay import RelayedTurn, Told
from lash.testing import ScriptedModel, calls, says


async def test_text_is_seen_in_another_process_while_the_turn_runs(durable: Place) -> None:
    if durable.name == "sqlite":
        core = lash.StandardCore(
            model=ScriptedModel([]), store=await durable.open_store(), live_replay_store=lash.SharedReplay()
        )
        with pytest.raises(lash.ConfigurationError, match="postgresql"):
            await core.open()
        return
    model = HeldInTheMiddle([says("a story that is told in several pieces")])
    here = lash.StandardCore(model=model, store=await durable.open_store(), live_replay_store=lash.SharedReplay())
    there = lash.StandardCore(
        model=ScriptedModel([]), store=await durable.open_store(), live_replay_store=lash.SharedReplay(), recover=False
    )
    async with here, there, here.session("s") as session, there.session("s") as observed:
        async with watching(observed) as early:
            running = asyncio.create_task(session.run("x", turn_id="t"))
            await model.gate.arrival()
            await eventually(lambda: early.mirror.text.startswith("a story"), "the first words, elsewhere")
            async with watching(observed) as late:
                assert late.mirror.text == early.mirror.text
                model.gate.open()
                await running
                await early.until(1)
                await late.until(1)

        await session.refresh()
        assert early.gaps == []
        assert early.mirror.messages == late.mirror.messages == session.messages


async def test_a_turn_that_another_process_takes_over_is_told_anew(durable: Place) -> None:
    if durable.name == "sqlite":
        return
    gate = Gate()

    @lash.tool
    async def wait() -> str:
        await gate.wait()
        return "done"

    script = [[says("first"), calls("wait")], says("second")]

    async def core(steps: list[object], *, recover: bool) -> lash.StandardCore:
        made = lash.StandardCore(
            model=ScriptedModel(steps),  # type: ignore[arg-type]
            store=await durable.open_store(),
            tools=[wait],
            live_replay_store=lash.SharedReplay(),
            recover=recover,
        )
        durable.cores.append(made)
        return await made.open()

    first = await core(list(script), recover=True)
    watching_core = await core([], recover=False)
    async with first.session("s") as session, watching_core.session("s") as observed, watching(observed) as watcher:
        running = asyncio.create_task(session.run("x", turn_id="t"))
        await gate.arrival()
        await eventually(lambda: watcher.mirror.text == "first", "the first words")
        await durable.crash(first)
        with pytest.raises(lash.LashError):
            await running
        gate.open()
        second = await core(list(script), recover=True)
        async with second.session("s") as again:
            await again.run("x", turn_id="t")
            await watcher.until(1)
            assert watcher.mirror.messages == again.messages


@given(st.lists(st.integers(1, 4), max_size=8), st.data())
def test_a_reader_never_takes_a_hole_for_the_text(sizes: list[int], data: st.DataObject) -> None:
    batches: list[Told] = []
    number = 0
    for size in sizes:
        said = [TurnActivity(str(n), "llm:1", AssistantProseDelta(f"{n} ")) for n in range(number, number + size)]
        batches.append(Told(len(batches) + 1, "drive", number, said))
        number += size
    repeats = data.draw(st.lists(st.integers(0, max(0, len(batches) - 1)), max_size=3)) if batches else []
    lost = data.draw(st.sets(st.integers(0, max(0, len(batches) - 1)), max_size=2)) if batches else set()
    delivered = [batch for index, batch in enumerate(batches) for _ in range(1 + repeats.count(index))]

    turn = RelayedTurn("t", "epoch")
    heard: list[str] = []
    for batch in delivered:
        if batch.seq - 1 not in lost:
            heard += [activity.id for activity in turn.hear(batch)[1]]

    assert heard == [str(n) for n in range(len(heard))]
    if not lost:
        assert len(heard) == number
    if any(index < len(batches) - 1 and len(batches) - 1 not in lost for index in lost):
        assert turn.is_broken
