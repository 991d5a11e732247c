"""From an occurrence to started processes, over real stores, with a registry that stands in for processes."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from lash.base.errors import LashError
from lash.runtime.trigger_router import QUEUE_RECHECK_MS, TriggerRouter
from lash.sessions.errors import StoreUnavailable
from lash.stores import Store
from lash.stores.sql.occurrences import GRACE_MS
from lash.testing.clock import VirtualClock
from lash.testing.conformance.triggers import button_draft, pressed
from lash.triggers.delivery import DeliveryRetry, TriggeredStart, plan_start
from lash.triggers.errors import OccurrenceConflict
from lash.triggers.subscription import Overlap, Subscription
from runtime.conftest import OpenStore
from triggers.starters import Registry


async def subscribed(store: Store, overlap: Overlap = "allow", name: str = "on_button") -> Subscription:
    draft = msgspec.structs.replace(button_draft("session-a", name), overlap=overlap)
    return await store.triggers.register_subscription(draft)


async def states(store: Store) -> list[str]:
    return [found.state for found in await store.triggers.list_deliveries()]


class NoRoom(LashError):
    """A registry that refuses."""


async def test_an_emit_starts_a_process_for_each_subscription(store: Store) -> None:
    first, second = await subscribed(store), await subscribed(store, name="other")
    registry, told = Registry(), []
    router = TriggerRouter(store.triggers, registry, on_started=lambda: told.append("poke"))

    report = await router.emit(pressed("one"))

    assert report.started_process_ids == registry.ids
    assert [found.handle for found in report.deliveries] == [first.handle, second.handle]
    assert await states(store) == ["started", "started"]
    assert told == ["poke"]
    start = registry.started[0]
    assert start.input["args"] == {"event": {"button": "Blue"}}
    assert start.caused_by.occurrence_id == report.occurrence_id
    assert (start.registrant.scope_id, start.wake_target) == ("session:session-a", first.draft.wake_target)
    assert start.replay_key == f"trigger:{report.occurrence_id}:{first.subscription_id}"


async def test_the_same_emit_again_starts_nothing_and_reports_what_stands(store: Store) -> None:
    await subscribed(store)
    registry = Registry()
    router = TriggerRouter(store.triggers, registry)
    first = await router.emit(pressed("one"))

    again = await router.emit(pressed("one"))

    assert again == msgspec.structs.replace(first, replayed=True)
    assert registry.asked == 1
    with pytest.raises(OccurrenceConflict):
        await router.emit(pressed("one", "Red"))


async def test_nobody_subscribed_is_fine(store: Store) -> None:
    report = await TriggerRouter(store.triggers, Registry()).emit(pressed("one"))

    assert (report.started_process_ids, report.deliveries, report.replayed) == ([], [], False)


async def test_x_23_a_crash_between_reserve_and_start_is_swept(open_store: OpenStore, clock: VirtualClock) -> None:
    """X-23."""
    store = await open_store()
    subscription = await subscribed(store)
    emitted = await store.triggers.record_and_reserve(pressed("one"))  # and the process dies
    registry = Registry()
    router = TriggerRouter(store.triggers, registry)

    early = await router.sweep()
    await clock.advance(GRACE_MS)
    swept = await router.sweep()
    again = await router.sweep()

    assert (early.started, swept.started, again.started) == (0, 1, 0)
    assert registry.ids == [emitted.reservations[0].process_id]
    assert registry.started[0].caused_by.occurrence_id == emitted.occurrence.occurrence_id
    assert registry.started[0].identity == subscription.draft.target_identity


async def test_a_crash_between_start_and_mark_registers_nothing_twice(store: Store, clock: VirtualClock) -> None:
    await subscribed(store, "skip")
    emitted = await store.triggers.record_and_reserve(pressed("one"))
    [reserved] = emitted.reservations
    registry = Registry()
    await registry.start(plan_start(reserved.subscription, emitted.occurrence))  # and the process dies
    registry.end(reserved.process_id)
    await clock.advance(GRACE_MS)

    swept = await TriggerRouter(store.triggers, registry).sweep()

    assert swept.started == 1
    assert registry.ids == [reserved.process_id]
    assert await states(store) == ["started"]


async def test_a_start_that_fails_is_tried_again_with_growing_pauses_then_given_up(
    store: Store, clock: VirtualClock
) -> None:
    await subscribed(store)
    registry = Registry()

    def refuse(start: TriggeredStart) -> None:
        raise NoRoom(f"no room for {start.process_id}\nand a second line")

    registry.before_start = refuse
    router = TriggerRouter(store.triggers, registry, retry=DeliveryRetry(attempts=3, base_ms=1_000, max_ms=1_500))

    report = await router.emit(pressed("one"))
    nothing_yet = await router.sweep()
    await clock.advance(1_000)
    second = await router.sweep()
    await clock.advance(1_500)
    third = await router.sweep()
    await clock.advance(1_000_000)
    afterwards = await router.sweep()

    assert report.deliveries[0].state == "failed"
    assert report.deliveries[0].error == f"no room for {report.deliveries[0].process_id}"
    assert (nothing_yet.failed, second.failed, third.dead) == (0, 1, 1)
    assert (afterwards.failed, afterwards.dead, registry.asked) == (0, 0, 3)
    [delivery] = await store.triggers.list_deliveries()
    assert (delivery.state, delivery.attempts, delivery.next_attempt_at_ms) == ("dead", 3, None)


async def test_a_failed_start_is_made_up_for(store: Store, clock: VirtualClock) -> None:
    await subscribed(store)
    registry = Registry()
    router = TriggerRouter(store.triggers, registry)

    def refuse(_: TriggeredStart) -> None:
        raise ValueError("a bug of the host")

    registry.before_start = refuse
    await router.emit(pressed("one"))
    registry.before_start = lambda start: None
    await clock.advance(1_000)

    swept = await router.sweep()

    assert swept.started == 1
    assert await states(store) == ["started"]


async def test_one_delivery_that_fails_stops_no_other(store: Store) -> None:
    await subscribed(store, name="first")
    await subscribed(store, name="second")
    registry = Registry()

    def refuse(start: TriggeredStart) -> None:
        if start.identity.label == "first":
            raise NoRoom("no room")

    registry.before_start = refuse

    report = await TriggerRouter(store.triggers, registry).emit(pressed("one"))

    assert [found.state for found in report.deliveries] == ["failed", "started"]


async def test_an_unavailable_store_leaves_deliveries_to_a_sweep(store: Store, clock: VirtualClock) -> None:
    await subscribed(store)
    registry = Registry()

    def away(_: TriggeredStart) -> None:
        raise StoreUnavailable("the process registry is away")

    registry.before_start = away
    router = TriggerRouter(store.triggers, registry)
    report = await router.emit(pressed("one"))
    registry.before_start = lambda start: None
    await clock.advance(GRACE_MS)

    swept = await router.sweep()

    assert (report.deliveries[0].state, report.deliveries[0].error) == ("reserved", "the process registry is away")
    assert swept.started == 1
    [delivery] = await store.triggers.list_deliveries()
    assert delivery.attempts == 0


async def test_a_payload_that_does_not_fit_is_dead_at_once(store: Store) -> None:
    subscription = await subscribed(store)
    request = msgspec.structs.replace(pressed("one"), payload={"button": 7})
    registry = Registry()

    report = await TriggerRouter(store.triggers, registry).emit(request)

    [delivery] = report.deliveries
    assert delivery.state == "dead"
    assert delivery.error is not None
    assert delivery.error.startswith(f"invalid payload for trigger `{subscription.handle}`: $.button")
    assert registry.asked == 0


async def test_a_target_that_takes_no_arguments_is_told(store: Store) -> None:
    draft = msgspec.structs.replace(button_draft("session-a", "x"), target={"type": "external", "metadata": None})
    await store.triggers.register_subscription(draft)

    report = await TriggerRouter(store.triggers, Registry()).emit(pressed("one"))

    assert report.deliveries[0].error == "trigger target must be an engine process, got external"


async def test_an_occurrence_is_skipped_while_the_earlier_run_goes_on(store: Store) -> None:
    await subscribed(store, "skip")
    registry = Registry()
    router = TriggerRouter(store.triggers, registry)
    first = await router.emit(pressed("one"))

    second = await router.emit(pressed("two"))
    registry.end(first.started_process_ids[0])
    third = await router.emit(pressed("three"))

    assert [found.deliveries[0].state for found in (first, second, third)] == ["started", "skipped", "started"]
    assert second.deliveries[0].error == f"skipped: the earlier run {first.started_process_ids[0]} has not ended"
    assert len(registry.ids) == 2


async def test_a_long_queue_is_looked_at_by_its_head(store: Store, clock: VirtualClock) -> None:
    await subscribed(store, "queue")
    registry = Registry()
    router = TriggerRouter(store.triggers, registry)
    for number in range(20):
        await router.emit(pressed(f"n{number}"))

    await clock.advance(QUEUE_RECHECK_MS)
    looked_at = await router.sweep()
    registry.end(registry.ids[0])
    moved_up: list[int] = []
    while len(registry.ids) < 20:
        await clock.advance(QUEUE_RECHECK_MS)
        moved_up.append((await router.sweep()).started)
        registry.running.clear()

    assert (looked_at.waiting, looked_at.started) == (1, 0)
    assert max(moved_up) == 1
    assert len(moved_up) <= 2 * 20


async def test_occurrences_queue_behind_each_other_in_order(store: Store, clock: VirtualClock) -> None:
    await subscribed(store, "queue")
    registry = Registry()
    router = TriggerRouter(store.triggers, registry)
    reports = [await router.emit(pressed(key)) for key in ("one", "two", "three")]
    expected = [report.deliveries[0].process_id for report in reports]

    while len(registry.ids) < 3:
        registry.end(registry.ids[-1])
        await clock.advance(2_000)
        swept = await router.sweep()
        assert swept.started == 1

    assert registry.ids == expected
    assert await states(store) == ["started"] * 3


@pytest.mark.parametrize("kind", ["sqlite", "postgres"], indirect=True)
async def test_two_routers_make_one_occurrence_and_one_start(open_store: OpenStore) -> None:
    first, second = await open_store(), await open_store()
    await subscribed(first)
    registry = Registry()
    routers = [TriggerRouter(store.triggers, registry) for store in (first, second)]
    keys = [f"key-{number}" for number in range(20)]

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(router.emit(pressed(key))) for key in keys for router in routers]

    reports = [task.result() for task in tasks]
    assert len({report.occurrence_id for report in reports}) == 20
    assert sum(not report.replayed for report in reports) == 20
    assert len(registry.ids) == registry.asked == 20
    assert await states(second) == ["started"] * 20


@pytest.mark.parametrize("kind", ["sqlite", "postgres"], indirect=True)
async def test_sweeps_that_meet_start_each_process_once(open_store: OpenStore, clock: VirtualClock) -> None:
    first, second = await open_store(), await open_store()
    await subscribed(first)
    for number in range(10):
        await first.triggers.record_and_reserve(pressed(f"key-{number}"))
    await clock.advance(GRACE_MS)
    registry = Registry()

    async with asyncio.TaskGroup() as group:
        for store in (first, second, first):
            group.create_task(TriggerRouter(store.triggers, registry).sweep(limit=3))

    assert len(registry.ids) == len(set(registry.ids)) == 10
    assert await states(first) == ["started"] * 10


async def test_an_emitter_that_is_cancelled_leaves_its_work_to_a_sweep(store: Store, clock: VirtualClock) -> None:
    await subscribed(store)
    registry = Registry()
    reached = asyncio.Event()

    class Slow(Registry):
        async def start(self, start: TriggeredStart) -> bool:
            reached.set()
            await asyncio.Event().wait()
            return False

    emitter = asyncio.create_task(TriggerRouter(store.triggers, Slow()).emit(pressed("one")))
    await reached.wait()
    emitter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await emitter
    await clock.advance(GRACE_MS)

    swept = await TriggerRouter(store.triggers, registry).sweep()

    assert swept.started == 1
