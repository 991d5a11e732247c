"""The journaled host: effects recorded in a store, found again after a crash."""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakValueDictionary

from lash.base.cancel import CancelToken
from lash.base.clock import Clock, SystemClock
from lash.base.ids import IdSource, SystemIds
from lash.base.tier import DurabilityTier
from lash.effects.lease import Lease, LeaseTimings
from lash.effects.ports import JournalStore, WaitStore
from lash.effects.scope import ExecutionScope
from lash.effects.waits import AwaitEventKey, OpenWait, Resolution, ResolveOutcome
from lash.hosts.claimed import ClaimedController
from lash.hosts.lingering import Lingering
from lash.hosts.promises import Promises
from lash.hosts.scope_journal import ScopeJournal


class JournaledEffectHost:
    """Records every effect of every scope in a journal store."""

    def __init__(
        self,
        journal: JournalStore,
        waits: WaitStore,
        *,
        clock: Clock | None = None,
        ids: IdSource | None = None,
        owner: str = "host",
        timings: LeaseTimings | None = None,
        producer: str = "",
        is_strict_replay: bool = False,
    ) -> None:
        self._journal = journal
        self._clock: Clock = clock or SystemClock()
        self._ids: IdSource = ids or SystemIds()
        self._owner = owner
        self._timings = timings or LeaseTimings()
        self._producer = producer
        self._is_strict_replay = is_strict_replay
        self._promises = Promises(waits, self._clock, self._ids)
        self._lingering = Lingering()
        self._owned: WeakValueDictionary[tuple[str, ExecutionScope], ScopeJournal] = WeakValueDictionary()

    def durability_tier(self) -> DurabilityTier:
        """That of the journal."""
        return self._journal.durability_tier()

    async def open(self) -> None:
        """Loads the signing secret."""
        await self._promises.open()

    def scoped(self, scope: ExecutionScope) -> ClaimedController:
        """A controller without a lease: each effect claims its own row."""
        return ClaimedController(
            scope,
            store=self._journal,
            promises=self._promises,
            clock=self._clock,
            ids=self._ids,
            owner=self._owner,
            timings=self._timings,
            producer=self._producer,
            is_strict_replay=self._is_strict_replay,
        )

    def scoped_static(self, scope: ExecutionScope) -> ClaimedController:
        """The same: nothing is tied to the caller's frame."""
        return self.scoped(scope)

    async def owned(
        self, scope: ExecutionScope, lease: Lease, *, is_fresh: bool, on_lost: Callable[[], None] = lambda: None
    ) -> ScopeJournal:
        """The journal of a scope under its lease; one object per lease and scope in a process."""
        identity = (lease.token, scope)
        known = self._owned.get(identity)
        if known is not None:
            known.start_over()
            return known
        await self._promises.open()
        rows = [] if is_fresh else await self._journal.load(scope)
        journal = ScopeJournal(
            scope,
            lease,
            rows,
            store=self._journal,
            promises=self._promises,
            clock=self._clock,
            timings=self._timings,
            lingering=self._lingering,
            producer=self._producer,
            on_lost=on_lost,
        )
        return self._owned.setdefault(identity, journal)

    async def resolve_await_event(self, key: AwaitEventKey, resolution: Resolution) -> ResolveOutcome:
        """First writer wins, across processes and restarts."""
        return await self._promises.resolve(key, resolution)

    async def await_await_event(
        self, key: AwaitEventKey, cancel: CancelToken | None = None, deadline_ms: int | None = None
    ) -> Resolution:
        """Waits for the stored resolution."""
        return await self._promises.wait(key, cancel, deadline_ms)

    async def open_waits(self, session_id: str | None = None) -> list[OpenWait]:
        """Described waits that nobody has resolved."""
        return await self._promises.open_waits(session_id)

    async def await_event_key(self, key_id: str) -> AwaitEventKey | None:
        """The signed key of a known wait."""
        return await self._promises.find(key_id)

    async def revoke_await_events_for_session(self, session_id: str) -> None:
        """For good."""
        await self._promises.revoke_session(session_id)

    async def cancel_await_events_for_session(self, session_id: str) -> None:
        """Every open wait of the session."""
        await self._promises.cancel_session(session_id)
