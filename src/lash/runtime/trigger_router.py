"""From an occurrence to started processes: emit, and the sweep that finishes what emitters left.

```
emit ──► record and reserve (one transaction) ──► start each ──► mark
sweep ──────────────────── open deliveries ───────┘
```

Nothing is claimed. A delivery's process id follows from what it is, and registering a
process is idempotent by id, so the emitter and any number of sweeps may meet on one
delivery and one process comes of it (docs/spec/durability.md §6). After the first
transaction an emit cannot be lost: a sweep finishes it.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from lash.base.errors import LashError
from lash.sessions.errors import StoreUnavailable
from lash.triggers.delivery import (
    Delivery,
    DeliveryFilter,
    DeliveryRetry,
    DeliveryState,
    delivery_process_id,
    plan_start,
)
from lash.triggers.errors import InvalidDelivery
from lash.triggers.occurrence import Occurrence, OccurrenceRequest
from lash.triggers.starting import ProcessStarter
from lash.triggers.store import Emitted, TriggerStore
from lash.triggers.subscription import Subscription

logger = logging.getLogger("lash.triggers")

# How soon a delivery that queues behind an earlier run is looked at again; one that stands further back is looked at
# later in proportion, so that a long queue costs as little as a short one.
QUEUE_RECHECK_MS: Final = 2_000

# No occurrence has more deliveries than fit into one report.
ALL: Final = 1_000_000

# How many deliveries one sweep reads at a time.
SWEEP_LIMIT: Final = 100

# What is kept of an error: a line for people.
_MAX_ERROR_CHARS: Final = 500


class DeliveryReport(msgspec.Struct, frozen=True):
    """What became of one delivery."""

    subscription_id: str
    handle: str
    process_id: str
    state: DeliveryState
    error: str | None = None


class TriggerEmitReport(msgspec.Struct, frozen=True):
    """What an emit did. `replayed`: the occurrence was recorded before, and nothing was started now."""

    occurrence_id: str
    started_process_ids: list[str]
    deliveries: list[DeliveryReport]
    replayed: bool = False


class SweepReport(msgspec.Struct, frozen=True):
    """What a sweep looked at, by how it ended."""

    started: int = 0
    failed: int = 0
    dead: int = 0
    skipped: int = 0
    waiting: int = 0


class TriggerRouter:
    """Starts what occurrences reserve. One a core; several may work on one store.

    `on_started` is told after deliveries were started, so that a worker looks at once; `on_left` after
    an emit has left some to a later sweep.
    """

    def __init__(
        self,
        store: TriggerStore,
        starter: ProcessStarter,
        *,
        retry: DeliveryRetry | None = None,
        on_started: Callable[[], None] | None = None,
        on_left: Callable[[], None] | None = None,
    ) -> None:
        self._store = store
        self._starter = starter
        self._retry = retry or DeliveryRetry()
        self._on_started = on_started
        self._on_left = on_left

    async def emit(self, request: OccurrenceRequest) -> TriggerEmitReport:
        """Records what happened and starts what is subscribed to it.

        Raises `InvalidTrigger`, `OccurrenceConflict` and what the store raises while nothing is
        recorded. Afterwards it raises no more: a delivery that failed says so in the report and is
        tried again by a sweep.
        """
        return await self.deliver(await self._store.record_and_reserve(request))

    async def deliver(self, emitted: Emitted) -> TriggerEmitReport:
        """Starts what was just reserved; reports what stands when another call had reserved it."""
        occurrence = emitted.occurrence
        if emitted.replayed:
            wanted = DeliveryFilter(occurrence_id=occurrence.occurrence_id, limit=ALL)
            deliveries = await self._store.list_deliveries(wanted)
            reports = [_reported(found) for found in deliveries]
            return TriggerEmitReport(occurrence.occurrence_id, _started(reports), reports, replayed=True)
        reports = []
        for found in emitted.reservations:
            try:
                reports.append(await self._attempt(found.subscription, occurrence, 0))
            except StoreUnavailable as error:  # a sweep goes on where this stopped
                logger.warning("delivery %s is left to a sweep: %s", found.process_id, error)
                reports.append(_report(found.subscription, found.process_id, "reserved", error))
        started = _started(reports)
        if started and self._on_started is not None:
            self._on_started()
        if self._on_left is not None and any(report.state in ("failed", "reserved") for report in reports):
            self._on_left()
        return TriggerEmitReport(occurrence.occurrence_id, started, reports)

    async def sweep(self, limit: int = SWEEP_LIMIT) -> SweepReport:
        """Tries open deliveries whose time has come: those of crashed emitters, and failed ones.

        Raises `StoreUnavailable`; what was done before it stands.
        """
        counts: Counter[DeliveryState] = Counter()
        seen: set[int] = set()
        try:
            while True:
                found = await self._store.open_deliveries(limit)
                # Each once: an attempt that does not start its process puts the next one off.
                fresh = [each for each in found if each.delivery.seq not in seen]
                seen |= {each.delivery.seq for each in fresh}
                for each in fresh:
                    delivery = each.delivery
                    report = await self._attempt(delivery.subscription, each.occurrence, delivery.attempts)
                    counts[report.state] += 1
                if len(found) < limit or not fresh:
                    break
        finally:
            if counts["started"] and self._on_started is not None:
                self._on_started()
        return SweepReport(counts["started"], counts["failed"], counts["dead"], counts["skipped"], counts["reserved"])

    async def _attempt(self, subscription: Subscription, occurrence: Occurrence, attempts: int) -> DeliveryReport:
        """One attempt at a delivery; raises only for the store's own trouble."""
        occurrence_id, subscription_id = occurrence.occurrence_id, subscription.subscription_id
        process_id = delivery_process_id(occurrence_id, subscription_id)
        try:
            start = plan_start(subscription, occurrence)
        except InvalidDelivery as error:
            if await self._store.mark_delivery_failed(occurrence_id, subscription_id, str(error), attempts + 1, None):
                return _report(subscription, process_id, "dead", error)
            return await self._as_it_stands(subscription, occurrence)
        blocked_by = await self._blocked_by(subscription, occurrence)
        if blocked_by is not None:
            return await self._give_way(subscription, occurrence, *blocked_by)
        try:
            await self._starter.start(start)
        except StoreUnavailable:
            raise
        except Exception as error:
            if not isinstance(error, LashError):
                logger.exception("starting %s failed", process_id)
            return await self._failed(subscription, occurrence, attempts + 1, error)
        await self._store.mark_delivery_started(occurrence_id, subscription_id)
        return _report(subscription, process_id, "started")

    async def _blocked_by(self, subscription: Subscription, occurrence: Occurrence) -> tuple[str, int] | None:
        """The earlier run that a subscription without overlap has to respect, and how many stand in between.

        The answer only ever changes from a process to None: what is earlier is fixed, and what
        has ended stays so. So an attempt after a crash never skips what was started before it.
        """
        if subscription.draft.overlap == "allow":
            return None
        earlier = await self._store.earlier_run(occurrence.occurrence_id, subscription.subscription_id)
        if earlier.open_process_id is not None:
            return earlier.open_process_id, earlier.open_count
        running = earlier.started_process_id
        return (running, 0) if running is not None and await self._starter.is_running(running) else None

    async def _give_way(
        self, subscription: Subscription, occurrence: Occurrence, earlier: str, between: int
    ) -> DeliveryReport:
        occurrence_id, subscription_id = occurrence.occurrence_id, subscription.subscription_id
        process_id = delivery_process_id(occurrence_id, subscription_id)
        if subscription.draft.overlap == "skip":
            reason = f"skipped: the earlier run {earlier} has not ended"
            if await self._store.mark_delivery_skipped(occurrence_id, subscription_id, reason):
                return DeliveryReport(subscription_id, subscription.handle, process_id, "skipped", reason)
        elif await self._store.defer_delivery(occurrence_id, subscription_id, QUEUE_RECHECK_MS * (1 + between)):
            return DeliveryReport(
                subscription_id, subscription.handle, process_id, "reserved", f"queued behind {earlier}"
            )
        return await self._as_it_stands(subscription, occurrence)

    async def _failed(
        self, subscription: Subscription, occurrence: Occurrence, attempts: int, error: Exception
    ) -> DeliveryReport:
        occurrence_id, subscription_id = occurrence.occurrence_id, subscription.subscription_id
        pause = self._retry.pause_ms(attempts)
        text = _line(error)
        if not await self._store.mark_delivery_failed(occurrence_id, subscription_id, text, attempts, pause):
            return await self._as_it_stands(subscription, occurrence)
        process_id = delivery_process_id(occurrence_id, subscription_id)
        return _report(subscription, process_id, "dead" if pause is None else "failed", error)

    async def _as_it_stands(self, subscription: Subscription, occurrence: Occurrence) -> DeliveryReport:
        """Somebody else has settled the delivery meanwhile: what they made of it."""
        wanted = DeliveryFilter(
            occurrence_id=occurrence.occurrence_id, subscription_id=subscription.subscription_id, limit=1
        )
        [delivery] = await self._store.list_deliveries(wanted)
        return _reported(delivery)


def _started(reports: Sequence[DeliveryReport]) -> list[str]:
    return [report.process_id for report in reports if report.state == "started"]


def _report(
    subscription: Subscription, process_id: str, state: DeliveryState, error: Exception | None = None
) -> DeliveryReport:
    line = None if error is None else _line(error)
    return DeliveryReport(subscription.subscription_id, subscription.handle, process_id, state, line)


def _reported(delivery: Delivery) -> DeliveryReport:
    return DeliveryReport(
        delivery.subscription_id, delivery.subscription.handle, delivery.process_id, delivery.state, delivery.last_error
    )


def _line(error: Exception) -> str:
    text = (str(error) or type(error).__name__).partition("\n")[0]
    return text if len(text) <= _MAX_ERROR_CHARS else f"{text[:_MAX_ERROR_CHARS]}…"
