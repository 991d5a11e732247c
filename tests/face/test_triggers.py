"""What starts processes, as a host sees it: emit, subscribe, schedules, deliveries."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

import lash
from face.places import Place, until
from lash.base.json import JsonObject
from lash.plugins.errors import PluginRegistrationError
from lash.processes.inputs import ToolCallInput
from lash.processes.scopes import SessionScope
from lash.runtime.work import InvalidWork, UnknownTool
from lash.testing import ScriptedModel, says
from lash.triggers.delivery import DeliveryFilter
from lash.triggers.errors import InvalidSchedule, InvalidTrigger, OccurrenceConflict
from lash.triggers.sources import TriggerEvent

# Longer than any machine needs; what never comes fails all the same.
SOON_S = 30

PAYMENT: JsonObject = {"from": "Ada", "amount": 30}


@lash.tool
async def book(payment: JsonObject, currency: str = "EUR") -> str:
    """Books a payment."""
    return f"{payment['from']} paid {payment['amount']} {currency}"


def model() -> ScriptedModel:
    """Nobody is asked anything."""
    return ScriptedModel([])


async def test_what_happened_starts_a_tool_with_what_happened(place: Place) -> None:
    core = await place.core(model(), tools=[book])
    subscription = await core.triggers.subscribe(
        "shop.paid", book, inputs={"payment": "event"}, args={"currency": "DKK"}, key="payments"
    )

    report = await core.triggers.emit("shop.paid", PAYMENT, key="d-1")

    [process_id] = report.started_process_ids
    job = await core.processes.get(process_id)
    assert await job.result(timeout=SOON_S) == "Ada paid 30 DKK"
    record = await job.record()
    assert isinstance(record.input, ToolCallInput)
    assert record.input.call.args == {"payment": PAYMENT, "currency": "DKK"}
    assert (record.display.kind, record.display.label) == ("tool", "book")
    assert record.wake_target == "detached"
    assert subscription.label == "book"
    assert [found.state for found in await core.triggers.deliveries()] == ["started"]


async def test_the_same_key_is_the_same_event(place: Place) -> None:
    core = await place.core(model(), tools=[book])
    await core.triggers.subscribe("shop.paid", book, inputs={"payment": "event"})

    first = await core.triggers.emit("shop.paid", PAYMENT, key="d-1")
    again = await core.triggers.emit("shop.paid", PAYMENT, key="d-1")

    assert (first.replayed, again.replayed) == (False, True)
    assert first.started_process_ids == again.started_process_ids
    assert len(await core.processes.list(status="any")) == 1
    with pytest.raises(OccurrenceConflict, match="d-1"):
        await core.triggers.emit("shop.paid", {"from": "Eve", "amount": 1}, key="d-1")


async def test_two_programs_that_emit_at_once_start_it_once(durable: Place) -> None:
    cores = [await durable.core(model(), tools=[book]) for _ in range(2)]
    await cores[0].triggers.subscribe("shop.paid", book, inputs={"payment": "event"}, key="payments")

    reports = await asyncio.gather(*(core.triggers.emit("shop.paid", PAYMENT, key="d-1") for core in cores))

    assert sorted(report.replayed for report in reports) == [False, True]
    assert len(await cores[0].processes.list(status="any")) == 1


async def test_only_who_subscribed_to_this_source_is_started(place: Place) -> None:
    core = await place.core(model())
    await core.triggers.subscribe("button.pressed", lash.External("red"), source={"button": "red"})
    await core.triggers.subscribe("button.pressed", lash.External("blue"), source={"button": "blue"})

    await core.triggers.emit("button.pressed", None, source={"button": "blue"}, key="press-1")
    nobody = await core.triggers.emit("button.pressed", None, source={"button": "green"}, key="press-1")

    assert [record.display.label for record in await core.processes.list()] == ["blue"]
    assert nobody.started_process_ids == []


async def test_a_cancelled_subscription_starts_nothing_more(place: Place) -> None:
    core = await place.core(model())
    subscription = await core.triggers.subscribe("shop.paid", lash.External("book"))
    await core.triggers.emit("shop.paid", PAYMENT, key="d-1")

    assert await core.triggers.cancel(subscription) is True
    assert await core.triggers.cancel(subscription.handle) is False
    report = await core.triggers.emit("shop.paid", PAYMENT, key="d-2")

    assert report.deliveries == []
    assert [found.enabled for found in await core.triggers.list()] == [False]


async def test_a_payload_that_does_not_fit_is_a_dead_delivery(place: Place) -> None:
    core = await place.core(model(), tools=[book])
    await core.triggers.subscribe(
        "shop.paid", book, inputs={"payment": "event"}, payload_schema={"type": "object", "required": ["from"]}
    )

    report = await core.triggers.emit("shop.paid", {"amount": 30}, key="d-1")

    [dead] = await core.triggers.deliveries(DeliveryFilter(state="dead"))
    assert report.started_process_ids == []
    assert "invalid payload for trigger" in (dead.last_error or "")


async def test_the_end_of_a_triggered_run_wakes_the_session(place: Place) -> None:
    core = await place.core(ScriptedModel([says("Ada has paid.")]), tools=[book])
    async with core.session("desk") as desk:
        await core.triggers.subscribe("shop.paid", book, inputs={"payment": "event"}, wake=desk)

        report = await core.triggers.emit("shop.paid", PAYMENT, key="d-1")

        await until(_spoke(desk), "the session speaks")
        assert "Ada paid 30 EUR" in desk.messages[0].text
        assert desk.messages[-1].text == "Ada has paid."
        seen = await desk.processes.list_all()
        assert [summary.id for summary in seen] == report.started_process_ids


async def test_a_schedule_fires_and_may_be_put_at_every_start(place: Place) -> None:
    core = await place.core(model())
    put = [
        await core.triggers.every(timedelta(milliseconds=200), start=lash.External("tick"), key="tick")
        for _ in range(2)
    ]

    async def fired() -> bool:
        return bool(await core.processes.list(definition="tick"))

    await until(fired, "the schedule fires")
    assert put[0].draft == put[1].draft
    assert [found.schedule_id for found in await core.triggers.schedules()] == ["tick"]
    assert await core.triggers.cancel("tick") is True
    assert [found.enabled for found in await core.triggers.schedules()] == [False]


async def test_a_moment_comes_once(place: Place) -> None:
    core = await place.core(model())
    await core.triggers.at(datetime.now(UTC), start=lash.External("now"), wake="desk", key="once")

    async def fired() -> bool:
        return bool(await core.processes.list())

    await until(fired, "the moment comes")
    [record] = await core.processes.list()
    assert record.wake_target == SessionScope("desk")
    assert [found.next_due_ms for found in await core.triggers.schedules()] == [None]


async def test_a_core_without_workers_fires_nothing_and_leaves_it_to_others(file: Place) -> None:
    idle = lash.StandardCore(model=model(), tools=[book], store=await file.open_store(), workers=0)
    async with idle:
        await idle.triggers.every(timedelta(milliseconds=50), start=lash.External("tick"), key="tick")
        await asyncio.sleep(0.2)
        assert await idle.processes.list() == []

        worker = await file.core(model(), tools=[book])

        async def fired() -> bool:
            return bool(await worker.processes.list(definition="tick"))

        await until(fired, "another core fires it")


@pytest.mark.parametrize(
    ("start", "options", "error", "says"),
    [
        ("nothing", {}, UnknownTool, "pass it in tools="),
        (book, {}, InvalidWork, 'needs `payment`; give it in args, or in inputs as "event"'),
        (book, {"inputs": {"payment": "event", "colour": "event"}}, InvalidWork, "takes no `colour`"),
        (book, {"inputs": {"payment": "event"}, "args": {"currency": 7}}, InvalidWork, "currency"),
        (book, {"inputs": {"payment": "evnt"}}, InvalidTrigger, '"event"'),
        (lash.External("x"), {"inputs": {"payment": "event"}}, InvalidWork, "lead nowhere"),
        (lash.SessionTurn("x"), {"inputs": {"payment": "event"}}, InvalidWork, "lead nowhere"),
        (lash.External("x"), {"overlap": "sometimes"}, InvalidTrigger, "overlap"),
        (lash.External("x"), {"payload_schema": {"type": "strin"}}, InvalidTrigger, "schema"),
        (lash.External("x"), {"wake": 7}, lash.InvalidArgument, "give a session or its id"),
    ],
)
async def test_a_subscription_that_could_never_start_is_refused(
    memory: Place, start: object, options: dict[str, object], error: type[Exception], says: str
) -> None:
    core = await memory.core(model(), tools=[book])

    with pytest.raises(error, match=says):
        await core.triggers.subscribe("shop.paid", start, **options)  # type: ignore[arg-type]

    assert await core.triggers.list() == []


@pytest.mark.parametrize(
    ("when", "tz", "says"),
    [("0 9 * *", "UTC", "0 9"), ("0 9 * * 1-5", "Europe/Atlantis", "IANA"), (timedelta(0), "UTC", "every")],
)
async def test_a_schedule_that_means_nothing_is_refused(
    memory: Place, when: str | timedelta, tz: str, says: str
) -> None:
    core = await memory.core(model())

    with pytest.raises(InvalidSchedule, match=says):
        await core.triggers.every(when, tz=tz, start=lash.External("x"))
    with pytest.raises(InvalidSchedule, match="time zone"):
        await core.triggers.at(datetime(2026, 1, 1), start=lash.External("x"))

    assert await core.triggers.schedules() == []


async def test_what_is_no_trigger_cancels_none(memory: Place) -> None:
    core = await memory.core(model())
    kept = await core.triggers.subscribe("shop.paid", lash.External("book"))

    for nothing in (None, 7):
        with pytest.raises(InvalidTrigger, match="cannot be cancelled"):
            await core.triggers.cancel(nothing)  # type: ignore[arg-type]

    assert await core.triggers.cancel("") is False
    assert await core.triggers.list() == [kept]


async def test_questions_that_mean_nothing_are_refused(memory: Place) -> None:
    core = await memory.core(model())
    triggers = core.triggers

    for asked, words in (
        (triggers.emit("shop.paid", float("nan"), key="d-1"), "payload of the event is not JSON"),
        (triggers.emit("shop.paid", 1, key="d-1", source=float("nan")), "source of the event is not JSON"),
        (triggers.deliveries(DeliveryFilter(limit=-1)), "limit=-1"),
        (triggers.every(5, start=lash.External("x")), "neither a cron expression nor a timedelta"),  # type: ignore[arg-type]
        (triggers.every("@daily", start=lash.SessionTurn("x", session_id="one")), "leave session_id out"),
        (triggers.subscribe("shop.paid", lash.SessionTurn("x", tools="book")), "give a list of names"),
    ):
        with pytest.raises(lash.InvalidArgument, match=words):
            await asked

    assert (await triggers.list(), await triggers.schedules()) == ([], [])


async def test_deleting_a_session_takes_its_triggers_away(place: Place) -> None:
    core = await place.core(model())
    async with core.session("s") as session:
        await session.triggers.subscribe("shop.paid", lash.External("book"))
        await session.triggers.every("0 9 * * *", start=lash.External("tick"), key="tick")
        await core.triggers.subscribe("shop.paid", lash.External("of the host"), wake=session)
        assert [found.label for found in await session.triggers.list_all()] == ["book", "tick"]
        assert [found.label for found in await session.triggers.by_source_type("shop.paid")] == ["book"]

    report = await core.delete_session("s")

    assert report.subscription_count > 0
    assert [found.label for found in await core.triggers.list()] == ["of the host"]
    assert await core.triggers.schedules() == []


PAID = TriggerEvent("shop", "shop", "paid", {"type": "object", "required": ["from", "amount"]})


async def test_an_event_that_a_plugin_declares_says_what_was_declared(place: Place) -> None:
    core = await place.core(model(), tools=[book], plugins=[lash.Plugin("shop").trigger(PAID)])
    subscription = await core.triggers.subscribe("shop.paid", book, inputs={"payment": "event"})

    with pytest.raises(InvalidTrigger, match=r"payload of `shop.paid` is not as declared: .*amount"):
        await core.triggers.emit("shop.paid", {"from": "Ada"}, key="d-1")
    report = await core.triggers.emit("shop.paid", PAYMENT, key="d-1")

    assert core.triggers.declared() == {"shop.paid": PAID}
    assert subscription.draft.payload_schema == PAID.payload_schema
    assert len(report.started_process_ids) == 1


def test_an_event_is_declared_once_and_with_a_schema_that_compiles() -> None:
    with pytest.raises(PluginRegistrationError, match="declared by plugins 'one' and 'two'"):
        lash.StandardCore(model=model(), plugins=[lash.Plugin("one").trigger(PAID), lash.Plugin("two").trigger(PAID)])
    broken = TriggerEvent("shop", "shop", "sold", {"type": "strin"})
    with pytest.raises(InvalidTrigger, match="payload_schema"):
        lash.StandardCore(model=model(), plugins=[lash.Plugin("one").trigger(broken)])


async def test_a_session_lists_its_own_triggers_only(place: Place) -> None:
    core = await place.core(model())
    await core.triggers.subscribe("shop.paid", lash.External("of the host"))
    async with core.session("s") as session:
        mine = await session.triggers.subscribe("shop.paid", lash.External("mine"))
        await core.triggers.emit("shop.paid", PAYMENT, key="d-1")
        await core.triggers.emit("shop.paid", PAYMENT, key="d-2")

        assert [found.handle for found in await session.triggers.list()] == [mine.handle]
        own = await session.triggers.deliveries()
        assert [found.subscription_id for found in own] == [mine.subscription_id] * 2
        assert await session.triggers.deliveries(DeliveryFilter(limit=1)) == own[:1]
        assert await session.triggers.deliveries(DeliveryFilter(limit=1, newest=True)) == own[1:]
        assert len(await core.triggers.deliveries()) == 4


async def test_the_newest_deliveries_are_listed_in_order(place: Place) -> None:
    core = await place.core(model())
    await core.triggers.subscribe("shop.paid", lash.External("book"))
    for number in range(4):
        await core.triggers.emit("shop.paid", number, key=f"d-{number}")

    every = await core.triggers.deliveries()

    assert await core.triggers.deliveries(DeliveryFilter(limit=2)) == every[:2]
    assert await core.triggers.deliveries(DeliveryFilter(limit=2, newest=True)) == every[2:]


async def test_what_happened_long_ago_is_forgotten_unless_its_run_goes_on(place: Place) -> None:
    core = await place.core(model())
    await core.triggers.subscribe("shop.paid", lash.External("book"), overlap="skip", key="book")
    first = await core.triggers.emit("shop.paid", 1, key="d-1")

    kept = await core.triggers.prune(timedelta(seconds=-1))
    second = await core.triggers.emit("shop.paid", 2, key="d-2")
    await core.processes.complete(*first.started_process_ids)
    forgotten = await core.triggers.prune(timedelta(seconds=-1))
    again = await core.triggers.emit("shop.paid", 1, key="d-1")

    assert (kept, [report.state for report in second.deliveries], forgotten) == (0, ["skipped"], 2)
    # Its process is known, so nothing is done twice.
    assert again.started_process_ids == first.started_process_ids
    assert await core.processes.list() == []
    with pytest.raises(InvalidTrigger, match="limit=0"):
        await core.triggers.prune(timedelta(0), limit=0)


async def test_a_session_cancels_its_own_triggers_only(place: Place) -> None:
    core = await place.core(model())
    of_the_host = await core.triggers.subscribe("shop.paid", lash.External("book"))
    async with core.session("s") as session:
        mine = await session.triggers.subscribe("shop.paid", lash.External("mine"))
        tick = await session.triggers.every("0 9 * * *", start=lash.External("tick"))

        assert await session.triggers.cancel(of_the_host) is False
        assert await session.triggers.cancel(of_the_host.handle) is False
        assert await session.triggers.cancel(mine) is True
        assert await session.triggers.cancel(tick) is True
        assert [found.enabled for found in await session.triggers.schedules()] == [False]


def _spoke(session: lash.Session) -> Callable[[], Awaitable[bool]]:
    async def holds() -> bool:
        await session.refresh()
        return bool(session.messages)

    return holds
