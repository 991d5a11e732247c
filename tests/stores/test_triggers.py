"""What the trigger tables promise beyond the suite: writes that run twice, refusals, upkeep."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import apsw
import msgspec
import pytest

from lash.sessions.errors import SessionDeleted, StoredDataCorrupt
from lash.sessions.store import SessionCreate
from lash.stores import Store
from lash.stores.program import Query
from lash.stores.sql import deliveries, schedules, subscriptions
from lash.testing.clock import VirtualClock
from lash.testing.conformance import TRIGGER_STORE
from lash.testing.conformance.laws import LawBroken
from lash.testing.conformance.triggers import BUTTON, button_draft, pressed
from lash.triggers.delivery import DeliveryFilter
from lash.triggers.registrant import HostOriginator, session_registrant
from lash.triggers.schedules import At, Every, ScheduleDraft, plan_firing
from lash.triggers.subscription import SubscriptionFilter, filter_of
from stores.doubles import open_twice

# A second run finds the work done and says so; nothing more happens.
ANSWERS_OTHERWISE = {
    "TS-09": "a subscription that is cancelled cannot be cancelled again",
    "TS-20": "the same",
    "TSX-08": "what is removed cannot be removed again",
}


@pytest.mark.parametrize("law", TRIGGER_STORE.laws, ids=lambda law: "-".join(law.ids[:1]) + "_" + law.title)
async def test_every_law_holds_when_every_write_runs_twice(law: object, tmp_path: Path) -> None:
    found = next(known for known in TRIGGER_STORE.laws if known is law)
    store, _ = await open_twice(str(tmp_path / "a.db"))
    suite = type(TRIGGER_STORE)("twice")
    suite.laws.append(found._replace(ids=tuple(law_id for law_id in found.ids if law_id not in ANSWERS_OTHERWISE)))

    try:
        await suite.run(lambda: store.triggers)
    except LawBroken as broken:
        pytest.fail(str(broken))
    finally:
        await store.close()


async def test_a_firing_whose_acknowledgement_was_lost_finds_its_own(tmp_path: Path) -> None:
    store, twice = await open_twice(str(tmp_path / "a.db"))
    now = store.clock.now_ms()
    draft = ScheduleDraft(schedule_id="s", registrant=HostOriginator(), spec=Every(1_000, now - 10_000))
    subscription = msgspec.structs.replace(
        button_draft("session-a", "x"), source_type="clock.schedule", source_key=draft.source_key
    )
    await store.triggers.register_subscription(subscription)
    await store.triggers.put_schedule(draft)
    schedule = await store.triggers.get_schedule("s")
    assert schedule is not None
    firing = plan_firing(schedule, now + 5_000)
    assert firing is not None

    emitted = await store.triggers.fire([firing])
    rival = await store.triggers.fire([firing])

    assert "fire" in twice.seen
    assert [len(found.reservations) for found in emitted] == [1]
    assert rival == []
    assert len(await store.triggers.list_occurrences()) == 1
    await store.close()


async def test_a_key_names_one_subscription_of_a_registrant(store: Store) -> None:
    draft = msgspec.structs.replace(button_draft("session-a", "one"), key="mine")
    first = await store.triggers.register_subscription(draft)

    same = await store.triggers.register_subscription(draft)
    changed = await store.triggers.register_subscription(msgspec.structs.replace(draft, name="two"))
    theirs = await store.triggers.register_subscription(
        msgspec.structs.replace(draft, registrant=session_registrant("session-b"))
    )
    await store.triggers.cancel_subscription("session-a", first.handle)
    revived = await store.triggers.register_subscription(msgspec.structs.replace(draft, name="two"))

    assert same == first
    assert (changed.handle, changed.revision, changed.draft.name) == (first.handle, 2, "two")
    assert theirs.handle != first.handle
    assert (revived.handle, revived.revision, revived.enabled) == (first.handle, 4, True)


async def test_subscriptions_are_found_by_everything_they_have(store: Store) -> None:
    one = await store.triggers.register_subscription(button_draft("session-a", "one"))
    two = await store.triggers.register_subscription(button_draft("session-a", "two"))
    host = await store.triggers.register_subscription(
        msgspec.structs.replace(button_draft("x", "three"), registrant=HostOriginator("part"))
    )
    target = {**one.draft.target, "$lash_process": True}

    async def handles(wanted: SubscriptionFilter) -> list[str]:
        return [found.handle for found in await store.triggers.list_subscriptions(wanted)]

    assert await handles(SubscriptionFilter()) == [host.handle, one.handle, two.handle]
    assert await handles(SubscriptionFilter(name="two")) == [two.handle]
    assert await handles(SubscriptionFilter(registrant_scope_id="host:part")) == [host.handle]
    assert await handles(SubscriptionFilter(source_type="other")) == []
    assert await handles(SubscriptionFilter(handle="trigger:x")) == []
    assert await handles(filter_of({"target": target}, "session-a")) == [one.handle]
    assert await handles(filter_of({"enabled": False})) == []
    assert await store.triggers.cancel_registrant_subscription("host:part", host.handle)
    assert await handles(filter_of({"enabled": False})) == [host.handle]
    assert not await store.triggers.cancel_subscription("session-a", "nonsense")


async def test_a_deleted_session_registers_nothing_more(store: Store) -> None:
    await store.sessions.create_store(SessionCreate("session-a"))
    await store.sessions.delete_session("session-a")

    with pytest.raises(SessionDeleted):
        await store.triggers.register_subscription(button_draft("session-a", "x"))
    with pytest.raises(SessionDeleted):
        await store.triggers.put_schedule(
            ScheduleDraft(schedule_id="s", registrant=session_registrant("session-a"), spec=At(0))
        )


async def test_deleting_a_session_takes_its_registrations_along(store: Store) -> None:
    await store.sessions.create_store(SessionCreate("session-a"))
    await store.triggers.register_subscription(button_draft("session-a", "x"))
    await store.triggers.put_schedule(
        ScheduleDraft(schedule_id="s", registrant=session_registrant("session-a"), spec=At(0))
    )

    await store.sessions.delete_session("session-a")

    assert await store.triggers.list_subscriptions() == []
    assert await store.triggers.list_schedules() == []


async def test_old_occurrences_are_pruned_unless_something_is_open(store: Store) -> None:
    subscription = await store.triggers.register_subscription(button_draft("session-a", "x"))
    done = await store.triggers.record_and_reserve(pressed("done"))
    still_open = await store.triggers.record_and_reserve(pressed("open"))
    unreserved = await store.triggers.record_occurrence(pressed("unreserved"))
    await store.triggers.mark_delivery_started(done.occurrence.occurrence_id, subscription.subscription_id)

    nothing = await store.triggers.prune_occurrences(0, 100)
    removed = await store.triggers.prune_occurrences(store.clock.now_ms() + 1, 100)

    assert (nothing, removed) == (0, 1)
    left = {found.occurrence_id for found in await store.triggers.list_occurrences()}
    assert left == {still_open.occurrence.occurrence_id, unreserved.occurrence_id}
    wanted = DeliveryFilter(occurrence_id=done.occurrence.occurrence_id)
    assert await store.triggers.list_deliveries(wanted) == []


async def test_stats_and_check_know_the_tables(store: Store) -> None:
    await store.triggers.register_subscription(button_draft("session-a", "x"))
    await store.triggers.record_and_reserve(pressed("one"))
    await store.triggers.put_schedule(ScheduleDraft(schedule_id="s", registrant=HostOriginator(), spec=At(0)))

    stats, report = await store.stats(), await store.check()

    tables = ("subscriptions", "occurrences", "deliveries")
    assert [stats.rows[f"lash_trigger_{table}"] for table in tables] == [1, 1, 1]
    assert (stats.rows["lash_schedules"], stats.rows["lash_artifacts"]) == (1, 0)
    assert report.ok
    assert report.checked_row_count == 4


async def test_a_damaged_row_is_found_by_the_check(tmp_path: Path) -> None:
    path = str(tmp_path / "a.db")
    async with await Store.open(path) as store:
        await store.triggers.register_subscription(button_draft("session-a", "x"))
        await store.triggers.record_and_reserve(pressed("one"))
        await store.triggers.put_schedule(ScheduleDraft(schedule_id="s", registrant=HostOriginator(), spec=At(0)))
    connection = apsw.Connection(path)
    connection.execute("UPDATE lash_trigger_subscriptions SET draft_json = '{}'")
    connection.execute("UPDATE lash_trigger_occurrences SET payload_json = '{'")
    connection.execute("UPDATE lash_trigger_deliveries SET subscription_json = '[]'")
    connection.execute("UPDATE lash_schedules SET draft_json = 'null'")
    connection.close()

    async with await Store.open(path) as store:
        report = await store.check()

    assert {row.table for row in report.corrupt_rows} == {
        "lash_trigger_subscriptions",
        "lash_trigger_occurrences",
        "lash_trigger_deliveries",
        "lash_schedules",
    }


async def test_a_damaged_row_stops_no_other(tmp_path: Path) -> None:
    path = str(tmp_path / "a.db")
    clock = VirtualClock()
    async with await Store.open(path, clock=clock) as store:
        await store.triggers.register_subscription(button_draft("session-a", "x"))
        for key in ("bad", "payload", "good"):
            await store.triggers.record_and_reserve(pressed(key))
            await store.triggers.put_schedule(
                ScheduleDraft(schedule_id=key, registrant=HostOriginator(), spec=At(clock.now_ms()))
            )
    connection = apsw.Connection(path)
    connection.execute("UPDATE lash_trigger_deliveries SET subscription_json = '{' WHERE seq = 1")
    connection.execute("UPDATE lash_trigger_occurrences SET payload_json = '{' WHERE seq = 2")
    connection.execute("UPDATE lash_schedules SET draft_json = '{' WHERE schedule_id <> 'good'")
    connection.close()
    await clock.advance(10_000)

    async with await Store.open(path, clock=clock) as store:
        still_open = await store.triggers.open_deliveries(10)
        due = await store.triggers.due_schedules(clock.now_ms(), 10)
        with pytest.raises(StoredDataCorrupt, match="trigger:"):
            await store.triggers.list_occurrences()

    assert [found.occurrence.idempotency_key for found in still_open] == ["good"]
    assert [found.schedule_id for found in due] == ["good"]


async def test_an_emit_without_subscribers_is_one_transaction(tmp_path: Path) -> None:
    async with await Store.open(str(tmp_path / "a.db")) as store:
        before = store.transactions
        await store.triggers.record_and_reserve(pressed("one"))

        assert store.transactions - before == 1
        assert (await store.triggers.list_occurrences())[0].source_type == BUTTON


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (schedules.NEXT_WAKE, "lash_schedules_due"),
        (schedules.NEXT_WAKE, "lash_trigger_deliveries_open"),
        (schedules.DUE_SCHEDULES, "lash_schedules_due"),
        (deliveries.OPEN_DELIVERIES, "lash_trigger_deliveries_open"),
        (deliveries.EARLIER_STARTED, "lash_trigger_deliveries_order"),
        (subscriptions.MATCHING, "lash_trigger_subscriptions_source"),
    ],
)
async def test_what_runs_often_reads_an_index(tmp_path: Path, query: Query[NamedTuple], index: str) -> None:
    path = str(tmp_path / "a.db")
    async with await Store.open(path):
        pass
    connection = apsw.Connection(path)
    places = {str(number): None for number in range(1, query.statement.placeholders + 1)}

    plan = [str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {query.statement.sqlite}", tuple(places))]
    connection.close()

    reads = [line for line in plan if index in line]
    assert reads, plan
    assert not any(line.startswith("SCAN") and "USING" not in line and "CONSTANT" not in line for line in plan), plan
