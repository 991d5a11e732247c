"""The host's short ways to triggers, over real stores."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from lash.processes.inputs import ProcessIdentity
from lash.processes.scopes import SessionScope
from lash.runtime.schedules import ScheduleClock
from lash.runtime.trigger_admin import TriggerAdmin, TriggerTarget
from lash.runtime.trigger_router import TriggerRouter
from lash.stores import Store
from lash.testing.clock import VirtualClock
from lash.triggers.delivery import DeliveryFilter
from lash.triggers.errors import InvalidSchedule, InvalidTrigger
from lash.triggers.schedules import Every
from lash.triggers.subscription import SubscriptionFilter
from triggers.starters import Registry

REPORT = TriggerTarget({"type": "engine", "kind": "report", "payload": None}, ProcessIdentity("report", "daily"), "env")


@pytest.fixture
def registry() -> Registry:
    """Where processes are registered."""
    return Registry()


@pytest.fixture
def ticker(store: Store, registry: Registry, clock: VirtualClock) -> ScheduleClock:
    """The clock loop."""
    return ScheduleClock(store.triggers, TriggerRouter(store.triggers, registry), clock)


@pytest.fixture
def admin(store: Store, registry: Registry, ticker: ScheduleClock) -> TriggerAdmin:
    """The host's triggers."""
    return TriggerAdmin(store.triggers, TriggerRouter(store.triggers, registry), ticker)


async def test_an_emit_reaches_who_subscribed_to_that_source(admin: TriggerAdmin, registry: Registry) -> None:
    blue = await admin.subscribe("button.pressed", REPORT, source={"button": "blue"}, inputs={"press": "event"})
    await admin.subscribe("button.pressed", REPORT, source={"button": "red"})

    report = await admin.emit("button.pressed", {"x": 1}, source={"button": "blue"}, key="press-1")

    assert [found.handle for found in report.deliveries] == [blue.handle]
    assert registry.started[0].input["payload"] == {"args": {"press": {"x": 1}}}
    assert registry.started[0].env_ref == "env"
    assert len(await admin.deliveries(DeliveryFilter(state="started"))) == 1


async def test_a_source_without_configuration_needs_none(admin: TriggerAdmin, registry: Registry) -> None:
    await admin.subscribe("mail.received", REPORT, key="mail")
    await admin.subscribe("mail.received", REPORT, key="mail")

    report = await admin.emit("mail.received", None, key="mail-1")

    assert report.started_process_ids == registry.ids
    assert len(await admin.list()) == 1


async def test_a_report_comes_every_weekday_at_nine_in_athens(
    store: Store, admin: TriggerAdmin, registry: Registry, ticker: ScheduleClock, clock: VirtualClock
) -> None:
    start = datetime.fromtimestamp(clock.now_ms() / 1_000, UTC)
    schedule = await admin.every("0 9 * * 1-5", tz="Europe/Athens", key="report", start=REPORT, overlap="allow")

    while len(registry.ids) < 7:
        await clock.advance(3_600_000)
        await ticker.tick()

    athens = ZoneInfo("Europe/Athens")
    due = [int(found.idempotency_key.rpartition(":")[2]) for found in await store.triggers.list_occurrences()]
    moments = sorted(datetime.fromtimestamp(at / 1_000, athens) for at in due)
    assert schedule.schedule_id == "report"
    assert all((at.hour, at.minute) == (9, 0) and at.weekday() < 5 for at in moments)
    assert len({at.date() for at in moments}) == 7
    assert moments[0] > start


async def test_an_interval_put_at_every_start_goes_on_where_it_was(admin: TriggerAdmin, clock: VirtualClock) -> None:
    first = await admin.every(timedelta(hours=1), key="sync", start=REPORT)
    await clock.advance(1_000)

    again = await admin.every(timedelta(hours=1), key="sync", start=REPORT)

    assert again == first
    unnamed = await admin.every(timedelta(hours=1), start=REPORT)
    assert await admin.every(timedelta(hours=1), start=REPORT) == unnamed != first
    assert await admin.every(timedelta(hours=2), start=REPORT) != unnamed
    assert len(await admin.schedules()) == 3
    assert first.draft.spec == Every(3_600_000, 0)


async def test_one_reminder_for_two_sessions_is_two_schedules(admin: TriggerAdmin) -> None:
    for session_id in ("ada", "grace", "ada"):
        await admin.every("0 9 * * *", start=REPORT, wake=session_id)

    woken = [found.draft.wake_target for found in await admin.list()]
    assert woken == [SessionScope("ada"), SessionScope("grace")]


async def test_all_that_was_missed_is_made_up_for_one_after_the_other(
    admin: TriggerAdmin, registry: Registry, ticker: ScheduleClock, clock: VirtualClock
) -> None:
    await admin.every(timedelta(hours=1), start=REPORT, key="one")
    await admin.every(timedelta(hours=1), start=REPORT, key="all", catch_up="all")
    await admin.every(timedelta(hours=1), start=REPORT, key="some", catch_up="all", overlap="skip")
    await clock.advance(3 * 3_600_000)

    await ticker.tick()

    overlaps = {found.draft.name: found.draft.overlap for found in await admin.list()}
    assert overlaps == {"one": "skip", "all": "queue", "some": "skip"}
    states = [(str(found.subscription.draft.name), found.state) for found in await admin.deliveries()]
    assert sorted(states) == [
        ("all", "reserved"),
        ("all", "reserved"),
        ("all", "started"),
        ("one", "started"),
        ("some", "skipped"),
        ("some", "skipped"),
        ("some", "started"),
    ]


async def test_a_one_off_runs_at_its_moment(
    admin: TriggerAdmin, registry: Registry, ticker: ScheduleClock, clock: VirtualClock
) -> None:
    when = datetime.fromtimestamp(clock.now_ms() / 1_000, UTC) + timedelta(minutes=1)
    await admin.at(when, key="once", start=REPORT, inputs={"when": "event"})

    await ticker.tick()
    assert registry.ids == []
    await clock.advance(60_000)
    await ticker.tick()

    assert len(registry.ids) == 1
    with pytest.raises(InvalidSchedule, match="has no time zone"):
        await admin.at(when.replace(tzinfo=None), key="naive", start=REPORT)


async def test_what_is_cancelled_starts_nothing_more(
    admin: TriggerAdmin, registry: Registry, ticker: ScheduleClock, clock: VirtualClock
) -> None:
    subscription = await admin.subscribe("mail.received", REPORT)
    other = await admin.subscribe("mail.received", REPORT)
    schedule = await admin.every("* * * * *", key="minute", start=REPORT)
    await admin.every("* * * * *", key="other", start=REPORT)

    assert await admin.cancel(subscription)
    assert await admin.cancel(other.handle)
    assert await admin.cancel(schedule)
    assert await admin.cancel("other")
    assert not await admin.cancel("minute")
    assert not await admin.cancel("nothing")
    await clock.advance(120_000)
    await ticker.tick()
    report = await admin.emit("mail.received", None, key="mail-1")

    assert (report.deliveries, registry.ids) == ([], [])
    assert [found.enabled for found in await admin.schedules()] == [False, False]
    assert await admin.list(SubscriptionFilter(enabled=True)) == []


async def test_bad_input_writes_nothing(admin: TriggerAdmin) -> None:
    with pytest.raises(InvalidSchedule) as refused:
        await admin.every("0 9 * * *", tz="Mars/Olympus", key="mars", start=REPORT)
    with pytest.raises(InvalidSchedule):
        await admin.every(timedelta(0), key="zero", start=REPORT)
    with pytest.raises(InvalidTrigger):
        await admin.emit("mail.received", None, key="")
    with pytest.raises(InvalidTrigger):
        await admin.subscribe("mail.received", REPORT, inputs={"a": "events"})

    assert refused.value.field == "tz"
    assert (await admin.schedules(), await admin.list()) == ([], [])
