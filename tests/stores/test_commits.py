"""What a commit accepts, what it leaves behind, and how that is tidied up."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from conformance.places import Kind, Place
from lash.attachments.store import AttachmentMeta, AttachmentTooLarge
from lash.base.canonical import sha256_hex
from lash.base.clock import SystemClock
from lash.base.errors import InvalidArgument
from lash.sessions.checkpoint import Checkpoint, Component, TurnState
from lash.sessions.errors import InvalidGraphDelta, StoreUnavailable
from lash.sessions.graph import ActivePath, GraphAppend
from lash.sessions.meta import ForkedSession, RootSession
from lash.sessions.store import SessionCreate, SessionStore
from lash.stores import Store
from lash.stores.attachments import MAX_BYTES
from lash.testing.conformance.drafts import draft, node, plain_commit, replaced
from stores.doubles import open_limited
from stores.turns import SESSION, accepted, claimant, commit_of, done, scope


async def test_nodes_are_create_only(session: SessionStore) -> None:
    first = await session.commit(replaced(plain_commit(SESSION), graph=GraphAppend([node("a")], "a")))
    later = plain_commit(SESSION, head_revision=first.head_revision)

    for nodes, leaf in (
        ([node("a")], "a"),
        ([node("b"), node("b")], "b"),
        ([node("b", "nowhere")], "b"),
        ([node("b", "a")], "nowhere"),
    ):
        with pytest.raises(InvalidGraphDelta):
            await session.commit(replaced(later, graph=GraphAppend(nodes, leaf)))

    good = replaced(later, graph=GraphAppend([node("b", "a")], "b"))
    assert (await session.commit(good)).head_revision == 2


async def test_long_turns_commit_as_well_as_short_ones(session: SessionStore) -> None:
    nodes = [node("n0"), *(node(f"n{n}", f"n{n - 1}") for n in range(1, 40))]

    await session.commit(replaced(plain_commit(SESSION), graph=GraphAppend(nodes, "n39")))

    loaded = await session.load_session(ActivePath())
    assert loaded is not None
    assert [found.node_id for found in loaded.graph.nodes] == [f"n{n}" for n in range(40)]


async def test_vacuum_leaves_a_readable_store(store: Store, session: SessionStore) -> None:
    await session.commit(commit_of(await accepted(session, "t1", claimant("a"))))
    await session.tombstone_nodes(["t1:0"])

    report = await store.vacuum()
    loaded = await session.load_session(ActivePath())

    assert report.removed_node_count == 0  # its child still hangs on it
    assert loaded is not None
    assert [found.node_id for found in loaded.graph.nodes] == ["t1:1"]
    assert (await store.check()).ok


class LaterClock(SystemClock):
    """The system's clock, two hours ahead."""

    def now_ms(self) -> int:
        return super().now_ms() + 7_200_000


async def test_a_collection_takes_only_old_bytes_that_nothing_refers_to(any_place: Place, kind: Kind) -> None:
    if kind == "memory":
        return
    where, schema = any_place._where()
    async with await Store.open(where, schema=schema) as store:
        session = await store.sessions.create_store(SessionCreate(SESSION))
        owned = await accepted(session, "t1", claimant("a"))
        first = Checkpoint().with_component("used", b"used")
        await session.commit(replaced(commit_of(owned), checkpoint=first.with_component("dropped", b"dropped")))
        owned = await accepted(session, "t2", claimant("b"))
        used = Checkpoint(TurnState(owned.turn.turn_index), {"used": Component(ref=sha256_hex(b"used"))})
        await session.commit(replaced(commit_of(owned, parent="t1:1"), checkpoint=used))
        owned = await accepted(session, "t3", claimant("c"))
        large = sha256_hex(b"large")
        row = msgspec.structs.replace(done("k1"), outcome_json=f'{{"ref":"{large}"}}')
        await store.journal.append(scope("t3"), owned.lease, [row], {large: b"large"})
        assert (await session.gc_unreachable()).deleted_blob_count == 0

    async with await Store.open(where, schema=schema, clock=LaterClock()) as store:
        found = await store.sessions.open_existing_store(SESSION)
        assert found is not None

        report = await found.gc_unreachable()

        assert (report.retained_blob_count, report.deleted_blob_count) == (2, 1)
        assert await store.journal.get_blob(large) == b"large"
        loaded = await found.load_session(ActivePath())
        assert loaded is not None
        assert loaded.checkpoint.components["used"].body == b"used"


async def test_a_session_is_created_with_its_state_once_and_only_where_none_is(store: Store) -> None:
    sessions = store.sessions
    first = plain_commit("new")
    relation = ForkedSession("old", None)

    assert await sessions.create_with_state(SessionCreate("new", relation), first)
    assert not await sessions.create_with_state(SessionCreate("new", relation), first)
    await sessions.create_store(SessionCreate("begun"))
    begun = plain_commit("begun")
    assert not await sessions.create_with_state(SessionCreate("begun", relation), begun)

    listings = await sessions.list_sessions()
    listed = {found.session_id: (found.head_revision, found.meta and found.meta.relation) for found in listings}
    assert listed == {"new": (1, relation), "begun": (0, RootSession())}


async def test_an_id_with_a_nul_is_refused_everywhere(store: Store, session: SessionStore) -> None:
    with pytest.raises(InvalidArgument, match="NUL"):
        await store.sessions.create_store(SessionCreate("a\0b"))
    with pytest.raises(InvalidArgument, match="NUL"):
        await session.enqueue_queued_work(draft(SESSION, "x", source_key="a\0b"))


async def test_a_session_goes_on_after_the_disk_was_full(tmp_path: Path) -> None:
    store = await open_limited(str(tmp_path / "a.db"), max_pages=150)
    session = await store.sessions.create_store(SessionCreate(SESSION))
    owned = await accepted(session, "t1", claimant("a"))
    commit = commit_of(owned)
    large = Checkpoint(commit.checkpoint.turn_state).with_component("large", b"x" * 400_000)

    with pytest.raises(StoreUnavailable):
        await session.commit(replaced(commit, checkpoint=large))
    assert (await session.commit(commit)).head_revision == 1
    await store.close()


async def test_a_row_takes_no_attachment_above_its_limit(store: Store) -> None:
    with pytest.raises(AttachmentTooLarge, match="attachment_store="):
        await store.attachments.put(bytes(MAX_BYTES + 1), AttachmentMeta("application/octet-stream"))
