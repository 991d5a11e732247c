"""The session's queue as a running turn sees it: what it may take in at a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence

from lash.base.ids import IdSource
from lash.base.messages import Message
from lash.effects.lease import LeaseTimings
from lash.runtime.checkpoint import claimed_messages
from lash.runtime.leases import Holding
from lash.sessions.queue import QueuedWorkClaim
from lash.sessions.store import SessionStore

# One checkpoint takes in at most this many batches; the rest waits for the next one.
MAX_INJECTED_BATCHES = 16


class QueueInbox:
    """Claims early work for one turn and keeps the claims until its commit."""

    def __init__(self, store: SessionStore, holding: Holding, ids: IdSource, timings: LeaseTimings) -> None:
        self._store = store
        self._holding = holding
        self._ids = ids
        self._timings = timings

    @property
    def claims(self) -> list[QueuedWorkClaim]:
        """What the commit settles."""
        return self._holding.claims

    async def claim(self) -> tuple[list[Message], list[str]]:
        """Early input as messages, with the batches it came from; nothing when none is known."""
        messages: list[Message] = []
        batch_ids: list[str] = []
        if not self._holding.has_new_work:
            return messages, batch_ids
        self._holding.has_new_work = False
        while len(batch_ids) < MAX_INJECTED_BATCHES:
            claim = await self._store.claim_at_checkpoint(
                self._holding.lease,
                self._ids.new_token(),
                MAX_INJECTED_BATCHES - len(batch_ids),
                self._timings.ttl_ms,
            )
            if claim is None:
                break
            self._holding.claims.append(claim)
            messages += claimed_messages(claim)
            batch_ids += [batch.batch_id for batch in claim.batches]
        return messages, batch_ids

    async def reclaim(self, batch_ids: Sequence[str]) -> None:
        """Takes over the batches that a recorded checkpoint had claimed in an earlier drive."""
        held = {batch.batch_id for claim in self._holding.claims for batch in claim.batches}
        missing = [batch_id for batch_id in batch_ids if batch_id not in held]
        if not missing:
            return
        claim = await self._store.reclaim_batches(
            self._holding.lease, self._ids.new_token(), missing, self._timings.ttl_ms
        )
        if claim is not None:
            self._holding.claims.append(claim)
