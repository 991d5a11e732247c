"""DBOS, alone (W3, W5) and under Pydantic AI (W1, W2, W4 on SQLite).

usage: peer_dbos.py {--sqlite,--wal,--postgres} [w1 w2 w3 w4 w5]

`--sqlite` is DBOS as it comes (rollback journal); `--wal` switches the file to a
write-ahead log first, which is kinder to it than its default. Its queues look for
work every 10 ms here; by default every second.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import sys
import uuid

from common import (
    CONCURRENCY,
    GROWTH_MARKS,
    JOBS,
    REPLY_TEXT,
    TURNS,
    USER_TEXT,
    WORKFLOWS,
    asked_for,
    database_bytes,
    emit_growth,
    emit_jobs,
    emit_steps,
    emit_turns,
    now,
    postgres_url,
    scratch,
)
from dbos import DBOS, SetWorkflowID
from pydantic_ai import Agent
from pydantic_ai.durable_exec.dbos import DBOSDurability
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart, UserPromptPart
from pydantic_ai.models.function import FunctionModel

[BACKEND] = [word for word in sys.argv[1:] if word.startswith("--")]
FILE = os.path.join(scratch(), "dbos.sqlite")
DATABASE = "dbos_" + uuid.uuid4().hex[:8]
STORE = {"--sqlite": "SQLite", "--wal": "SQLite in WAL", "--postgres": "PostgreSQL"}[BACKEND]


def script(messages, info):
    last = messages[-1].parts[-1]
    if info.function_tools and isinstance(last, UserPromptPart):
        calls = [ToolCallPart("lookup", {"key": f"k{i}"}, f"c{len(messages)}-{i}") for i in range(3)]
        return ModelResponse(parts=calls)
    return ModelResponse(parts=[TextPart(REPLY_TEXT)])


plain = Agent(FunctionModel(script), name="plain", capabilities=[DBOSDurability()])
with_tools = Agent(FunctionModel(script), name="with_tools", capabilities=[DBOSDurability()])


@with_tools.tool_plain
@DBOS.step()
async def lookup(key: str) -> str:
    return f"value of {key}"


@DBOS.workflow()
async def turn(text: str, history: list):
    return (await plain.run(text, message_history=history)).all_messages()


@DBOS.workflow()
async def tool_turn(text: str, history: list):
    return (await with_tools.run(text, message_history=history)).new_messages()


@DBOS.step()
async def step(index: int) -> int:
    return index


@DBOS.workflow()
async def hundred() -> None:
    for index in range(100):
        await step(index)


@DBOS.workflow()
def job(index: int) -> int:
    return index


async def jobs(concurrency):
    queue = await DBOS.register_queue_async(
        f"jobs-{concurrency}", worker_concurrency=concurrency, polling_interval_sec=0.01
    )
    started = now()
    handles = [await queue.enqueue_async(job, index) for index in range(JOBS)]
    enqueued = now() - started
    for handle in handles:
        await handle.get_result(polling_interval_sec=0.05)
    emit_jobs(f"DBOS, {STORE}", concurrency, enqueued, now() - started)


def launch():
    if BACKEND == "--postgres":
        import psycopg

        with psycopg.connect(postgres_url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {DATABASE}")
        url = postgres_url(DATABASE)
    else:
        url = f"sqlite:///{FILE}"
        if BACKEND == "--wal":
            connection = sqlite3.connect(FILE)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.close()
    DBOS(config={"name": "bench", "system_database_url": url, "log_level": "ERROR"})
    logging.getLogger("dbos").setLevel(logging.ERROR)
    DBOS.launch()


async def timed_turns(workflow, count):
    seconds = []
    for _ in range(count):
        with SetWorkflowID(uuid.uuid4().hex):
            started = now()
            await workflow(USER_TEXT, [])
            seconds.append(now() - started)
    return seconds


async def main():
    workloads = asked_for(["w1", "w2", "w3", "w4", "w5"])
    launch()
    if "w1" in workloads:
        emit_turns("W1", f"Pydantic AI + DBOS, {STORE}", await timed_turns(turn, TURNS))
    if "w2" in workloads:
        emit_turns("W2", f"Pydantic AI + DBOS, {STORE}", await timed_turns(tool_turn, TURNS))
    if "w3" in workloads:
        seconds = []
        for _ in range(WORKFLOWS):
            started = now()
            await hundred()
            seconds.append(now() - started)
        emit_steps(f"DBOS, {STORE}", seconds)
    if "w4" in workloads:
        seconds, history = [], []
        for _ in range(GROWTH_MARKS[-1]):
            started = now()
            history = await turn(USER_TEXT, history)
            seconds.append(now() - started)
    if "w5" in workloads:
        for concurrency in CONCURRENCY:
            await jobs(concurrency)
    DBOS.destroy()
    if "w4" in workloads:
        emit_growth(f"Pydantic AI + DBOS, {STORE}", seconds, database_bytes(FILE))


asyncio.run(main())
