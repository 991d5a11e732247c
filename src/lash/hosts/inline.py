"""The inline host: effects run here and now, nothing survives the process.

The same API and idempotency as the journaled host within one process; the tier
says honestly that there is no promise after it dies.
"""

from __future__ import annotations

from collections.abc import Callable

from lash.base.cancel import CancelToken
from lash.base.clock import Clock, SystemClock
from lash.base.ids import IdSource, SystemIds
from lash.base.tier import DurabilityTier
from lash.effects.envelope import EffectEnvelope, EffectOutcome
from lash.effects.lease import Lease
from lash.effects.local import Local
from lash.effects.scope import ExecutionScope
from lash.effects.waits import AwaitEventKey, OpenWait, Resolution, ResolveOutcome, WaitIdentity
from lash.hosts.controller import ScopedController
from lash.hosts.promises import MemoryWaits, Promises
from lash.hosts.sleeping import due_of, sleep_until


class InlineEffectHost:
    """Runs every effect in this process and records nothing."""

    def __init__(self, *, clock: Clock | None = None, ids: IdSource | None = None) -> None:
        self._clock: Clock = clock or SystemClock()
        waits = MemoryWaits(self._clock)
        self._promises = Promises(waits, self._clock, ids or SystemIds())

    def durability_tier(self) -> DurabilityTier:
        """Inline."""
        return "inline"

    async def open(self) -> None:
        """Makes the signing secret."""
        await self._promises.open()

    def scoped(self, scope: ExecutionScope) -> InlineController:
        """A controller for `scope`."""
        return InlineController(scope, self._promises, self._clock)

    def scoped_static(self, scope: ExecutionScope) -> InlineController:
        """The same: inline controllers outlive their frame."""
        return self.scoped(scope)

    async def owned(
        self, scope: ExecutionScope, lease: Lease, *, is_fresh: bool, on_lost: Callable[[], None] = lambda: None
    ) -> InlineController:
        """The same: there is nothing to fence."""
        del lease, is_fresh, on_lost
        await self._promises.open()
        return self.scoped(scope)

    async def resolve_await_event(self, key: AwaitEventKey, resolution: Resolution) -> ResolveOutcome:
        """First writer wins."""
        return await self._promises.resolve(key, resolution)

    async def await_await_event(
        self, key: AwaitEventKey, cancel: CancelToken | None = None, deadline_ms: int | None = None
    ) -> Resolution:
        """Waits in this process."""
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


class InlineController(ScopedController):
    """Executes the effects of one scope directly."""

    def __init__(self, scope: ExecutionScope, promises: Promises, clock: Clock) -> None:
        super().__init__(scope)
        self._promises = promises
        self._clock = clock

    def durability_tier(self) -> DurabilityTier:
        """Inline."""
        return "inline"

    async def execute(self, envelope: EffectEnvelope, local: Local) -> EffectOutcome:
        """Runs the effect."""
        if envelope.kind == "sleep":
            await sleep_until(self._clock, due_of(envelope, self._clock.now_ms()), local.cancel)
            return EffectOutcome("sleep", {})
        if envelope.kind == "await_event":
            return await self._promises.perform(envelope, local)
        return await local.run(envelope)

    def completion_key(self, wait: WaitIdentity) -> AwaitEventKey:
        """The signed key of a wait in this scope."""
        return self._promises.key(self._scope, wait)
