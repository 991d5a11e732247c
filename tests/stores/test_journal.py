"""Journal rows are fenced by their scope's lease, or claimed one by one."""

from __future__ import annotations

import msgspec
import pytest

from lash.base.canonical import sha256_hex
from lash.effects.errors import LeaseLost
from lash.effects.journal import Answer, Busy, Claim, Diverged, InDoubt, JournalRow
from lash.effects.ports import ClaimRequest
from lash.effects.scope import ExecutionScope
from lash.sessions.store import SessionStore
from lash.stores import Store
from stores.turns import accepted, claimant, done, scope

FREE = ExecutionScope.runtime_operation("op")


def asking(token: str, *, envelope_hash: str = "hash", ttl_ms: int = 60_000, is_never: bool = False) -> ClaimRequest:
    return ClaimRequest("k1", "durable_step", envelope_hash, "{}", token, "owner", ttl_ms, is_never=is_never)


async def test_rows_come_back_in_the_order_they_were_written(store: Store, session: SessionStore) -> None:
    owned = await accepted(session, "t1", claimant("a"))
    await store.journal.append(scope("t1"), owned.lease, [done("z"), done("a")], {})
    await store.journal.append(scope("t1"), owned.lease, [done("m")], {})

    rows = await store.journal.load(scope("t1"))

    assert [row.replay_key for row in rows] == ["z", "a", "m"]
    assert rows[0].lease_token == owned.lease.token


async def test_an_append_that_was_acknowledged_late_is_not_lost(store: Store, session: SessionStore) -> None:
    owned = await accepted(session, "t1", claimant("a"))
    await store.journal.append(scope("t1"), owned.lease, [done("k1")], {})

    await store.journal.append(scope("t1"), owned.lease, [done("k1"), done("k2")], {})

    assert [row.replay_key for row in await store.journal.load(scope("t1"))] == ["k1", "k2"]


async def test_a_fenced_owner_writes_nothing(store: Store, session: SessionStore) -> None:
    first = await accepted(session, "t1", claimant("a", ttl_ms=0))
    await accepted(session, "t1", claimant("b"))

    with pytest.raises(LeaseLost):
        await store.journal.append(scope("t1"), first.lease, [done("k1")], {})
    with pytest.raises(LeaseLost):
        await store.journal.begin(scope("t1"), first.lease, _begun("k1"))

    assert await store.journal.load(scope("t1")) == []


async def test_a_row_of_an_earlier_owner_is_not_taken_for_our_own(store: Store, session: SessionStore) -> None:
    first = await accepted(session, "t1", claimant("a", ttl_ms=0))
    await store.journal.append(scope("t1"), first.lease, [done("k1")], {})
    second = await accepted(session, "t1", claimant("b"))

    with pytest.raises(LeaseLost):
        await store.journal.append(scope("t1"), second.lease, [done("k1")], {})


async def test_a_row_in_progress_is_no_success_of_an_append(store: Store, session: SessionStore) -> None:
    owned = await accepted(session, "t1", claimant("a"))
    await store.journal.begin(scope("t1"), owned.lease, _begun("k1"))

    with pytest.raises(LeaseLost):
        await store.journal.append(scope("t1"), owned.lease, [done("k1")], {})


async def test_a_never_effect_is_begun_then_finished(store: Store, session: SessionStore) -> None:
    owned = await accepted(session, "t1", claimant("a"))
    await store.journal.begin(scope("t1"), owned.lease, _begun("k1"))
    await store.journal.begin(scope("t1"), owned.lease, _begun("k1"))
    await store.journal.finish(scope("t1"), owned.lease, done("k1", never=True), {})
    await store.journal.finish(scope("t1"), owned.lease, done("k1", never=True), {})

    row = await store.journal.get(scope("t1"), "k1")
    assert row is not None
    assert (row.status, row.outcome_json) == ("completed", '{"ok":true}')


async def test_a_new_owner_does_not_begin_what_may_have_happened(store: Store, session: SessionStore) -> None:
    first = await accepted(session, "t1", claimant("a", ttl_ms=0))
    await store.journal.begin(scope("t1"), first.lease, _begun("k1"))
    second = await accepted(session, "t1", claimant("b"))

    with pytest.raises(LeaseLost):
        await store.journal.begin(scope("t1"), second.lease, _begun("k1"))
    with pytest.raises(LeaseLost):
        await store.journal.finish(scope("t1"), first.lease, done("k1"), {})

    assert await store.journal.settle(scope("t1"), "k1", None)
    await store.journal.begin(scope("t1"), second.lease, _begun("k1"))


async def test_a_doubt_is_settled_with_an_outcome(store: Store, session: SessionStore) -> None:
    owned = await accepted(session, "t1", claimant("a"))
    await store.journal.begin(scope("t1"), owned.lease, _begun("k1"))
    await session.release_session_lease(owned.lease)

    assert await store.journal.settle(scope("t1"), "k1", '{"said":1}')
    assert not await store.journal.settle(scope("t1"), "k2", '{"said":1}')

    row = await store.journal.get(scope("t1"), "k1")
    assert row is not None
    assert (row.status, row.outcome_json) == ("completed", '{"said":1}')


@pytest.mark.parametrize("outcome", [None, '{"said":1}'])
async def test_what_runs_right_now_is_not_in_doubt(store: Store, session: SessionStore, outcome: str | None) -> None:
    owned = await accepted(session, "t1", claimant("a"))
    await store.journal.begin(scope("t1"), owned.lease, _begun("k1"))

    assert not await store.journal.settle(scope("t1"), "k1", outcome)
    await store.journal.finish(scope("t1"), owned.lease, done("k1"), {})


async def test_large_values_lie_beside_their_rows(store: Store, session: SessionStore) -> None:
    owned = await accepted(session, "t1", claimant("a"))
    ref = sha256_hex(b"large")
    await store.journal.append(scope("t1"), owned.lease, [done("k1")], {ref: b"large"})

    assert await store.journal.get_blob(ref) == b"large"
    assert await store.journal.get_blob("0" * 64) is None


async def test_an_append_is_one_statement_however_many_rows(store: Store, session: SessionStore) -> None:
    owned = await accepted(session, "t1", claimant("a"))
    before = store.statements

    await store.journal.append(scope("t1"), owned.lease, [done(f"k{n}") for n in range(5)], {})

    assert store.statements - before == 1


async def test_an_unowned_effect_is_claimed_by_its_row(store: Store) -> None:
    first = await store.journal.claim(FREE, asking("one"))
    again = await store.journal.claim(FREE, asking("one"))
    rival = await store.journal.claim(FREE, asking("two"))
    other = await store.journal.claim(FREE, asking("two", envelope_hash="other"))

    assert isinstance(first.decision, Claim)
    assert isinstance(again.decision, Claim)
    assert isinstance(rival.decision, Busy)
    assert isinstance(other.decision, Diverged)


async def test_an_unowned_outcome_is_written_by_its_claimant_only(store: Store) -> None:
    await store.journal.claim(FREE, asking("one", ttl_ms=0))
    await store.journal.claim(FREE, asking("two"))

    assert not await store.journal.finalize(FREE, done("k1"), "one", {})
    assert await store.journal.finalize(FREE, done("k1"), "two", {})
    assert await store.journal.finalize(FREE, done("k1"), "two", {})
    answer = await store.journal.claim(FREE, asking("three"))
    assert isinstance(answer.decision, Answer)


async def test_a_released_claim_is_free_at_once(store: Store) -> None:
    await store.journal.claim(FREE, asking("one"))
    await store.journal.release(FREE, "k1", "one")

    taken = await store.journal.claim(FREE, asking("two"))

    assert isinstance(taken.decision, Claim)
    assert taken.decision.attempts == 2
    assert not await store.journal.renew(FREE, "k1", "one", 60_000)
    assert await store.journal.renew(FREE, "k1", "two", 60_000)


async def test_an_unowned_never_effect_left_behind_is_in_doubt(store: Store) -> None:
    await store.journal.claim(FREE, asking("one", ttl_ms=0, is_never=True))

    answer = await store.journal.claim(FREE, asking("two", is_never=True))

    assert isinstance(answer.decision, InDoubt)


async def test_the_due_time_of_a_sleep_is_that_of_its_first_claim(store: Store) -> None:
    sleep = msgspec.structs.replace(asking("one", ttl_ms=0), sleep_ms=1_000)
    first = await store.journal.claim(FREE, sleep)
    second = await store.journal.claim(FREE, msgspec.structs.replace(sleep, token="two", sleep_ms=5_000))

    assert isinstance(first.decision, Claim)
    assert isinstance(second.decision, Claim)
    assert second.decision.due_at_ms == first.decision.due_at_ms == first.now_ms + 1_000


async def test_an_owned_turn_is_busy_for_those_without_its_lease(store: Store, session: SessionStore) -> None:
    owned = await accepted(session, "t1", claimant("a"))

    answer = await store.journal.claim(scope("t1"), asking("one"))

    assert isinstance(answer.decision, Busy)
    assert answer.decision.retry_at_ms == owned.lease.expires_at_ms
    assert await store.journal.load(scope("t1")) == []


def _begun(key: str) -> JournalRow:
    return msgspec.structs.replace(done(key, never=True), status="in_progress", outcome_json=None)
