"""The floor: the least code that keeps each workload's promise.

Not a runtime: append-only turns, a compare-and-set head and journaled effects,
written by hand on SQLite (WAL, synchronous=FULL) and PostgreSQL. A contender's
figure minus the floor is what its framework adds. Workload `disk` is the price
of one sync on this disk in this minute; read every other figure against it.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import queue
import sqlite3
import threading
from collections.abc import Callable
from typing import Any

import asyncpg
import orjson
from common import (
    GROWTH_MARKS,
    REPLY_TEXT,
    TURNS,
    USER_TEXT,
    WORKFLOWS,
    asked_for,
    database_bytes,
    emit,
    emit_growth,
    emit_steps,
    emit_turns,
    now,
    postgres_url,
    scratch,
)

Statement = Callable[[sqlite3.Connection], Any]

SQLITE = """
CREATE TABLE IF NOT EXISTS session(id TEXT PRIMARY KEY, head INTEGER NOT NULL, hash TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS turn(session TEXT NOT NULL, seq INTEGER NOT NULL, hash TEXT NOT NULL, body BLOB NOT NULL,
  PRIMARY KEY(session, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS effect(session TEXT NOT NULL, turn INTEGER NOT NULL, idx INTEGER NOT NULL,
  kind TEXT NOT NULL, args_hash TEXT NOT NULL, result BLOB NOT NULL, PRIMARY KEY(session, turn, idx)) WITHOUT ROWID;
"""

POSTGRES = """
CREATE SCHEMA floor;
SET search_path TO floor;
CREATE TABLE session(id TEXT PRIMARY KEY, head INT NOT NULL, hash TEXT NOT NULL);
CREATE TABLE turn(session TEXT, seq INT, hash TEXT NOT NULL, body BYTEA NOT NULL, PRIMARY KEY(session, seq));
CREATE TABLE effect(session TEXT, turn INT, idx INT, kind TEXT, args_hash TEXT, result BYTEA,
  PRIMARY KEY(session, turn, idx));
"""


class Writer:
    """One thread owns the connection; what waits when it wakes shares one transaction."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.queue: queue.SimpleQueue[tuple[Statement, asyncio.Future[Any]] | None] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        connection = connect(self.path)
        while (first := self.queue.get()) is not None:
            batch = [first]
            while not self.queue.empty() and (more := self.queue.get()) is not None:
                batch.append(more)
            connection.execute("BEGIN IMMEDIATE")
            done = [(future, statement(connection)) for statement, future in batch]
            connection.execute("COMMIT")
            first[1].get_loop().call_soon_threadsafe(self.answer, done)
        connection.close()

    @staticmethod
    def answer(done: list[tuple[asyncio.Future[Any], Any]]) -> None:
        for future, result in done:
            future.set_result(result)

    def submit(self, statement: Statement) -> asyncio.Future[Any]:
        future = asyncio.get_running_loop().create_future()
        self.queue.put((statement, future))
        return future

    def close(self) -> None:
        self.queue.put(None)
        self.thread.join()


def connect(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.executescript(SQLITE)
    return connection


def encoded(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def put_turn(session: str, seq: int, before: str, after: str, body: bytes) -> Statement:
    def run(c: sqlite3.Connection) -> None:
        if seq == 0:
            c.execute("INSERT INTO session VALUES (?, 0, ?)", (session, after))
        else:
            moved = c.execute(
                "UPDATE session SET head=?, hash=? WHERE id=? AND head=? AND hash=?",
                (seq, after, session, seq - 1, before),
            )
            assert moved.rowcount == 1
        c.execute("INSERT INTO turn VALUES (?, ?, ?, ?)", (session, seq, after, body))

    return run


def put_effect(session: str, turn: int, idx: int, kind: str, args: object, result: object) -> Statement:
    row = (session, turn, idx, kind, digest(encoded(args)), encoded(result))
    return lambda c: c.execute("INSERT INTO effect VALUES (?, ?, ?, ?, ?, ?)", row)


async def plain_turn(writer: Writer, session: str, seq: int, before: str) -> str:
    """Acceptance, then outcome and commit: two transactions, as ours."""
    user, reply = {"role": "user", "text": USER_TEXT}, {"role": "assistant", "text": REPLY_TEXT}
    await writer.submit(put_effect(session, seq, 0, "accepted", user, user))
    body = encoded({"before": before, "messages": [user, reply]})
    await writer.submit(put_turn(session, seq, before, digest(body), body))
    return digest(body)


async def tool_turn(writer: Writer, session: str) -> None:
    """Acceptance, model result, three tool results in one group, outcome with commit."""
    user = {"role": "user", "text": USER_TEXT}
    calls = {"role": "assistant", "calls": [{"id": i, "name": "lookup", "args": {"key": f"k{i}"}} for i in range(3)]}
    await writer.submit(put_effect(session, 0, 0, "accepted", user, user))
    await writer.submit(put_effect(session, 0, 1, "model", user, calls))

    async def tool(index: int) -> str:
        result = f"value of k{index}"
        await writer.submit(put_effect(session, 0, 2 + index, "tool", calls, result))
        return result

    results = await asyncio.gather(*[tool(index) for index in range(3)])
    body = encoded({"messages": [user, calls, results, {"role": "assistant", "text": REPLY_TEXT}]})
    await writer.submit(put_turn(session, 0, "", digest(body), body))


async def sqlite_floor(workloads: set[str]) -> None:
    folder, who = scratch(), "floor, SQLite"
    if "w1" in workloads:
        writer, seconds = Writer(os.path.join(folder, "w1.db")), []
        for index in range(TURNS):
            started = now()
            await plain_turn(writer, f"s{index}", 0, "")
            seconds.append(now() - started)
        writer.close()
        emit_turns("W1", who, seconds)
    if "w2" in workloads:
        writer, seconds = Writer(os.path.join(folder, "w2.db")), []
        for index in range(TURNS):
            started = now()
            await tool_turn(writer, f"s{index}")
            seconds.append(now() - started)
        writer.close()
        emit_turns("W2", who, seconds)
    if "w3" in workloads:
        writer, seconds = Writer(os.path.join(folder, "w3.db")), []
        for index in range(WORKFLOWS):
            started = now()
            for step in range(100):
                await writer.submit(put_effect(f"w{index}", 0, step, "step", step, 1))
            seconds.append(now() - started)
        writer.close()
        emit_steps(who, seconds)
    if "w4" in workloads:
        path = os.path.join(folder, "w4.db")
        writer, seconds, head = Writer(path), [], ""
        for index in range(GROWTH_MARKS[-1]):
            started = now()
            head = await plain_turn(writer, "s", index, head)
            seconds.append(now() - started)
        writer.close()
        emit_growth(who, seconds, database_bytes(path))


async def postgres_floor(workloads: set[str]) -> None:
    connection, who = await asyncpg.connect(postgres_url()), "floor, PostgreSQL"
    await connection.execute(POSTGRES)
    put = "INSERT INTO effect VALUES ($1, 0, $2, 'step', '', $3)"
    if "w1" in workloads:
        commit = "WITH s AS (INSERT INTO session VALUES ($1, 0, $2)) INSERT INTO turn VALUES ($1, 0, $2, $3)"
        seconds = []
        for index in range(TURNS):
            started = now()
            user, reply = {"role": "user", "text": USER_TEXT}, {"role": "assistant", "text": REPLY_TEXT}
            await connection.execute(put, f"s{index}", 0, encoded(user))
            body = encoded({"before": "", "messages": [user, reply]})
            await connection.execute(commit, f"s{index}", digest(body), body)
            seconds.append(now() - started)
        emit_turns("W1", who, seconds)
    if "w3" in workloads:
        seconds = []
        for index in range(WORKFLOWS):
            started = now()
            for step in range(100):
                await connection.execute(put, f"w{index}", step, b"1")
            seconds.append(now() - started)
        emit_steps(who, seconds)
    await connection.execute("DROP SCHEMA floor CASCADE")
    await connection.close()


def disk() -> None:
    """One 4 KiB overwrite made durable."""
    handle = os.open(os.path.join(scratch(), "disk"), os.O_RDWR | os.O_CREAT)
    os.write(handle, bytes(1 << 20))
    os.fsync(handle)
    seconds = []
    for index in range(500):
        os.pwrite(handle, b"a" * 4096, index % 256 * 4096)
        started = now()
        os.fdatasync(handle)
        seconds.append(now() - started)
    os.close(handle)
    emit("disk", "this disk", "fdatasync of 4 KiB", [value * 1e3 for value in seconds], "ms")


async def main() -> None:
    workloads = asked_for(["w1", "w2", "w3", "w4"])
    disk()
    await sqlite_floor(workloads)
    if workloads & {"w1", "w3"}:
        await postgres_floor(workloads)


if __name__ == "__main__":
    asyncio.run(main())
