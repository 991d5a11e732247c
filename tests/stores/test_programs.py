"""Programs hold their contracts: one text for two databases, safe to run twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from lash.sessions.commit import StoredTurn
from lash.sessions.store import SessionCreate
from lash.stores.dialect import InvalidStatement, Statement, shifted
from lash.stores.sql.migrate import migrations
from lash.testing.conformance import PROCESS_REGISTRY, RUNTIME_PERSISTENCE
from lash.testing.conformance.laws import LawBroken
from stores.doubles import open_twice
from stores.turns import SESSION, accepted, claimant, commit_of, done, scope

# A second run finds the work done and says so; nothing more happens.
ANSWERS_OTHERWISE = {
    "RP-27": "a batch that is gone cannot be cancelled again",
    "RP-34": "a batch that is gone cannot be cancelled again",
}


# A session is deleted once: a second run has nothing left to report.
REPORTS_ONCE = {"RG-62", "RG-64", "RG-65"}


def test_placeholders_become_those_of_each_database() -> None:
    statement = Statement("SELECT ?2, ?1 WHERE x = ?2 AND t > {now} {for_share}")

    assert statement.sqlite == "SELECT ?2, ?1 WHERE x = ?2 AND t > lash_now_ms()"
    assert statement.postgres.startswith("SELECT $2, $1 WHERE x = $2 AND t > CAST(extract(")
    assert statement.postgres.endswith("FOR SHARE")
    assert shifted("SELECT $1, $10", 3) == ("SELECT $4, $13", 13)


@pytest.mark.parametrize("sql", ["SELECT ?", "SELECT ?1, ?3", "SELECT {unknown}"])
def test_a_statement_outside_the_subset_is_refused_at_import(sql: str) -> None:
    with pytest.raises(InvalidStatement):
        Statement(sql)


def test_a_question_mark_in_a_literal_is_text() -> None:
    assert Statement("SELECT '?' || ?1").placeholders == 1


def test_every_migration_renders_for_both_databases() -> None:
    for migration in migrations():
        for statement in migration.statements:
            assert "{" not in statement.sqlite + statement.postgres
            assert statement.placeholders == 0


@pytest.mark.parametrize("law", PROCESS_REGISTRY.laws, ids=lambda law: "-".join(law.ids[:1]) + "_" + law.title)
async def test_every_law_of_processes_holds_when_every_write_runs_twice(law: object, tmp_path: Path) -> None:
    found = next(known for known in PROCESS_REGISTRY.laws if known is law)
    store, _ = await open_twice(str(tmp_path / "a.db"))
    suite = type(PROCESS_REGISTRY)("twice")
    suite.laws.append(found._replace(ids=tuple(law_id for law_id in found.ids if law_id not in REPORTS_ONCE)))

    try:
        await suite.run(lambda: store.processes)
    finally:
        await store.close()


@pytest.mark.parametrize("law", RUNTIME_PERSISTENCE.laws, ids=lambda law: "-".join(law.ids[:1]) + "_" + law.title)
async def test_every_law_holds_when_every_write_runs_twice(law: object, tmp_path: Path) -> None:
    found = next(known for known in RUNTIME_PERSISTENCE.laws if known is law)
    store, _ = await open_twice(str(tmp_path / "a.db"))
    suite = type(RUNTIME_PERSISTENCE)("twice")
    suite.laws.append(found._replace(ids=tuple(law_id for law_id in found.ids if law_id not in ANSWERS_OTHERWISE)))

    try:
        await suite.run(store.sessions.unbound)
    except LawBroken as broken:
        pytest.fail(str(broken))
    finally:
        await store.close()


async def test_a_turn_runs_twice_statement_by_statement(tmp_path: Path) -> None:
    store, twice = await open_twice(str(tmp_path / "a.db"))
    session = await store.sessions.create_store(SessionCreate(SESSION))
    owned = await accepted(session, "t1", claimant("a"))
    await store.journal.append(scope("t1"), owned.lease, [done("k1")], {"ref": b"body"})
    await store.sessions.heartbeat([owned.lease], [owned.claim], 60_000)
    result = await session.commit(commit_of(owned))
    following = await accepted(session, "t2", claimant("b"))
    await session.settle_without_commit(following.lease, StoredTurn("t2", None, None, 0), following.claim)

    loaded = await session.load_turn(SESSION, "t1")

    assert owned.is_fresh
    assert (owned.lease.fence, following.lease.fence) == (1, 2)
    assert (result.head_revision, loaded is not None and loaded.result) == (1, result)
    assert await session.list_queued_work(SESSION) == []
    assert {"accept_turn", "commit", "append_with_blobs", "heartbeat", "settle_turn"} <= twice.seen
    await store.close()
