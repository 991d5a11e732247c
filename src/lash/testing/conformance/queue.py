"""Suite runtime_persistence (RP): queued work, claims, and their settlement by commits."""

from __future__ import annotations

import msgspec

from lash.sessions.commit import persisted_state
from lash.sessions.errors import QueuedWorkClaimExpired
from lash.sessions.graph import FullGraph
from lash.sessions.queue import ProcessWakePayload, QueuedWorkClaim
from lash.sessions.store import SessionStore
from lash.testing.conformance.drafts import (
    AFTER,
    EARLY,
    FAR_FUTURE_MS,
    TTL_MS,
    draft,
    plain_commit,
    stamped,
    state,
    text_of,
    texts_of,
    wake_draft,
    with_claims,
)
from lash.testing.conformance.laws import Rows
from lash.testing.conformance.sessions import RUNTIME_PERSISTENCE

law = RUNTIME_PERSISTENCE.law

__all__ = ["RUNTIME_PERSISTENCE"]  # whole only with the laws of this module


@law("RP-22", "RP-23", "RP-24", "RP-25", "RP-26")
async def a_source_key_names_one_piece_of_work(store: SessionStore, row: Rows) -> None:
    first = await store.enqueue_queued_work(draft("root", "first", source_key="source:first"))
    again = await store.enqueue_queued_work(draft("root", "another", source_key="source:first"))
    await store.enqueue_queued_work(draft("root", "second"))
    await store.enqueue_queued_work(draft("other", "elsewhere"))

    batches = await store.list_queued_work("root")

    row("RP-22", again.batch_id == first.batch_id, again)
    row("RP-23", again.items[0].item_id == first.items[0].item_id, again)
    row("RP-24", text_of(again) == "first", text_of(again))
    row("RP-25", texts_of(batches) == ["first", "second"], texts_of(batches))
    row("RP-26", batches[0].enqueue_seq < batches[1].enqueue_seq, batches)


@law("RP-27", "RP-28")
async def a_waiting_batch_can_be_cancelled(store: SessionStore, row: Rows) -> None:
    batch = await store.enqueue_queued_work(draft("root", "cancel me"))

    cancelled = await store.cancel_queued_work_batch("root", batch.batch_id)

    row(
        "RP-27",
        cancelled is not None and cancelled.batch_id == batch.batch_id and text_of(cancelled) == "cancel me",
        cancelled,
    )
    row("RP-28", await store.list_queued_work("root") == [])


@law("RP-29", "RP-30", "RP-31", "RP-32", "RP-33", "RP-34")
async def a_claimed_batch_cannot_be_cancelled(store: SessionStore, row: Rows) -> None:
    batch = await store.enqueue_queued_work(draft("root", "claimed"))
    claim = await store.claim_ready_queued_work("root", "owner", "idle", TTL_MS, 1)
    row("RP-29", claim is not None and [found.batch_id for found in claim.batches] == [batch.batch_id], claim)
    assert claim is not None

    row("RP-30", await store.list_pending_queued_work("root") == [])
    row("RP-31", len(await store.list_queued_work("root")) == 1)
    row("RP-32", await store.cancel_queued_work_batch("root", batch.batch_id) is None)

    await store.abandon_queued_work_claim(claim)
    row("RP-33", len(await store.list_pending_queued_work("root")) == 1)
    row("RP-34", await store.cancel_queued_work_batch("root", batch.batch_id) is not None)


@law("RP-35", "RP-36", "RP-37", "RP-38")
async def an_exact_claim_never_overtakes(store: SessionStore, row: Rows) -> None:
    first = await store.enqueue_queued_work(draft("root", "first"))
    second = await store.enqueue_queued_work(draft("root", "second"))

    early = await store.claim_ready_queued_work_by_batch_ids("root", "owner", "idle", TTL_MS, [second.batch_id])
    row("RP-35", early is None, early)
    row("RP-36", texts_of(await store.list_pending_queued_work("root")) == ["first", "second"])

    claim = await store.claim_ready_queued_work_by_batch_ids("root", "owner", "idle", TTL_MS, [first.batch_id])
    row("RP-37", _texts(claim) == ["first"], claim)
    row("RP-38", texts_of(await store.list_pending_queued_work("root")) == ["second"])


@law("RP-39", "RP-40", "RP-41", "RP-42", "RP-43", "RP-44", "RP-45")
async def a_checkpoint_takes_no_batch_that_waits_for_idle(store: SessionStore, row: Rows) -> None:
    await store.enqueue_queued_work(draft("root", "after", AFTER))
    await store.enqueue_queued_work(draft("root", "early", EARLY))

    row("RP-39", await store.claim_ready_queued_work("root", "a", "active_turn_checkpoint", TTL_MS, 10) is None)
    idle = await store.claim_ready_queued_work("root", "owner-a", "idle", TTL_MS, 10)
    row("RP-40", _texts(idle) == ["after"], idle)
    beside = await store.claim_ready_queued_work("root", "owner-b", "active_turn_checkpoint", TTL_MS, 10)
    row("RP-41", _texts(beside) == ["early"], beside)

    assert idle is not None
    await store.abandon_queued_work_claim(idle)
    again = await store.claim_ready_queued_work("root", "owner-c", "idle", TTL_MS, 10)
    row("RP-42", _texts(again) == ["after"], again)
    assert again is not None
    row("RP-43", again.fencing_token > idle.fencing_token, again.fencing_token)

    renewed = await store.renew_queued_work_claim(again, TTL_MS)
    row(
        "RP-44",
        (renewed.claim_id, renewed.lease_token, _texts(renewed)) == (again.claim_id, again.lease_token, ["after"]),
        renewed,
    )
    row("RP-45", renewed.expires_at_epoch_ms >= again.expires_at_epoch_ms, renewed)


@law("RP-46", "RP-47", "RP-48")
async def work_of_the_future_and_of_others_is_left_alone(store: SessionStore, row: Rows) -> None:
    await store.enqueue_queued_work(draft("root", "future", EARLY, available_at_ms=FAR_FUTURE_MS))
    await store.enqueue_queued_work(draft("root", "ready", EARLY))
    await store.enqueue_queued_work(draft("root", "join", EARLY, "join", group="root"))
    other = await store.enqueue_queued_work(draft("other", "other", EARLY))

    row("RP-46", _texts(await store.claim_ready_queued_work("root", "owner-a", "idle", TTL_MS, 10)) == ["ready"])
    row("RP-47", _texts(await store.claim_ready_queued_work("root", "owner-b", "idle", TTL_MS, 10)) == ["join"])
    claim = await store.claim_ready_queued_work("other", "owner-c", "idle", TTL_MS, 10)
    row("RP-48", claim is not None and claim.batches[0].batch_id == other.batch_id, claim)


@law("RP-49", "RP-50")
async def an_expired_claim_is_taken_over(store: SessionStore, row: Rows) -> None:
    await store.enqueue_queued_work(draft("reclaim", "work"))

    first = await store.claim_ready_queued_work("reclaim", "owner-a", "idle", 0, 10)
    second = await store.claim_ready_queued_work("reclaim", "owner-b", "idle", TTL_MS, 10)

    row("RP-49", _texts(first) == _texts(second) == ["work"], second)
    assert first is not None
    assert second is not None
    row("RP-50", second.fencing_token > first.fencing_token, second.fencing_token)


@law("RP-51", "RP-52")
async def a_claim_takes_no_more_than_asked(store: SessionStore, row: Rows) -> None:
    for text in ("one", "two", "three"):
        await store.enqueue_queued_work(draft("limited", text, EARLY, "join", group="limited"))

    first = await store.claim_ready_queued_work("limited", "owner-a", "idle", TTL_MS, 2)
    second = await store.claim_ready_queued_work("limited", "owner-b", "idle", TTL_MS, 2)

    row("RP-51", _texts(first) == ["one", "two"], first)
    row("RP-52", _texts(second)[:1] == ["three"], second)


@law("RP-53", "RP-54", "RP-55")
async def only_neighbours_of_one_group_and_policy_join(store: SessionStore, row: Rows) -> None:
    for text, policy, group in (("a1", EARLY, "a"), ("a2", EARLY, "a"), ("b", EARLY, "b"), ("after", AFTER, "a")):
        await store.enqueue_queued_work(draft("root", text, policy, "join", group=group))

    taken = [await store.claim_ready_queued_work("root", f"owner-{n}", "idle", TTL_MS, 10) for n in range(3)]

    row("RP-53", _texts(taken[0]) == ["a1", "a2"], taken[0])
    row("RP-54", _texts(taken[1]) == ["b"], taken[1])
    row("RP-55", _texts(taken[2]) == ["after"], taken[2])


@law("RP-56", "RP-57", "RP-58", "RP-59")
async def a_commit_settles_only_claims_it_holds(store: SessionStore, row: Rows) -> None:
    for text in ("one", "two"):
        await store.enqueue_queued_work(draft("root", text, EARLY, "join", group="joined"))
    claim = await store.claim_ready_queued_work("root", "owner", "idle", TTL_MS, 10)
    row("RP-56", _texts(claim) == ["one", "two"], claim)
    assert claim is not None

    completion = claim.completion()
    stale = msgspec.structs.replace(completion, lease_token=f"{completion.lease_token}:stale")
    await row.raises("RP-57", QueuedWorkClaimExpired, store.commit(plain_commit("root", stale)))
    row("RP-58", len(await store.list_queued_work("root")) == 2)

    await store.commit(plain_commit("root", completion))
    row("RP-59", await store.list_queued_work("root") == [])


@law("RP-60", "RP-61", "RP-62", "RP-63")
async def a_wake_is_delivered_once(store: SessionStore, row: Rows) -> None:
    wake = wake_draft("root", "wake-1", "process-1", 7)
    first = await store.enqueue_queued_work(wake)
    again = await store.enqueue_queued_work(wake)
    row("RP-60", again.batch_id == first.batch_id, again)
    row("RP-61", len(await store.list_queued_work("root")) == 1)

    claim = await store.claim_ready_queued_work("root", "owner", "idle", TTL_MS, 10)
    assert claim is not None
    items = [item for batch in claim.batches for item in batch.items]
    row("RP-62", len(claim.batches) == 1 and [type(item.payload) for item in items] == [ProcessWakePayload], items)

    await store.commit(plain_commit("root", claim.completion()))
    row("RP-63", await store.list_queued_work("root") == [])


@law("RP-64", "RP-65", "RP-66", "RP-67", "RP-68", "RP-69")
async def a_stamped_commit_and_its_claims_are_one_step(store: SessionStore, row: Rows) -> None:
    await store.enqueue_queued_work(draft("root", "work", EARLY))
    claim = await store.claim_ready_queued_work("root", "owner", "idle", TTL_MS, 1)
    assert claim is not None
    commit = stamped(persisted_state(state("root", turn_index=41)), "turn-atomic")
    completion = claim.completion()
    stale = msgspec.structs.replace(completion, lease_token="stale")

    await row.raises("RP-64", QueuedWorkClaimExpired, store.commit(with_claims(commit, stale)))
    row("RP-65", await store.load_session(FullGraph()) is None)
    row("RP-66", len(await store.list_queued_work("root")) == 1)

    first = await store.commit(with_claims(commit, completion))
    again = await store.commit(with_claims(commit, completion))
    row("RP-67", again.head_revision == first.head_revision, again)
    row("RP-68", again.checkpoint_ref == first.checkpoint_ref, again)
    loaded = await store.load_session(FullGraph())
    row("RP-69", loaded is not None and await store.list_queued_work("root") == [], loaded)


def _texts(claim: QueuedWorkClaim | None) -> list[object]:
    return [] if claim is None else texts_of(claim.batches)
