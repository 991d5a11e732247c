"""What a host does with triggers: emit, subscribe, put schedules, look, cancel, forget (docs/design/api.md).

Everything here is a short way to say something to the trigger store and the router.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

import msgspec

from lash.base.canonical import canonical_json_bytes, tagged_hash
from lash.base.codec import struct_to_json
from lash.base.errors import NotCanonical
from lash.base.json import Json, JsonObject
from lash.base.schema import compile_schema
from lash.processes.inputs import ProcessIdentity
from lash.runtime.process_admin import WakeChoice, scope_of
from lash.runtime.schedules import ScheduleClock
from lash.runtime.trigger_router import TriggerEmitReport, TriggerRouter
from lash.runtime.work import InvalidWork, SessionTurn, Work, WorkPlanner, as_target
from lash.triggers.delivery import Delivery, DeliveryFilter
from lash.triggers.errors import InvalidSchedule, InvalidTrigger
from lash.triggers.occurrence import OccurrenceRequest
from lash.triggers.registrant import HostOriginator, Registrant, SessionScope
from lash.triggers.schedules import (
    PAYLOAD_SCHEMA,
    SOURCE_TYPE,
    At,
    CatchUp,
    CatchUpMode,
    Cron,
    Every,
    Schedule,
    ScheduleDraft,
    ScheduleSpec,
    schedule_source_key,
)
from lash.triggers.sources import TriggerEvent, source_key
from lash.triggers.store import TriggerStore
from lash.triggers.subscription import (
    Overlap,
    Subscription,
    SubscriptionDraft,
    SubscriptionFilter,
)
from lash.triggers.template import template_of

HOST: Final = HostOriginator()
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class TriggerTarget(msgspec.Struct, frozen=True):
    """What to start: a process input in its stored form, and what its registration needs beside."""

    input: JsonObject
    identity: ProcessIdentity
    env_ref: str | None = None
    event_types: list[JsonObject] = []


# What a trigger starts: a work, planned with the core's tools, or one in its stored form.
Startable: TypeAlias = Work | TriggerTarget


class TriggerAdmin:
    """The triggers of one core. Everything registered here belongs to `registrant`."""

    def __init__(
        self,
        store: TriggerStore,
        router: TriggerRouter,
        ticker: ScheduleClock,
        registrant: Registrant = HOST,
        planner: WorkPlanner | None = None,
        declared: Mapping[str, TriggerEvent] | None = None,
    ) -> None:
        """`planner` knows the tools of a core; without one only a `TriggerTarget` can be started.

        `declared` are the events that plugins declare, by source type.
        """
        self._store = store
        self._router = router
        self._ticker = ticker
        self._registrant = registrant
        self._planner = planner
        self._declared = declared or {}

    async def emit(self, source_type: str, payload: Json, *, key: str, source: Json = None) -> TriggerEmitReport:
        """Tells that something happened; the same `key` again is the same thing. Returns once it is durable.

        `source` says to which one of its type it happened; `{}` when left out. Raises `InvalidTrigger`
        and `OccurrenceConflict`; an event that a plugin declares must say what was declared.
        """
        source = {} if source is None else _json(source, "source")
        _json(payload, "payload")
        if (event := self._declared.get(source_type)) is not None:
            problems = compile_schema(event.payload_schema).problems(payload)
            if problems:
                raise InvalidTrigger(f"payload of `{source_type}` is not as declared: {problems[0]}")
        return await self._router.emit(
            OccurrenceRequest(
                source_type=source_type,
                source_key=source_key(source_type, source),
                payload=payload,
                idempotency_key=key,
                source=source,
            )
        )

    async def subscribe(
        self,
        source_type: str,
        start: Startable,
        *,
        source: Json = None,
        args: Mapping[str, Json] | None = None,
        inputs: Mapping[str, Json] | None = None,
        payload_schema: Json = None,
        wake: WakeChoice | SessionScope | None = None,
        name: str | None = None,
        key: str | None = None,
        overlap: Overlap = "allow",
    ) -> Subscription:
        """Starts a process whenever something happens to `source`.

        `start` is a tool of the core, `lash.LangProcess(…)`, `lash.External(…)` or a stored target; `args` are its
        arguments, the same every time, and `inputs` says per parameter `"event"` (it gets what happened) or
        `{"fixed": value}`. `payload_schema` is the one that a plugin declares, or anything. The end of each run
        wakes `wake`, a session or its id. With a `key` the
        call may be repeated: it changes the subscription instead of adding one. Raises `InvalidTrigger`.
        """
        source = {} if source is None else _json(source, "source")
        wakes = scope_of(wake)
        _check_repeats(start)
        target = await self._target(start, args, inputs, wakes)
        draft = SubscriptionDraft(
            registrant=self._registrant,
            source_type=source_type,
            source_key=source_key(source_type, source),
            source=source,
            payload_schema=self._schema_of(source_type) if payload_schema is None else payload_schema,
            target=target.input,
            target_identity=target.identity,
            input_template=template_of(inputs or {}),
            env_ref=target.env_ref,
            wake_target=wakes,
            name=name,
            event_types=target.event_types,
            overlap=overlap,
            key=key,
        )
        return await self._store.register_subscription(draft)

    async def every(
        self,
        when: str | timedelta,
        *,
        start: Startable,
        key: str | None = None,
        tz: str = "UTC",
        args: Mapping[str, Json] | None = None,
        inputs: Mapping[str, Json] | None = None,
        wake: WakeChoice | SessionScope | None = None,
        overlap: Overlap | None = None,
        catch_up: CatchUpMode = "one",
        catch_up_limit: int = 10,
    ) -> Schedule:
        """Starts a process by a cron expression in a zone, or at every multiple of a time span.

        While an earlier run has not ended the next one is dropped (`overlap="skip"`), unless all that was
        missed is made up for (`catch_up="all"`): then they follow each other (`overlap="queue"`). `start`,
        `args`, `inputs` and `wake` are those of `subscribe`. Putting the same again changes nothing, so a
        host may do it at every start. `key` is the schedule's id: with one, another time, target or session
        changes the schedule; without, it is another schedule. Raises `InvalidSchedule` naming the field, and
        `ZoneDataMissing`.
        """
        spec: ScheduleSpec
        if overlap is None:
            overlap = "queue" if catch_up == "all" else "skip"
        _check_repeats(start)
        if isinstance(when, str):
            spec = Cron(when, tz)
        elif not isinstance(when, timedelta):
            raise InvalidSchedule("every", when, "is neither a cron expression nor a timedelta")
        else:
            # Counted from the epoch: a restart neither moves nor postpones it.
            spec = Every(when // timedelta(milliseconds=1), 0)
        return await self._put(key, spec, CatchUp(catch_up, catch_up_limit), start, args, inputs, wake, overlap)

    async def at(
        self,
        when: datetime,
        *,
        start: Startable,
        key: str | None = None,
        args: Mapping[str, Json] | None = None,
        inputs: Mapping[str, Json] | None = None,
        wake: WakeChoice | SessionScope | None = None,
    ) -> Schedule:
        """Starts a process once; at once if the moment is past. Raises `InvalidSchedule` for a time without zone."""
        if when.tzinfo is None:
            raise InvalidSchedule("at", when.isoformat(), "has no time zone; pass an aware datetime")
        at_ms = (when - _EPOCH) // timedelta(milliseconds=1)
        return await self._put(key, At(at_ms), CatchUp(), start, args, inputs, wake, "allow")

    def declared(self) -> Mapping[str, TriggerEvent]:
        """What the plugins of the core declare, by source type."""
        return self._declared

    async def schedules(self) -> list[Schedule]:
        """Schedules of everybody, by id."""
        return await self._store.list_schedules()

    async def deliveries(self, wanted: DeliveryFilter | None = None) -> list[Delivery]:
        """What occurrences started, and what they still have to start."""
        if wanted is not None and wanted.limit < 1:
            raise InvalidTrigger(f"limit={wanted.limit}: ask for one at least")
        return await self._store.list_deliveries(wanted)

    async def cancel(self, what: Subscription | Schedule | str) -> bool:
        """Stops a subscription (or its handle) or a schedule (or its id); False if there is nothing to stop.

        What was started goes on, and so does what was reserved.
        """
        if isinstance(what, Schedule):
            return await self._store.cancel_schedule(what.schedule_id)
        handle = what.handle if isinstance(what, Subscription) else what
        if not isinstance(handle, str):
            raise InvalidTrigger(f"{what!r} cannot be cancelled; give a subscription, a schedule, a handle or an id")
        for found in await self._store.list_subscriptions(SubscriptionFilter(handle=handle)):
            return await self._store.cancel_registrant_subscription(found.draft.registrant.scope_id, found.handle)
        return isinstance(what, str) and await self._store.cancel_schedule(what)

    # Last: within the class its name hides the type.
    async def list(self, wanted: SubscriptionFilter | None = None) -> Sequence[Subscription]:
        """Subscriptions of everybody, or those that a filter wants."""
        return await self._store.list_subscriptions(wanted)

    async def _put(
        self,
        key: str | None,
        spec: ScheduleSpec,
        catch_up: CatchUp,
        start: Startable,
        args: Mapping[str, Json] | None,
        inputs: Mapping[str, Json] | None,
        wake: WakeChoice | SessionScope | None,
        overlap: Overlap,
    ) -> Schedule:
        wakes = scope_of(wake)
        target = await self._target(start, args, inputs, wakes)
        if key is None:
            parts: list[Json] = [self._registrant.scope_id, struct_to_json(spec), target.input, dict(inputs or {})]
            if wakes is not None:  # whoever reminds two sessions of one thing means both
                parts.append(wakes.id)
            key = f"schedule:{tagged_hash('lash.trigger.schedule_id/v1', *parts)}"
        draft = ScheduleDraft(schedule_id=key, registrant=self._registrant, spec=spec, catch_up=catch_up)
        subscription = SubscriptionDraft(
            registrant=self._registrant,
            source_type=SOURCE_TYPE,
            source_key=schedule_source_key(key),
            source={"schedule_id": key},
            payload_schema=PAYLOAD_SCHEMA,
            target=target.input,
            target_identity=target.identity,
            input_template=template_of(inputs or {}),
            env_ref=target.env_ref,
            wake_target=wakes,
            name=key,
            event_types=target.event_types,
            overlap=overlap,
        )
        found = await self._store.put_schedule(draft, subscription)
        self._ticker.poke()
        return found

    def _schema_of(self, source_type: str) -> Json:
        event = self._declared.get(source_type)
        return True if event is None else event.payload_schema

    async def _target(
        self,
        start: Startable,
        args: Mapping[str, Json] | None,
        inputs: Mapping[str, Json] | None,
        wakes: SessionScope | None,
    ) -> TriggerTarget:
        """What to start, in its stored form."""
        if isinstance(start, TriggerTarget):
            if args:
                raise InvalidWork("a TriggerTarget holds its own arguments; leave args out, or start a tool")
            return start
        if self._planner is None:
            raise InvalidWork(f"{start!r} cannot be started without a core; give a TriggerTarget")
        plan = await self._planner.target(start, args, inputs or {})
        if wakes is not None:
            plan = plan.waking()
        work, event_types = as_target(plan)
        return TriggerTarget(work, plan.identity, plan.env_ref, event_types)


def _json(value: Json, what: str) -> Json:
    try:
        canonical_json_bytes(value)
    except NotCanonical as error:
        raise InvalidTrigger(f"{what} of the event is not JSON: {error.message}") from error
    return value


def _check_repeats(start: Startable) -> None:
    """Raises `InvalidWork` for what could be started only once."""
    if isinstance(start, SessionTurn) and start.session_id is not None:
        raise InvalidWork(
            f"session_id={start.session_id!r}: every start makes a session of its own, and this one only once; "
            "leave session_id out"
        )


class CoreTriggers(TriggerAdmin):
    """`core.triggers`: the triggers of a host, who also keeps house. Added in 0.1."""

    async def prune(self, older_than: timedelta, *, limit: int = 500) -> int:
        """Forgets what happened so long ago, and its deliveries; how many events that were. Added in 0.1.

        Kept is what has not been started yet, and what started a process that has not ended.
        """
        if limit < 1:
            raise InvalidTrigger(f"limit={limit}: ask for one at least")
        before_ms = self._ticker.now_ms() - older_than // timedelta(milliseconds=1)
        return await self._store.prune_occurrences(before_ms, limit)
