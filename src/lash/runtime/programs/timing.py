"""Triggers of programs that fire by the clock: `clock.schedule({ cron | every | at })` as a source.

Such a registration is a schedule and a subscription to it, put and cancelled together.
"""

from __future__ import annotations

import msgspec

from lash.base.canonical import tagged_hash
from lash.base.json import Json, JsonObject
from lash.lashlang.execution.durations import InvalidSleep, deadline_ms, duration_ms
from lash.lashlang.host.trigger_requests import TriggerRequestError
from lash.triggers.schedules import (
    PAYLOAD_SCHEMA,
    SOURCE_TYPE,
    At,
    Cron,
    Every,
    ScheduleDraft,
    ScheduleSpec,
    schedule_source_key,
)
from lash.triggers.subscription import Subscription, SubscriptionDraft

_WAYS = ("cron", "every", "at")


def scheduled(draft: SubscriptionDraft) -> tuple[ScheduleDraft, SubscriptionDraft]:
    """The schedule that a registration asks for, and the subscription to it. Raises `TriggerRequestError`.

    The schedule is named after the registration, so that making it again makes it once.
    """
    schedule_id = f"schedule:{tagged_hash('lash.program.schedule_id/v1', draft.registrant.scope_id, draft.key)}"
    source: JsonObject = {**_fields(draft.source), "schedule_id": schedule_id}
    schedule = ScheduleDraft(
        schedule_id=schedule_id, registrant=draft.registrant, spec=_spec(draft.source), name=draft.name
    )
    subscription = msgspec.structs.replace(
        draft,
        source=source,
        source_key=schedule_source_key(schedule_id),
        payload_schema=PAYLOAD_SCHEMA,
        # As everywhere with schedules: a run that takes longer than the pause is not run beside itself.
        overlap="skip",
    )
    return schedule, subscription


def schedule_of(subscription: Subscription) -> str | None:
    """The schedule that a subscription came with."""
    draft = subscription.draft
    found = _fields(draft.source).get("schedule_id") if draft.source_type == SOURCE_TYPE else None
    return found if isinstance(found, str) else None


def _spec(source: Json) -> ScheduleSpec:
    fields = _fields(source)
    given = [way for way in _WAYS if fields.get(way) is not None]
    if len(given) != 1:
        raise TriggerRequestError(f"{SOURCE_TYPE} takes exactly one of cron, every, at; it was given {given or None}")
    value = fields[given[0]]
    try:
        match given[0]:
            case "cron":
                zone = fields.get("tz")
                return Cron(str(value), "UTC" if zone is None else str(zone))
            case "every":
                return Every(duration_ms(value), 0)
            case _:
                return At(deadline_ms(value))
    except InvalidSleep as error:
        raise TriggerRequestError(f"{SOURCE_TYPE}: {error}") from error


def _fields(source: Json) -> JsonObject:
    return source if isinstance(source, dict) else {}
