"""Sessions and cores: building, opening, deleting, damaged data, and what a turn costs."""

from __future__ import annotations

import asyncio
import gc
import inspect
from pathlib import Path

import apsw
import pytest

import lash
from face.places import Gate, Place, asked, settled, texts, until
from lash.attachments.store import AttachmentMeta
from lash.base.errors import ConfigurationError, InvalidArgument, LashRuntimeError
from lash.core import CoreOptions, DurableStorePeerRequired, MissingModel
from lash.core.plan import CorePlan
from lash.effects.ports import EffectHost
from lash.effects.scope import ExecutionScope
from lash.hosts import Inline, Journal
from lash.hosts.choice import HostParts
from lash.machine.outcome import Stopped
from lash.machine.prompt import PromptContribution
from lash.models.spec import ModelFacts
from lash.plugins import EmitRuntimeEvents, StatusEvent
from lash.runtime.activity import PluginRuntime, TurnActivity
from lash.runtime.observation.replay import RecentEvents
from lash.sessions.errors import StoredDataCorrupt
from lash.stores.store import Store
from lash.testing import ScriptedModel, calls, says
from lash.testing.script import Step
from lash.tracing import InMemoryTrace


@lash.tool(repeat="idempotent")
async def double(number: int) -> int:
    """Twice a number."""
    return number * 2


# building


def test_a_core_needs_a_model() -> None:
    with pytest.raises(MissingModel, match="model="):
        lash.StandardCore()


@pytest.mark.parametrize("options", [{"max_turns": 0}, {"host_id": " "}, {"host_id": "a/b"}])
def test_wrong_options_are_refused_when_the_core_is_built(options: dict[str, object]) -> None:
    with pytest.raises(InvalidArgument):
        lash.StandardCore(model=ScriptedModel([]), **options)  # type: ignore[arg-type]


def test_an_option_that_does_not_exist_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        lash.StandardCore(model=ScriptedModel([]), sheduling="typo")  # type: ignore[call-arg]


def test_every_core_takes_the_options_of_a_core() -> None:
    options = inspect.signature(CorePlan).parameters.keys() - {"protocol"}

    assert options == CoreOptions.__annotations__.keys()
    for core in (lash.StandardCore, lash.RlmCore):
        core(model=ScriptedModel([]), workers=0, trace_sink=InMemoryTrace(), live_replay_store=RecentEvents())
        with pytest.raises(TypeError, match="sheduling"):
            core(model=ScriptedModel([]), sheduling="typo")  # type: ignore[call-arg]


def test_building_a_core_touches_nothing(tmp_path: Path) -> None:
    lash.StandardCore(model=ScriptedModel([]), store=str(tmp_path / "agent.db"))

    assert list(tmp_path.iterdir()) == []


async def test_the_store_decides_the_tier(place: Place) -> None:
    core = await place.core(ScriptedModel([]))

    assert core.tier == ("durable" if place.is_durable else "inline")


async def test_a_durable_store_may_run_an_inline_host(durable: Place) -> None:
    core = await durable.core(
        ScriptedModel([calls("double", number=1), says("2")]), tools=[double], effect_host=Inline()
    )
    async with core.session("s") as session:
        turn = await session.run("go")

    assert (core.tier, turn.text) == ("inline", "2")


async def test_the_journal_over_memory_works_and_promises_nothing(memory: Place) -> None:
    core = await memory.core(
        ScriptedModel([calls("double", number=1), says("2")]), tools=[double], effect_host=Journal()
    )
    async with core.session("s") as session:
        turn = await session.run("go")

    assert (core.tier, turn.text) == ("inline", "2")


class Bound:
    """A host that was bound to another store."""

    def __init__(self, host: EffectHost) -> None:
        self._host = host

    def bind(self, parts: HostParts) -> EffectHost:
        return self._host


async def test_x_32_a_durable_host_refuses_to_run_turns_over_memory(file: Place, memory: Place) -> None:
    """X-32."""
    durable_core = await file.core(ScriptedModel([]))
    model = ScriptedModel([says("never")])
    core = await memory.core(model, effect_host=Bound(durable_core.effect_host))
    async with core.session("s") as session:
        with pytest.raises(LashRuntimeError) as refusal:
            await session.run("go")
        with pytest.raises(LashRuntimeError):
            await session.enqueue("go")

    assert refusal.value.code == "durable_store_required:attachment_store"
    assert model.requests == []


async def test_a_durable_store_refuses_attachments_that_would_be_lost(tmp_path: Path) -> None:
    memory = await Store.open(":memory:")
    core = lash.StandardCore(
        model=ScriptedModel([]), store=str(tmp_path / "agent.db"), attachment_store=memory.attachments
    )

    with pytest.raises(DurableStorePeerRequired, match="attachment_store"):
        await core.open()
    await memory.close()


async def test_opening_and_closing_twice_is_harmless(tmp_path: Path) -> None:
    core = lash.StandardCore(model=ScriptedModel([says("ok"), says("again")]), store=str(tmp_path / "agent.db"))

    await core.open()
    await core.open()
    async with core.session("s") as session:
        await session.run("go")
    await core.close()
    await core.close()
    async with core, core.session("s") as session:
        turn = await session.run("go on")

    assert turn.text == "again"


# opening


async def test_two_handles_on_one_session_share_what_is_committed(place: Place) -> None:
    core = await place.core(ScriptedModel([says("one"), says("two")]))
    async with core.session("s") as first, core.session("s") as second:
        await first.run("x")

        assert texts(second.messages) == texts(first.messages)


async def test_a_second_core_sees_new_turns_before_it_runs_its_own(durable: Place) -> None:
    model = ScriptedModel([says("one"), says("two"), says("three")])
    first = await durable.core(model)
    second = await durable.core(model)
    async with first.session("s") as here, second.session("s") as there:
        await here.run("a")
        await there.run("b")
        await here.run("c")

        assert asked(model) == ["user: a", "assistant: one", "user: b", "assistant: two", "user: c"]


async def test_a_session_keeps_its_own_options_through_recovery(durable: Place) -> None:
    gate = Gate()
    rule = [PromptContribution("guidance", "SESSION RULE")]
    dying = await durable.core(ScriptedModel([says("one"), gate.step(says("never"))]), instructions="CORE")
    session = await dying.session("s", max_turns=4, prompt_contributions=rule).open()
    await session.run("first")
    lost = asyncio.create_task(session.run("go", turn_id="t"))
    await gate.arrival()
    await durable.crash(dying)
    await asyncio.gather(lost, return_exceptions=True)

    model = ScriptedModel(lambda _: calls("double", number=1))
    core = await durable.core(model, tools=[double], instructions="CORE")
    again = await core.session("s").open()
    await settled(again, 2)

    assert "SESSION RULE" in model.requests[-1].messages[0].text
    assert len(model.requests) == 4


async def test_options_given_after_recovery_has_touched_the_session_count(durable: Place) -> None:
    first = await durable.core(ScriptedModel([says("one")]))
    async with first.session("s") as session:
        await session.run("x")
    await first.close()

    model = ScriptedModel(lambda _: says("ok"))
    core = await durable.core(model)
    await core.session("s").open()
    async with core.session("s", prompt_contributions=[PromptContribution("guidance", "NEW RULE")]) as session:
        await session.run("y")

    assert "NEW RULE" in model.requests[-1].messages[0].text


# deleting


async def test_a_deleted_session_is_gone_for_good(place: Place) -> None:
    core = await place.core(ScriptedModel(lambda _: says("ok")))
    session = await core.session("s").open()
    other = await core.session("other").open()
    await session.run("x")
    await other.run("y")

    await core.delete_session("s")

    assert [listing.session_id for listing in await core.sessions()] == ["other"]
    with pytest.raises(lash.SessionDeleted):
        await core.session("s").open()
    with pytest.raises(lash.SessionDeleted):
        await session.run("z")
    assert (await other.run("z")).ok


async def test_deleting_ends_the_running_turn(place: Place) -> None:
    gate = Gate()
    core = await place.core(ScriptedModel([gate.step(says("never"))]))
    session = await core.session("s").open()
    running = asyncio.create_task(session.run("x"))
    await gate.arrival()

    await core.delete_session("s")
    [ended] = await asyncio.gather(running, return_exceptions=True)

    assert isinstance(ended, lash.SessionDeleted) or (
        isinstance(ended, lash.TurnResult) and ended.outcome == Stopped("cancelled")
    )
    assert await core.sessions() == []


# turns that cannot be driven


async def test_a_turn_whose_model_nobody_knows_is_settled_not_a_block(durable: Place) -> None:
    gate = Gate()
    other = ScriptedModel([gate.step(says("never"))])
    other.facts = ModelFacts("a-model-of-its-own")
    dying = await durable.core(ScriptedModel([says("x")]))
    session = await dying.session("s").open()
    lost = asyncio.create_task(session.run("go", turn_id="t", model=other))
    await gate.arrival()
    await durable.crash(dying)
    await asyncio.gather(lost, return_exceptions=True)

    core = await durable.core(ScriptedModel(lambda _: says("fine")))
    async with core.session("s") as again:
        async with asyncio.timeout(30):
            next_turn = await again.run("next")
            await settled(again, 2)

        assert next_turn.text == "fine"
        assert texts(again.messages)[0] == "user: go"


async def test_a_reader_that_stalls_after_the_commit_does_not_hold_the_next_turn(place: Place) -> None:
    gate = Gate()

    async def sink(activity: TurnActivity) -> None:
        if isinstance(activity.event, PluginRuntime):
            await gate.wait()

    plugin = lash.Plugin("p").after_turn(lambda _: EmitRuntimeEvents([StatusEvent("k", "the end")]))
    core = await place.core(ScriptedModel([says("one"), says("two")]), plugins=[plugin])
    async with core.session("s") as session:
        first = asyncio.create_task(session.turn("a").stream_to(sink))
        await gate.arrival()
        async with asyncio.timeout(20):
            second = await session.run("b")
        gate.open()

        assert (second.text, (await first).text) == ("two", "one")


# damaged data


def damage(path: Path, statement: str) -> int:
    connection = apsw.Connection(str(path))
    connection.execute(statement)
    changed = connection.changes()
    connection.close()
    return changed


async def damaged(file: Place, tmp_path: Path, statement: str) -> lash.StandardCore:
    first = await file.core(ScriptedModel([says("one")]))
    for name in ("sick", "well"):
        async with first.session(name) as session:
            await session.run("x")
    await first.close()
    await file.stores.pop().close()
    assert damage(tmp_path / "agent.db", statement) == 1
    return await file.core(ScriptedModel(lambda _: says("fine")))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE lash_graph_nodes SET node_json = '{oops' WHERE session_id = 'sick' AND node_id = 't1.0'",
        "UPDATE lash_sessions SET head_json = '[]' WHERE session_id = 'sick'",
        "UPDATE lash_sessions SET manifest_json = '{' WHERE session_id = 'sick'",
    ],
)
async def test_a_damaged_session_is_named_and_others_go_on(file: Place, tmp_path: Path, statement: str) -> None:
    core = await damaged(file, tmp_path, statement)

    with pytest.raises((StoredDataCorrupt, lash.StoreError)) as damage_found:
        await core.session("sick").open()
    async with core.session("well") as session:
        turn = await session.run("y")

    assert "sick" in str(damage_found.value)
    assert turn.text == "fine"


async def test_queued_input_that_cannot_be_read_is_settled_and_the_queue_goes_on(file: Place, tmp_path: Path) -> None:
    gate = Gate()
    core = await file.core(ScriptedModel([gate.step(says("one")), says("fine")]))
    async with core.session("s") as session:
        first = asyncio.create_task(session.run("x"))
        await gate.arrival()
        batch = await session.enqueue("to be damaged")
        changed = damage(
            tmp_path / "agent.db",
            "UPDATE lash_queued_batches SET payloads_json = replace(payloads_json, '\"items\"', '\"itemz\"') "
            f"WHERE batch_id = '{batch.batch_id}'",
        )
        gate.open()
        await first
        turn = await session.run("y")
        stored = await session.turns()

        assert changed == 1
        assert turn.text == "fine"
        assert len(stored) == 3


async def test_a_damaged_journal_ends_the_turn_typed(file: Place, tmp_path: Path) -> None:
    gate = Gate()
    dying = await file.core(ScriptedModel([calls("double", number=1), gate.step(says("never"))]), tools=[double])
    session = await dying.session("s").open()
    lost = asyncio.create_task(session.run("go", turn_id="t"))
    await gate.arrival()

    async def is_recorded() -> bool:
        return len(await dying.store.journal.load(ExecutionScope.turn("s", "t"))) >= 3

    await until(is_recorded, "the tool's row")
    await file.crash(dying)
    await asyncio.gather(lost, return_exceptions=True)
    damage(
        tmp_path / "agent.db", "UPDATE lash_effect_journal SET outcome_json = '{oops' WHERE effect_kind = 'tool_call'"
    )

    core = await file.core(ScriptedModel(lambda _: says("fine")), tools=[double])
    async with core.session("s") as again:
        turn = await again.run("go", turn_id="t")
        next_turn = await again.run("next")

        assert turn.outcome == Stopped("runtime_error")
        assert [issue.code for issue in turn.errors] == ["effect_replay_corrupt_row"]
        assert next_turn.text == "fine"


# what a turn costs


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that may linger do so until the commit: on a busy machine the timer would send them before it."""
    monkeypatch.setattr("lash.hosts.lingering.LINGER_S", 3_600.0)


async def cost(place: Place, model: ScriptedModel) -> int:
    """Write transactions of the second turn of a session; the first one also makes it."""
    core = await place.core(model, tools=[double])
    async with core.session("s") as session:
        await session.run("warm up")
        before = core.store.transactions
        turn = await session.run("go")
        assert turn.ok, turn.errors
        return core.store.transactions - before


@pytest.mark.usefixtures("unhurried")
async def test_a_plain_turn_is_two_write_transactions(file: Place) -> None:
    assert await cost(file, ScriptedModel(lambda _: says("hello"))) <= 2


async def test_a_turn_leaves_nothing_to_the_cycle_collector(memory: Place) -> None:
    core = await memory.core(ScriptedModel([[calls("double", number=1)], says("warm")] * 2), tools=[double])
    async with core.session("s") as session:
        await session.run("warm up")
        gc.collect()
        gc.disable()
        try:
            gc.set_debug(gc.DEBUG_SAVEALL)
            await session.run("go")
            gc.collect()
        finally:
            gc.set_debug(0)
            gc.enable()
        left = [thing for thing in gc.garbage if type(thing).__module__.startswith("lash.")]
        gc.garbage.clear()

    assert left == []


@pytest.mark.usefixtures("unhurried")
async def test_a_turn_with_two_rounds_of_tools_is_at_most_six(file: Place) -> None:
    script: list[Step] = [
        says("warm"),
        [calls("double", number=1), calls("double", number=2)],
        calls("double", number=3),
        says("ok"),
    ]

    assert await cost(file, ScriptedModel(script)) <= 6


@pytest.mark.usefixtures("unhurried")
async def test_a_turn_with_one_round_of_tools_is_at_most_four(file: Place) -> None:
    script: list[Step] = [
        says("warm"),
        [calls("double", number=1), calls("double", number=2), calls("double", number=3)],
        says("ok"),
    ]

    assert await cost(file, ScriptedModel(script)) <= 4


@pytest.mark.usefixtures("unhurried")
async def test_turns_cost_the_same_however_long_the_session_is(file: Place) -> None:
    core = await file.core(ScriptedModel(lambda _: says("hello")))
    async with core.session("s") as session:
        counts: list[int] = []
        for _ in range(30):
            before = core.store.transactions
            await session.run("go")
            counts.append(core.store.transactions - before)

    assert max(counts[1:]) <= 2


async def test_attachments_of_the_host_are_kept(place: Place) -> None:
    core = await place.core(ScriptedModel([]))

    ref = await core.store.attachments.put(b"GIF89a", AttachmentMeta("image/gif"))

    assert (await core.store.attachments.get(ref.id)).data == b"GIF89a"


async def test_a_store_that_is_closed_says_so(file: Place) -> None:
    core = await file.core(ScriptedModel([says("x")]))
    session = await core.session("s").open()
    await core.store.close()

    with pytest.raises((lash.StoreError, ConfigurationError), match="closed"):
        await session.run("go")
    file.stores.clear()


@pytest.mark.parametrize(("window", "warnings"), [(None, 1), (200_000, 0)])
async def test_a_model_of_unknown_window_is_worth_one_warning(
    memory: Place, caplog: pytest.LogCaptureFixture, window: int | None, warnings: int
) -> None:
    core = await memory.core(ScriptedModel(lambda _: says("hello"), context_window_tokens=window))
    async with core.session("s") as session:
        await session.run("one")
        await session.run("two")

    assert sum("context window is unknown" in record.message for record in caplog.records) == warnings
