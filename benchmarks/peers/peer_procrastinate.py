"""procrastinate, a job queue in PostgreSQL: W5."""

from __future__ import annotations

import asyncio
import uuid

import procrastinate
import psycopg
from common import CONCURRENCY, JOBS, emit_jobs, now, postgres_url

DATABASE = "procrastinate_" + uuid.uuid4().hex[:8]
app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=postgres_url(DATABASE)))


@app.task(queue="jobs")
async def job(i: int) -> int:
    return i


async def main() -> None:
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        for concurrency in CONCURRENCY:
            started = now()
            for index in range(JOBS):
                await job.defer_async(i=index)
            enqueued = now() - started
            await app.run_worker_async(concurrency=concurrency, wait=False, install_signal_handlers=False)
            emit_jobs("procrastinate, PostgreSQL", concurrency, enqueued, now() - started)
    with psycopg.connect(postgres_url(DATABASE)) as connection:
        states = dict(connection.execute("SELECT status, count(*) FROM procrastinate_jobs GROUP BY 1").fetchall())
    assert states == {"succeeded": len(CONCURRENCY) * JOBS}, states


with psycopg.connect(postgres_url(), autocommit=True) as connection:
    connection.execute(f"CREATE DATABASE {DATABASE}")
asyncio.run(main())
