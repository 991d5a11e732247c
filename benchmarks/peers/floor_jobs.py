"""The floor of W5: a table of jobs, claimed under a lease, ended under its epoch; one writer or eight connections."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time

import asyncpg
import orjson
from common import CONCURRENCY, JOBS, emit_jobs, now, postgres_url, scratch
from floor import Writer, connect, encoded

SQLITE = """
CREATE TABLE job(id INTEGER PRIMARY KEY, state INTEGER NOT NULL, owner TEXT, until REAL, epoch INTEGER NOT NULL,
  body BLOB NOT NULL, result BLOB);
CREATE INDEX ready ON job(id) WHERE state = 0;
"""
POSTGRES = """
CREATE SCHEMA floor_jobs;
CREATE TABLE floor_jobs.job(id BIGSERIAL PRIMARY KEY, state INT NOT NULL, owner TEXT, until TIMESTAMPTZ,
  epoch INT NOT NULL DEFAULT 0, body BYTEA NOT NULL, result BYTEA);
CREATE INDEX ready ON floor_jobs.job(id) WHERE state = 0;
"""
CLAIM = """
UPDATE floor_jobs.job SET state = 1, owner = 'w', until = now() + interval '30s', epoch = epoch + 1
WHERE id IN (SELECT id FROM floor_jobs.job WHERE state = 0 ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED)
RETURNING id, epoch, body
"""
END = "UPDATE floor_jobs.job SET state = 2, result = $1 WHERE id = $2 AND state = 1 AND epoch = $3"


def claim(c: sqlite3.Connection):
    return c.execute(
        "UPDATE job SET state = 1, owner = 'w', until = ?, epoch = epoch + 1"
        " WHERE id = (SELECT id FROM job WHERE state = 0 ORDER BY id LIMIT 1) RETURNING id, epoch, body",
        (time.time() + 30,),
    ).fetchone()


def add(index: int):
    return lambda c: c.execute("INSERT INTO job(state, epoch, body) VALUES (0, 0, ?)", (encoded({"i": index}),))


def end(job: int, epoch: int, body: bytes):
    row = (encoded(orjson.loads(body)["i"]), job, epoch)
    return lambda c: c.execute("UPDATE job SET state = 2, result = ? WHERE id = ? AND state = 1 AND epoch = ?", row)


async def on_sqlite(concurrency: int) -> None:
    path = os.path.join(scratch(), "jobs.db")
    connection = connect(path)
    connection.executescript(SQLITE)
    connection.close()
    writer = Writer(path)
    started = now()
    for index in range(JOBS):
        await writer.submit(add(index))
    enqueued = now() - started

    async def work() -> None:
        while (row := await writer.submit(claim)) is not None:
            await writer.submit(end(*row))

    await asyncio.gather(*[work() for _ in range(concurrency)])
    emit_jobs("floor, SQLite", concurrency, enqueued, now() - started)
    writer.close()


async def on_postgres(concurrency: int) -> None:
    connections = [await asyncpg.connect(postgres_url()) for _ in range(min(concurrency, 8))]
    await connections[0].execute(POSTGRES)
    started = now()
    for index in range(JOBS):
        body = encoded({"i": index})
        await connections[0].execute("INSERT INTO floor_jobs.job(state, body) VALUES (0, $1)", body)
    enqueued = now() - started

    async def work(connection: asyncpg.Connection, batch: int) -> None:
        while rows := await connection.fetch(CLAIM, batch):
            for row in rows:
                result = encoded(orjson.loads(row["body"])["i"])
                await connection.execute(END, result, row["id"], row["epoch"])

    await asyncio.gather(*[work(each, concurrency // len(connections)) for each in connections])
    emit_jobs("floor, PostgreSQL", concurrency, enqueued, now() - started)
    assert await connections[0].fetchval("SELECT count(*) FROM floor_jobs.job WHERE state <> 2") == 0
    await connections[0].execute("DROP SCHEMA floor_jobs CASCADE")
    for connection in connections:
        await connection.close()


async def main() -> None:
    for concurrency in CONCURRENCY:
        await on_sqlite(concurrency)
        await on_postgres(concurrency)


asyncio.run(main())
