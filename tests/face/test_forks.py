"""Where a session goes on from: forks, branches, fresh starts, given states, and parking."""

from __future__ import annotations

import asyncio
import gc
import weakref
from pathlib import Path

import pytest

import lash
from face.places import Gate, Place, asked, texts
from lash.base.errors import InvalidArgument
from lash.runtime.actor import SessionActor
from lash.runtime.actors import SessionActors
from lash.runtime.export import InvalidExport, read_export
from lash.sessions.errors import SessionDeleted, SessionExists, StoreUnavailable, UnknownNode, UnsafeBranchPoint
from lash.sessions.graph import SessionGraph
from lash.testing import ScriptedModel, StoreFaults, calls, says

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 24


@lash.tool(repeat="idempotent")
async def double(number: int) -> int:
    """Twice a number."""
    return number * 2


# forks


async def test_a_fork_begins_where_the_session_stands_and_goes_its_own_way(place: Place) -> None:
    core = await place.core(ScriptedModel([says("one"), says("left"), says("right")], order="calls"))
    async with core.session("s") as session:
        await session.run("first")
        fork = await session.fork("f")
        await session.run("go left")
        turn = await fork.run("go right")

        assert texts(session.messages) == ["user: first", "assistant: one", "user: go left", "assistant: left"]
        assert texts(fork.messages) == ["user: first", "assistant: one", "user: go right", "assistant: right"]
        assert fork.usage.usage == turn.usage


async def test_the_model_is_shown_the_copied_history(place: Place) -> None:
    model = ScriptedModel([says("one"), says("two")], order="calls")
    core = await place.core(model)
    async with core.session("s") as session:
        await session.run("first")
        await (await session.fork("f")).run("second")

    assert asked(model) == ["user: first", "assistant: one", "user: second"]


async def test_a_fork_from_an_earlier_message_leaves_out_what_came_after(place: Place) -> None:
    core = await place.core(ScriptedModel([says("one"), says("two"), says("three")], order="calls"))
    async with core.session("s") as session:
        await session.run("first")
        await session.run("second")
        fork = await session.fork("f", at=session.messages[1].id)
        await fork.run("other")

        assert texts(fork.messages) == ["user: first", "assistant: one", "user: other", "assistant: three"]


async def test_a_script_goes_on_at_its_place_in_a_fork(durable: Place) -> None:
    core = await durable.core(ScriptedModel([says("one"), says("two")]))
    async with core.session("s") as session:
        await session.run("first")
        await session.run("second")
        at_end, at_first = await session.fork("f"), await session.fork("g", at=session.messages[1].id)

        assert (await at_first.run("again")).text == "two"
        with pytest.raises(lash.TurnStopped):
            (await at_end.run("more")).raise_for_outcome()


async def test_the_same_fork_asked_for_again_is_the_same_session(durable: Place) -> None:
    core = await durable.core(ScriptedModel([says("one"), says("two")], order="calls"))
    async with core.session("s") as session:
        await session.run("first")
        node = session.messages[1].id
        fork = await session.fork("f", at=node)
        await fork.run("second")
        again = await session.fork("f", at=node)

        assert texts(again.messages)[-1] == "assistant: two"


@pytest.mark.parametrize("is_written", [False, True])
async def test_a_fork_that_was_cut_short_is_whole_or_not_there_and_asked_for_again(
    tmp_path: Path, *, is_written: bool
) -> None:
    faults = StoreFaults()
    store = await faults.open(str(tmp_path / "a.db"))
    async with lash.StandardCore(model=ScriptedModel([says("one")]), store=store) as core, core.session("s") as session:
        await session.run("first")
        faults.fail("create_with_state", lost_acknowledgement=is_written)
        with pytest.raises(StoreUnavailable):
            await session.fork("f")
        there = [(found.session_id, found.head_revision) for found in await core.sessions()]
        assert there == ([("f", 1), ("s", 1)] if is_written else [("s", 1)])
        fork = await session.fork("f")

        assert texts(fork.messages) == ["user: first", "assistant: one"]


async def test_two_forks_at_once_into_one_id_are_one(durable: Place) -> None:
    core = await durable.core(ScriptedModel([says("one")]))
    async with core.session("s") as session:
        await session.run("first")
        first, second = await asyncio.gather(session.fork("f"), session.fork("f"))

        assert texts(first.messages) == texts(second.messages) == ["user: first", "assistant: one"]


async def test_a_fork_into_another_session_is_refused(place: Place) -> None:
    core = await place.core(ScriptedModel([says("one"), says("two")], order="calls"))
    async with core.session("s") as session, core.session("other") as other:
        await session.run("first")
        await other.run("mine")

        with pytest.raises(SessionExists, match="`other`"):
            await session.fork("other")
        assert texts(other.messages) == ["user: mine", "assistant: two"]


async def test_a_fork_into_a_deleted_id_is_refused(place: Place) -> None:
    core = await place.core(ScriptedModel([]))
    async with core.session("gone"):
        pass
    await core.delete_session("gone")
    async with core.session("s") as session:
        with pytest.raises(SessionDeleted):
            await session.fork("gone")


async def test_nothing_goes_on_from_between_a_call_and_its_result(place: Place) -> None:
    core = await place.core(ScriptedModel([calls("double", number=1), says("2")]), tools=[double])
    async with core.session("s") as session:
        await session.run("go")
        call = session.messages[1]
        assert call.parts[0].kind == "tool_call"

        with pytest.raises(UnsafeBranchPoint, match=call.id):
            await session.fork("f", at=call.id)
        with pytest.raises(UnsafeBranchPoint):
            await session.branch(call.id)
        assert [one.session_id for one in await core.sessions()] == ["s"]


async def test_a_node_that_is_not_there_is_named(place: Place) -> None:
    core = await place.core(ScriptedModel([says("one")]))
    async with core.session("s") as session:
        await session.run("go")

        with pytest.raises(UnknownNode, match="`nowhere`"):
            await session.fork("f", at="nowhere")
        with pytest.raises(UnknownNode, match="`nowhere`"):
            await session.branch("nowhere")


async def test_a_fork_shows_the_images_of_its_source(durable: Place) -> None:
    core = await durable.core(ScriptedModel([says("a picture")]))
    async with core.session("s") as session:
        await session.run(lash.TurnInput.text("what is it?").image("photo", PNG))
        fork = await session.fork("f")
        await core.delete_session("s")

        [image] = [part.attachment for part in fork.messages[0].parts if part.attachment is not None]
        assert (await core.store.attachments.get(image.id)).data == PNG


async def test_an_empty_session_may_be_forked(place: Place) -> None:
    core = await place.core(ScriptedModel([says("hello")]))
    async with core.session("s") as session:
        fork = await session.fork("f")

        assert (await fork.run("hi")).text == "hello"


# branches


async def test_a_branch_goes_on_from_an_earlier_message(place: Place) -> None:
    model = ScriptedModel([says("one"), says("two"), says("three")], order="calls")
    core = await place.core(model)
    async with core.session("s") as session:
        await session.run("first")
        await session.run("second")
        second = session.messages[-1].id
        await session.branch(session.messages[1].id)
        await session.run("instead")

        assert texts(session.messages) == ["user: first", "assistant: one", "user: instead", "assistant: three"]
        assert asked(model) == ["user: first", "assistant: one", "user: instead"]
        await session.branch(second)
        assert texts(session.messages)[-1] == "assistant: two"


async def test_a_branch_survives_reopening(durable: Place) -> None:
    core = await durable.core(ScriptedModel([says("one"), says("two")]))
    async with core.session("s") as session:
        await session.run("first")
        await session.run("second")
        await session.branch(session.messages[1].id)
    await durable.end(core)

    core = await durable.core(ScriptedModel([]))
    async with core.session("s") as session:
        assert texts(session.messages) == ["user: first", "assistant: one"]


async def test_a_branch_waits_for_the_turn_that_runs(durable: Place) -> None:
    gate = Gate()
    core = await durable.core(ScriptedModel([says("one"), gate.step(says("two"))]))
    async with core.session("s") as session:
        await session.run("first")
        running = asyncio.ensure_future(session.run("second"))
        await gate.arrival()
        branching = asyncio.ensure_future(session.branch(session.messages[1].id))
        gate.open()
        await branching

        assert (await running).text == "two"
        assert texts(session.messages) == ["user: first", "assistant: one"]


async def test_a_turn_left_by_a_crash_is_finished_before_the_branch(durable: Place) -> None:
    gate = Gate()
    core = await durable.core(ScriptedModel([says("one"), gate.step(says("never"))]))
    async with core.session("s") as session:
        await session.run("first")
        node = session.messages[1].id
        running = asyncio.ensure_future(session.run("second", turn_id="t2"))
        await gate.arrival()
        await durable.crash(core)
        with pytest.raises((lash.ConfigurationError, lash.StoreError)):
            await running

    core = await durable.core(ScriptedModel([says("one"), says("two")]), recover=False)
    async with core.session("s") as session:
        await session.branch(node)

        assert texts(session.messages) == ["user: first", "assistant: one"]
        assert (await session.run("second", turn_id="t2")).text == "two"


async def test_leaving_a_branch_that_waits_changes_nothing(durable: Place) -> None:
    gate = Gate()
    core = await durable.core(ScriptedModel([says("one"), gate.step(says("two")), says("three")]))
    async with core.session("s") as session:
        await session.run("first")
        running = asyncio.ensure_future(session.run("second"))
        await gate.arrival()
        branching = asyncio.ensure_future(session.branch(session.messages[1].id))
        await asyncio.sleep(0.05)
        branching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await branching
        gate.open()
        await running

        assert (await session.run("third")).text == "three"
        assert texts(session.messages)[2:4] == ["user: second", "assistant: two"]


# fresh starts and given states


async def test_a_fresh_start_forgets_what_was_said_and_keeps_what_was_spent(place: Place) -> None:
    model = ScriptedModel([says("one"), says("two")], order="calls")
    core = await place.core(model)
    async with core.session("s") as session:
        await session.run("first", turn_id="t1")
        spent = session.usage.usage.output_tokens
    fresh = await core.session("s").open_fresh()
    turn = await fresh.run("second")

    assert texts(fresh.messages) == ["user: second", "assistant: two"]
    assert asked(model) == ["user: second"]
    assert fresh.usage.usage.output_tokens == spent + turn.usage.output_tokens
    assert (await fresh.run("first", turn_id="t1")).replayed


async def test_a_fresh_start_of_a_new_session_is_an_open(place: Place) -> None:
    core = await place.core(ScriptedModel([says("one")]))
    session = await core.session("s").open_fresh()

    assert (await session.run("first")).text == "one"
    assert session.view.revision == 1


async def test_an_export_is_opened_again_in_another_session(place: Place) -> None:
    core = await place.core(
        ScriptedModel([calls("double", number=1), says("2"), says("more")], order="calls"), tools=[double]
    )
    async with core.session("s") as session:
        await session.run("go")
        document = await session.export("json")
        spoken = texts(session.messages)
    copy = await core.session("copy").open_with_state(read_export(document))

    assert texts(copy.messages) == spoken
    assert (await copy.run("on")).text == "more"
    assert [message.id for message in copy.messages[:4]] == [message.id for message in session.messages[:4]]


async def test_a_state_whose_calls_have_no_result_is_refused(place: Place) -> None:
    core = await place.core(ScriptedModel([calls("double", number=1), says("2")]), tools=[double])
    async with core.session("s") as session:
        await session.run("go")
        state = read_export(await session.export("json"))
        path = state.graph.nodes[:2]
        broken = lash.SessionState("x", graph=SessionGraph(path, path[-1].node_id))

        with pytest.raises(UnsafeBranchPoint):
            await core.session("x").open_with_state(broken)


def test_a_text_that_is_no_export_is_named() -> None:
    with pytest.raises(InvalidExport, match="JSON export"):
        read_export('{"format": "something else"}')


# documents


async def test_a_session_is_exported_to_be_read(place: Place) -> None:
    core = await place.core(ScriptedModel([calls("double", number=1), says("It is **2** & `more`")]), tools=[double])
    async with core.session("s <1>") as session:
        await session.run("twice <b>one</b>?\n```\ncode\n```")
        markdown, html = await session.export("markdown"), await session.export("html")

    assert "## User\n\ntwice <b>one</b>?" in markdown
    assert '**→ double**\n\n```json\n{\n  "number": 1\n}\n```' in markdown
    assert "It is **2** & `more`" in markdown
    assert "twice &lt;b&gt;one&lt;/b&gt;?" in html
    assert "<b>one" not in html
    assert "s &lt;1&gt;" in html


async def test_an_empty_session_is_exported_too(place: Place) -> None:
    core = await place.core(ScriptedModel([]))
    async with core.session("s") as session:
        assert "Revision 0" in await session.export()
        assert read_export(await session.export("json")).graph.nodes == []


async def test_a_form_that_does_not_exist_is_refused(place: Place) -> None:
    core = await place.core(ScriptedModel([]))
    async with core.session("s") as session:
        with pytest.raises(InvalidArgument, match="'pdf'"):
            await session.export("pdf")  # type: ignore[arg-type]


# memory


async def test_a_parked_session_is_dropped_and_resumed(durable: Place) -> None:
    core = await durable.core(ScriptedModel([says("one"), says("two")]))
    session = await core.session("s").open()
    await session.run("first")
    await session.enqueue("second")
    actor = weakref.ref(session._actor)
    parked = await session.park()
    del session
    gc.collect()

    assert actor() is None
    again = await parked.resume(core)
    assert texts(again.messages)[-1] == "assistant: two"


async def test_sessions_that_nobody_holds_are_forgotten_but_for_the_last_few(memory: Place) -> None:
    core = await memory.core(ScriptedModel([says("x")] * 5, order="calls"))
    core._running().actors = SessionActors(idle_sessions=2)
    seen: list[weakref.ref[SessionActor]] = []
    for number in range(5):
        async with core.session(f"s{number}") as session:
            await session.run("hi")
            seen.append(weakref.ref(session._actor))
    del session
    await asyncio.sleep(0)
    gc.collect()

    assert [ref() is not None for ref in seen] == [False, False, False, True, True]
