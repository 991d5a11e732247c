"""The session's queue as a running turn sees it: what it may take in at a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence

from lash.base.ids import IdSource
from lash.base.messages import Message
from lash.effects.lease import LeaseTimings
from lash.runtime.checkpoint import claimed_messages
from lash.runtime.leases import Holding
from lash.sessions.store import SessionStore

# One checkpoint takes in at most this many batches; the rest waits for the next one.
MAX_INJECTED_BATCHES = 16


class QueueInbox:
    """Claims early work for one drive of a turn.

    The turn holds its claims until it is settled, whichever drive made them; what a drive claimed and failed to
    record is delivered by the next one. Only what stands in the conversation is settled with it.
    """

    def __init__(self, store: SessionStore, holding: Holding, ids: IdSource, timings: LeaseTimings) -> None:
        self._store = store
        self._holding = holding
        self._ids = ids
        self._timings = timings
        # Batches that came in at checkpoints and stand in the conversation of this drive.
        self.delivered: set[str] = set()

    async def claim(self) -> tuple[list[Message], list[str]]:
        """Early input as messages, with the batches it came from; nothing when none is known.

        Whoever has taken it in says so with `delivered`.
        """
        if self._holding.has_new_work:
            self._holding.has_new_work = False
            try:
                await self._claim_new()
            except BaseException:
                self._holding.has_new_work = True
                raise
        messages: list[Message] = []
        batch_ids: list[str] = []
        for claim in self._holding.early:
            ids = claim.batch_ids
            if self.delivered.isdisjoint(ids):
                messages += claimed_messages(claim)
                batch_ids += ids
        return messages, batch_ids

    async def _claim_new(self) -> None:
        room = MAX_INJECTED_BATCHES
        while room > 0:
            claim = await self._store.claim_at_checkpoint(
                self._holding.lease, self._ids.new_token(), room, self._timings.ttl_ms
            )
            if claim is None:
                break
            self._holding.claims.append(claim)
            room -= len(claim.batches)

    async def reclaim(self, batch_ids: Sequence[str]) -> None:
        """Takes over the batches that a recorded checkpoint had claimed in an earlier drive."""
        held = {batch_id for claim in self._holding.claims for batch_id in claim.batch_ids}
        missing = [batch_id for batch_id in batch_ids if batch_id not in held]
        if not missing:
            return
        claim = await self._store.reclaim_batches(
            self._holding.lease, self._ids.new_token(), missing, self._timings.ttl_ms
        )
        if claim is not None:
            self._holding.claims.append(claim)
