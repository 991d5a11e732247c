"""The `triggers` module of programs, over a trigger store (docs/spec/lashlang.md §3.12).

What a program registers belongs to its session: it goes when the session is deleted, and
the processes that it starts wake that session.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from lash.base.codec import struct_to_json, to_json
from lash.base.json import Json, JsonObject
from lash.lashlang.host.catalog import TRIGGERS_PATH, Catalog
from lash.lashlang.host.trigger_requests import (
    TriggerRequestError,
    decode_cancellation,
    decode_registration,
    subscription_problem,
)
from lash.lashlang.values.json_form import to_json as value_json
from lash.lashlang.values.schema import signal_schema
from lash.processes.definitions import ProcessRef
from lash.processes.inputs import LashlangProcessInput, identity_of
from lash.processes.scopes import SessionOriginator, SessionScope
from lash.runtime.programs.modules import Modules, signal_types
from lash.runtime.programs.timing import schedule_of, scheduled
from lash.triggers.schedules import SOURCE_TYPE as SCHEDULE
from lash.triggers.sources import source_key
from lash.triggers.store import TriggerStore
from lash.triggers.subscription import Subscription, SubscriptionDraft, SubscriptionFilter, filter_of
from lash.triggers.template import EventInput, FixedInput, InputTemplate

HANDLE: Final = "trigger_handle"


def is_trigger_operation(module: str) -> bool:
    """Whether operations of a module are those of this one."""
    return module == TRIGGERS_PATH


class ProgramTriggers:
    """Registers, lists and cancels for the programs of one session.

    `capture` keeps the environment that started processes run with, and gives its reference; `on_schedule`
    tells the clock of this core that there is something new to wait for.
    """

    def __init__(
        self,
        store: TriggerStore,
        modules: Modules,
        session_id: str,
        capture: Callable[[], Awaitable[str]],
        on_schedule: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._modules = modules
        self._scope = SessionScope(session_id)
        self._registrant = SessionOriginator(self._scope)
        self._capture = capture
        self._on_schedule = on_schedule

    async def perform(self, operation: str, payload: Json, catalog: Catalog, key: str) -> Json:
        """What an operation answers. `key` names a registration: made again with it, it is made once.

        Raises `TriggerRequestError`, `InvalidTrigger` and `ProgramUnavailable`.
        """
        match operation:
            case "register":
                return await self._register(payload, catalog, key)
            case "list":
                found = await self._store.list_subscriptions(filter_of(payload, self._scope.session_id))
                return [_registration_json(subscription) for subscription in found]
            case "cancel":
                return await self._cancel(decode_cancellation(payload))
            case _:
                raise TriggerRequestError(f"triggers has no operation `{operation}`")

    async def _cancel(self, handle: str) -> bool:
        """Whether the session has such a trigger, which is cancelled now: asking again answers the same."""
        wanted = SubscriptionFilter(registrant_scope_id=self._registrant.scope_id, handle=handle)
        found = await self._store.list_subscriptions(wanted)
        for subscription in found:
            await self._store.cancel_registrant_subscription(self._registrant.scope_id, handle)
            if (schedule_id := schedule_of(subscription)) is not None:
                await self._store.cancel_schedule(schedule_id)
        return bool(found)

    async def _register(self, payload: Json, catalog: Catalog, key: str) -> Json:
        asked = decode_registration(payload)
        target = asked.target
        work = LashlangProcessInput(
            target.module_ref,
            ProcessRef(target.process_ref.component, target.process_ref.position),
            target.host_requirements_ref,
            target.process_name,
        )
        artifact = await self._modules.load(work)
        problem = subscription_problem(artifact, asked, catalog)
        if problem is not None:
            raise TriggerRequestError(problem)
        template: InputTemplate = {
            name: EventInput() if part["kind"] == "event" else FixedInput(part["value"])
            for name, part in asked.template.items()
        }
        draft = SubscriptionDraft(
            registrant=self._registrant,
            source_type=asked.source_type,
            source_key=source_key(asked.source_type, asked.source_value),
            source=asked.source_value,
            payload_schema=value_json(signal_schema(catalog.trigger_sources[asked.source_type].type)),
            target=_tagged(to_json(work)),
            target_identity=identity_of(work),
            input_template=template,
            env_ref=await self._capture(),
            wake_target=self._scope,
            name=asked.name,
            event_types=[struct_to_json(event_type) for event_type in signal_types(artifact, target.process_name)],
            key=key,
        )
        if asked.source_type != SCHEDULE:
            return _handle_json(await self._store.register_subscription(draft))
        schedule, draft = scheduled(draft)
        await self._store.put_schedule(schedule, draft)
        self._on_schedule()
        wanted = SubscriptionFilter(registrant_scope_id=self._registrant.scope_id, source_key=draft.source_key)
        [subscription] = await self._store.list_subscriptions(wanted)
        return _handle_json(subscription)


def _tagged(work: Json) -> JsonObject:
    assert isinstance(work, dict)
    return work


def _handle_json(subscription: Subscription) -> JsonObject:
    return {"type": HANDLE, "id": subscription.handle, "name": subscription.draft.name}


def _registration_json(subscription: Subscription) -> JsonObject:
    """A line of `triggers.list`; its `trigger` is a handle that `triggers.cancel` takes."""
    draft = subscription.draft
    return {
        "id": subscription.handle,
        "trigger": _handle_json(subscription),
        "name": draft.name,
        "source_type": draft.source_type,
        "source_key": draft.source_key,
        "source": draft.source,
        "target": draft.target_identity.definition,
        "inputs": {name: to_json(binding) for name, binding in draft.input_template.items()},
        "enabled": subscription.enabled,
    }
