"""A worker process that will be killed: its tools run, pause, and wait for an outsider.

What really executes is written to a side file, as in `kill.agent`.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import lash
from kill.agent import ExecutionLog
from lash.artifacts import persist_process_env
from lash.base.json import JsonObject
from lash.processes.environment import ProcessExecutionEnvSpec
from lash.processes.inputs import ToolCallInput
from lash.processes.registration import ProcessRegistration
from lash.processes.scopes import ProcessProvenance
from lash.testing import ScriptedModel
from lash.tools.calls import PreparedToolCall
from lash.tools.decorator import Tool


async def register(store: lash.Store, process_id: str, tool: str, args: JsonObject | None = None) -> None:
    """Registers a process that is one call of a tool."""
    env_ref = await persist_process_env(store.process_envs, ProcessExecutionEnvSpec())
    call = PreparedToolCall(f"call-{process_id}", f"tool:{tool}", tool, args or {})
    await store.processes.register_process(
        ProcessRegistration(process_id, ToolCallInput(call), ProcessProvenance.host(), env_ref=env_ref)
    )


def tools(log: ExecutionLog) -> list[Tool[..., Any]]:
    """What the worker can do."""

    @lash.tool
    async def hang(ctx: lash.ToolContext) -> str:
        """Hangs the first time it is run anywhere."""
        log.write(f"hang:{ctx.tool_call_id}")
        if len([line for line in log.lines() if line.startswith("hang")]) == 1:
            await asyncio.Event().wait()
        return "went on"

    @lash.tool(retry=lash.Retry(attempts=2, base_ms=1_500, max_ms=1_500))
    async def pause(ctx: lash.ToolContext) -> lash.ToolResult:
        """Fails once, and is tried again after a pause."""
        log.write(f"pause:{ctx.attempt_number}")
        if ctx.attempt_number == 1:
            return lash.ToolResult.retryable("unavailable", "busy", "not yet")
        return lash.ToolResult.ok("after the pause")

    @lash.tool
    async def order(ctx: lash.ToolContext) -> lash.ToolResult:
        """Has somebody outside do it."""
        await ctx.completion_key()
        log.write("order")
        return lash.ToolResult.pending(deadline=3600)

    @lash.tool
    async def job(ctx: lash.ToolContext, number: int) -> int:
        """A job among many."""
        log.write(f"job:{number}")
        return number

    return [hang, pause, order, job]


async def work(url: str, schema: str | None, log: ExecutionLog, host_id: str) -> None:
    """Works until it is killed."""
    async with await lash.Store.open(url, schema=schema) as store:
        core = lash.StandardCore(model=ScriptedModel([]), tools=tools(log), store=store, host_id=host_id)
        async with core:
            core.worker.poke()
            await asyncio.Event().wait()


def worker_main(url: str, schema: str | None, log_path: str, host_id: str, ready: Any) -> None:
    """Entry point of the process that will be killed."""
    ready.send("started")
    asyncio.run(work(url, schema, ExecutionLog(Path(log_path)), host_id))
