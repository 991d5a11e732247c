"""The trigger store against a model: whatever is registered, emitted, started and pruned, in whatever order."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lash.stores import Store
from lash.testing.clock import VirtualClock
from lash.testing.conformance.triggers import button_draft, pressed
from lash.triggers.delivery import DeliveryState, delivery_process_id
from lash.triggers.errors import OccurrenceConflict
from lash.triggers.occurrence import OccurrenceFilter
from lash.triggers.sources import source_key
from lash.triggers.subscription import SubscriptionFilter

SESSIONS = ["session-a", "session-b"]
SOURCES = ["red", "blue"]
KEYS = ["k1", "k2", "k3"]


def key_of(source: str) -> str:
    return source_key("ui.button.pressed", {"button": source})


@dataclass
class ModelSubscription:
    handle: str
    session: str
    source: str
    key: str | None
    label: str
    enabled: bool = True
    revision: int = 1


@dataclass
class ModelDelivery:
    subscription_id: str
    state: DeliveryState = "reserved"
    attempts: int = 0


@dataclass
class ModelOccurrence:
    payload: str
    occurred_at_ms: int
    deliveries: list[ModelDelivery] | None = None
    order: int = 0


@dataclass
class Model:
    subscriptions: list[ModelSubscription] = field(default_factory=list)
    occurrences: dict[tuple[str, str], ModelOccurrence] = field(default_factory=dict)


class Triggers(RuleBasedStateMachine):
    """Subscriptions in order; occurrences by source and key, with the deliveries that were decided once."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = VirtualClock()
        self.store: Store = self.run(Store.open(":memory:", clock=self.clock))
        self.triggers = self.store.triggers
        self.model = Model()

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        self.run(self.store.close())
        self.loop.close()

    @rule(
        session=st.sampled_from(SESSIONS),
        source=st.sampled_from(SOURCES),
        key=st.sampled_from([None, None, "fixed"]),
        label=st.sampled_from(["one", "two"]),
    )
    def register(self, session: str, source: str, key: str | None, label: str) -> None:
        draft = msgspec.structs.replace(button_draft(session, label), source_key=key_of(source), key=key)
        found = self.run(self.triggers.register_subscription(draft))
        known = next((it for it in self.model.subscriptions if key and (it.session, it.key) == (session, key)), None)
        if known is None:
            known = ModelSubscription(found.handle, session, source, key, label)
            self.model.subscriptions.append(known)
        elif (known.source, known.label, known.enabled) != (source, label, True):
            known.source, known.label, known.enabled = source, label, True
            known.revision += 1
        assert (found.handle, found.revision, found.enabled) == (known.handle, known.revision, True)

    @rule(session=st.sampled_from(SESSIONS), place=st.integers(0, 5))
    def cancel(self, session: str, place: int) -> None:
        if place >= len(self.model.subscriptions):
            return
        known = self.model.subscriptions[place]
        is_theirs = known.session == session and known.enabled
        assert self.run(self.triggers.cancel_subscription(session, known.handle)) is is_theirs
        if is_theirs:
            known.enabled = False
            known.revision += 1

    @rule(session=st.sampled_from(SESSIONS))
    def delete_session(self, session: str) -> None:
        kept = [known for known in self.model.subscriptions if known.session != session]
        removed = self.run(self.triggers.delete_session_subscriptions(session))
        assert removed == len(self.model.subscriptions) - len(kept)
        self.model.subscriptions = kept

    @rule(
        source=st.sampled_from(SOURCES),
        key=st.sampled_from(KEYS),
        payload=st.sampled_from(["x", "x", "y"]),
        how=st.sampled_from(["record", "both"]),
    )
    def emit(self, source: str, key: str, payload: str, how: str) -> None:
        request = msgspec.structs.replace(pressed(key, payload), source_key=key_of(source))
        known = self.model.occurrences.get((source, key))
        act = self.triggers.record_occurrence if how == "record" else self.triggers.record_and_reserve
        if known is not None and known.payload != payload:
            try:
                self.run(act(request))
            except OccurrenceConflict:
                return
            raise AssertionError("one key named two things")
        answer = self.run(act(request))
        if known is None:
            known = self.model.occurrences[source, key] = ModelOccurrence(payload, self.clock.now_ms())
            known.order = max(it.order for it in self.model.occurrences.values()) + 1
        if how == "both":
            self._reserved(source, known, answer.reservations)

    @rule(source=st.sampled_from(SOURCES), key=st.sampled_from(KEYS))
    def reserve(self, source: str, key: str) -> None:
        known = self.model.occurrences.get((source, key))
        if known is None:
            return
        occurrence_id = msgspec.structs.replace(pressed(key), source_key=key_of(source)).occurrence_id
        self._reserved(source, known, self.run(self.triggers.reserve_matching_deliveries(occurrence_id)))

    @precondition(lambda self: self._all_deliveries())
    @rule(data=st.data(), outcome=st.sampled_from(["started", "failed", "dead", "skipped"]))
    def settle(self, data: st.DataObject, outcome: DeliveryState) -> None:
        occurrence_id, delivery = data.draw(st.sampled_from(self._all_deliveries()))
        is_open = delivery.state in ("reserved", "failed")
        place = (occurrence_id, delivery.subscription_id)
        if outcome == "started":
            assert self.run(self.triggers.mark_delivery_started(*place))
            delivery.state = "started"
            return
        if outcome == "skipped":
            assert self.run(self.triggers.mark_delivery_skipped(*place, "busy")) is (
                is_open or delivery.state == "skipped"
            )
        else:
            attempts = delivery.attempts + 1
            pause = 1_000 if outcome == "failed" else None
            assert self.run(self.triggers.mark_delivery_failed(*place, "no", attempts, pause)) is is_open
            delivery.attempts += is_open
        if is_open:
            delivery.state = outcome

    @rule(ms=st.sampled_from([1, 1_000, 10_000]))
    def wait(self, ms: int) -> None:
        self.run(self.clock.advance(ms))

    @rule(back=st.sampled_from([0, 5_000]))
    def prune(self, back: int) -> None:
        before = self.clock.now_ms() - back
        kept = {
            place: it
            for place, it in self.model.occurrences.items()
            if it.occurred_at_ms >= before
            or it.deliveries is None
            or any(found.state in ("reserved", "failed") for found in it.deliveries)
        }
        removed = self.run(self.triggers.prune_occurrences(before, 100))
        assert removed == len(self.model.occurrences) - len(kept)
        self.model.occurrences = kept

    @invariant()
    def stored_and_model_agree(self) -> None:
        listed = self.run(self.triggers.list_subscriptions())
        expected = sorted(self.model.subscriptions, key=lambda it: (it.session, int(it.handle.partition(":")[2])))
        assert [(it.handle, it.enabled, it.revision) for it in listed] == [
            (it.handle, it.enabled, it.revision) for it in expected
        ]
        for session in SESSIONS:
            of_session = self.run(
                self.triggers.list_subscriptions(SubscriptionFilter(session_id=session, enabled=True))
            )
            assert len(of_session) == sum(it.session == session and it.enabled for it in expected)
        stored = self.run(self.triggers.list_deliveries())
        found = sorted((it.occurrence_id, it.subscription_id, it.state, it.attempts, it.process_id) for it in stored)
        assert found == sorted(
            (
                occurrence_id,
                it.subscription_id,
                it.state,
                it.attempts,
                delivery_process_id(occurrence_id, it.subscription_id),
            )
            for occurrence_id, it in self._all_deliveries()
        )
        occurrences = self.run(self.triggers.list_occurrences(OccurrenceFilter()))
        by_age = sorted(self.model.occurrences.items(), key=lambda entry: -entry[1].order)
        assert [(it.source_key, it.idempotency_key) for it in occurrences] == [
            (key_of(source), key) for (source, key), _ in by_age
        ]

    def _reserved(self, source: str, known: ModelOccurrence, reservations: list[Any]) -> None:
        matching = [it for it in self.model.subscriptions if it.source == source and it.enabled]
        expected = [it.handle for it in matching] if known.deliveries is None else []
        assert sorted(found.subscription.handle for found in reservations) == sorted(expected)
        if known.deliveries is None:
            known.deliveries = [ModelDelivery(found.subscription.subscription_id) for found in reservations]

    def _all_deliveries(self) -> list[tuple[str, ModelDelivery]]:
        return [
            (msgspec.structs.replace(pressed(key), source_key=key_of(source)).occurrence_id, delivery)
            for (source, key), it in sorted(self.model.occurrences.items())
            for delivery in it.deliveries or []
        ]


TestTriggers = Triggers.TestCase
TestTriggers.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
