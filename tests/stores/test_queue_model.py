"""The queue against a model: whatever is done to it, in whatever order."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from lash.sessions.errors import QueuedWorkClaimExpired
from lash.sessions.queue import DeliveryPolicy, QueuedWorkBatch, QueuedWorkClaim, SlotPolicy, select_prefix
from lash.sessions.store import SessionStore
from lash.stores import Store
from lash.testing.conformance.drafts import AFTER, EARLY, TTL_MS, draft, plain_commit


class Queue(RuleBasedStateMachine):
    """Batches in order; which of them are claimed, by which claim; which source keys are settled."""

    claims = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.store: Store = self.loop.run_until_complete(Store.open(":memory:"))
        self.session: SessionStore = self.store.sessions.unbound()
        self.batches: list[QueuedWorkBatch] = []
        self.claimed: dict[str, str] = {}  # batch id -> claim token
        self.fences: dict[str, int] = {}
        self.settled: dict[str, str] = {}  # source key -> batch id
        self.revision: int | None = None

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        self.run(self.store.close())
        self.loop.close()

    @initialize()
    def start(self) -> None:
        assert self.run(self.session.list_queued_work("s")) == []

    @rule(
        key=st.none() | st.sampled_from(["a", "b", "c"]),
        policy=st.sampled_from([EARLY, AFTER]),
        slot=st.sampled_from(["join", "exclusive"]),
        group=st.none() | st.sampled_from(["g", "h"]),
    )
    def enqueue(self, key: str | None, policy: DeliveryPolicy, slot: SlotPolicy, group: str | None) -> None:
        outcome = self.run(
            self.session.enqueue_queued_work_with_outcome(draft("s", "text", policy, slot, source_key=key, group=group))
        )
        known = next((batch for batch in self.batches if key is not None and batch.source_key == key), None)
        if key in self.settled:
            assert (outcome.status, outcome.batch.batch_id) == ("already_settled", self.settled[key])
        elif known is not None:
            assert (outcome.status, outcome.batch) == ("existing", known)
        else:
            assert outcome.status == "inserted"
            self.batches.append(outcome.batch)

    @rule(target=claims, boundary=st.sampled_from(["idle", "active_turn_checkpoint"]), most=st.integers(0, 3))
    def claim(self, boundary: Any, most: int) -> Any:
        ready = [batch for batch in self.batches if batch.batch_id not in self.claimed]
        expected = select_prefix(ready, boundary, most)
        claim = self.run(self.session.claim_ready_queued_work("s", "owner", boundary, TTL_MS, most))
        return self._took(claim, expected)

    @rule(target=claims, offset=st.integers(0, 1), size=st.integers(1, 2))
    def claim_exactly(self, offset: int, size: int) -> Any:
        ready = [batch for batch in self.batches if batch.batch_id not in self.claimed]
        asked = ready[offset : offset + size]
        taken = select_prefix(ready, "idle", len(asked))
        expected = taken if asked and taken == asked else []
        ids = [batch.batch_id for batch in asked]
        claim = self.run(self.session.claim_ready_queued_work_by_batch_ids("s", "owner", "idle", TTL_MS, ids))
        return self._took(claim, expected)

    @rule(claim=consumes(claims))
    def abandon(self, claim: QueuedWorkClaim) -> None:
        self.run(self.session.abandon_queued_work_claim(claim))
        for batch in claim.batches:
            if self.claimed.get(batch.batch_id) == claim.lease_token:
                del self.claimed[batch.batch_id]

    @rule(claim=claims)
    def renew(self, claim: QueuedWorkClaim) -> None:
        assert self.run(self.session.renew_queued_work_claim(claim, TTL_MS)).claim_id == claim.claim_id

    @rule(claim=claims)
    def complete_with_a_wrong_token(self, claim: QueuedWorkClaim) -> None:
        wrong = msgspec.structs.replace(claim.completion(), lease_token="wrong")
        try:
            self.run(self.session.commit(plain_commit("s", wrong, head_revision=self.revision)))
        except QueuedWorkClaimExpired:
            return
        raise AssertionError("a wrong token settled a claim")

    @rule(claim=consumes(claims))
    def complete(self, claim: QueuedWorkClaim) -> None:
        commit = plain_commit("s", claim.completion(), head_revision=self.revision)
        self.revision = self.run(self.session.commit(commit)).head_revision
        for batch in claim.batches:
            self._settle(batch)
            del self.claimed[batch.batch_id]

    @rule(place=st.integers(0, 3))
    def cancel(self, place: int) -> None:
        if place >= len(self.batches):
            return
        batch = self.batches[place]
        answer = self.run(self.session.cancel_queued_work_batch("s", batch.batch_id))
        if batch.batch_id in self.claimed:
            assert answer is None
        else:
            assert answer == batch
            self._settle(batch)

    @invariant()
    def stored_and_pending_agree(self) -> None:
        assert self.run(self.session.list_queued_work("s")) == self.batches
        pending = [batch for batch in self.batches if batch.batch_id not in self.claimed]
        assert self.run(self.session.list_pending_queued_work("s")) == pending

    def _took(self, claim: QueuedWorkClaim | None, expected: list[QueuedWorkBatch]) -> Any:
        assert (claim.batches if claim is not None else []) == expected
        if claim is None:
            return multiple()
        for batch in claim.batches:
            assert claim.fencing_token > self.fences.get(batch.batch_id, 0)
            self.fences[batch.batch_id] = claim.fencing_token
            self.claimed[batch.batch_id] = claim.lease_token
        return claim

    def _settle(self, batch: QueuedWorkBatch) -> None:
        self.batches.remove(batch)
        if batch.source_key is not None:
            self.settled[batch.source_key] = batch.batch_id


TestQueue = Queue.TestCase
TestQueue.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
