"""The trigger facet."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import Final, TypeVar

from lash.base.json import Json
from lash.base.tier import DurabilityTier
from lash.stores.facet import Facet
from lash.stores.readable import Readable
from lash.stores.sql import deliveries as delivery_sql
from lash.stores.sql import occurrences as occurrence_sql
from lash.stores.sql import schedules as schedule_sql
from lash.stores.sql import subscriptions as sql
from lash.triggers.delivery import Delivery, DeliveryFilter, EarlierRun, OpenDelivery, Reservation
from lash.triggers.errors import InvalidTrigger
from lash.triggers.occurrence import Occurrence, OccurrenceFilter, OccurrenceRequest
from lash.triggers.schedules import SOURCE_TYPE, Firing, Schedule, ScheduleDraft, first_due
from lash.triggers.sources import source_key
from lash.triggers.store import Emitted
from lash.triggers.subscription import Subscription, SubscriptionDraft, SubscriptionFilter

logger = logging.getLogger("lash.triggers")
T = TypeVar("T")

_HANDLE: Final = re.compile(r"trigger:([1-9]\d{0,17})")


class SqlTriggers(Facet):
    """Subscriptions, occurrences, deliveries and schedules in the database. Implements `TriggerStore`."""

    def durability_tier(self) -> DurabilityTier:
        """What the database behind it promises."""
        return self._driver.tier

    def source_key_for_subscription(self, source_type: str, source: Json) -> str:
        """See `TriggerStore`."""
        return source_key(source_type, source)

    async def register_subscription(self, draft: SubscriptionDraft) -> Subscription:
        """See `TriggerStore`."""
        draft.validated()
        # A minted key makes a repeat whose acknowledgement was lost find its own row.
        key = self._ids.new_id() if draft.key is None else draft.key
        return await self._driver.run(sql.register(draft, key, self._clock.now_ms()))

    async def list_subscriptions(self, wanted: SubscriptionFilter | None = None) -> list[Subscription]:
        """See `TriggerStore`."""
        wanted = wanted or SubscriptionFilter()
        seq = None if wanted.handle is None else _seq(wanted.handle)
        return await self._driver.run(sql.list_subscriptions(wanted, seq))

    async def cancel_subscription(self, session_id: str, handle: str) -> bool:
        """See `TriggerStore`."""
        return await self._driver.run(sql.cancel_of_session(session_id, _seq(handle), self._clock.now_ms())) > 0

    async def cancel_registrant_subscription(self, registrant_scope_id: str, handle: str) -> bool:
        """See `TriggerStore`."""
        program = sql.cancel_of_scope(registrant_scope_id, _seq(handle), self._clock.now_ms())
        return await self._driver.run(program) > 0

    async def delete_session_subscriptions(self, session_id: str) -> int:
        """See `TriggerStore`."""
        return await self._driver.run(sql.delete_session(session_id))

    async def record_occurrence(self, request: OccurrenceRequest) -> Occurrence:
        """See `TriggerStore`."""
        return await self._driver.run(occurrence_sql.record(request.validated(), self._clock.now_ms()))

    async def reserve_matching_deliveries(self, occurrence_id: str) -> list[Reservation]:
        """See `TriggerStore`."""
        return await self._driver.run(
            occurrence_sql.reserve(occurrence_id, self._ids.new_token(), self._clock.now_ms())
        )

    async def record_and_reserve(self, request: OccurrenceRequest) -> Emitted:
        """See `TriggerStore`."""
        program = occurrence_sql.record_and_reserve(request.validated(), self._ids.new_token(), self._clock.now_ms())
        return await self._driver.run(program)

    async def list_occurrences(self, wanted: OccurrenceFilter | None = None) -> list[Occurrence]:
        """See `TriggerStore`."""
        return await self._driver.run(occurrence_sql.list_occurrences(wanted or OccurrenceFilter()))

    async def get_occurrence(self, occurrence_id: str) -> Occurrence | None:
        """See `TriggerStore`."""
        return await self._driver.run(occurrence_sql.get_occurrence(occurrence_id))

    async def list_deliveries(self, wanted: DeliveryFilter | None = None) -> list[Delivery]:
        """See `TriggerStore`."""
        return await self._driver.run(delivery_sql.list_deliveries(wanted or DeliveryFilter()))

    async def open_deliveries(self, limit: int) -> list[OpenDelivery]:
        """See `TriggerStore`."""
        return _told(await self._driver.run(delivery_sql.open_deliveries(self._clock.now_ms(), limit)))

    async def earlier_run(self, occurrence_id: str, subscription_id: str) -> EarlierRun:
        """See `TriggerStore`."""
        return await self._driver.run(delivery_sql.earlier_run(occurrence_id, subscription_id))

    async def mark_delivery_started(self, occurrence_id: str, subscription_id: str) -> bool:
        """See `TriggerStore`."""
        program = delivery_sql.mark_started(occurrence_id, subscription_id, self._clock.now_ms())
        return await self._driver.run(program) > 0

    async def mark_delivery_failed(
        self, occurrence_id: str, subscription_id: str, error: str, attempts: int, retry_in_ms: int | None
    ) -> bool:
        """See `TriggerStore`."""
        retry_at = None if retry_in_ms is None else self._clock.now_ms() + retry_in_ms
        program = delivery_sql.mark_failed(occurrence_id, subscription_id, error, attempts, retry_at)
        return await self._driver.run(program) > 0

    async def mark_delivery_skipped(self, occurrence_id: str, subscription_id: str, reason: str) -> bool:
        """See `TriggerStore`."""
        return await self._driver.run(delivery_sql.mark_skipped(occurrence_id, subscription_id, reason)) > 0

    async def defer_delivery(self, occurrence_id: str, subscription_id: str, retry_in_ms: int) -> bool:
        """See `TriggerStore`."""
        retry_at = self._clock.now_ms() + retry_in_ms
        return await self._driver.run(delivery_sql.defer(occurrence_id, subscription_id, retry_at)) > 0

    async def put_schedule(self, draft: ScheduleDraft, subscription: SubscriptionDraft | None = None) -> Schedule:
        """See `TriggerStore`."""
        draft.validated()
        if subscription is not None:
            subscription.validated()
            if (subscription.source_type, subscription.source_key) != (SOURCE_TYPE, draft.source_key):
                raise InvalidTrigger(f"the subscription of schedule {draft.schedule_id!r} names another source")
            if subscription.registrant != draft.registrant:
                raise InvalidTrigger(f"the subscription of schedule {draft.schedule_id!r} has another registrant")
        now_ms = self._clock.now_ms()
        return await self._driver.run(schedule_sql.put(draft, first_due(draft.spec, now_ms), subscription, now_ms))

    async def cancel_schedule(self, schedule_id: str) -> bool:
        """See `TriggerStore`."""
        return await self._driver.run(schedule_sql.cancel(schedule_id, self._clock.now_ms()))

    async def list_schedules(self, session_id: str | None = None) -> list[Schedule]:
        """See `TriggerStore`."""
        return await self._driver.run(schedule_sql.list_schedules(session_id))

    async def get_schedule(self, schedule_id: str) -> Schedule | None:
        """See `TriggerStore`."""
        return await self._driver.run(schedule_sql.get(schedule_id))

    async def due_schedules(self, now_ms: int, limit: int) -> list[Schedule]:
        """See `TriggerStore`."""
        return _told(await self._driver.run(schedule_sql.due(now_ms, limit)))

    async def fire(self, firings: Sequence[Firing]) -> list[Emitted]:
        """See `TriggerStore`."""
        if not firings:
            return []
        return await self._driver.run(schedule_sql.fire(firings, self._ids.new_token(), self._clock.now_ms()))

    async def next_wake_ms(self) -> int | None:
        """See `TriggerStore`."""
        return await self._driver.run(schedule_sql.next_wake())

    async def prune_occurrences(self, before_ms: int, limit: int) -> int:
        """See `TriggerStore`."""
        return await self._driver.run(occurrence_sql.prune(before_ms, limit))

    async def live_references(self) -> set[str]:
        """Artifact and environment references of what may still start something: subscriptions, open deliveries."""
        found: set[str] = set()
        for draft in await self._driver.run(occurrence_sql.live_drafts()):
            found |= references_of(draft)
        return found


def _told(rows: Readable[T]) -> list[T]:
    for problem in rows.problems:
        logger.error("%s: left alone", problem)
    return rows.found


def references_of(draft: SubscriptionDraft) -> set[str]:
    """The module and the environment that runs of a subscription need."""
    refs = {draft.env_ref, draft.target.get("module_ref")}
    return {ref for ref in refs if isinstance(ref, str)}


def _seq(handle: str) -> int:
    """The number in a handle; one that no subscription has for anything else."""
    found = _HANDLE.fullmatch(handle)
    return int(found.group(1)) if found else -1
