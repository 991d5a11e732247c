"""Opening, watching, locking, checking and sweeping a store."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import apsw
import msgspec
import pytest

from conformance.places import Kind, Place
from lash.attachments.store import AttachmentMeta, AttachmentTooLarge
from lash.base.canonical import sha256_hex
from lash.base.clock import SystemClock
from lash.base.errors import ConfigurationError, InvalidArgument
from lash.sessions.accept import Owned, Waiting
from lash.sessions.checkpoint import Checkpoint, Component, TurnState
from lash.sessions.errors import InvalidGraphDelta, StoredDataCorrupt, StoreUnavailable, UnsupportedSchemaVersion
from lash.sessions.graph import ActivePath, GraphAppend
from lash.sessions.store import SessionCreate, SessionStore
from lash.stores import Store
from lash.stores.attachments import MAX_BYTES
from lash.stores.sql import migrate
from lash.testing.conformance.drafts import draft, node, plain_commit, replaced
from stores.doubles import open_limited
from stores.turns import SESSION, accepted, claimant, commit_of, done, request, scope


async def test_a_store_tells_its_sizes(store: Store, session: SessionStore) -> None:
    await session.commit(commit_of(await accepted(session, "t1", claimant("a"))))

    stats = await store.stats()

    assert stats.schema_version == migrate.newest()
    assert stats.rows["lash_graph_nodes"] == 2
    assert stats.rows["lash_effect_journal"] == 0


async def test_a_sound_store_passes_its_check(store: Store, session: SessionStore) -> None:
    await store.attachments.put(b"bytes", AttachmentMeta("text/plain"))
    owned = await accepted(session, "t1", claimant("a"))
    await store.journal.append(scope("t1"), owned.lease, [done("k1")], {})

    report = await store.check()

    assert report.ok, report
    assert report.checked_row_count >= 4


async def test_a_corrupt_row_is_reported_and_the_rest_is_readable(tmp_path: Path) -> None:
    path = str(tmp_path / "a.db")
    async with await Store.open(path) as store:
        session = await store.sessions.create_store(SessionCreate(SESSION))
        await session.commit(commit_of(await accepted(session, "t1", claimant("a"))))
        damage(path, "UPDATE lash_graph_nodes SET node_json = '{' WHERE node_id = 't1:0'")

        report = await store.check()
        with pytest.raises(StoredDataCorrupt, match="graph node"):
            await session.load_session(ActivePath())

        assert [(row.table, row.key) for row in report.corrupt_rows] == [("lash_graph_nodes", SESSION)]
        assert not report.ok
        assert (await session.load_turn(SESSION, "t1")) is not None
        assert (await accepted(session, "t2", claimant("b"))).is_fresh


async def test_a_newer_database_is_refused_and_an_older_one_migrates_on_request(tmp_path: Path) -> None:
    path = str(tmp_path / "a.db")
    async with await Store.open(path) as store:
        await store._driver.run(migrate.set_version(99))

    with pytest.raises(UnsupportedSchemaVersion, match="99"):
        await Store.open(path)
    with pytest.raises(UnsupportedSchemaVersion, match="upgrade lash"):
        await Store.migrate(path)

    assert await Store.migrate(str(tmp_path / "b.db")) == (0, migrate.newest())
    assert await Store.migrate(str(tmp_path / "b.db")) == (migrate.newest(), migrate.newest())


async def test_stores_that_open_together_build_the_schema_once(any_place: Place, kind: Kind) -> None:
    if kind == "memory":
        return
    where = any_place._where()

    stores = await asyncio.gather(*(any_place._open(*where) for _ in range(4)))

    assert {(await store.stats()).schema_version for store in stores} == {migrate.newest()}


@pytest.mark.parametrize("where", ["mysql://host/db", "http://host"])
async def test_an_unknown_kind_of_store_is_refused_by_name(where: str) -> None:
    with pytest.raises(ConfigurationError, match="postgresql://"):
        await Store.open(where)


async def test_a_schema_is_for_postgres(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="PostgreSQL"):
        await Store.open(str(tmp_path / "a.db"), schema="x")


async def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="does not exist"):
        await Store.open(str(tmp_path / "nowhere" / "a.db"))


async def test_an_unreachable_server_is_unavailable() -> None:
    with pytest.raises(StoreUnavailable):
        await Store.open("postgresql://nobody@127.0.0.1:1/none")


async def test_a_read_only_store_reads_and_refuses_to_write(tmp_path: Path) -> None:
    path = str(tmp_path / "a.db")
    async with await Store.open(path) as store:
        session = await store.sessions.create_store(SessionCreate(SESSION))
        await session.commit(commit_of(await accepted(session, "t1", claimant("a"))))

    async with await Store.open(path, read_only=True) as store:
        found = await store.sessions.open_existing_store(SESSION)
        assert found is not None
        loaded = await found.load_session(ActivePath())
        assert loaded is not None
        assert loaded.head_revision == 1
        with pytest.raises(StoreUnavailable, match="read-only"):
            await found.accept_turn(request("t2", claimant("b")))


@pytest.mark.parametrize("keep", [100, 4_096, 20_000])
async def test_a_truncated_file_is_corrupt_not_empty(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "a.db"
    async with await Store.open(str(path)) as store:
        session = await store.sessions.create_store(SessionCreate(SESSION))
        await session.commit(commit_of(await accepted(session, "t1", claimant("a"))))
    os.truncate(path, keep)

    with pytest.raises((StoredDataCorrupt, StoreUnavailable)):
        await _use(path)


async def test_a_damaged_page_is_reported_by_the_check(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    async with await Store.open(str(path)) as store:
        session = await store.sessions.create_store(SessionCreate(SESSION))
        await session.commit(commit_of(await accepted(session, "t1", claimant("a"))))
        root = page_of(str(path), "lash_graph_nodes")
    with path.open("r+b") as file:
        file.seek((root - 1) * 4_096)
        file.write(b"\xff" * 4_096)

    async with await Store.open(str(path)) as store:
        report = await store.check()

    assert not report.ok
    assert "lash_graph_nodes" in {row.table for row in report.corrupt_rows}
    assert report.problems


async def test_two_stores_never_own_one_session(any_place: Place, kind: Kind) -> None:
    if kind == "memory":
        return
    where = any_place._where()
    stores = [await any_place._open(*where), await any_place._open(*where)]
    sessions = [await store.sessions.create_store(SessionCreate(SESSION)) for store in stores]
    parent: str | None = None
    for turn in range(20):
        asked = [request(f"t{turn}", claimant(f"{turn}-{place}")) for place in range(2)]

        answers = await asyncio.gather(
            *(session.accept_turn(ask) for session, ask in zip(sessions, asked, strict=True))
        )

        [owned] = [answer for answer in answers if isinstance(answer, Owned)]
        [waiting] = [answer for answer in answers if isinstance(answer, Waiting)]
        assert waiting.lease_token == owned.lease.token
        await sessions[turn % 2].commit(commit_of(owned, parent=parent))
        parent = f"t{turn}:1"


async def test_a_file_of_another_kind_is_not_a_store(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("these are notes, not a database\n" * 100)

    with pytest.raises(StoredDataCorrupt):
        await Store.open(str(path))


async def test_a_session_goes_on_after_the_disk_was_full(tmp_path: Path) -> None:
    store = await open_limited(str(tmp_path / "a.db"), max_pages=80)
    session = await store.sessions.create_store(SessionCreate(SESSION))
    owned = await accepted(session, "t1", claimant("a"))
    commit = commit_of(owned)
    large = Checkpoint(commit.checkpoint.turn_state).with_component("large", b"x" * 400_000)

    with pytest.raises(StoreUnavailable):
        await session.commit(replaced(commit, checkpoint=large))
    assert (await session.commit(commit)).head_revision == 1
    await store.close()


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


async def test_a_waiter_hears_of_changes_here(store: Store, session: SessionStore) -> None:
    seen = store.changes.generation()
    waiter = asyncio.create_task(store.changes.changed(seen))

    await session.enqueue_queued_work(draft(SESSION, "news"))

    async with asyncio.timeout(5):
        assert await waiter > seen


async def test_a_waiter_hears_of_changes_elsewhere(any_place: Place, kind: Kind) -> None:
    if kind == "memory":
        return
    where = any_place._where()
    here, there = await any_place._open(*where), await any_place._open(*where)
    session = await there.sessions.create_store(SessionCreate(SESSION))
    generation = here.changes.generation()
    waiter = asyncio.create_task(_until_queued(here, generation))
    await asyncio.sleep(0.05)

    await session.enqueue_queued_work(draft(SESSION, "news"))

    async with asyncio.timeout(5):
        assert await waiter == 1


async def test_an_executor_is_alive_while_its_process_is(tmp_path: Path) -> None:
    path = str(tmp_path / "a.db")
    async with await Store.open(path) as store:
        child = _holder(path)
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        assert not await store.liveness.is_dead("host/child")
        child.send_signal(signal.SIGKILL)
        child.wait()

        assert await store.liveness.is_dead("host/child")
        child.stdout.close()


async def test_executor_locks_of_two_stores_see_each_other(any_place: Place, kind: Kind) -> None:
    if kind == "memory":
        return
    where = any_place._where()
    here, there = await any_place._open(*where), await any_place._open(*where)
    await here.liveness.hold("host/here")
    await here.liveness.hold("host/here")

    assert not await there.liveness.is_dead("host/here")
    assert not await here.liveness.is_dead("host/here")
    with pytest.raises(StoreUnavailable):
        await there.liveness.hold("host/here")
    await here.liveness.release("host/here")
    assert await there.liveness.is_dead("host/here")


async def test_a_row_takes_no_attachment_above_its_limit(store: Store) -> None:
    with pytest.raises(AttachmentTooLarge, match="attachment_store="):
        await store.attachments.put(bytes(MAX_BYTES + 1), AttachmentMeta("application/octet-stream"))


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


async def test_an_id_with_a_nul_is_refused_everywhere(store: Store, session: SessionStore) -> None:
    with pytest.raises(InvalidArgument, match="NUL"):
        await store.sessions.create_store(SessionCreate("a\0b"))
    with pytest.raises(InvalidArgument, match="NUL"):
        await session.enqueue_queued_work(draft(SESSION, "x", source_key="a\0b"))


HOLDER = textwrap.dedent(
    """
    import asyncio, sys
    from lash.stores import Store

    async def main() -> None:
        store = await Store.open(sys.argv[1])
        await store.liveness.hold("host/child")
        print("held", flush=True)
        await asyncio.sleep(60)

    asyncio.run(main())
    """
)


def _holder(path: str) -> subprocess.Popen[str]:
    source = str(Path(__file__).parents[2] / "src")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([source, os.environ.get("PYTHONPATH", "")])}
    return subprocess.Popen([sys.executable, "-c", HOLDER, path], stdout=subprocess.PIPE, text=True, env=environment)


async def _use(path: Path) -> None:
    async with await Store.open(str(path)) as store:
        found = await store.sessions.open_existing_store(SESSION)
        assert found is not None
        await found.load_session(ActivePath())
        await found.accept_turn(request("t2", claimant("b")))


def damage(path: str, statement: str) -> None:
    connection = apsw.Connection(path)
    connection.execute(statement)
    connection.close()


def page_of(path: str, table: str) -> int:
    connection = apsw.Connection(path)
    [(page,)] = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchall()
    connection.close()
    assert isinstance(page, int)
    return page


async def _until_queued(store: Store, generation: int) -> int:
    session = store.sessions.unbound()
    while not (found := await session.list_queued_work(SESSION)):
        generation = await store.changes.changed(generation)
    return len(found)
