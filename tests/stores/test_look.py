"""What is seen from outside: where sessions stand, and their waiting input changed in its place."""

from __future__ import annotations

from lash.effects.lease import LeaseTimings
from lash.sessions.accept import Claimant
from lash.sessions.queue import QueuedWorkDraft, TurnInputPayload
from lash.sessions.store import SessionCreate
from lash.stores.store import Store

TTL_MS = LeaseTimings().ttl_ms


def _draft(session_id: str, text: str, source_key: str | None = None) -> QueuedWorkDraft:
    return QueuedWorkDraft(session_id, [TurnInputPayload({"text": text})], source_key=source_key)


async def test_one_look_tells_head_lease_and_queue_of_many_sessions(store: Store) -> None:
    handle = await store.sessions.create_store(SessionCreate("busy"))
    await handle.enqueue_queued_work(_draft("busy", "first", "host:a"))
    second = await handle.enqueue_queued_work(_draft("busy", "second"))
    await handle.next_turn("busy", Claimant("host/one", "lease", "claim", TTL_MS))
    await store.sessions.create_store(SessionCreate("gone"))
    await store.sessions.delete_session("gone")

    busy, gone, unknown = await store.sessions.look(["busy", "gone", "unknown"])

    assert (busy.owner, busy.turn_id) == ("host/one", f"queue:{busy.queue[0].batch_id}")
    assert [(batch.source_key, batch.is_claimed) for batch in busy.queue] == [("host:a", True), (None, False)]
    assert busy.queue[1].batch_id == second.batch_id
    assert (gone.is_deleted, unknown.is_deleted) == (True, False)
    assert (unknown.head_revision, unknown.owner, unknown.queue) == (0, None, [])
    assert await store.sessions.look([]) == []


async def test_waiting_input_is_replaced_and_claimed_input_is_not(store: Store) -> None:
    handle = await store.sessions.create_store(SessionCreate("s"))
    batch = await handle.enqueue_queued_work(_draft("s", "first", "host:a"))

    edited = await handle.replace_queued_input("s", batch.batch_id, TurnInputPayload({"text": "better"}))
    assert edited is not None
    assert (edited.enqueue_seq, edited.source_key) == (batch.enqueue_seq, "host:a")
    assert edited.items[0].payload == TurnInputPayload({"text": "better"})
    before = (await store.sessions.look(["s"]))[0].queue

    claim = await handle.claim_ready_queued_work("s", "host/one", "idle", TTL_MS, 1)
    assert claim is not None
    assert await handle.replace_queued_input("s", batch.batch_id, TurnInputPayload({"text": "late"})) is None
    assert await handle.replace_queued_input("s", "unknown", TurnInputPayload({"text": "x"})) is None
    assert (await store.sessions.look(["s"]))[0].queue[0].payload_hash == before[0].payload_hash
