"""What the command line says of triggers."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from lash.base.canonical import canonical_json
from lash.base.json import Json
from lash.cli.output import when
from lash.triggers.delivery import Delivery
from lash.triggers.schedules import At, Cron, Every, Schedule, ScheduleSpec
from lash.triggers.subscription import Subscription


class SubscriptionFacts(msgspec.Struct, frozen=True):
    """A subscription. Times are in milliseconds since the epoch."""

    handle: str
    source_type: str
    source: Json
    name: str | None
    starts: str
    wakes: str | None
    overlap: str
    registered_by: str
    enabled: bool
    created_at_ms: int

    @staticmethod
    def of(found: Subscription) -> SubscriptionFacts:
        """The facts of a subscription."""
        draft = found.draft
        return SubscriptionFacts(
            found.handle,
            draft.source_type,
            draft.source,
            draft.name,
            found.label or draft.target_identity.kind,
            None if draft.wake_target is None else draft.wake_target.session_id,
            draft.overlap,
            draft.registrant.scope_id,
            found.enabled,
            found.created_at_ms,
        )

    @property
    def source_text(self) -> str:
        """Which one of its type it is about."""
        return canonical_json(self.source)

    @property
    def state(self) -> str:
        """Whether it still counts."""
        return _state(self.enabled)


class ScheduleFacts(msgspec.Struct, frozen=True):
    """A schedule. Times are in milliseconds since the epoch; `next_due_at_ms` is null when it is over."""

    id: str
    spec: ScheduleSpec
    catch_up: str
    enabled: bool
    next_due_at_ms: int | None
    last_due_at_ms: int | None

    @staticmethod
    def of(found: Schedule) -> ScheduleFacts:
        """The facts of a schedule."""
        draft = found.draft
        return ScheduleFacts(
            found.schedule_id,
            draft.spec,
            draft.catch_up.mode,
            found.enabled,
            found.next_due_ms,
            found.last_due_ms,
        )

    @property
    def when(self) -> str:
        """When it is due, for people."""
        match self.spec:
            case Cron(cron=cron, tz=tz):
                return f"{cron} {tz}"
            case Every(every_ms=every_ms):
                return f"every {timedelta(milliseconds=every_ms)}"
            case At(at_ms=at_ms):
                return when(at_ms)

    @property
    def state(self) -> str:
        """Whether it still counts."""
        return "over" if self.enabled and self.next_due_at_ms is None else _state(self.enabled)


class DeliveryFacts(msgspec.Struct, frozen=True):
    """One occurrence for one subscription. Times are in milliseconds since the epoch."""

    occurrence_id: str
    handle: str
    process_id: str
    state: str
    attempts: int
    last_error: str | None
    created_at_ms: int
    started_at_ms: int | None

    @staticmethod
    def of(found: Delivery) -> DeliveryFacts:
        """The facts of a delivery."""
        return DeliveryFacts(
            found.occurrence_id,
            found.subscription.handle,
            found.process_id,
            found.state,
            found.attempts,
            found.last_error,
            found.created_at_ms,
            found.started_at_ms,
        )


def _state(enabled: bool) -> str:
    return "active" if enabled else "cancelled"
