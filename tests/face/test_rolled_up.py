"""What children spend is in the ledger of their parents, once (R-136)."""

from __future__ import annotations

import pytest

import lash
from face.places import Place
from lash.base.json import Json
from lash.base.usage import TokenUsage
from lash.machine.llm import LlmRequest
from lash.plugins import BeforeTurn, CreateSession
from lash.testing import Lab, Life, ScriptedModel, says
from lash.testing.script import Answer

CHAIN = {"s": "child", "child": "grandchild"}


async def delegate(context: BeforeTurn) -> None:
    """Every session has its own child think first."""
    child = CHAIN.get(context.session_id)
    if child is not None:
        lifecycle = context.services.lifecycle
        await lifecycle.create_session(CreateSession(child, usage_source=f"by {child}"))
        await lifecycle.run_turn(child, "think")


def answering(_request: LlmRequest) -> Answer:
    return says("ok")


def options() -> dict[str, object]:
    return {
        "model": ScriptedModel(answering, usage=TokenUsage(10, 1)),
        "plugins": [lash.Plugin("delegating").before_turn(delegate)],
    }


def spent(session: lash.Session) -> dict[str, Json]:
    return {row.source: row.usage.input_tokens for row in session.usage.by_source_model}


async def test_a_parent_shows_what_it_and_its_children_spent(place: Place) -> None:
    core = await place.core(**options())  # type: ignore[arg-type]
    async with core.session("s") as session:
        await session.run("go")

        assert spent(session) == {"by grandchild": 10, "by child": 10, "turn": 10}
        await session.run("again")
        assert spent(session) == {"by grandchild": 20, "by child": 20, "turn": 20}
    async with core.session("child") as child:
        assert spent(child) == {"by grandchild": 20, "by child": 20}
    if place.is_durable:
        await place.end(core)
        again = await place.core(**options())  # type: ignore[arg-type]
        async with again.session("s") as session:
            assert spent(session) == {"by grandchild": 20, "by child": 20, "turn": 20}


async def test_a_subtask_in_the_background_is_booked_to_whoever_started_it(place: Place) -> None:
    core = await place.core(ScriptedModel(answering, usage=TokenUsage(10, 1)))
    async with core.session("s") as session:
        await session.run("go")
        process = await session.processes.start(lash.SessionTurn("think", usage_source="sub"), wake=False)
        await process.result()

        assert spent(session) == {"turn": 10, "sub": 10}
        await session.compact()
        await session.run("again")
        assert spent(session) == {"turn": 20, "sub": 10}


async def test_another_core_shows_it_when_it_looks_again(durable: Place) -> None:
    here, there = [await durable.core(**options()) for _ in range(2)]  # type: ignore[arg-type]
    async with here.session("s") as mine:
        await mine.run("go")
        async with there.session("child") as child:
            await child.run("more")
        assert spent(mine)["by child"] == 10
        await mine.refresh()

        assert spent(mine) == {"by grandchild": 20, "by child": 20, "turn": 10}


async def test_the_ledger_of_a_deleted_parent_stays_away(place: Place) -> None:
    core = await place.core(**options())  # type: ignore[arg-type]
    async with core.session("s") as session:
        await session.run("go")
    await core.delete_session("s")
    async with core.session("child") as child:
        assert (await child.run("alone")).ok
        assert spent(child) == {"by grandchild": 20, "by child": 20}
    with pytest.raises(lash.SessionDeleted):
        await core.session("s").open()


async def test_what_is_rolled_up_is_counted_once_whatever_dies() -> None:
    def agent(life: Life) -> lash.StandardCore:
        return lash.StandardCore(store=life.store, effect_host=life.effect_host, **options())  # type: ignore[arg-type]

    async def program(core: lash.StandardCore) -> Json:
        async with core.session("s") as session:
            await session.run("go", turn_id="t")
            return spent(session)

    (await Lab(agent, test=program).kill_everywhere(limit=14)).raise_for_problems()
