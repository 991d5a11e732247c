"""Keeping what this executor holds: one heartbeat for all its sessions.

While anything is held, a tick twice a second asks the store which leases are still
ours and who wants a turn cancelled; when a renewal is due the same question renews.
A lease that is gone cancels its run at once with reason `lease_lost`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field

from lash.base.cancel import CancelToken
from lash.base.clock import Clock
from lash.effects.lease import Lease, LeaseTimings
from lash.sessions.errors import StoreError
from lash.sessions.queue import QueuedWorkClaim
from lash.sessions.store import HeldLease, SessionStoreFactory

logger = logging.getLogger("lash.leases")

# A cancel from another process is seen within a second (decisions 14).
TICK_MS = 500


@dataclass(eq=False, slots=True)
class Holding:
    """A held session lease, the claims under it, and the token of the run it covers."""

    lease: Lease
    cancel: CancelToken
    claims: list[QueuedWorkClaim] = field(default_factory=list)
    # Somebody else wrote to the session's queue, as far as this process knows.
    has_new_work: bool = False


class LeaseKeeper:
    """Renews and watches everything that one executor holds."""

    def __init__(self, sessions: SessionStoreFactory, clock: Clock, timings: LeaseTimings) -> None:
        self._sessions = sessions
        self._clock = clock
        self._timings = timings
        self._held: dict[str, Holding] = {}
        self._task: asyncio.Task[None] | None = None

    def hold(self, holding: Holding) -> None:
        """Starts keeping a lease."""
        self._held[holding.lease.token] = holding
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._beat())

    def drop(self, holding: Holding) -> None:
        """Stops keeping it."""
        self._held.pop(holding.lease.token, None)

    def new_work(self, session_id: str) -> None:
        """Work was queued in a session whose turn may be running here."""
        for holding in self._held.values():
            if holding.lease.key == session_id:
                holding.has_new_work = True

    async def close(self) -> None:
        """Stops the heartbeat."""
        self._held.clear()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _beat(self) -> None:
        tick_ms = min(TICK_MS, self._timings.renew_ms)
        renewed_at = self._clock.monotonic()
        while self._held:
            await self._clock.sleep(tick_ms)
            if not self._held:
                return
            holdings = list(self._held.values())
            is_due = (self._clock.monotonic() - renewed_at) * 1000 >= self._timings.renew_ms - tick_ms
            try:
                answers = await self._ask(holdings, is_due)
            except StoreError:
                # The store may come back before the leases run out; writes are fenced anyway.
                logger.warning("the heartbeat could not reach the store", exc_info=True)
                continue
            if is_due:
                renewed_at = self._clock.monotonic()
            self._apply(holdings, answers)

    async def _ask(self, holdings: list[Holding], is_due: bool) -> list[HeldLease]:
        leases = [holding.lease for holding in holdings]
        if not is_due:
            return await self._sessions.read_cancels(leases)
        claims = [claim for holding in holdings for claim in holding.claims]
        return await self._sessions.heartbeat(leases, claims, self._timings.ttl_ms)

    def _apply(self, holdings: list[Holding], answers: list[HeldLease]) -> None:
        by_key = {answer.key: answer for answer in answers}
        for holding in holdings:
            answer = by_key.get(holding.lease.key)
            if holding.lease.token not in self._held:
                continue  # it was released while we asked
            if answer is None or answer.lease is None:
                holding.cancel.cancel("lease_lost")
            elif answer.cancel_requested_at_ms is not None:
                holding.cancel.cancel("requested")
