"""Triggers: what happens in the world, or on the clock, and the processes it starts.

Read `subscription.py`, `occurrence.py` and `delivery.py` for the rules, `schedules.py` for
the clock, `store.py` for the port. docs/spec/durability.md §6 is the source.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from lash.triggers.delivery import Delivery as Delivery
    from lash.triggers.delivery import DeliveryFilter as DeliveryFilter
    from lash.triggers.errors import InvalidSchedule as InvalidSchedule
    from lash.triggers.errors import InvalidTrigger as InvalidTrigger
    from lash.triggers.errors import OccurrenceConflict as OccurrenceConflict
    from lash.triggers.errors import TriggerError as TriggerError
    from lash.triggers.errors import ZoneDataMissing as ZoneDataMissing
    from lash.triggers.occurrence import Occurrence as Occurrence
    from lash.triggers.occurrence import OccurrenceFilter as OccurrenceFilter
    from lash.triggers.schedules import At as At
    from lash.triggers.schedules import CatchUp as CatchUp
    from lash.triggers.schedules import Cron as Cron
    from lash.triggers.schedules import Every as Every
    from lash.triggers.schedules import Schedule as Schedule
    from lash.triggers.sources import TriggerEvent as TriggerEvent
    from lash.triggers.subscription import Subscription as Subscription
    from lash.triggers.subscription import SubscriptionFilter as SubscriptionFilter

# Loaded when it is first used: the parts of this package are imported by many who need one of them.
_HOMES: Final = {
    "At": "schedules",
    "CatchUp": "schedules",
    "Cron": "schedules",
    "Delivery": "delivery",
    "DeliveryFilter": "delivery",
    "Every": "schedules",
    "InvalidSchedule": "errors",
    "InvalidTrigger": "errors",
    "Occurrence": "occurrence",
    "OccurrenceConflict": "errors",
    "OccurrenceFilter": "occurrence",
    "Schedule": "schedules",
    "Subscription": "subscription",
    "SubscriptionFilter": "subscription",
    "TriggerError": "errors",
    "TriggerEvent": "sources",
    "ZoneDataMissing": "errors",
}

__all__ = [
    "At",
    "CatchUp",
    "Cron",
    "Delivery",
    "DeliveryFilter",
    "Every",
    "InvalidSchedule",
    "InvalidTrigger",
    "Occurrence",
    "OccurrenceConflict",
    "OccurrenceFilter",
    "Schedule",
    "Subscription",
    "SubscriptionFilter",
    "TriggerError",
    "TriggerEvent",
    "ZoneDataMissing",
]

if not TYPE_CHECKING:  # or a checker would believe in every name

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module 'lash.triggers' has no attribute {name!r}")
        value = getattr(import_module(f"lash.triggers.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
