"""How much of a session is kept in memory, and heads that point nowhere (R-012)."""

from __future__ import annotations

from typing import Literal

import apsw
import pytest

import lash
from face.places import Place, texts
from lash.runtime.actor import SessionActor
from lash.testing import ScriptedModel, says

Residency = Literal["keep_all", "active_path_only"]


async def _core(place: Place, model: ScriptedModel, residency: Residency) -> lash.StandardCore:
    core = lash.StandardCore(model=model, store=await place.open_store(), residency=residency)
    place.cores.append(core)
    return await core.open()


async def _talk(place: Place) -> None:
    core = await place.core(ScriptedModel([says("a"), says("b")]))
    async with core.session("s") as session:
        await session.run("one")
        await session.run("two")


@pytest.mark.parametrize("residency", ["keep_all", "active_path_only"])
async def test_both_residencies_continue_the_same_conversation(durable: Place, residency: Residency) -> None:
    await _talk(durable)

    core = await _core(durable, ScriptedModel([says("a"), says("b"), says("c")]), residency)

    async with core.session("s") as session:
        assert (await session.run("three")).text == "c"
        assert texts(session.messages)[-3:] == ["assistant: b", "user: three", "assistant: c"]


@pytest.mark.parametrize(("residency", "kept"), [("keep_all", 5), ("active_path_only", 4)])
async def test_only_keep_all_holds_what_lies_off_the_path(file: Place, residency: Residency, kept: int) -> None:
    await _talk(file)
    database = apsw.Connection(file.stores[0]._backend.where)
    database.execute(
        "INSERT INTO lash_graph_nodes (session_id, node_id, parent_node_id, node_json, tombstoned)"
        " SELECT session_id, 'aside', parent_node_id, replace(node_json, '\"t2.m1\"', '\"aside\"'), 0"
        " FROM lash_graph_nodes WHERE node_id = (SELECT leaf_node_id FROM lash_sessions)"
    )
    database.close()

    core = await _core(file, ScriptedModel([]), residency)

    async with core.session("s") as session:
        assert len(session._actor.memory.nodes) == kept
        assert len(session.messages) == 4


@pytest.mark.parametrize("residency", ["keep_all", "active_path_only"])
async def test_a_tombstone_on_the_path_hides_one_message_only(durable: Place, residency: Residency) -> None:
    await _talk(durable)
    nodes = _actor(durable).memory.nodes
    await _actor(durable).store.tombstone_nodes([nodes[1].node_id])

    core = await _core(durable, ScriptedModel([]), residency)

    async with core.session("s") as session:
        assert texts(session.messages) == ["user: one", "user: two", "assistant: b"]


@pytest.mark.parametrize("residency", ["keep_all", "active_path_only"])
async def test_a_head_that_points_nowhere_is_healed(file: Place, residency: Residency) -> None:
    await _talk(file)
    database = apsw.Connection(file.stores[0]._backend.where)
    database.execute("DELETE FROM lash_graph_nodes WHERE node_id = (SELECT leaf_node_id FROM lash_sessions)")
    database.close()

    core = await _core(file, ScriptedModel([says("a"), says("b"), says("c")]), residency)

    async with core.session("s") as session:
        assert texts(session.messages) == ["user: one", "assistant: a", "user: two"]
        assert (await session.run("three")).text == "c"
    again = await _core(file, ScriptedModel([]), residency)
    async with again.session("s") as session:
        assert texts(session.messages)[-2:] == ["user: three", "assistant: c"]


def _actor(place: Place) -> SessionActor:
    core = place.cores[0]
    session = core.session("s")
    return session._actor
