"""LangGraph with its SQLite checkpointer: W1, W2, W3, W4."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from typing import TypedDict

from common import (
    GROWTH_MARKS,
    REPLY_TEXT,
    TURNS,
    USER_TEXT,
    WORKFLOWS,
    asked_for,
    database_bytes,
    emit_growth,
    emit_steps,
    emit_turns,
    now,
    scratch,
)
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tools import tool
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode

# `async` is the default; `exit` stores once at the end, so a turn cannot be resumed in its middle.
DURABILITIES = ("async", "sync", "exit")


@tool
async def lookup(key: str) -> str:
    """Look a key up."""
    return f"value of {key}"


async def answer(state):
    return {"messages": [AIMessage(content=REPLY_TEXT)]}


async def call_then_answer(state):
    count = len(state["messages"])
    if not isinstance(state["messages"][-1], HumanMessage):
        return await answer(state)
    calls = [{"name": "lookup", "args": {"key": f"k{i}"}, "id": f"c{count}-{i}"} for i in range(3)]
    return {"messages": [AIMessage(content="", tool_calls=calls)]}


def agent(saver, *, has_tools):
    graph = StateGraph(MessagesState)
    graph.add_node("model", call_then_answer if has_tools else answer)
    graph.add_edge(START, "model")
    if has_tools:
        graph.add_node("tools", ToolNode([lookup]))
        graph.add_conditional_edges("model", lambda state: "tools" if state["messages"][-1].tool_calls else END)
        graph.add_edge("tools", "model")
    else:
        graph.add_edge("model", END)
    return graph.compile(checkpointer=saver)


async def turns(path, count, durability, *, has_tools=False, is_one_thread=False):
    seconds = []
    async with AsyncSqliteSaver.from_conn_string(path) as saver:
        await saver.setup()
        app = agent(saver, has_tools=has_tools)
        for index in range(count):
            config = {"configurable": {"thread_id": "t" if is_one_thread else f"t{index}"}, "recursion_limit": 50}
            started = now()
            await app.ainvoke({"messages": [HumanMessage(USER_TEXT)]}, config, durability=durability)
            seconds.append(now() - started)
    return seconds


def settings(path):
    connection = sqlite3.connect(path)
    [[journal], [synchronous]] = [
        connection.execute(f"PRAGMA {name}").fetchone() for name in ("journal_mode", "synchronous")
    ]
    connection.close()
    return {"journal": journal, "synchronous": synchronous}


class Count(TypedDict):
    n: int


async def workflows(path, durability):
    async def step(state):
        return {"n": state["n"] + 1}

    graph = StateGraph(Count)
    for index in range(100):
        graph.add_node(f"s{index}", step)
        graph.add_edge(START if index == 0 else f"s{index - 1}", f"s{index}")
    graph.add_edge("s99", END)
    seconds = []
    async with AsyncSqliteSaver.from_conn_string(path) as saver:
        app = graph.compile(checkpointer=saver)
        for index in range(WORKFLOWS):
            config = {"configurable": {"thread_id": f"w{index}"}, "recursion_limit": 200}
            started = now()
            result = await app.ainvoke({"n": 0}, config, durability=durability)
            seconds.append(now() - started)
            assert result["n"] == 100
    return seconds


async def main():
    workloads, folder = asked_for(["w1", "w2", "w3", "w4"]), scratch()
    for workload in sorted(workloads & {"w1", "w2"}):
        for durability in DURABILITIES:
            path = os.path.join(folder, f"{workload}-{durability}.db")
            seconds = await turns(path, TURNS, durability, has_tools=workload == "w2")
            emit_turns(workload.upper(), f"LangGraph, SQLite, {durability}", seconds, **settings(path))
    if "w3" in workloads:
        for durability in ("async", "sync"):
            path = os.path.join(folder, f"w3-{durability}.db")
            emit_steps(f"LangGraph, SQLite, {durability}", await workflows(path, durability), **settings(path))
    if "w4" in workloads:
        path = os.path.join(folder, "w4.db")
        seconds = await turns(path, GROWTH_MARKS[-1], "async", is_one_thread=True)
        emit_growth("LangGraph, SQLite, async", seconds, database_bytes(path))


asyncio.run(main())
