"""Deliveries: one occurrence for one subscription, until its process is started.

```
reserved ──► started
   │  ▲         ▲
   ▼  │         │          a registered process is the truth: `started` wins over the others
 failed ────────┤
   │            │
   ├──► dead ───┤          given up: the target can never start, or too many attempts
   └──► skipped ┘          an earlier run had not ended, and the subscription says `skip`
```

The process id follows from the occurrence and the subscription, and registering a
process is idempotent by id. So whoever finds a delivery open may start it, the
emitter and any number of sweeps, and one process comes of it.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

from lash.base.canonical import stable_hash
from lash.base.causes import TriggerOccurrenceCause
from lash.base.json import JsonObject
from lash.base.schema import compile_schema
from lash.processes.inputs import ProcessIdentity
from lash.triggers.errors import InvalidDelivery
from lash.triggers.occurrence import Occurrence
from lash.triggers.registrant import Registrant, SessionScope
from lash.triggers.subscription import Subscription
from lash.triggers.template import render, with_arguments

DeliveryState: TypeAlias = Literal["reserved", "started", "failed", "dead", "skipped"]
OPEN_STATES: Final[tuple[DeliveryState, ...]] = ("reserved", "failed")


class Reservation(msgspec.Struct, frozen=True):
    """A delivery that was just reserved: the subscription as it was, and the process to start."""

    subscription: Subscription
    occurrence: Occurrence
    process_id: str


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery as it stands. `seq` orders the deliveries of a subscription."""

    seq: int
    occurrence_id: str
    subscription: Subscription
    process_id: str
    state: DeliveryState
    attempts: int
    created_at_ms: int
    last_error: str | None = None
    next_attempt_at_ms: int | None = None
    started_at_ms: int | None = None

    @property
    def subscription_id(self) -> str:
        """Whose delivery it is."""
        return self.subscription.subscription_id


class DeliveryFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which deliveries to list, in the order of their reservation: the first `limit`, or with `newest` the last."""

    occurrence_id: str | None = None
    subscription_id: str | None = None
    process_id: str | None = None
    state: DeliveryState | None = None
    limit: int = 1_000
    newest: bool = False


class OpenDelivery(msgspec.Struct, frozen=True):
    """A delivery that should be started, with what happened."""

    delivery: Delivery
    occurrence: Occurrence


class EarlierRun(msgspec.Struct, frozen=True):
    """What stands before a delivery: earlier ones that are still open, and the process started last."""

    open_process_id: str | None
    started_process_id: str | None
    open_count: int = 0


class TriggeredStart(msgspec.Struct, frozen=True, kw_only=True):
    """A process to register: everything that its registration needs.

    `registrant` is its originator. The grant, if any, follows from `wake_target` and `identity`.
    """

    process_id: str
    input: JsonObject
    registrant: Registrant
    caused_by: TriggerOccurrenceCause
    identity: ProcessIdentity
    env_ref: str | None
    wake_target: SessionScope | None
    event_types: list[JsonObject]
    replay_key: str


class DeliveryRetry(msgspec.Struct, frozen=True):
    """How often a start that failed is tried, and after which pauses."""

    attempts: int = 8
    base_ms: int = 1_000
    max_ms: int = 300_000

    def pause_ms(self, attempts: int) -> int | None:
        """The pause after so many failed attempts; None gives up."""
        if attempts >= self.attempts:
            return None
        return min(self.max_ms, self.base_ms << min(attempts - 1, 32))


def delivery_process_id(occurrence_id: str, subscription_id: str) -> str:
    """The process of a delivery, the same wherever and however often it is asked for."""
    return f"process:trigger:{stable_hash([occurrence_id, subscription_id])}"


def plan_start(subscription: Subscription, occurrence: Occurrence) -> TriggeredStart:
    """What to start. Raises `InvalidDelivery`: trying again would change nothing."""
    draft = subscription.draft
    problems = compile_schema(draft.payload_schema).problems(occurrence.payload)
    if problems:
        raise InvalidDelivery(f"invalid payload for trigger `{subscription.handle}`: {problems[0]}")
    occurrence_id, subscription_id = occurrence.occurrence_id, subscription.subscription_id
    return TriggeredStart(
        process_id=delivery_process_id(occurrence_id, subscription_id),
        input=with_arguments(draft.target, render(draft.input_template, occurrence.payload)),
        registrant=draft.registrant,
        caused_by=TriggerOccurrenceCause(occurrence_id),
        identity=draft.target_identity,
        env_ref=draft.env_ref,
        wake_target=draft.wake_target,
        event_types=draft.event_types,
        replay_key=f"trigger:{occurrence_id}:{subscription_id}",
    )
