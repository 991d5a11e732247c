"""Bad input through a core: typed errors, nothing lost, sessions usable afterwards."""

from __future__ import annotations

import asyncio
import math
import os
from pathlib import Path

import apsw
import pytest

import lash
from face.places import Gate, Place, settled
from lash.base.errors import InvalidArgument
from lash.base.messages import unsettled_tool_calls
from lash.machine.llm import LlmRequest
from lash.machine.outcome import Stopped
from lash.sessions.errors import StoredDataCorrupt, StoreError, StoreUnavailable
from lash.testing import ScriptedModel, calls, says

MEBIBYTE = 2**20


def _sql(place: Place, statement: str) -> None:
    database = apsw.Connection(place.stores[0]._backend.where)
    database.execute(statement).fetchall()
    database.close()


async def _two_sessions(place: Place) -> None:
    core = await place.core(ScriptedModel([says("a")]))
    for name in ("s", "other"):
        async with core.session(name) as session:
            await session.run("one")


async def _other_works(core: lash.StandardCore) -> bool:
    async with core.session("other") as session:
        return (await session.run("still there?")).ok


# the database


async def test_a_read_only_database_is_readable_and_refuses_turns(tmp_path: Path) -> None:
    path = str(tmp_path / "agent.db")
    async with lash.StandardCore(model=ScriptedModel([says("a")]), store=path) as core, core.session("s") as session:
        await session.run("one")

    async with await lash.Store.open(path, read_only=True) as store:
        core = lash.StandardCore(model=ScriptedModel([]), store=store)
        async with core:
            assert [listing.session_id for listing in await core.sessions()] == ["s"]
            with pytest.raises(StoreUnavailable, match="read-only"):
                await core.session("s").run("two")


async def test_a_full_disk_in_the_middle_of_a_turn_delays_it(tmp_path: Path) -> None:
    gate, runs = Gate(), 0

    @lash.tool(repeat="idempotent")
    async def write(size: int) -> str:
        nonlocal runs
        runs += 1
        await gate.wait()
        return "x" * size

    model = ScriptedModel([calls("write", size=300_000), says("written"), says("next")])
    async with await lash.Store.open(str(tmp_path / "agent.db")) as store:
        core = lash.StandardCore(model=model, tools=[write], store=store)
        async with core, core.session("s") as session:
            running = asyncio.create_task(session.run("go", turn_id="t"))
            await gate.arrival()
            writer = store._driver._writer._connection  # type: ignore[attr-defined]
            full = writer.execute("PRAGMA page_count").fetchall()[0][0]
            writer.execute(f"PRAGMA max_page_count = {full}").fetchall()
            gate.open()

            with pytest.raises(StoreUnavailable, match="full"):
                await running
            writer.execute("PRAGMA max_page_count = 1000000").fetchall()
            await settled(session, 1)

            result = await session.run("go", turn_id="t")
            assert (result.ok, result.text) == (True, "written")
            assert len(str(result.tool_calls[0].output.value)) == 300_000
            assert (await session.run("more")).text == "next"


async def test_a_truncated_database_is_named_when_it_is_opened_or_used(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"

    async def talk(text: str) -> None:
        async with lash.StandardCore(model=ScriptedModel(lambda _: says("a")), store=str(path)) as core:
            await core.session("s").run(text)

    await talk("one " * 5_000)
    os.truncate(path, path.stat().st_size // 3)

    with pytest.raises(StoreError):
        await talk("two")


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE lash_graph_nodes SET node_json = '{' WHERE session_id = 's'",
        "UPDATE lash_sessions SET head_json = '[' WHERE session_id = 's'",
    ],
)
async def test_a_corrupt_head_is_named_and_other_sessions_go_on(file: Place, damage: str) -> None:
    await _two_sessions(file)
    _sql(file, damage)

    core = await file.core(ScriptedModel(lambda _: says("fine")))

    with pytest.raises(StoredDataCorrupt):
        await core.session("s").open()
    assert await _other_works(core)


async def test_a_corrupt_queue_row_is_named_and_other_sessions_go_on(
    file: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _two_sessions(file)
    core = await file.core(ScriptedModel([says("a")]), recover=False)
    async with core.session("s") as session:
        monkeypatch.setattr(session._actor, "poke", lambda: None)
        await session.enqueue("later")
    await core.close()
    _sql(file, "UPDATE lash_queued_batches SET payloads_json = '{' WHERE session_id = 's'")

    again = await file.core(ScriptedModel(lambda _: says("fine")))

    with pytest.raises(StoredDataCorrupt):
        await again.session("s").run("go")
    assert await _other_works(again)


async def test_a_corrupt_journal_row_fails_its_turn_and_no_other(file: Place) -> None:
    gate = Gate()

    @lash.tool(repeat="idempotent")
    async def step() -> str:
        await gate.wait()
        return "done"

    dying = await file.core(ScriptedModel([calls("step")]), tools=[step])
    session = await dying.session("s").open()
    lost = asyncio.create_task(session.run("go", turn_id="t"))
    await gate.arrival()
    await file.crash(dying)
    await asyncio.gather(lost, return_exceptions=True)
    await file.core(ScriptedModel([]), recover=False)
    _sql(file, "UPDATE lash_effect_journal SET outcome_json = '{' WHERE outcome_json IS NOT NULL")

    core = await file.core(ScriptedModel(lambda _: says("fine")), tools=[step])

    async with core.session("s") as again:
        turn = await again.run("go", turn_id="t")

        assert turn.outcome == Stopped("runtime_error")
        assert turn.errors[0].kind == "runtime_effect_controller"
        assert unsettled_tool_calls(again.messages) == []
        assert (await again.run("next")).ok


# sizes and names


async def test_twenty_mebibytes_of_text_go_in(file: Place) -> None:
    text = "a" * (20 * MEBIBYTE)
    core = await file.core(ScriptedModel([says("ok"), says("next")]))
    async with core.session("s") as session:
        assert (await session.run(text)).text == "ok"
        assert session.messages[0].text == text
        assert (await session.run("next")).text == "next"


async def test_a_tool_result_of_twenty_mebibytes_is_a_failure_that_names_the_remedy(file: Place) -> None:
    @lash.tool
    async def large() -> str:
        return "b" * (20 * MEBIBYTE)

    core = await file.core(ScriptedModel([calls("large"), says("ok")]), tools=[large])
    async with core.session("s") as session:
        assert (await session.run("go")).text == "ok"
        assert "store an attachment instead" in session.messages[-2].parts[0].content
        assert unsettled_tool_calls(session.messages) == []


async def test_text_that_is_no_unicode_is_refused_and_the_session_goes_on(place: Place) -> None:
    core = await place.core(ScriptedModel([says("fine")]))
    async with core.session("s") as session:
        with pytest.raises(lash.LashError):
            await session.run("broken \ud800 text")

        assert (await session.run("next")).text == "fine"


@pytest.mark.parametrize("name", ["", "a\0b", "\ud800"])
async def test_a_malformed_queue_id_is_refused(memory: Place, name: str) -> None:
    core = await memory.core(ScriptedModel([]))
    async with core.session("s") as session:
        with pytest.raises(InvalidArgument):
            await session.enqueue("go", id=name)


@pytest.mark.parametrize(
    ("choice", "wrong"),
    [
        *(("max_turns", wrong) for wrong in (0, -1, "3", 1.5, True)),
        *(("timeout", wrong) for wrong in (0, -1, "3", math.nan, math.inf)),
        ("turn_id", 7),
        ("prompt", "Be brief."),
        ("prompt_contributions", ["Be brief."]),
    ],
)
async def test_a_choice_of_a_turn_that_is_none_is_refused(memory: Place, choice: str, wrong: object) -> None:
    core = await memory.core(ScriptedModel([]))
    async with core.session("s") as session:
        with pytest.raises(InvalidArgument):
            await session.run("go", **{choice: wrong})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("option", "wrong"),
    [
        ("max_turns", 0),
        ("max_turns", "3"),
        ("tools", "f"),
        ("tools", [5]),
        ("hidden_tools", [5]),
        ("prompt_contributions", ["Be brief."]),
    ],
)
async def test_an_option_that_cannot_be_read_back_does_not_cost_the_session(
    file: Place, option: str, wrong: object
) -> None:
    core = await file.core(ScriptedModel(lambda _: says("fine")))
    await core.session("s").run("one")
    with pytest.raises(InvalidArgument):
        core.session("s", **{option: wrong})  # type: ignore[arg-type]

    again = await file.core(ScriptedModel(lambda _: says("fine")))
    assert (await again.session("s").run("two")).text == "fine"


async def test_what_is_asked_of_an_open_session_in_wrong_types_does_not_cost_it(file: Place) -> None:
    @lash.tool
    async def look() -> str:
        return "seen"

    core = await file.core(ScriptedModel(lambda _: says("fine")), tools=[look])
    async with core.session("s") as session:
        await session.run("one")
        for asked in (
            lambda: session.configure(max_turns="3"),  # type: ignore[arg-type]
            lambda: session.enqueue("go", delivery_policy="soon"),  # type: ignore[arg-type]
            lambda: session.enqueue("go", slot_policy="any"),  # type: ignore[arg-type]
            lambda: session.enqueue("go", max_turns=0),
            lambda: session.enqueue("go", id=7),  # type: ignore[arg-type]
            lambda: session.tools.set_availability("look", "maybe"),  # type: ignore[arg-type]
            lambda: session.open_with_state("{}"),  # type: ignore[arg-type]
        ):
            with pytest.raises(InvalidArgument):
                await asked()

    again = await file.core(ScriptedModel(lambda _: says("fine")), tools=[look])
    async with again.session("s") as session:
        assert (await session.run("two")).text == "fine"
        assert await session.queued_work() == []


async def test_two_thousand_calls_in_one_answer_are_all_answered(file: Place) -> None:
    @lash.tool
    async def double(number: int) -> int:
        return 2 * number

    def answer(request: LlmRequest) -> object:
        if request.place.model_call:
            return says("ok")
        return [calls("double", number=number) for number in range(2_000)]

    core = await file.core(ScriptedModel(answer), tools=[double])  # type: ignore[arg-type]
    async with core.session("s") as session:
        turn = await session.run("go")

        assert turn.text == "ok"
        assert [call.output.value for call in turn.tool_calls] == [2 * number for number in range(2_000)]
        assert unsettled_tool_calls(session.messages) == []


@pytest.mark.parametrize("session_id", ["", "  ", "a\0b", "\ud800"])
async def test_a_malformed_session_id_is_refused(memory: Place, session_id: str) -> None:
    core = await memory.core(ScriptedModel([]))

    with pytest.raises(InvalidArgument):
        core.session(session_id)


@pytest.mark.parametrize("turn_id", ["", "  ", "a\0b", "\ud800"])
async def test_a_malformed_turn_id_is_refused_and_the_session_goes_on(place: Place, turn_id: str) -> None:
    core = await place.core(ScriptedModel([says("fine")]))
    async with core.session("s") as session:
        with pytest.raises(InvalidArgument):
            await session.run("go", turn_id=turn_id)

        assert (await session.run("next")).text == "fine"


@pytest.mark.parametrize("name", ["sitzung/ü", "a:b:c", "' OR 1=1 --", "x" * 1_000, "🦉"])
async def test_odd_names_are_names(place: Place, name: str) -> None:
    core = await place.core(ScriptedModel([says("fine")]))
    async with core.session(name) as session:
        first = await session.run("go", turn_id=name)

        assert (await session.run("go", turn_id=name)).revision == first.revision
