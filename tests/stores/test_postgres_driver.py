"""The PostgreSQL driver: round trips, retries, cancellation, a server that goes away."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable

import asyncpg
import pytest

from lash.effects.journal import JournalRow
from lash.sessions.errors import StoreUnavailable
from lash.sessions.graph import ActivePath
from lash.sessions.store import SessionCreate
from lash.stores import Store, postgres_bell
from lash.stores.dialect import Statement
from lash.stores.driver import UniqueViolation
from lash.stores.postgres import PostgresDriver, _joined
from lash.stores.program import Query, Steps, announced, execute, lock, many_each, notify, one, program, together, write
from lash.stores.sql.migrate import Count
from services.postgres import PostgresServer
from services.shared import PgSchema
from stores.turns import SESSION, accepted, claimant, commit_of, done, scope

MAKE = Statement("CREATE TABLE IF NOT EXISTS things (name {text} NOT NULL PRIMARY KEY, n {int}) {table}")
ADD = Statement("INSERT INTO things (name, n) VALUES (?1, ?2)")
RAISE = Statement("UPDATE things SET n = n + ?2 WHERE name = ?1")
BACK = Query(Count, "UPDATE things SET n = n + 1 WHERE name = ?1 RETURNING n")
READ = Query(Count, "SELECT n FROM things WHERE name = ?1 {for_update}")
HOW_MANY = Query(Count, "SELECT count(*) FROM things")


@program("write")
def make() -> Steps[None]:
    yield from execute(MAKE)


@program("write")
def add(name: str, n: int = 0) -> Steps[str]:
    yield from execute(ADD, name, n)
    return name


@program("write")
def change(first: str, second: str) -> Steps[list[int]]:
    return (yield from together(write(RAISE, first, 1), write(RAISE, second, 10), write(RAISE, "nobody", 1)))


@program("write")
def touch_both(first: str, second: str) -> Steps[None]:
    yield from one(READ, first)
    yield from one(READ, second)
    yield from execute(RAISE, first, 1)


@program("single")
def bump(*names: str) -> Steps[list[Count]]:
    return (yield from many_each(BACK, [(name,) for name in names]))


@program("write")
def locked(name: str) -> Steps[None]:
    yield from lock("all")
    yield from execute(ADD, name, 0)


@program("single")
def tell(name: str) -> Steps[bool]:
    return (yield from announced(BACK, name)) is not None


@program("write")
def change_and_tell(name: str) -> Steps[None]:
    yield from execute(RAISE, name, 1)
    yield from notify()


@program("read")
def count() -> Steps[int]:
    row = yield from one(HOW_MANY)
    return 0 if row is None else row.n


@pytest.fixture
async def driver(pg_schema: PgSchema) -> AsyncIterator[PostgresDriver]:
    made = PostgresDriver(pg_schema.url, pg_schema.schema)
    await made.run(make())
    yield made
    await made.close()


async def test_together_is_one_statement_with_the_counts_of_its_parts(driver: PostgresDriver) -> None:
    await driver.run(add("a"))
    await driver.run(add("b"))
    before = driver.counters.statements

    assert await driver.run(change("a", "b")) == [1, 1, 0]
    assert driver.counters.statements - before == 1
    assert "WITH s0 AS" in _joined((ADD.postgres, RAISE.postgres))
    assert "$4" in _joined((ADD.postgres, RAISE.postgres))


async def test_rows_of_many_arguments_come_back_joined(driver: PostgresDriver) -> None:
    for name in "abc":
        await driver.run(add(name))

    assert [row.n for row in await driver.run(bump("a", "c"))] == [1, 1]
    assert [row.n for row in await driver.run(bump("a"))] == [2]


async def test_a_taken_key_rolls_the_program_back(driver: PostgresDriver) -> None:
    await driver.run(add("a"))

    with pytest.raises(UniqueViolation):
        await driver.run(add("a"))

    assert await driver.run(count()) == 1


async def test_a_deadlock_starts_the_program_again(driver: PostgresDriver) -> None:
    await driver.run(add("a"))
    await driver.run(add("b"))

    for _ in range(5):
        await asyncio.gather(driver.run(touch_both("a", "b")), driver.run(touch_both("b", "a")))

    assert {row.n for row in await driver.run(bump("a", "b"))} == {6}


async def test_a_cancelled_caller_waits_for_the_transaction(driver: PostgresDriver, pg_schema: PgSchema) -> None:
    other = await asyncpg.connect(pg_schema.url)
    transaction = other.transaction()
    await transaction.start()
    await other.execute("SELECT pg_advisory_xact_lock($1)", driver.lock_key("all"))
    task = asyncio.create_task(driver.run(locked("kept")))
    await _until_waiting(other)

    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    await transaction.commit()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert await driver.run(count()) == 1
    await other.close()


async def test_more_programs_than_connections_all_run(driver: PostgresDriver) -> None:
    names = await asyncio.gather(*(driver.run(add(f"n{n}")) for n in range(60)))

    assert len(names) == 60
    assert await driver.run(count()) == 60


async def test_a_plain_turn_is_two_transactions_of_few_round_trips(pg_schema: PgSchema) -> None:
    async with await Store.open(pg_schema.url, schema=pg_schema.schema) as store:
        session = await store.sessions.create_store(SessionCreate(SESSION))
        await session.commit(commit_of(await accepted(session, "t0", claimant("w"))))
        transactions, statements = store.transactions, store.statements

        owned = await accepted(session, "t1", claimant("a"))
        await session.commit(commit_of(owned, parent="t0:1"))

        assert store.transactions - transactions == 2
        assert store.statements - statements == 6  # and BEGIN and COMMIT twice


async def test_a_schema_that_does_not_exist_is_made(pg_schema: PgSchema) -> None:
    name = f"{pg_schema.schema[:20]}_made"
    async with await Store.open(pg_schema.url, schema=name) as store:
        assert (await store.stats()).rows["lash_sessions"] == 0
    admin = await asyncpg.connect(pg_schema.url)
    await admin.execute(f"DROP SCHEMA {name} CASCADE")
    await admin.close()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
async def test_a_session_goes_on_after_the_server_was_restarted(
    durable_postgres: Callable[[], PostgresServer], how: signal.Signals
) -> None:
    server = await asyncio.to_thread(durable_postgres)
    async with await Store.open(server.url) as store:
        await store.liveness.hold("host/a")
        session = await store.sessions.create_store(SessionCreate(SESSION))
        owned = await accepted(session, "t1", claimant("a"))
        await store.journal.append(scope("t1"), owned.lease, [done("k1")], {})

        await asyncio.to_thread(server.stop, how)
        with pytest.raises(StoreUnavailable):
            await session.load_session(ActivePath())
        await asyncio.to_thread(server.start)

        assert [row.replay_key for row in await store.journal.load(scope("t1"))] == ["k1"]
        assert (await session.commit(commit_of(owned))).head_revision == 1
        async with await Store.open(server.url) as other:
            assert await other.liveness.is_dead("host/b")
            await store.liveness.is_dead("host/b")  # brings the watching connection back
            assert not await other.liveness.is_dead("host/a")


async def test_connections_that_died_unnoticed_are_replaced(driver: PostgresDriver, pg_schema: PgSchema) -> None:
    await driver.run(add("a"))
    admin = await asyncpg.connect(pg_schema.url)
    await admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        " AND datname = current_database() AND query LIKE '%things%'"
    )
    await admin.close()

    assert await driver.run(add("b")) == "b"


async def test_a_late_row_and_a_takeover_wait_for_each_other(pg_schema: PgSchema) -> None:
    """The fence of an append is a row lock: a successor either sees the row or keeps it out."""
    async with await Store.open(pg_schema.url, schema=pg_schema.schema) as store:
        session = await store.sessions.create_store(SessionCreate(SESSION))
        for turn in range(20):
            first = await accepted(session, "t1", claimant(f"a{turn}", ttl_ms=0))
            late = asyncio.create_task(store.journal.append(scope("t1"), first.lease, [_row(turn)], {}))
            second = await accepted(session, "t1", claimant(f"b{turn}", ttl_ms=0))
            seen = {row.replay_key for row in await store.journal.load(scope("t1"))}
            outcome = await asyncio.gather(late, return_exceptions=True)
            after = {row.replay_key for row in await store.journal.load(scope("t1"))}

            assert seen == after, (turn, outcome)
            assert second.lease.fence == first.lease.fence + 1


def _row(turn: int) -> JournalRow:
    return done(f"k{turn}")


async def _until_waiting(connection: asyncpg.Connection) -> None:
    """Waits until somebody waits for a lock."""
    for _ in range(500):
        if await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("nobody waits for a lock")


async def test_one_statement_changes_and_tells(driver: PostgresDriver) -> None:
    heard: asyncio.Queue[None] = asyncio.Queue()
    listening = await driver.pool.connect()
    await listening.add_listener(driver.channel, lambda *_: heard.put_nowait(None))
    await driver.run(add("a"))
    commits: list[None] = []
    driver.on_commit = lambda: commits.append(None)
    before = driver.counters.statements

    assert not await driver.run(tell("nobody"))
    assert commits == []
    assert await driver.run(tell("a"))

    async with asyncio.timeout(20):
        await heard.get()
    # The first one had nothing to tell, and what is told arrives in order.
    assert (heard.qsize(), len(commits), driver.counters.statements - before) == (0, 1, 2)
    await listening.close()


async def test_what_many_commits_tell_is_heard_in_bundles(
    driver: PostgresDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_bell, "REST_S", 600.0)
    monkeypatch.setattr(postgres_bell, "LATE_S", 600.0)
    heard: asyncio.Queue[None] = asyncio.Queue()
    listening = await driver.pool.connect()
    await listening.add_listener(driver.channel, lambda *_: heard.put_nowait(None))
    await driver.run(add("a"))
    commits: list[None] = []
    driver.on_commit = lambda: commits.append(None)

    for _ in range(10):
        assert await driver.run(tell("a"))
        await driver.run(change_and_tell("a"))
    async with asyncio.timeout(20):
        await heard.get()
    assert (heard.qsize(), len(commits)) == (0, 20)  # those at home hear of each at once

    await driver.close()  # leaves nothing untold
    async with asyncio.timeout(20):
        await heard.get()
    await listening.close()
