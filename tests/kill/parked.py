"""The agent that waits: one turn with a call that a person approves and one that an outsider completes.

Runs in a process of its own, and is answered from another. What really executes is
written to a side file, as in `kill.agent`.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import lash
from kill.agent import DieAt, ExecutionLog, arm
from lash.effects import Accepted
from lash.machine.llm import LlmRequest
from lash.runtime.engine import TurnRef
from lash.testing import ScriptedModel, calls, says
from lash.tools.decorator import Tool

SESSION_ID = "orders"
TURN_ID = "pay-1"
INPUT = "Pay the bill and have the sample analysed."


async def run_turn(url: str, schema: str | None, log: ExecutionLog, die_at: DieAt | None, *, answers: bool) -> None:
    """Runs the turn to its end, or to the end of this process; with `answers` it is its own outsider."""
    async with await lash.Store.open(url, schema=schema) as store:
        if die_at is not None:
            arm(store, die_at)
        core = lash.StandardCore(model=_model(log), tools=_tools(log), store=store)
        async with core, core.session(SESSION_ID) as session:
            if TurnRef(SESSION_ID, TURN_ID) in core.recovery.waiting:
                log.write("found-waiting")
            running = asyncio.create_task(session.run(INPUT, turn_id=TURN_ID))
            if answers:
                await answer_all(core, until=running)
            turn = await running
            assert turn.ok
            log.write(f"said:{turn.text}")


async def answer(url: str, schema: str | None) -> None:
    """Gives both answers, from a process that runs nothing itself."""
    core = lash.StandardCore(model=ScriptedModel([]), store=await lash.Store.open(url, schema=schema), recover=False)
    async with core:
        [approval] = await core.approvals.pending()
        [order] = await core.completions.pending(SESSION_ID)
        # The other way round than they were asked.
        assert await core.completions.complete(order.key.token, "no sugar") == Accepted()
        assert await core.approvals.approve(approval.id) == Accepted()
        await core.store.close()


async def answer_all(core: lash.LashCore, *, until: asyncio.Task[Any]) -> None:
    """Answers whatever waits, as long as the turn runs."""
    while not until.done():
        for approval in await core.approvals.pending():
            await core.approvals.approve(approval)
        for order in await core.completions.pending():
            await core.completions.complete(order.key, "no sugar")
        await asyncio.sleep(0.002)


def child_main(url: str, schema: str | None, log_path: str, die_at: DieAt | None, answers: bool, ready: Any) -> None:
    """Entry point of the process that will be killed."""
    ready.send("started")
    asyncio.run(run_turn(url, schema, ExecutionLog(Path(log_path)), die_at, answers=answers))


def answer_main(url: str, schema: str | None, ready: Any) -> None:
    """Entry point of the process that answers."""
    ready.send("started")
    asyncio.run(answer(url, schema))


def _model(log: ExecutionLog) -> ScriptedModel:
    def reply(request: LlmRequest) -> Any:
        log.write(f"llm:{request.place.iteration}")
        if request.place.iteration == 0:
            return [calls("pay", amount=7), calls("order", sample="blood"), calls("look")]
        return says("done")

    return ScriptedModel([reply] * 4)


def _tools(log: ExecutionLog) -> list[Tool[..., Any]]:
    def is_dear(args: dict[str, Any], ctx: lash.ToolContext) -> bool:
        log.write(f"ask:{ctx.tool_call_id}")
        return bool(args["amount"] > 5)

    @lash.tool(approve=is_dear, repeat="idempotent")
    async def pay(ctx: lash.ToolContext, amount: int) -> str:
        """Pays."""
        log.write(f"tool:{ctx.tool_call_id}")
        return f"paid {amount}"

    @lash.tool
    async def order(ctx: lash.ToolContext, sample: str) -> lash.ToolResult:
        """Has a sample analysed elsewhere."""
        await ctx.completion_key()
        log.write(f"tool:{ctx.tool_call_id}")
        return lash.ToolResult.pending(deadline=3600)

    @lash.tool
    async def look(ctx: lash.ToolContext) -> str:
        """Looks."""
        log.write(f"tool:{ctx.tool_call_id}")
        return "seen"

    return [pay, order, look]
