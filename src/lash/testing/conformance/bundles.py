"""The X rows that ask for a whole store: queue, deletion, attachments, commits, schema.

A case gets a `StorePair`: a store, and a way to open the same storage once more
(None in memory).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from lash.attachments.store import AttachmentMeta, AttachmentNotFound
from lash.base.clock import SystemClock
from lash.base.usage import TokenUsage
from lash.effects.journal import JournalRow
from lash.effects.scope import ExecutionScope
from lash.effects.waits import CustomWait, ResolvedOk, UnknownOrRevoked, make_key
from lash.sessions.accept import Claimant
from lash.sessions.checkpoint import PLUGIN_SNAPSHOT, Checkpoint, Component
from lash.sessions.commit import CommitBudget, UsageDelta, persisted_state
from lash.sessions.errors import (
    CommitBudgetExceeded,
    HeadRevisionConflict,
    MissingCheckpointComponent,
    SessionDeleted,
    UnsupportedSchemaVersion,
)
from lash.sessions.graph import FullGraph, SessionGraph
from lash.sessions.queue import QueuedWorkClaim
from lash.sessions.store import SessionCreate, SessionStore
from lash.stores import Store
from lash.stores.scoped import SessionAttachments
from lash.testing.conformance.drafts import (
    EARLY,
    TTL_MS,
    draft,
    graph_state,
    node,
    plain_commit,
    replaced,
    stamped,
    state,
    with_claims,
)
from lash.testing.conformance.laws import Rows, Suite


class StorePair(NamedTuple):
    """A store, a second way in, and a way to pretend that another release made it."""

    store: Store
    reopen: Callable[[], Awaitable[Store]] | None
    set_schema_version: Callable[[int], Awaitable[None]] | None = None


STORES: Suite[StorePair] = Suite("stores")
law = STORES.law


@law("X-11")
async def settled_work_is_recognised_by_its_source_key(pair: StorePair, row: Rows) -> None:
    session = await _session(pair.store)
    work = draft("root", "work", EARLY, source_key="source:work")
    batch = await session.enqueue_queued_work(work)
    claim = await session.claim_ready_queued_work("root", "owner", "idle", TTL_MS, 1)
    assert claim is not None
    await session.commit(plain_commit("root", claim.completion()))

    outcome = await session.enqueue_queued_work_with_outcome(work)

    is_same = (outcome.status, outcome.batch.batch_id) == ("already_settled", batch.batch_id)
    row("X-11", is_same and await session.list_queued_work("root") == [], outcome)


@law("X-14", stores="SP")
async def racing_claims_never_share_a_batch(pair: StorePair, row: Rows) -> None:
    session = await _session(pair.store)
    for turn in range(50):
        first = await session.enqueue_queued_work(draft("root", f"first {turn}"))
        second = await session.enqueue_queued_work(draft("root", f"second {turn}"))

        exact, plain = await asyncio.gather(
            session.claim_ready_queued_work_by_batch_ids("root", "exact", "idle", TTL_MS, [second.batch_id]),
            session.claim_ready_queued_work("root", "plain", "idle", TTL_MS, 1),
        )

        claimed = _ids(exact) + _ids(plain)
        # The exact claim may win `second` only after the other has taken `first`.
        holds = _ids(plain) == [first.batch_id] and _ids(exact) in ([], [second.batch_id])
        row("X-14", holds and len(set(claimed)) == len(claimed), claimed)
        for claim in (exact, plain):
            if claim is not None:
                await session.abandon_queued_work_claim(claim)
        for batch in (first, second):
            await session.cancel_queued_work_batch("root", batch.batch_id)


@law("X-25")
async def a_deleted_session_is_gone_for_good(pair: StorePair, row: Rows) -> None:
    store = pair.store
    session = await _session(store)
    scope = ExecutionScope.turn("root", "t1")
    lease = await session.try_claim_session_lease("root", Claimant("h/e", "lease", "claim", TTL_MS))
    assert lease is not None
    done = JournalRow("k1", "durable_step", "hash", "completed", outcome_json="{}")
    await store.journal.append(scope, lease, [done], {})
    secret = await store.waits.signing_secret(b"s" * 32)
    key = make_key(scope, CustomWait("approval"), secret)
    await store.waits.open_wait(key, None)

    await store.sessions.delete_session("root")

    resolved = await store.waits.resolve(key, ResolvedOk(True))
    rows = await store.journal.load(scope)
    row("X-25", isinstance(resolved, UnknownOrRevoked) and rows == [], (resolved, rows))
    request = SessionCreate("root")
    await row.raises("X-25", SessionDeleted, store.sessions.create_store(request))
    await row.raises("X-25", SessionDeleted, store.sessions.create_with_state(request, plain_commit("root")))
    await row.raises("X-25", SessionDeleted, session.commit(plain_commit("root")))


@law("X-26")
async def bytes_that_another_session_uses_survive_a_sweep(pair: StorePair, row: Rows) -> None:
    store = pair.store
    meta = AttachmentMeta("text/plain")
    for session_id in ("keeps", "orphans"):
        session = await store.sessions.create_store(SessionCreate(session_id))
        scoped = SessionAttachments(store.attachments, session, session_id, SystemClock())
        shared = await scoped.put(b"shared", meta)
        if session_id == "keeps":
            await session.commit(replaced(plain_commit("keeps"), committed_attachment_ids=scoped.uncommitted_ids))
        else:
            lonely = await scoped.put(b"lonely", meta)

    swept = await store.orphans.sweep(store.attachments, SystemClock().now_ms() + 1)

    row("X-26", swept == [lonely.id], swept)
    row("X-26", (await store.attachments.get(shared.id)).data == b"shared")
    await row.raises("X-26", AttachmentNotFound, store.attachments.get(lonely.id))


@law("X-27")
async def an_unchanged_component_must_be_stored(pair: StorePair, row: Rows) -> None:
    session = await _session(pair.store)
    checkpoint = Checkpoint(components={PLUGIN_SNAPSHOT: Component(ref="0" * 64)})
    commit = replaced(plain_commit("root"), checkpoint=checkpoint)

    await row.raises("X-27", MissingCheckpointComponent, session.commit(commit))
    row("X-27", await session.load_session(FullGraph()) is None)


@law("X-28")
async def a_moved_head_refuses_the_whole_commit(pair: StorePair, row: Rows) -> None:
    session = await _session(pair.store)
    first = await session.commit(plain_commit("root"))
    await session.commit(plain_commit("root", head_revision=first.head_revision))
    await session.enqueue_queued_work(draft("root", "work"))
    claim = await session.claim_ready_queued_work("root", "owner", "idle", TTL_MS, 1)
    assert claim is not None
    late = persisted_state(state("root", head_revision=first.head_revision), [UsageDelta("turn", "m", TokenUsage(1))])

    commit = stamped(with_claims(late, claim.completion()), "late")
    await row.raises("X-28", HeadRevisionConflict, session.commit(commit))

    loaded = await session.load_session(FullGraph())
    untouched = loaded is not None and loaded.token_ledger == [] and len(await session.list_queued_work("root")) == 1
    row("X-28", untouched and await session.load_turn("root", "late") is None, loaded)


@law("X-29")
async def a_commit_above_its_budget_writes_nothing(pair: StorePair, row: Rows) -> None:
    session = await _session(pair.store)
    commit = persisted_state(graph_state("root", SessionGraph([node("a"), node("b", "a")], "b")))

    for budget in (CommitBudget(max_nodes=1), CommitBudget(max_bytes=10)):
        await row.raises("X-29", CommitBudgetExceeded, session.commit(replaced(commit, budget=budget)))
    row("X-29", await session.load_session(FullGraph()) is None)


@law("X-30", stores="SP")
async def another_schema_version_is_refused_by_name(pair: StorePair, row: Rows) -> None:
    assert pair.reopen is not None
    assert pair.set_schema_version is not None
    known = (await pair.store.stats()).schema_version
    await pair.set_schema_version(known + 1)

    try:
        await pair.reopen()
    except UnsupportedSchemaVersion as error:
        row("X-30", (error.actual, error.expected) == (known + 1, known) and str(known + 1) in str(error), error)
    else:
        row("X-30", False, "opened")


async def _session(store: Store) -> SessionStore:
    return await store.sessions.create_store(SessionCreate("root"))


def _ids(claim: QueuedWorkClaim | None) -> list[str]:
    return [] if claim is None else [batch.batch_id for batch in claim.batches]
