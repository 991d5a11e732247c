"""Absurd, durable tasks in PostgreSQL: W3 and W5. Needs `psql` on the path."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import uuid

import psycopg
from absurd_sdk import Absurd, AsyncAbsurd
from common import CONCURRENCY, JOBS, WORKFLOWS, asked_for, emit_jobs, emit_steps, now, postgres_url

DATABASE = "absurd_" + uuid.uuid4().hex[:8]


async def workflows():
    app, seconds = AsyncAbsurd(postgres_url(DATABASE), queue_name="steps"), []
    await app.create_queue()

    @app.register_task(name="hundred")
    async def hundred(params, context):
        async def step():
            return 1

        started = now()
        for index in range(100):
            await context.step(f"s{index}", step)
        seconds.append(now() - started)
        return 100

    for _ in range(WORKFLOWS):
        await app.spawn("hundred", {})
        await app.work_batch(batch_size=1)
    await app.close()
    return seconds


async def jobs(concurrency):
    queue = f"jobs{concurrency}"
    spawner = Absurd(postgres_url(DATABASE), queue_name=queue)
    spawner.create_queue()
    started = now()
    for index in range(JOBS):
        spawner.spawn("job", {"i": index}, queue=queue)
    enqueued = now() - started
    app, done = AsyncAbsurd(postgres_url(DATABASE), queue_name=queue), []

    @app.register_task(name="job")
    async def job(params, context):
        done.append(params["i"])
        return params["i"]

    worker = asyncio.create_task(app.start_worker(concurrency=concurrency, poll_interval=0.02))
    while len(done) < JOBS:  # noqa: ASYNC110 - a look in 10 ms
        await asyncio.sleep(0.01)
    app.stop_worker()
    await worker
    emit_jobs("Absurd, PostgreSQL", concurrency, enqueued, now() - started)
    await app.close()
    spawner.close()
    with psycopg.connect(postgres_url(DATABASE)) as connection:
        count = connection.execute(f"SELECT count(*) FROM absurd.t_{queue} WHERE state = 'completed'").fetchone()
    assert count == (JOBS,), count


async def main():
    workloads = asked_for(["w3", "w5"])
    if "w3" in workloads:
        emit_steps("Absurd, PostgreSQL", await workflows())
    if "w5" in workloads:
        for concurrency in CONCURRENCY:
            await jobs(concurrency)


with psycopg.connect(postgres_url(), autocommit=True) as connection:
    connection.execute(f"CREATE DATABASE {DATABASE}")
installer = os.path.join(os.path.dirname(sys.executable), "absurdctl")
subprocess.run([installer, "init", "-d", postgres_url(DATABASE)], check=True, stdout=subprocess.DEVNULL)
asyncio.run(main())
