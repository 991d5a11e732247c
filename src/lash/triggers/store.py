"""The trigger port: subscriptions, occurrences, deliveries, schedules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from lash.base.json import Json
from lash.base.tier import DurabilityTier
from lash.triggers.delivery import Delivery, DeliveryFilter, EarlierRun, OpenDelivery, Reservation
from lash.triggers.occurrence import Occurrence, OccurrenceFilter, OccurrenceRequest
from lash.triggers.schedules import Firing, Schedule, ScheduleDraft
from lash.triggers.subscription import Subscription, SubscriptionDraft, SubscriptionFilter


class Emitted(msgspec.Struct, frozen=True):
    """A recorded occurrence and what this call reserved for it.

    `replayed`: another call had reserved before, and this one did nothing.
    """

    occurrence: Occurrence
    reservations: list[Reservation]
    replayed: bool = False


class TriggerStore(Protocol):
    """Who wants what started when, and what happened. Every method is one transaction."""

    def durability_tier(self) -> DurabilityTier: ...

    def source_key_for_subscription(self, source_type: str, source: Json) -> str:
        """The stable key of a source."""
        ...

    async def register_subscription(self, draft: SubscriptionDraft) -> Subscription:
        """Adds a subscription; with a `key` its registrant used before, changes that one.

        Raises `InvalidTrigger`, and `SessionDeleted` for a registrant that is gone.
        """
        ...

    async def list_subscriptions(self, wanted: SubscriptionFilter | None = None) -> list[Subscription]:
        """By registrant, then in the order of registration; cancelled ones too."""
        ...

    async def cancel_subscription(self, session_id: str, handle: str) -> bool:
        """Disables a session's subscription and keeps its row; False if there is nothing to disable."""
        ...

    async def cancel_registrant_subscription(self, registrant_scope_id: str, handle: str) -> bool:
        """The same for any registrant, the host included."""
        ...

    async def delete_session_subscriptions(self, session_id: str) -> int:
        """Removes what a session registered, schedules too; reserved deliveries go on. The number removed."""
        ...

    async def record_occurrence(self, request: OccurrenceRequest) -> Occurrence:
        """Records what happened, once a key. Raises `InvalidTrigger` and `OccurrenceConflict`."""
        ...

    async def reserve_matching_deliveries(self, occurrence_id: str) -> list[Reservation]:
        """Decides, at the first call, who was subscribed; later calls answer nothing. Raises `UnknownOccurrence`."""
        ...

    async def record_and_reserve(self, request: OccurrenceRequest) -> Emitted:
        """Both in one transaction: what `emit` uses."""
        ...

    async def list_occurrences(self, wanted: OccurrenceFilter | None = None) -> list[Occurrence]:
        """The newest first."""
        ...

    async def get_occurrence(self, occurrence_id: str) -> Occurrence | None:
        """One occurrence."""
        ...

    async def list_deliveries(self, wanted: DeliveryFilter | None = None) -> list[Delivery]:
        """In the order of their reservation."""
        ...

    async def open_deliveries(self, limit: int) -> list[OpenDelivery]:
        """Deliveries whose next attempt is due, the longest waiting first."""
        ...

    async def earlier_run(self, occurrence_id: str, subscription_id: str) -> EarlierRun:
        """What stands before a delivery: the earlier ones of the same subscription."""
        ...

    async def mark_delivery_started(self, occurrence_id: str, subscription_id: str) -> bool:
        """The process is registered: that stands, whatever the state was. False for an unknown delivery."""
        ...

    async def mark_delivery_failed(
        self, occurrence_id: str, subscription_id: str, error: str, attempts: int, retry_in_ms: int | None
    ) -> bool:
        """Notes the failed attempt `attempts`; without a next one the delivery is dead. False if it is not open."""
        ...

    async def mark_delivery_skipped(self, occurrence_id: str, subscription_id: str, reason: str) -> bool:
        """Drops an open delivery because an earlier run had not ended. False if it is not open."""
        ...

    async def defer_delivery(self, occurrence_id: str, subscription_id: str, retry_in_ms: int) -> bool:
        """Looks at an open delivery again later, without counting an attempt. False if it is not open."""
        ...

    async def put_schedule(self, draft: ScheduleDraft, subscription: SubscriptionDraft | None = None) -> Schedule:
        """Adds or changes a schedule, together with a subscription to it.

        Raises `InvalidSchedule`, `InvalidTrigger`, and `SessionDeleted` for a registrant that is gone.
        """
        ...

    async def cancel_schedule(self, schedule_id: str) -> bool:
        """Stops a schedule and keeps its row; False if there is nothing to stop."""
        ...

    async def list_schedules(self, session_id: str | None = None) -> list[Schedule]:
        """All of them, or a session's, by id; cancelled ones too."""
        ...

    async def get_schedule(self, schedule_id: str) -> Schedule | None:
        """One schedule."""
        ...

    async def due_schedules(self, now_ms: int, limit: int) -> list[Schedule]:
        """Schedules due at `now_ms`, the longest waiting first."""
        ...

    async def fire(self, firings: Sequence[Firing]) -> list[Emitted]:
        """Advances schedules and records their occurrences; firings that another worker made answer nothing."""
        ...

    async def next_wake_ms(self) -> int | None:
        """When there is something to do next: a schedule due, or a delivery to try. None: nothing."""
        ...

    async def prune_occurrences(self, before_ms: int, limit: int) -> int:
        """Removes occurrences recorded before, with their deliveries. The number removed.

        Kept are those with a delivery that is open, or whose process has not ended.
        """
        ...
