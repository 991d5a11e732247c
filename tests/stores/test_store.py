"""Opening a store: schema, faults of files, checks."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import NamedTuple

import apsw
import pytest

from lash.attachments.store import AttachmentMeta
from lash.base.errors import ConfigurationError
from lash.sessions.errors import StoredDataCorrupt, StoreUnavailable, UnsupportedSchemaVersion
from lash.sessions.graph import ActivePath
from lash.sessions.store import SessionCreate, SessionStore
from lash.stores import Store
from lash.stores.program import Query, Steps, many, program
from lash.stores.sql import migrate
from lash.testing.conformance.process_drafts import job, plain
from services.shared import PgSchema
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


@pytest.fixture(params=["sqlite", "postgres"])
def untouched(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str | None]:
    """Where no store has been before: address and schema."""
    if request.param == "sqlite":
        return str(tmp_path / "a.db"), None
    empty: PgSchema = request.getfixturevalue("pg_schema")
    return empty


async def test_an_older_database_becomes_what_a_fresh_one_is(
    untouched: tuple[str, str | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where, schema = untouched
    with monkeypatch.context() as patch:
        released = [found for found in migrate.migrations() if found.version <= 6]
        patch.setattr(migrate, "migrations", lambda: tuple(released))
        async with await Store.open(where, schema=schema) as store:
            await store.processes.register_processes([job("p1"), job("p2", plain("line"))])
    with pytest.raises(UnsupportedSchemaVersion):
        await Store.open(where, schema=schema)

    assert await Store.migrate(where, schema=schema) == (6, migrate.newest())

    async with await Store.open(where, schema=schema) as store:
        assert [record.id for record in await store.processes.list_non_terminal()] == ["p1", "p2"]
        assert len(await store.processes.claim_due_processes("worker", 10_000, 5)) == 2
        assert (await store.check()).ok
        kept = await _indexes(store)
    if schema is None:
        async with await Store.open(str(tmp_path / "fresh.db")) as fresh:
            assert kept == await _indexes(fresh)
    assert "lash_processes_live" not in kept


async def _indexes(store: Store) -> dict[str, str]:
    """Their names and definitions."""
    return {found.name: found.sql for found in await store._driver.run(_read_indexes(store._backend.where))}


class _Index(NamedTuple):
    name: str
    sql: str


_OF_SQLITE = Query(_Index, "SELECT name, coalesce(sql, '') FROM sqlite_master WHERE type = 'index'")
_OF_POSTGRES = Query(_Index, "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema()")


@program("read")
def _read_indexes(where: str) -> Steps[list[_Index]]:
    return (yield from many(_OF_POSTGRES if where.startswith("postgres") else _OF_SQLITE))


async def test_stores_that_open_together_build_the_schema_once(untouched: tuple[str, str | None]) -> None:
    where, schema = untouched

    stores = await asyncio.gather(*(Store.open(where, schema=schema) for _ in range(4)))

    assert {(await store.stats()).schema_version for store in stores} == {migrate.newest()}
    for store in stores:
        await store.close()


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


async def test_a_file_of_another_kind_is_not_a_store(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("these are notes, not a database\n" * 100)

    with pytest.raises(StoredDataCorrupt):
        await Store.open(str(path))


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
