"""A session in two cores: what one commits the other takes over, and never reads what it knows already."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

import lash
from face.places import Place, texts
from lash.base.messages import user_message
from lash.runtime.export import read_export
from lash.runtime.memory import SessionMemory
from lash.testing import ScriptedModel, StoreFaults, says


def compacting() -> lash.Plugin:
    return lash.Plugin("compacting").compact(lambda _: [user_message("", "what was said")])


def model() -> ScriptedModel:
    return ScriptedModel([says("yes")] * 200, order="calls")


def known(memory: SessionMemory) -> tuple[object, ...]:
    """All that the next turn and an observer are made from."""
    return (
        memory.head_revision,
        memory.leaf_node_id,
        memory.frame_id,
        [frame.frame_id for frame in memory.frames],
        memory.nodes,
        texts(memory.messages),
        texts(memory.history.messages),
        memory.records,
        memory.turn_index,
        memory.ledger,
        memory.checkpoint.components.keys(),
        memory.execution_state,
        memory.plugin_snapshot,
    )


async def change(session: lash.Session, what: str, number: int) -> None:
    match what:
        case "turn":
            await session.run(f"go {number}")
        case "back":
            if said := [message for message in session.messages if message.role == "assistant"]:
                await session.branch(said[number % len(said)].id)
        case "away and back":
            if said := [message for message in session.messages if message.role == "assistant"]:
                here = session.messages[-1].id
                await session.branch(said[0].id)
                await session.run(f"aside {number}")
                await session.branch(here)
        case "compact":
            await session.compact()
        case "fresh":
            await session.open_fresh()
        case "given":
            whole = await session.export("json")
            await session.open_with_state(read_export(whole.replace("go", f"went{number}")))


CHANGES = ["turn", "turn", "turn", "back", "away and back", "compact", "fresh", "given"]


@pytest.mark.parametrize("seed", range(12))
async def test_a_core_that_keeps_up_knows_what_a_fresh_one_reads(durable: Place, seed: int) -> None:
    dice = random.Random(seed)
    first, second = [await durable.core(model(), plugins=[compacting()]) for _ in range(2)]
    async with first.session("s") as one, second.session("s") as other:
        for number in range(10):
            await change(dice.choice([one, other]), dice.choice(CHANGES), number)
            if dice.random() < 0.6:
                await one.refresh()
            if dice.random() < 0.6:
                await other.refresh()
        await one.refresh()
        await other.refresh()
        fresh = await durable.core(model(), plugins=[compacting()])
        async with fresh.session("s") as read:
            expected = known(read._actor.memory)

            assert known(one._actor.memory) == expected
            assert known(other._actor.memory) == expected


async def test_a_turn_elsewhere_is_taken_over_without_reading_the_session_again(tmp_path: Path) -> None:
    faults = StoreFaults()
    here = await faults.open(str(tmp_path / "a.db"))
    async with (
        lash.StandardCore(model=model(), store=str(tmp_path / "a.db")) as elsewhere,
        lash.StandardCore(model=model(), store=here) as core,
        elsewhere.session("s") as other,
    ):
        await other.run("first")
        async with core.session("s") as session:
            faults.programs.clear()
            await other.run("second")
            await session.refresh()
            await session.run("third")

            assert texts(session.messages)[::2] == ["user: first", "user: second", "user: third"]
        assert "load_since" in faults.programs
        assert "load_session" not in faults.programs
    await here.close()
