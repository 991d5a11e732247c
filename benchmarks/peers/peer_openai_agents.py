"""OpenAI Agents SDK with SQLiteSession: W1, W2, W4. Tracing is off, the model is scripted."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3

from agents import Agent, Runner, SQLiteSession, function_tool, set_tracing_disabled
from agents.items import ModelResponse
from agents.models.interface import Model
from agents.usage import Usage
from common import (
    GROWTH_MARKS,
    REPLY_TEXT,
    TURNS,
    USER_TEXT,
    asked_for,
    database_bytes,
    emit_growth,
    emit_turns,
    now,
    scratch,
)
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

set_tracing_disabled(True)


class Scripted(Model):
    def __init__(self, *, has_tools):
        self.has_tools, self.calls = has_tools, 0

    async def get_response(self, system_instructions, input, *args, **kwargs):  # noqa: A002  the peer's own name
        self.calls += 1
        last = input[-1] if isinstance(input, list) else {"role": "user"}
        asks_tools = self.has_tools and last.get("role") == "user"
        return ModelResponse(self.tool_calls() if asks_tools else [self.text()], usage=Usage(), response_id=None)

    def tool_calls(self):
        return [
            ResponseFunctionToolCall(
                name="lookup",
                arguments=json.dumps({"key": f"k{index}"}),
                type="function_call",
                call_id=f"c{self.calls}-{index}",
                id=f"fc{self.calls}-{index}",
            )
            for index in range(3)
        ]

    def text(self):
        text = ResponseOutputText(text=REPLY_TEXT, type="output_text", annotations=[], logprobs=[])
        return ResponseOutputMessage(
            id=f"m{self.calls}", role="assistant", status="completed", type="message", content=[text]
        )

    def stream_response(self, *args, **kwargs):
        raise NotImplementedError


@function_tool
async def lookup(key: str) -> str:
    """Look a key up."""
    return f"value of {key}"


async def turns(path, count, *, has_tools=False, is_one_session=False):
    agent = Agent(name="a", model=Scripted(has_tools=has_tools), tools=[lookup] if has_tools else [])
    seconds = []
    session = SQLiteSession("s", path)
    for index in range(count):
        if not is_one_session:
            session.close()
            session = SQLiteSession(f"s{index}", path)
        started = now()
        result = await Runner.run(agent, USER_TEXT, session=session)
        seconds.append(now() - started)
        assert result.final_output == REPLY_TEXT
    session.close()
    return seconds


def settings(path):
    connection = sqlite3.connect(path)
    [[journal], [synchronous]] = [
        connection.execute(f"PRAGMA {name}").fetchone() for name in ("journal_mode", "synchronous")
    ]
    connection.close()
    return {"journal": journal, "synchronous": synchronous}


async def main():
    workloads, folder = asked_for(["w1", "w2", "w4"]), scratch()
    for workload in sorted(workloads & {"w1", "w2"}):
        path = os.path.join(folder, f"{workload}.db")
        seconds = await turns(path, TURNS, has_tools=workload == "w2")
        emit_turns(workload.upper(), "OpenAI Agents, SQLite", seconds, **settings(path))
    if "w4" in workloads:
        path = os.path.join(folder, "w4.db")
        seconds = await turns(path, GROWTH_MARKS[-1], is_one_session=True)
        emit_growth("OpenAI Agents, SQLite", seconds, database_bytes(path))


asyncio.run(main())
