"""What SQLite makes of our statements."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from lash.stores import Store
from lash.stores.program import Query, Value
from lash.stores.sql import accept, claims, commit, process_leases, processes
from lash.stores.sqlite_connection import open_connection


@pytest.mark.parametrize(
    ("query", "first", "second"),
    [
        (accept.LOOK_UP, ("s", "t", "turn:t"), ("r", "u", "turn:u")),
        (commit.STANDING, ("s", "t"), ("r", "u")),
        (claims.READY, ("s", "token", 1, 96), ("r", "other", 2, 33)),
    ],
    ids=["look-up", "standing", "ready"],
)
async def test_other_values_do_not_prepare_a_statement_again(
    tmp_path: Path, query: Query[object], first: tuple[Value, ...], second: tuple[Value, ...]
) -> None:
    path = str(tmp_path / "a.db")
    await (await Store.open(path)).close()
    connection = open_connection(path, lambda: 0)
    looked_up = 0

    def preparing(*_names: object) -> int:
        nonlocal looked_up
        looked_up += 1
        return apsw.SQLITE_OK

    connection.authorizer = preparing  # called for every name in a statement that is prepared
    connection.execute(query.statement.sqlite, first).fetchall()
    at_first = looked_up
    connection.execute(query.statement.sqlite, second).fetchall()
    connection.execute(query.statement.sqlite, first).fetchall()
    connection.close()

    assert at_first > 0
    assert looked_up == at_first


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (processes.LIVE, "lash_processes_due"),
        (processes.LIST_OF_ORIGINATOR, "lash_processes_originator"),
        (process_leases.CLAIM_DUE, "lash_processes_due"),
        (process_leases.CLAIM_DUE, "lash_processes_leased"),
    ],
    ids=["live", "of an originator", "due", "claimed"],
)
async def test_a_statement_reads_its_index(tmp_path: Path, query: Query[object], index: str) -> None:
    path = str(tmp_path / "a.db")
    await (await Store.open(path)).close()
    connection = open_connection(path, lambda: 0)

    arguments = [1] * query.statement.placeholders
    plan = " ".join(
        str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {query.statement.sqlite}", arguments)
    )
    connection.close()

    assert f"USING INDEX {index} " in plan or f"USING COVERING INDEX {index} " in plan
