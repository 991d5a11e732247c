"""Plans that PostgreSQL makes while the tables are young, and keeps while they grow."""

from __future__ import annotations

import pytest

from lash.stores import Store
from lash.stores.dialect import Statement
from lash.stores.postgres_pool import Pool
from lash.stores.sql import process_events, process_leases, process_work
from lash.testing.conformance.process_drafts import LONG_MS, job
from services.shared import PgSchema


@pytest.mark.parametrize(
    "statement",
    [process_events.WAKE_PARKED, process_leases.CLAIM_DUE.statement, process_work.LOOK.statement],
    ids=["wake parked", "claim due", "look"],
)
async def test_a_plan_of_a_young_database_never_reads_all_processes(pg_schema: PgSchema, statement: Statement) -> None:
    url, schema = pg_schema
    async with await Store.open(url, schema=schema) as store:
        await store.processes.register_processes([job(f"p{number}") for number in range(20)])
        [parked, *_] = await store.processes.claim_due_processes("worker", LONG_MS, 9)
        assert await store.processes.park_process(parked.lease, seen_sequence=0, awaited=["p19"])
        pool = Pool(url, schema)
        connection = await pool.connect()
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        await connection.execute(f"PREPARE asked AS {statement.postgres}")
        nothing = ", ".join(["NULL"] * statement.placeholders)

        plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN EXECUTE asked({nothing})"))
        await connection.close()

    assert "Seq Scan on lash_processes" not in plan, plan
