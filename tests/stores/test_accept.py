"""Acceptance decides who drives what, in one transaction."""

from __future__ import annotations

import msgspec
import pytest

from lash.effects.errors import LeaseLost
from lash.sessions.accept import Idle, Owned, Settled, Waiting
from lash.sessions.commit import StoredTurn
from lash.sessions.errors import QueuedWorkClaimExpired, SessionDeleted, TurnInputConflict
from lash.sessions.graph import ActivePath
from lash.sessions.queue import QueuedWorkDraft, TurnInputPayload
from lash.sessions.store import SessionStore
from lash.stores import Store
from lash.testing.conformance.drafts import EARLY, draft
from stores.turns import SESSION, accepted, claimant, commit_of, done, request, scope


async def test_a_plain_turn_is_two_transactions(store: Store, session: SessionStore) -> None:
    before = store.transactions

    owned = await accepted(session, "t1", claimant("a"))
    await session.commit(commit_of(owned))

    assert store.transactions - before == 2


async def test_input_for_later_begins_no_turn(session: SessionStore) -> None:
    asked = request("t1", claimant("a"))
    later = msgspec.structs.replace(asked, draft=msgspec.structs.replace(asked.draft, available_at_ms=2**52))

    assert isinstance(await session.accept_turn(later), Waiting)

    assert isinstance(await session.next_turn(SESSION, claimant("b")), Idle)
    assert len(await session.list_pending_queued_work(SESSION)) == 1


async def test_a_turn_that_was_never_driven_is_fresh(session: SessionStore) -> None:
    owned = await accepted(session, "t1", claimant("a"))

    assert owned.is_fresh
    assert owned.turn.turn_id == "t1"
    assert (owned.turn.base_revision, owned.turn.turn_index) == (0, 1)
    assert [batch.source_key for batch in owned.claim.batches] == ["turn:t1"]


async def test_accepting_again_with_the_same_tokens_is_the_same_claim(session: SessionStore) -> None:
    first = await accepted(session, "t1", claimant("a"))
    again = await accepted(session, "t1", claimant("a"))

    assert (again.lease.fence, again.claim.claim_id) == (first.lease.fence, first.claim.claim_id)
    assert again.claim.fencing_token == first.claim.fencing_token
    assert again.is_fresh


async def test_a_second_executor_waits_while_the_owner_lives(session: SessionStore) -> None:
    await accepted(session, "t1", claimant("a"))

    answer = await session.accept_turn(request("t2", claimant("b")))

    assert isinstance(answer, Waiting)
    assert (answer.owner, answer.lease_token, answer.is_expired) == ("host/a", "lease-a", False)
    assert answer.batch is not None
    assert len(await session.list_queued_work(SESSION)) == 2


async def test_an_expired_lease_is_taken_with_a_higher_fence(session: SessionStore) -> None:
    first = await accepted(session, "t1", claimant("a", ttl_ms=0))

    second = await accepted(session, "t1", claimant("b"))

    assert second.lease.fence == first.lease.fence + 1
    assert second.turn == first.turn
    assert second.claim.fencing_token > first.claim.fencing_token
    assert not second.is_fresh


async def test_a_proven_dead_owner_is_replaced_at_once(session: SessionStore) -> None:
    first = await accepted(session, "t1", claimant("a"))

    second = await accepted(session, "t1", claimant("b", dead=first.lease.token))

    assert [batch.batch_id for batch in second.claim.batches] == [batch.batch_id for batch in first.claim.batches]
    assert second.lease.fence == first.lease.fence + 1


async def test_the_turn_in_flight_comes_before_what_was_asked_for(session: SessionStore) -> None:
    await accepted(session, "t1", claimant("a", ttl_ms=0))

    owned = await accepted(session, "t2", claimant("b"))

    assert owned.turn.turn_id == "t1"
    assert [batch.source_key for batch in owned.claim.batches] == ["turn:t1"]


async def test_input_that_was_queued_earlier_runs_first(session: SessionStore) -> None:
    batch = await session.enqueue_queued_work(draft(SESSION, "earlier"))

    owned = await accepted(session, "t1", claimant("a"))

    assert owned.turn.turn_id == f"queue:{batch.batch_id}"
    assert owned.has_more


async def test_a_settled_turn_is_not_run_again(session: SessionStore) -> None:
    owned = await accepted(session, "t1", claimant("a"))
    result = await session.commit(commit_of(owned))

    answer = await session.accept_turn(request("t1", claimant("b")))

    assert isinstance(answer, Settled)
    assert (answer.turn.result, answer.turn.summary) == (result, {"outcome": "done"})
    assert await session.list_queued_work(SESSION) == []
    assert isinstance(await session.next_turn(SESSION, claimant("b")), Idle)


async def test_a_turn_id_with_another_input_is_refused(session: SessionStore) -> None:
    await accepted(session, "t1", claimant("a"))

    with pytest.raises(TurnInputConflict, match="t1"):
        await session.accept_turn(request("t1", claimant("b"), "other words"))

    assert len(await session.list_queued_work(SESSION)) == 1


async def test_a_deleted_session_accepts_nothing(store: Store, session: SessionStore) -> None:
    await store.sessions.delete_session(SESSION)

    with pytest.raises(SessionDeleted):
        await session.accept_turn(request("t1", claimant("a")))


async def test_a_commit_without_its_lease_changes_nothing(session: SessionStore) -> None:
    first = await accepted(session, "t1", claimant("a", ttl_ms=0))
    second = await accepted(session, "t1", claimant("b"))

    with pytest.raises(LeaseLost):
        await session.commit(commit_of(first))

    assert await session.load_session(ActivePath()) is None
    assert (await session.commit(commit_of(second))).head_revision == 1


async def test_an_expired_lease_that_nobody_took_still_commits(session: SessionStore) -> None:
    owned = await accepted(session, "t1", claimant("a", ttl_ms=0))

    assert (await session.commit(commit_of(owned))).head_revision == 1


async def test_a_commit_retires_its_journal_and_frees_the_session(store: Store, session: SessionStore) -> None:
    owned = await accepted(session, "t1", claimant("a"))
    await store.journal.append(scope("t1"), owned.lease, [done("k1")], {})
    await session.commit(commit_of(owned))

    assert await store.journal.load(scope("t1")) == []
    lease = await session.get_session_lease(SESSION)
    assert lease is not None
    assert (lease.token, lease.turn) == ("", None)
    following = await accepted(session, "t2", claimant("b"))
    assert following.lease.fence == owned.lease.fence + 1
    assert following.turn.turn_index == 2


async def test_a_commit_enqueues_its_follow_up_once(session: SessionStore) -> None:
    owned = await accepted(session, "t1", claimant("a"))
    follow_up = QueuedWorkDraft(SESSION, [TurnInputPayload({"text": "go on"})], source_key="turn:turn:t1:frame:1")
    commit = msgspec.structs.replace(commit_of(owned), enqueue=[follow_up])
    await session.commit(commit)
    await session.commit(commit)

    queued = await session.list_queued_work(SESSION)
    assert [batch.source_key for batch in queued] == ["turn:turn:t1:frame:1"]


async def test_a_turn_without_history_is_settled_by_its_stamp(store: Store, session: SessionStore) -> None:
    owned = await accepted(session, "t1", claimant("a"))
    turn = StoredTurn("t1", None, {"outcome": "invalid_input"}, 0)
    await session.settle_without_commit(owned.lease, turn, owned.claim)
    await session.settle_without_commit(owned.lease, turn, owned.claim)

    answer = await session.accept_turn(request("t1", claimant("b")))
    assert isinstance(answer, Settled)
    assert answer.turn.summary == {"outcome": "invalid_input"}
    assert await session.load_session(ActivePath()) is None
    assert await session.list_queued_work(SESSION) == []


async def test_settling_needs_the_lease(session: SessionStore) -> None:
    first = await accepted(session, "t1", claimant("a", ttl_ms=0))
    await accepted(session, "t1", claimant("b"))

    with pytest.raises(LeaseLost):
        await session.settle_without_commit(first.lease, StoredTurn("t1", None, None, 0), first.claim)

    assert await session.load_turn(SESSION, "t1") is None


async def test_turns_are_listed_in_the_order_of_settlement(session: SessionStore) -> None:
    parent = None
    for name in ("c", "a", "b"):
        owned = await accepted(session, name, claimant(f"x{name}"))
        await session.commit(commit_of(owned, parent=parent))
        parent = f"{name}:1"

    assert [turn.turn_id for turn in await session.list_turns(SESSION)] == ["c", "a", "b"]


async def test_a_new_owner_takes_what_a_checkpoint_had_claimed(session: SessionStore) -> None:
    first = await accepted(session, "t1", claimant("a", ttl_ms=0))
    joined = await session.enqueue_queued_work(draft(SESSION, "join me", EARLY))
    taken = await session.claim_ready_queued_work(SESSION, "host/a", "active_turn_checkpoint", 60_000, 10)
    assert taken is not None
    second = await accepted(session, "t1", claimant("b", dead=first.lease.token))

    claim = await session.reclaim_batches(second.lease, "claim-again", [joined.batch_id], 60_000)

    assert claim is not None
    assert claim.fencing_token > taken.fencing_token
    assert await session.reclaim_batches(first.lease, "claim-late", [joined.batch_id], 60_000) is None


async def test_a_checkpoint_takes_early_work_under_its_lease(session: SessionStore) -> None:
    owned = await accepted(session, "t1", claimant("a"))
    joined = await session.enqueue_queued_work(draft(SESSION, "join me", EARLY))

    claim = await session.claim_at_checkpoint(owned.lease, "claim-early", 10, 60_000)

    assert claim is not None
    assert [batch.batch_id for batch in claim.batches] == [joined.batch_id]
    assert await session.claim_at_checkpoint(owned.lease, "claim-more", 10, 60_000) is None


async def test_a_turn_that_lost_its_session_takes_nothing_more(session: SessionStore) -> None:
    """Not even where the same executor has the session again, with another turn."""
    first = await accepted(session, "t1", claimant("a", ttl_ms=0))
    await accepted(session, "t1", claimant("a2", ttl_ms=0))
    joined = await session.enqueue_queued_work(draft(SESSION, "join me", EARLY))

    with pytest.raises(LeaseLost):
        await session.claim_at_checkpoint(first.lease, "claim-late", 10, 60_000)

    assert [batch.batch_id for batch in await session.list_pending_queued_work(SESSION)][-1] == joined.batch_id


async def test_a_turn_in_flight_gets_its_input_whoever_else_claimed_it(session: SessionStore) -> None:
    first = await accepted(session, "t1", claimant("a", ttl_ms=0))
    [batch] = first.claim.batches
    stranger = await session.claim_ready_queued_work_by_batch_ids(SESSION, "stranger", "idle", 60_000, [batch.batch_id])
    assert stranger is not None

    second = await accepted(session, "t1", claimant("b"))

    assert [taken.batch_id for taken in second.claim.batches] == [batch.batch_id]
    with pytest.raises(QueuedWorkClaimExpired):
        await session.renew_queued_work_claim(stranger, 60_000)


async def test_the_input_of_a_turn_in_flight_is_neither_taken_back_nor_changed(session: SessionStore) -> None:
    """Its owner may be dead and its claim over: whoever goes on with the turn needs what it began with."""
    first = await accepted(session, "t1", claimant("a", ttl_ms=0))
    [batch] = first.claim.batches

    assert await session.cancel_queued_work_batch(SESSION, batch.batch_id) is None
    assert await session.replace_queued_input(SESSION, batch.batch_id, TurnInputPayload({"text": "other"})) is None

    second = await accepted(session, "t1", claimant("b"))
    assert second.claim.batches[0].items == batch.items


async def test_a_heartbeat_renews_leases_and_claims_and_tells_of_cancels(store: Store, session: SessionStore) -> None:
    owned = await accepted(session, "t1", claimant("a", ttl_ms=0))
    assert await session.request_turn_cancel(SESSION, "t1")
    assert not await session.request_turn_cancel(SESSION, "another")

    [held] = await store.sessions.heartbeat([owned.lease], [owned.claim], 60_000)

    assert held.lease is not None
    assert held.lease.expires_at_ms > owned.lease.expires_at_ms
    assert held.cancel_requested_at_ms is not None
    assert await session.list_pending_queued_work(SESSION) == []
    [read] = await store.sessions.read_cancels([owned.lease])
    assert read == held


async def test_a_heartbeat_says_which_lease_is_gone(store: Store, session: SessionStore) -> None:
    first = await accepted(session, "t1", claimant("a", ttl_ms=0))
    await accepted(session, "t1", claimant("b"))

    [held] = await store.sessions.heartbeat([first.lease], [first.claim], 60_000)

    assert held.lease is None


async def test_a_released_lease_keeps_the_turn_in_flight(store: Store, session: SessionStore) -> None:
    owned = await accepted(session, "t1", claimant("a"))
    await session.release_session_lease(owned.lease)

    [open_turn] = await store.sessions.open_turns()
    again = await session.next_turn(SESSION, claimant("b"))

    assert open_turn.turn == owned.turn
    assert not open_turn.is_lease_live
    assert isinstance(again, Owned)
    assert again.turn == owned.turn


async def test_a_strict_renewal_refuses_an_expired_lease(session: SessionStore) -> None:
    lease = await session.try_claim_session_lease(SESSION, claimant("a"))
    assert lease is not None
    assert await session.try_claim_session_lease(SESSION, claimant("b")) is None
    assert (await session.renew_session_lease(lease, 0)).fence == lease.fence

    with pytest.raises(LeaseLost):
        await session.renew_session_lease(lease, 60_000)


async def test_recovery_sees_queued_work_of_every_session(store: Store, session: SessionStore) -> None:
    await session.enqueue_queued_work(draft(SESSION, "one"))
    await session.enqueue_queued_work(draft(SESSION, "two"))
    await session.enqueue_queued_work(draft("another", "three"))

    found = await store.sessions.open_turns()

    assert [(open_turn.session_id, open_turn.turn) for open_turn in found] == [("another", None), (SESSION, None)]
    assert [batch.first_batch is not None for batch in found] == [True, True]


async def test_an_idle_look_changes_nothing(session: SessionStore) -> None:
    await session.commit(commit_of(await accepted(session, "t1", claimant("a"))))
    before = await session.get_session_lease(SESSION)

    assert isinstance(await session.next_turn(SESSION, claimant("b")), Idle)
    assert isinstance(await session.next_turn("never heard of", claimant("b")), Idle)

    assert await session.get_session_lease(SESSION) == before
    assert await session.get_session_lease("never heard of") is None


async def test_the_next_turn_takes_what_is_queued(session: SessionStore) -> None:
    batch = await session.enqueue_queued_work(draft(SESSION, "work"))

    owned = await session.next_turn(SESSION, claimant("a"))
    waiting = await session.next_turn(SESSION, claimant("b"))

    assert isinstance(owned, Owned)
    assert [found.batch_id for found in owned.claim.batches] == [batch.batch_id]
    assert isinstance(waiting, Waiting)
    assert waiting.lease_token == "lease-a"


async def test_a_lease_that_is_over_keeps_nobody_waiting(session: SessionStore) -> None:
    lease = await session.try_claim_session_lease(SESSION, claimant("gone"))
    assert lease is not None

    assert isinstance(await session.next_turn(SESSION, claimant("b")), Waiting)
    assert isinstance(await session.next_turn(SESSION, claimant("b", dead=lease.token)), Idle)
    await session.renew_session_lease(lease, 0)
    assert isinstance(await session.next_turn(SESSION, claimant("b")), Idle)
