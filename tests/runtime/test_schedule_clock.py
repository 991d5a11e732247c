"""The clock loop over real stores: due times become processes, once, whoever looks and whoever crashed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import msgspec
import pytest

from lash.processes.inputs import ProcessIdentity
from lash.runtime import schedules
from lash.runtime.schedules import ScheduleClock
from lash.runtime.trigger_router import TriggerRouter
from lash.sessions.errors import StoreUnavailable
from lash.stores import Store
from lash.testing.clock import VirtualClock
from lash.triggers.errors import InvalidSchedule, InvalidTrigger
from lash.triggers.registrant import HostOriginator, session_registrant
from lash.triggers.schedules import (
    PAYLOAD_SCHEMA,
    SOURCE_TYPE,
    At,
    CatchUp,
    Cron,
    Every,
    Firing,
    Schedule,
    ScheduleDraft,
    ScheduleSpec,
    plan_firing,
    schedule_source_key,
)
from lash.triggers.subscription import SubscriptionDraft
from lash.triggers.template import EventInput
from runtime.conftest import OpenStore
from triggers.starters import Registry

START = 1_780_000_000_000
HOUR = 3_600_000
LATEST = CatchUp()


def scheduled(schedule_id: str, spec: ScheduleSpec, catch_up: CatchUp = LATEST) -> ScheduleDraft:
    return ScheduleDraft(schedule_id=schedule_id, registrant=HostOriginator(), spec=spec, catch_up=catch_up)


def run_of(schedule_id: str) -> SubscriptionDraft:
    return SubscriptionDraft(
        registrant=HostOriginator(),
        source_type=SOURCE_TYPE,
        source_key=schedule_source_key(schedule_id),
        source={"schedule_id": schedule_id},
        payload_schema=PAYLOAD_SCHEMA,
        target={"type": "engine", "kind": "report", "payload": {"of": schedule_id}},
        target_identity=ProcessIdentity("engine", schedule_id),
        input_template={"when": EventInput()},
    )


async def put(store: Store, schedule_id: str, spec: ScheduleSpec, catch_up: CatchUp = LATEST) -> Schedule:
    return await store.triggers.put_schedule(scheduled(schedule_id, spec, catch_up), run_of(schedule_id))


def clock_of(store: Store, registry: Registry, clock: VirtualClock) -> ScheduleClock:
    return ScheduleClock(store.triggers, TriggerRouter(store.triggers, registry), clock)


def due_times(registry: Registry) -> list[int]:
    """When what was started had been due."""
    found: list[int] = []
    for start in registry.started:
        match start.input:
            case {"payload": {"args": {"when": {"due_at_ms": int(due)}}}}:
                found.append(due)
    return found


@contextlib.asynccontextmanager
async def running(ticker: ScheduleClock) -> AsyncIterator[None]:
    task = asyncio.create_task(ticker.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_due_schedule_starts_its_process_with_the_due_time(store: Store, clock: VirtualClock) -> None:
    await put(store, "report", Every(HOUR, START + HOUR))
    registry = Registry()
    ticker = clock_of(store, registry, clock)

    early = await ticker.tick()
    await clock.advance(HOUR + 7)
    report = await ticker.tick()
    again = await ticker.tick()

    assert (early.emitted, again.emitted) == ([], [])
    assert [found.started_process_ids for found in report.emitted] == [registry.ids]
    assert due_times(registry) == [START + HOUR]
    found = await store.triggers.get_schedule("report")
    assert found is not None
    assert (found.next_due_ms, found.last_due_ms) == (START + 2 * HOUR, START + HOUR)
    [occurrence] = await store.triggers.list_occurrences()
    assert occurrence.idempotency_key == f"report:{START + HOUR}"


async def test_a_one_off_fires_once_and_is_over(store: Store, clock: VirtualClock) -> None:
    await put(store, "once", At(START + 500))
    registry = Registry()
    ticker = clock_of(store, registry, clock)
    await clock.advance(10_000)

    await ticker.tick()
    await clock.advance(HOUR)
    await ticker.tick()

    assert due_times(registry) == [START + 500]
    assert await store.triggers.next_wake_ms() is None


@pytest.mark.parametrize(
    ("catch_up", "hours"), [(CatchUp("skip"), []), (CatchUp("one"), [5]), (CatchUp("all", limit=3), [3, 4, 5])]
)
async def test_what_was_due_while_nobody_looked_is_made_up_for_as_asked(
    store: Store, clock: VirtualClock, catch_up: CatchUp, hours: list[int]
) -> None:
    await put(store, "report", Every(HOUR, START + HOUR), catch_up)
    registry = Registry()
    await clock.advance(5 * HOUR + 120_000)

    await clock_of(store, registry, clock).tick()

    assert due_times(registry) == [START + hour * HOUR for hour in hours]
    found = await store.triggers.get_schedule("report")
    assert found is not None
    assert found.next_due_ms == START + 6 * HOUR


async def test_putting_an_equal_schedule_again_moves_nothing(store: Store, clock: VirtualClock) -> None:
    first = await put(store, "report", Every(HOUR, START + HOUR))
    await clock.advance(5 * HOUR)

    again = await put(store, "report", Every(HOUR, START + HOUR))
    changed = await put(store, "report", Every(2 * HOUR, START + HOUR))

    assert again == first
    assert (changed.revision, changed.next_due_ms) == (2, START + 7 * HOUR)
    [subscription] = await store.triggers.list_subscriptions()
    assert (subscription.enabled, subscription.revision) == (True, 1)


async def test_a_cancelled_schedule_is_silent_until_it_is_put_again(store: Store, clock: VirtualClock) -> None:
    await put(store, "report", Every(HOUR, START + HOUR))
    registry = Registry()
    ticker = clock_of(store, registry, clock)

    cancelled = await store.triggers.cancel_schedule("report")
    again = await store.triggers.cancel_schedule("report")
    await clock.advance(3 * HOUR)
    await ticker.tick()
    [listed] = await store.triggers.list_schedules()
    [subscription] = await store.triggers.list_subscriptions()
    await put(store, "report", Every(HOUR, START + HOUR))
    await clock.advance(HOUR)
    await ticker.tick()

    assert (cancelled, again, await store.triggers.cancel_schedule("unknown")) == (True, False, False)
    assert (listed.enabled, listed.next_due_ms, subscription.enabled) == (False, None, False)
    assert due_times(registry) == [START + 4 * HOUR]


async def test_a_change_between_look_and_firing_wins(store: Store, clock: VirtualClock) -> None:
    await put(store, "report", Every(HOUR, START + HOUR))
    await clock.advance(HOUR)
    [due] = await store.triggers.due_schedules(clock.now_ms(), 10)
    firing = plan_firing(due, clock.now_ms())
    assert firing is not None
    await put(store, "report", Every(HOUR, START + HOUR + 60_000))

    assert await store.triggers.fire([firing]) == []
    assert await store.triggers.list_occurrences() == []


async def test_a_crash_between_firing_and_start_is_swept(store: Store, clock: VirtualClock) -> None:
    await put(store, "report", Every(HOUR, START + HOUR))
    await clock.advance(HOUR)
    [due] = await store.triggers.due_schedules(clock.now_ms(), 10)
    firing = plan_firing(due, clock.now_ms())
    assert firing is not None
    await store.triggers.fire([firing])  # and the process dies
    registry = Registry()
    ticker = clock_of(store, registry, clock)
    await clock.advance(5_000)

    await ticker.tick()

    assert due_times(registry) == [START + HOUR]


@pytest.mark.parametrize("kind", ["sqlite", "postgres"], indirect=True)
async def test_many_workers_make_each_firing_once(open_store: OpenStore, clock: VirtualClock) -> None:
    stores = [await open_store(), await open_store()]
    for number in range(12):
        await put(stores[0], f"s{number:02}", Every(HOUR, START + HOUR), CatchUp("all", limit=5))
    registry = Registry()
    tickers = [clock_of(store, registry, clock) for store in (*stores, *stores)]

    for _ in range(3):
        await clock.advance(2 * HOUR)
        async with asyncio.TaskGroup() as group:
            for ticker in tickers:
                group.create_task(ticker.tick())

    assert sorted(due_times(registry)) == sorted([START + hour * HOUR for hour in range(1, 7)] * 12)
    assert registry.asked == len(registry.ids) == 72


async def test_the_loop_sleeps_until_something_is_due(store: Store, clock: VirtualClock) -> None:
    registry = Registry()
    for number in range(100):
        await put(store, f"idle{number}", Cron("0 0 1 1 *", "Europe/Athens"))
    await put(store, "soon", At(START + 3_000))
    before = store.statements

    async with running(clock_of(store, registry, clock)):
        await clock.sleeper(3_000)
        assert registry.ids == []
        assert store.statements - before == 3  # what is due, what is open, when to look again
        started = asyncio.Event()
        registry.before_start = lambda start: started.set()
        await clock.advance(3_000)
        await started.wait()
        await clock.sleeper(5_000)

    assert due_times(registry) == [START + 3_000]


async def test_a_poke_makes_the_loop_look_at_once(store: Store, clock: VirtualClock) -> None:
    registry = Registry()
    ticker = clock_of(store, registry, clock)

    async with running(ticker):
        await clock.sleeper(5_000)
        await put(store, "now", At(START))
        started = asyncio.Event()
        registry.before_start = lambda start: started.set()
        ticker.poke()
        await started.wait()

    assert due_times(registry) == [START]


async def test_a_schedule_that_cannot_be_computed_stops_nobody_else(
    store: Store, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(store, "a-broken", At(START))
    await put(store, "b-whole", At(START))

    def fall(schedule: Schedule, now_ms: int) -> Firing | None:
        if schedule.schedule_id == "a-broken":
            raise OverflowError("a date that no calendar has")
        return plan_firing(schedule, now_ms)

    monkeypatch.setattr(schedules, "plan_firing", fall)
    registry = Registry()

    await clock_of(store, registry, clock).tick()

    assert due_times(registry) == [START]


@pytest.mark.parametrize("trouble", [StoreUnavailable("the disk is full"), RuntimeError("nobody thought of it")])
async def test_the_loop_outlives_a_store_that_is_away(
    store: Store, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    await put(store, "now", At(START))
    registry = Registry()
    router = TriggerRouter(store.triggers, registry)
    ticker = ScheduleClock(store.triggers, router, clock)
    failures = iter([True, False])

    async def away(*_: object) -> list[Schedule]:
        if next(failures, False):
            raise trouble
        return await type(store.triggers).due_schedules(store.triggers, clock.now_ms(), 10)

    monkeypatch.setattr(store.triggers, "due_schedules", away)
    started = asyncio.Event()
    registry.before_start = lambda start: started.set()

    async with running(ticker):
        await clock.sleeper(5_000)
        await clock.advance(5_000)
        await started.wait()

    assert due_times(registry) == [START]


async def test_a_session_takes_its_schedules_along(store: Store, clock: VirtualClock) -> None:
    draft = msgspec.structs.replace(scheduled("mine", At(START + 1)), registrant=session_registrant("session-a"))
    await store.triggers.put_schedule(draft)
    await put(store, "hosts", At(START + 1))

    removed = await store.triggers.delete_session_subscriptions("session-a")

    assert removed == 1
    assert [found.schedule_id for found in await store.triggers.list_schedules()] == ["hosts"]
    assert await store.triggers.list_schedules("session-a") == []


async def test_a_schedule_belongs_to_whoever_put_it(store: Store) -> None:
    await put(store, "report", At(START))
    theirs = msgspec.structs.replace(scheduled("report", At(START)), registrant=session_registrant("session-a"))

    with pytest.raises(InvalidSchedule, match="belongs to host"):
        await store.triggers.put_schedule(theirs)
    with pytest.raises(InvalidTrigger, match="names another source"):
        await store.triggers.put_schedule(scheduled("other", At(START)), run_of("report"))
    with pytest.raises(InvalidTrigger, match="another registrant"):
        await store.triggers.put_schedule(
            msgspec.structs.replace(scheduled("other", At(START)), registrant=HostOriginator("part")), run_of("other")
        )
