"""The writing of a worker: what ended is ended in one transaction, which also takes what comes next."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import NamedTuple

from lash.processes.errors import ProcessLeaseLost
from lash.processes.outputs import FailureOutput
from lash.processes.registry import ClaimedProcess, ProcessEnd, WorkTurnOver
from lash.runtime.leases import Holding
from lash.runtime.worker.config import ProcessWorkerConfig
from lash.runtime.worker.gathering import Gathering
from lash.sessions.errors import StoreError

logger = logging.getLogger("lash.worker")

# A process that cannot go on here and now (doubt, trouble of the store) is looked at again after so long.
LATER_MS = 30_000


class Ended(NamedTuple):
    """An end that is not written yet. Its lease is kept until it is: nobody runs again what has ended here."""

    end: ProcessEnd
    holding: Holding


class TurnOver:
    """Ends and claims, written together."""

    def __init__(self, config: ProcessWorkerConfig, gathering: Gathering) -> None:
        self._engine = config.engine
        self._registry = config.processes
        self._claim_token = config.engine.ids.new_token()
        self._gathering = gathering
        self._ended: list[Ended] = []

    def __bool__(self) -> bool:
        """Whether something has ended and is not written yet."""
        return bool(self._ended)

    @property
    def is_awaited(self) -> bool:
        """Whether somebody here waits for one of them."""
        return any(self._registry.is_awaited(each.end.lease.process_id) for each in self._ended)

    def note(self, ended: Ended) -> None:
        """Is written with the next ones."""
        self._ended.append(ended)
        self._gathering.note()

    async def write(self, limit: int) -> WorkTurnOver | None:
        """Ends what ended and claims up to `limit` processes. None when the ends had to be written one by one.

        Raises `StoreError`; then everything is as it was.
        """
        self._gathering.turning()
        ended, self._ended = self._ended, []
        ends = [each.end for each in ended]
        ttl_ms = self._engine.options.timings.ttl_ms
        writing = asyncio.ensure_future(
            self._registry.turn_over(ends, self._engine.executor_id, self._claim_token, ttl_ms, limit)
        )
        try:
            turned = await asyncio.shield(writing)
        except asyncio.CancelledError:
            await self._undo(writing, ended)
            raise
        except StoreError:
            self._ended = [*ended, *self._ended]
            raise
        except Exception:
            if not ended:
                raise
            logger.exception("what ended cannot be written together; each is written by itself")
            for each in ended:
                await self._end_alone(each.end)
                self._engine.keeper.drop(each.holding)
            return None
        for each in ended:
            self._engine.keeper.drop(each.holding)
        self._claim_token = self._engine.ids.new_token()
        for process_id in turned.lost:
            logger.warning("process %s was taken over; what came of it here is dropped", process_id)
        for why in turned.unreadable:
            logger.error("%s; the others go on", why)
        return turned

    async def give_back(self, claimed: Sequence[ClaimedProcess]) -> None:
        """Gives leases back, also while whoever does it is cancelled: what nobody runs must not be held."""
        if not claimed:
            return
        writing = asyncio.ensure_future(self._registry.give_back(list(claimed)))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            await asyncio.wait([writing])
            raise
        except StoreError as error:  # the leases run out by themselves
            logger.warning("%d processes could not be given back: %s", len(claimed), error)

    async def _undo(self, writing: asyncio.Future[WorkTurnOver], ended: list[Ended]) -> None:
        """This worker is leaving: what it has just taken is given back."""
        await asyncio.wait([writing])
        if writing.cancelled() or writing.exception() is not None:
            self._ended = [*ended, *self._ended]
            return
        if claimed := writing.result().claimed:
            with contextlib.suppress(Exception):  # the leases run out by themselves otherwise
                await self._registry.give_back(claimed)

    async def _end_alone(self, end: ProcessEnd) -> None:
        """Ends one process. What cannot be stored is a failure; if that cannot either, the lease is given back."""
        lease = end.lease
        try:
            await self._registry.complete_process_with_lease(lease, end.output)
        except ProcessLeaseLost:
            logger.warning("process %s was taken over; what came of it here is dropped", lease.process_id)
        except Exception as error:
            logger.exception("the end of process %s cannot be stored", lease.process_id)
            with contextlib.suppress(Exception):
                failure = FailureOutput("execution", "process_recovery_failed", str(error) or type(error).__name__)
                await self._registry.complete_process_with_lease(lease, failure)
                return
            with contextlib.suppress(Exception):  # it runs out by itself otherwise
                later_ms = self._engine.clock.now_ms() + LATER_MS
                await self._registry.complete_process_lease(lease.completion(), due_at_ms=later_ms)
