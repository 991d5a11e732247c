"""What can be wrong with triggers and schedules.

```
TriggerError
├── InvalidTrigger          the caller's draft, request or filter is unusable; nothing was written
│   └── InvalidSchedule     … a schedule's; `field` names the part
├── OccurrenceConflict      the idempotency key was used with other content
├── UnknownOccurrence       no occurrence has this id
├── InvalidDelivery         this occurrence can never start this subscription's target
└── ZoneDataMissing         the machine has no time zone database (a ConfigurationError too)
```
"""

from __future__ import annotations

from lash.base.errors import ConfigurationError, InvalidArgument, LashError


class TriggerError(LashError):
    """Base of what triggers can report."""

    code = "trigger_error"


class InvalidTrigger(TriggerError, InvalidArgument):
    """A draft, a request or a filter is unusable as given; nothing was written."""

    code = "invalid_trigger"


class InvalidSchedule(InvalidTrigger):
    """A schedule can never run as described; `field` names the part to mend."""

    code = "invalid_schedule"

    def __init__(self, field: str, value: object, reason: str) -> None:
        super().__init__(f"schedule field `{field}` is invalid: {value!r} {reason}")
        self.field = field
        self.value = value


class ZoneDataMissing(TriggerError, ConfigurationError):
    """This machine has no time zone database, so no zone but UTC can be read."""

    code = "zone_data_missing"

    def __init__(self, zone: str) -> None:
        super().__init__(
            f"time zone `{zone}` cannot be read: this machine has no time zone database; "
            "install the system's tzdata package, or pip install tzdata"
        )
        self.zone = zone


class OccurrenceConflict(TriggerError):
    """One idempotency key of one source cannot name two different things that happened."""

    code = "trigger_occurrence_conflict"

    def __init__(self, idempotency_key: str) -> None:
        super().__init__(f"trigger occurrence idempotency conflict for `{idempotency_key}`")
        self.idempotency_key = idempotency_key


class UnknownOccurrence(TriggerError):
    """No occurrence has this id: it was never recorded, or was pruned."""

    code = "unknown_trigger_occurrence"

    def __init__(self, occurrence_id: str) -> None:
        super().__init__(f"unknown trigger occurrence `{occurrence_id}`")
        self.occurrence_id = occurrence_id


class InvalidDelivery(TriggerError):
    """The occurrence does not fit the subscription, and never will: the delivery is dead."""

    code = "invalid_trigger_delivery"
