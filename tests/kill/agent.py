"""The agent that is killed: one scripted turn with three parallel tools and a retried one.

Runs in a process of its own. Everything that really executes is written to a side
file, outside the database and durable at once, so that the survivor can count.
"""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import lash
from lash.machine.llm import LlmRequest, ToolResultBlock
from lash.testing import ScriptedModel, calls, says
from lash.tools.decorator import Tool

INPUT = "Audit the orders and tell me what is late."
TURN_ID = "audit-1"


class ExecutionLog:
    """One line per execution that really began, synced before it goes on."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, what: str) -> None:
        """Appends a line and syncs it."""
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(descriptor, f"{what}\n".encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def lines(self) -> list[str]:
        """Everything executed so far, in order."""
        return self._path.read_text().split() if self._path.exists() else []


@dataclass(frozen=True, slots=True)
class DieAt:
    """The process kills itself at its `step`-th write to the database: before it, or after it was made."""

    step: int
    when: Literal["before", "after"]


async def run_turn(
    url: str, schema: str | None, log_path: Path, session_id: str, *, host_id: str, die_at: DieAt | None = None
) -> lash.TurnResult:
    """Runs the turn to its end, or to the end of this process."""
    log = ExecutionLog(log_path)
    async with await lash.Store.open(url, schema=schema) as store:
        if die_at is not None:
            arm(store, die_at)
        core = lash.StandardCore(model=_model(log), tools=_tools(log), store=store, host_id=host_id)
        async with core, core.session(session_id) as session:
            return await session.run(INPUT, turn_id=TURN_ID)


def child_main(
    url: str, schema: str | None, log_path: str, session_id: str, host_id: str, die_at: DieAt | None, ready: Any
) -> None:
    """Entry point of the process that will be killed."""
    ready.send("started")
    asyncio.run(run_turn(url, schema, Path(log_path), session_id, host_id=host_id, die_at=die_at))


def arm(store: lash.Store, die_at: DieAt) -> None:
    """Makes the store's driver the executioner."""
    driver: Any = store._driver
    run = driver.run
    steps = 0

    async def counted(program: Any) -> Any:
        nonlocal steps
        if program.mode == "read":
            return await run(program)
        steps += 1
        mine = steps
        if mine == die_at.step and die_at.when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        answer = await run(program)
        if mine == die_at.step:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    driver.run = counted


def _model(log: ExecutionLog) -> ScriptedModel:
    def answer(request: LlmRequest) -> Any:
        log.write(f"llm:{request.place.iteration}")
        results = [
            block for message in request.messages for block in message.blocks if isinstance(block, ToolResultBlock)
        ]
        if not results:
            return [
                says("Looking."),
                calls("orders", region="north"),
                calls("stock", item="bolt"),
                calls("carrier", name="fast"),
                calls("flaky", attempt_key="k"),
            ]
        return says("Two orders are late: " + ", ".join(sorted(result.content for result in results)))

    return ScriptedModel([answer] * 8)


def _tools(log: ExecutionLog) -> list[Tool[..., Any]]:
    async def work(ctx: lash.ToolContext, seconds: float) -> None:
        log.write(f"tool:{ctx.tool_call_id}:{ctx.attempt_number}")
        await asyncio.sleep(seconds)

    @lash.tool
    async def orders(ctx: lash.ToolContext, region: str) -> str:
        """Orders of a region."""
        await work(ctx, 0.004)
        return f"orders of {region}: 2 late"

    @lash.tool(repeat="idempotent")
    async def stock(ctx: lash.ToolContext, item: str) -> str:
        """Stock of an item."""
        await work(ctx, 0.002)
        return f"stock of {item}: 7"

    @lash.tool
    async def carrier(ctx: lash.ToolContext, name: str) -> str:
        """Status of a carrier."""
        await work(ctx, 0.001)
        return f"carrier {name}: delayed"

    @lash.tool(retry=lash.Retry(attempts=3, base_ms=5, max_ms=20))
    async def flaky(ctx: lash.ToolContext, attempt_key: str) -> Any:
        """Fails once, then works."""
        await work(ctx, 0.001)
        if ctx.attempt_number == 1:
            return lash.ToolResult.retryable("unavailable", "busy", "try again")
        return f"flaky {attempt_key}: worked at attempt {ctx.attempt_number}"

    return [orders, stock, carrier, flaky]
