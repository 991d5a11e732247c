"""Keeping what this executor holds: one heartbeat for all its sessions and processes.

While anything is held, a tick twice a second asks the store which leases are still
ours and who wants a turn or a process cancelled; when a renewal is due the same question renews.
A lease that is gone cancels its run at once with reason `lease_lost`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from lash.base.cancel import CancelToken
from lash.base.clock import Clock
from lash.effects.lease import Lease, LeaseTimings
from lash.processes.leases import ProcessLease
from lash.processes.registry import ProcessRegistry
from lash.sessions.errors import StoreError
from lash.sessions.queue import QueuedWorkClaim
from lash.sessions.store import HeldLease, SessionStoreFactory

logger = logging.getLogger("lash.leases")

# A cancel from another process is seen within a second (decisions 14).
TICK_MS = 500


@dataclass(eq=False, slots=True)
class Holding:
    """A held lease, the claims under it, and the token of the run it covers; `process` if it is one of a process."""

    lease: Lease
    cancel: CancelToken
    claims: list[QueuedWorkClaim] = field(default_factory=list)
    process: ProcessLease | None = None
    # Somebody else wrote to the session's queue, as far as this process knows.
    has_new_work: bool = False

    @property
    def early(self) -> list[QueuedWorkClaim]:
        """Claims of work that came in while the turn ran; the first claim is what the turn began with."""
        return self.claims[1:]


class LeaseKeeper:
    """Renews and watches everything that one executor holds."""

    def __init__(
        self, sessions: SessionStoreFactory, processes: ProcessRegistry, clock: Clock, timings: LeaseTimings
    ) -> None:
        self._sessions = sessions
        self._processes = processes
        self._clock = clock
        self._timings = timings
        self._held: dict[tuple[str, str], Holding] = {}
        self._task: asyncio.Task[None] | None = None

    def hold(self, holding: Holding) -> None:
        """Starts keeping a lease."""
        self._held[_place(holding)] = holding
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._beat())

    def drop(self, holding: Holding) -> None:
        """Stops keeping it."""
        self._held.pop(_place(holding), None)

    def new_work(self, session_id: str) -> None:
        """Work was queued in a session whose turn may be running here."""
        for holding in self._held.values():
            if holding.process is None and holding.lease.key == session_id:
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
            sessions = [holding for holding in self._held.values() if holding.process is None]
            processes = [holding for holding in self._held.values() if holding.process is not None]
            is_due = (self._clock.monotonic() - renewed_at) * 1000 >= self._timings.renew_ms - tick_ms
            try:
                if sessions:
                    self._apply(sessions, await self._ask(sessions, is_due))
                if processes:
                    await self._keep_processes(processes, is_due)
            except StoreError as error:
                # The store may come back before the leases run out; writes are fenced anyway.
                logger.warning("the heartbeat could not reach the store: %s", error)
                continue
            if is_due:
                renewed_at = self._clock.monotonic()

    async def _ask(self, holdings: list[Holding], is_due: bool) -> list[HeldLease]:
        leases = [holding.lease for holding in holdings]
        if not is_due:
            return await self._sessions.read_cancels(leases)
        claims = [claim for holding in holdings for claim in holding.claims]
        return await self._sessions.heartbeat(leases, claims, self._timings.ttl_ms)

    async def _keep_processes(self, holdings: list[Holding], is_due: bool) -> None:
        if is_due:
            leases = [holding.process for holding in holdings if holding.process is not None]
            kept = await self._processes.renew_process_leases(leases, self._timings.ttl_ms)
            ours = {lease.process_id for lease in kept}
            for holding in holdings:
                if holding.lease.key not in ours and _place(holding) in self._held:
                    holding.cancel.cancel("lease_lost")
        await self.look_for_cancels(holdings)

    async def look_for_cancels(self, holdings: Sequence[Holding]) -> None:
        """Cancels the runs of processes that somebody wants stopped. Raises `StoreError`."""
        running = {holding.lease.key: holding for holding in holdings if not holding.cancel.is_cancelled}
        if running:
            for process_id in await self._processes.cancel_wanted(sorted(running)):
                running[process_id].cancel.cancel("requested")

    def _apply(self, holdings: list[Holding], answers: list[HeldLease]) -> None:
        by_key = {answer.key: answer for answer in answers}
        for holding in holdings:
            answer = by_key.get(holding.lease.key)
            if _place(holding) not in self._held:
                continue  # it was released while we asked
            if answer is None or answer.lease is None:
                holding.cancel.cancel("lease_lost")
            elif answer.cancel_requested_at_ms is not None:
                holding.cancel.cancel("requested")


def _place(holding: Holding) -> tuple[str, str]:
    # Processes that were claimed together share a token.
    return holding.lease.key, holding.lease.token
