"""Suites trigger_store (TS), trigger_store_reopenable (TSR), and the X rows of triggers."""

from __future__ import annotations

import msgspec

from lash.base.json import Json
from lash.processes.inputs import ProcessIdentity
from lash.testing.conformance.laws import Law, Rows, Scenario, Suite
from lash.triggers.delivery import DeliveryFilter, delivery_process_id
from lash.triggers.errors import InvalidTrigger, OccurrenceConflict, UnknownOccurrence
from lash.triggers.occurrence import OccurrenceRequest
from lash.triggers.registrant import SessionScope, session_registrant
from lash.triggers.sources import empty_source_key
from lash.triggers.store import TriggerStore
from lash.triggers.subscription import SubscriptionDraft, SubscriptionFilter
from lash.triggers.template import EventInput

TRIGGER_STORE: Suite[TriggerStore] = Suite("trigger_store")
TRIGGER_STORE_REOPENABLE: Suite[tuple[TriggerStore, TriggerStore]] = Suite("trigger_store_reopenable")

BUTTON = "ui.button.pressed"
BUTTON_KEY = empty_source_key(BUTTON)


def button_draft(session_id: str, process_name: str) -> SubscriptionDraft:
    """A session's subscription to the button."""
    target: dict[str, Json] = {
        "type": "lashlang_process",
        "module_ref": "module",
        "host_requirements_ref": "requirements",
        "process_ref": {"component": "process", "pos": 1},
        "process_name": process_name,
        "args": {},
    }
    return SubscriptionDraft(
        registrant=session_registrant(session_id),
        wake_target=SessionScope(session_id),
        env_ref="process-env:sha256:env",
        name=process_name,
        source_type=BUTTON,
        source_key=BUTTON_KEY,
        source={},
        payload_schema={
            "type": "object",
            "properties": {"button": {"type": "string"}},
            "required": ["button"],
        },
        target=target,
        target_identity=ProcessIdentity("lashlang", process_name),
        input_template={"event": EventInput()},
    )


def pressed(idempotency_key: str, button: str = "Blue") -> OccurrenceRequest:
    """Somebody pressed the button."""
    return OccurrenceRequest(
        source_type=BUTTON,
        source_key=BUTTON_KEY,
        payload={"button": button},
        idempotency_key=idempotency_key,
        source={},
    )


@TRIGGER_STORE.law("TS-01")
async def a_store_reports_its_tier(store: TriggerStore, row: Rows) -> None:
    tier = store.durability_tier()

    row("TS-01", tier in ("inline", "durable") and row.tier in (None, tier), tier)


@TRIGGER_STORE.law("TS-02", "TS-03")
async def a_source_key_is_stable(store: TriggerStore, row: Rows) -> None:
    first = store.source_key_for_subscription(BUTTON, {"button": "Blue"})
    second = store.source_key_for_subscription(BUTTON, {"button": "Blue"})

    row("TS-02", first == second, (first, second))
    row("TS-03", bool(first), first)


@TRIGGER_STORE.law("TS-04", "TS-05", "TS-06", "TS-07", "TS-08", "TS-09", "TS-10", "TS-11")
async def a_subscription_is_registered_listed_and_cancelled(store: TriggerStore, row: Rows) -> None:
    first = await store.register_subscription(button_draft("session-a", "first"))
    second = await store.register_subscription(button_draft("session-b", "second"))
    of_a = await store.list_subscriptions(SubscriptionFilter(session_id="session-a"))
    of_source = await store.list_subscriptions(
        SubscriptionFilter(source_type=BUTTON, source_key=BUTTON_KEY, enabled=True)
    )
    by_another = await store.cancel_subscription("session-b", first.handle)
    by_its_own = await store.cancel_subscription("session-a", first.handle)
    kept = await store.list_subscriptions(SubscriptionFilter(session_id="session-a", handle=first.handle))

    row("TS-04", all((first.subscription_id, first.handle, second.subscription_id, second.handle)), (first, second))
    row("TS-05", first.handle != second.handle, second.handle)
    row("TS-06", [found.handle for found in of_a] == [first.handle], of_a)
    row("TS-07", len(of_source) == 2, of_source)
    row("TS-08", by_another is False, by_another)
    row("TS-09", by_its_own is True, by_its_own)
    row("TS-10", len(kept) == 1, kept)
    row("TS-11", not any(found.enabled for found in kept), kept)


@TRIGGER_STORE.law("TS-12", "TS-13", "TS-14", "TS-15", "TS-16", "TS-17", "TS-18", "TS-19", "TS-20")
async def an_occurrence_is_recorded_and_reserved_once(store: TriggerStore, row: Rows) -> None:
    subscription = await store.register_subscription(button_draft("session-a", "on_button"))
    recorded = await store.record_occurrence(pressed("button-blue-1"))
    reserved = await store.reserve_matching_deliveries(recorded.occurrence_id)
    reserved_again = await store.reserve_matching_deliveries(recorded.occurrence_id)
    replayed = await store.record_occurrence(pressed("button-blue-1"))
    reserved_for_replay = await store.reserve_matching_deliveries(replayed.occurrence_id)
    cancelled = await store.cancel_subscription("session-a", subscription.handle)
    following = await store.record_occurrence(pressed("button-blue-2"))
    reserved_after_cancel = await store.reserve_matching_deliveries(following.occurrence_id)

    row("TS-12", bool(recorded.occurrence_id), recorded)
    row("TS-13", (recorded.source_type, recorded.source_key) == (BUTTON, BUTTON_KEY), recorded)
    row("TS-14", len(reserved) == 1, reserved)
    told = [(found.subscription.handle, found.occurrence.occurrence_id) for found in reserved]
    row("TS-15", told == [(subscription.handle, recorded.occurrence_id)], told)
    process_id = delivery_process_id(recorded.occurrence_id, subscription.subscription_id)
    row("TS-16", [found.process_id for found in reserved] == [process_id], reserved)
    row("TS-17", reserved_again == [], reserved_again)
    row("TS-18", replayed.occurrence_id == recorded.occurrence_id, replayed)
    row("TS-19", reserved_for_replay == [], reserved_for_replay)
    row("TS-20", cancelled and reserved_after_cancel == [], (cancelled, reserved_after_cancel))


@TRIGGER_STORE.law("X-24")
async def who_was_subscribed_is_decided_once(store: TriggerStore, row: Rows) -> None:
    early = await store.register_subscription(button_draft("session-a", "early"))
    recorded = await store.record_occurrence(pressed("button-blue-1"))
    first = await store.reserve_matching_deliveries(recorded.occurrence_id)
    await store.register_subscription(button_draft("session-b", "late"))

    replayed = await store.record_and_reserve(pressed("button-blue-1"))
    deliveries = await store.list_deliveries(DeliveryFilter(occurrence_id=recorded.occurrence_id))

    told = [found.subscription_id for found in deliveries]
    row("X-24", len(first) == 1 and replayed.reservations == [] and told == [early.subscription_id], told)


@TRIGGER_STORE.law("TSX-01", "TSX-02", "TSX-03", "TSX-04")
async def what_cannot_be_is_refused(store: TriggerStore, row: Rows) -> None:
    await store.record_occurrence(pressed("button-blue-1"))

    await row.raises("TSX-01", OccurrenceConflict, store.record_occurrence(pressed("button-blue-1", "Red")))
    await row.raises("TSX-02", UnknownOccurrence, store.reserve_matching_deliveries("trigger:none"))
    await row.raises("TSX-03", InvalidTrigger, store.record_occurrence(pressed("")))
    other = msgspec.structs.replace(button_draft("session-a", "on_button"), target_label="another")
    await row.raises("TSX-04", InvalidTrigger, store.register_subscription(other))


@TRIGGER_STORE.law("TSX-05", "TSX-06", "TSX-07")
async def a_delivery_ends_in_one_state(store: TriggerStore, row: Rows) -> None:
    subscription = await store.register_subscription(button_draft("session-a", "on_button"))
    emitted = await store.record_and_reserve(pressed("button-blue-1"))
    key = (emitted.occurrence.occurrence_id, subscription.subscription_id)

    failed = await store.mark_delivery_failed(*key, "no room", 1, 1_000)
    started = await store.mark_delivery_started(*key)
    late = await store.mark_delivery_failed(*key, "no room", 2, None)
    [delivery] = await store.list_deliveries(DeliveryFilter(process_id=emitted.reservations[0].process_id))

    row("TSX-05", failed and started and not late, (failed, started, late))
    row("TSX-06", (delivery.state, delivery.attempts, delivery.last_error) == ("started", 1, None), delivery)
    row("TSX-07", delivery.subscription.handle == subscription.handle, delivery.subscription)


@TRIGGER_STORE.law("TSX-08", "TSX-09")
async def a_session_takes_its_subscriptions_along(store: TriggerStore, row: Rows) -> None:
    await store.register_subscription(button_draft("session-a", "on_button"))
    kept = await store.register_subscription(button_draft("session-b", "on_button"))
    emitted = await store.record_and_reserve(pressed("button-blue-1"))

    removed = await store.delete_session_subscriptions("session-a")
    left = await store.list_subscriptions()
    deliveries = await store.list_deliveries(DeliveryFilter(occurrence_id=emitted.occurrence.occurrence_id))

    row("TSX-08", removed == 1 and [found.handle for found in left] == [kept.handle], left)
    row("TSX-09", [found.state for found in deliveries] == ["reserved", "reserved"], deliveries)


def _holds_on_open(plain: Law[TriggerStore]) -> Scenario[tuple[TriggerStore, TriggerStore]]:
    async def scenario(pair: tuple[TriggerStore, TriggerStore], row: Rows) -> None:
        own = Rows("durable")
        await plain.scenario(pair[0], own)
        broken = {law_id: why for law_id, why in own.stated.items() if why}
        row("TSR-01", not broken and set(own.stated) == set(plain.ids), broken)

    scenario.__name__ = plain.title
    return scenario


for plain_law in (*TRIGGER_STORE.laws,):
    TRIGGER_STORE_REOPENABLE.law("TSR-01", stores="SP")(_holds_on_open(plain_law))


@TRIGGER_STORE_REOPENABLE.law("TSR-02", "TSR-03", "TSR-04", "TSR-05", "TSR-06", stores="SP")
async def everything_is_there_through_another_handle(pair: tuple[TriggerStore, TriggerStore], row: Rows) -> None:
    first, second = pair
    subscription = await first.register_subscription(button_draft("session-a", "on_button"))
    recorded = await first.record_occurrence(pressed("button-blue-1"))
    reserved = await first.reserve_matching_deliveries(recorded.occurrence_id)

    listed = await second.list_subscriptions(SubscriptionFilter(session_id="session-a"))
    replayed = await second.record_occurrence(pressed("button-blue-1"))
    reserved_again = await second.reserve_matching_deliveries(replayed.occurrence_id)
    following = await second.record_occurrence(pressed("button-blue-2"))
    reserved_next = await second.reserve_matching_deliveries(following.occurrence_id)

    row("TSR-02", len(reserved) == 1, reserved)
    row("TSR-03", [found.handle for found in listed] == [subscription.handle], listed)
    row("TSR-04", replayed.occurrence_id == recorded.occurrence_id, replayed)
    row("TSR-05", reserved_again == [], reserved_again)
    row("TSR-06", [found.subscription.handle for found in reserved_next] == [subscription.handle], reserved_next)
