"""Triggers of one session: `session.triggers`.

What is registered here is the session's own, and goes when it is deleted; what it has
started goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from lash.runtime.schedules import ScheduleClock
from lash.runtime.trigger_admin import TriggerAdmin
from lash.runtime.trigger_router import TriggerRouter
from lash.runtime.work import WorkPlanner
from lash.triggers.delivery import Delivery, DeliveryFilter
from lash.triggers.registrant import session_registrant
from lash.triggers.schedules import Schedule
from lash.triggers.sources import TriggerEvent
from lash.triggers.store import TriggerStore
from lash.triggers.subscription import Subscription, SubscriptionFilter


class SessionTriggers(TriggerAdmin):
    """`session.triggers`. Added in 0.1."""

    def __init__(
        self,
        session_id: str,
        store: TriggerStore,
        router: TriggerRouter,
        ticker: ScheduleClock,
        planner: WorkPlanner,
        declared: Mapping[str, TriggerEvent],
    ) -> None:
        super().__init__(store, router, ticker, session_registrant(session_id), planner, declared)
        self._session_id = session_id

    async def list_all(self) -> list[Subscription]:
        """What the session has registered, cancelled ones too; schedules have a subscription each."""
        return await self._store.list_subscriptions(SubscriptionFilter(session_id=self._session_id))

    async def by_source_type(self, source_type: str) -> list[Subscription]:
        """Those to one kind of event."""
        wanted = SubscriptionFilter(session_id=self._session_id, source_type=source_type)
        return await self._store.list_subscriptions(wanted)

    async def schedules(self) -> list[Schedule]:
        """The session's schedules, by id."""
        return await self._store.list_schedules(self._session_id)

    async def deliveries(self, wanted: DeliveryFilter | None = None) -> list[Delivery]:
        """What occurrences started for the session, and what they still have to start."""
        asked = wanted or DeliveryFilter()
        own = [found.subscription_id for found in await self.list_all()]
        found: list[Delivery] = []
        for subscription_id in own:
            if asked.subscription_id in (None, subscription_id):
                narrowed = msgspec.structs.replace(asked, subscription_id=subscription_id)
                found += await self._store.list_deliveries(narrowed)
        found.sort(key=lambda delivery: delivery.seq)
        return found[-asked.limit :] if asked.newest else found[: asked.limit]

    async def cancel(self, what: Subscription | Schedule | str) -> bool:
        """Stops a subscription or a schedule of this session; False for what is not its own, or stopped already."""
        match what:
            case Subscription():
                own: list[str] = [found.handle for found in await self.list_all()]
                return what.handle in own and await super().cancel(what)
            case Schedule():
                return await self.cancel(what.schedule_id)
            case str():
                own = [found.handle for found in await self.list_all()]
                own += [found.schedule_id for found in await self.schedules()]
                return what in own and await super().cancel(what)

    # Last: within the class its name hides the type.
    async def list(self, wanted: SubscriptionFilter | None = None) -> Sequence[Subscription]:
        """Those of the session that a filter wants, cancelled ones too."""
        asked = wanted or SubscriptionFilter()
        return await self._store.list_subscriptions(msgspec.structs.replace(asked, session_id=self._session_id))
