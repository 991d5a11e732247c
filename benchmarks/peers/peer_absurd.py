"""Absurd, durable tasks in PostgreSQL: W3. Needs `psql` on the path."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import uuid

import psycopg
from absurd_sdk import AsyncAbsurd
from common import WORKFLOWS, emit_steps, now, postgres_url

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


with psycopg.connect(postgres_url(), autocommit=True) as connection:
    connection.execute(f"CREATE DATABASE {DATABASE}")
installer = os.path.join(os.path.dirname(sys.executable), "absurdctl")
subprocess.run([installer, "init", "-d", postgres_url(DATABASE)], check=True, stdout=subprocess.DEVNULL)
emit_steps("Absurd, PostgreSQL", asyncio.run(workflows()))
