"""Agents of every kind, as `Lab` programs: what a process does when it starts, and starts again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import lash
from lash.plugins import PluginFactory
from lash.processes.errors import ProcessAlreadyTerminal
from lash.runtime.worker.config import ProcessWorkerConfig
from lash.sessions.graph import Conversation
from lash.testing import Life, ScriptedModel
from lash.testing.lab.life import Program
from lash.testing.script import Step
from lash.tools.decorator import Tool


@dataclass(frozen=True)
class Agent:
    """A program and the core it runs in."""

    program: Program
    steps: Sequence[Step]
    tools: Sequence[Tool[..., Any]] = ()
    plugins: Callable[[], Sequence[PluginFactory]] = tuple

    def core(self, life: Life) -> lash.StandardCore:
        """A fresh core for one life."""
        return lash.StandardCore(
            model=ScriptedModel(self.steps),
            tools=self.tools,
            plugins=self.plugins(),
            store=life.store,
            effect_host=life.effect_host,
        )


class ParkingCore(lash.StandardCore):
    """A core whose worker keeps nothing that waits."""

    def process_worker_config(self) -> ProcessWorkerConfig:
        return replace(super().process_worker_config(), park_after_ms=1)


def parking_core(life: Life) -> lash.StandardCore:
    """… for programs."""
    tools: list[Tool[..., Any]] = [double, count_lines]
    return ParkingCore(model=ScriptedModel([]), tools=tools, store=life.store, effect_host=life.effect_host)


# tools


@lash.tool(repeat="idempotent")
async def double(number: int) -> int:
    """Twice a number."""
    await asyncio.sleep(0)
    return number * 2


@lash.tool(retry=lash.Retry(attempts=3, base_ms=1, max_ms=2))
async def flaky(ctx: lash.ToolContext) -> lash.ToolResult:
    """Fails twice."""
    if ctx.attempt_number < 3:
        return lash.ToolResult.retryable("external", "busy", "busy")
    return lash.ToolResult.ok("at last")


@lash.tool(approve=True)
async def refund(order: int) -> str:
    """Pay money back, when somebody says so."""
    return f"refunded {order}"


@lash.tool
async def analyse(ctx: lash.ToolContext) -> lash.ToolResult:
    """Have somebody else do it."""
    await ctx.completion_key()
    return lash.ToolResult.pending()


@lash.tool(repeat="never")
async def pay(order: int) -> str:
    """Pay, once."""
    return f"paid {order}"


@lash.tool
def count_lines(text: str) -> int:
    """Count lines, in a thread."""
    return len(text.splitlines())


FLOW = """
process child(n: int) signals { more: int } {
  more = wait_signal("more")
  sleep for "2ms"
  finish await tools.double({ number: n + more })?
}
process main(n: int) signals { go: any } {
  once = await tools.double({ number: n })?
  yield once
  helper = start child(n: once)
  both = await [tools.double({ number: 1 })?, tools.count_lines({ text: "a" })?]
  sleep for "2ms"
  signal_run(helper, "more", both[0])
  word = wait_signal("go")
  wake { said: word }
  finish { once: once, both: both, word: word, helped: (await helper)? }
}
"""


# programs


async def runs_a_program(core: lash.StandardCore) -> object:
    """A program of every kind of step as a process, with a signal from outside."""
    work = lash.LangProcess(FLOW, "main")
    handle = await core.processes.start(work, args={"n": 3}, id="p")
    with contextlib.suppress(ProcessAlreadyTerminal):
        await handle.signal("go", {"by": "host"}, key="once")
    return await handle.result(timeout=30)


async def talks(core: lash.StandardCore) -> object:
    """Three turns."""
    async with core.session("s") as session:
        return [(await session.run(f"go {number}", turn_id=f"t{number}")).text for number in range(3)]


async def works(core: lash.StandardCore) -> object:
    """One turn."""
    async with core.session("s") as session:
        turn = await session.run("go", turn_id="t")
        return turn.text, [call.tool for call in turn.tool_calls]


async def is_approved(core: lash.StandardCore) -> object:
    """One turn, and somebody who approves the one and denies the other."""
    return await _beside(works(core), _approve(core))


async def is_completed(core: lash.StandardCore) -> object:
    """One turn, and somebody who completes its calls."""
    return await _beside(works(core), _complete(core))


async def forks(core: lash.StandardCore) -> object:
    """A turn, a fork, a turn in each, and a branch back."""
    async with core.session("s") as session:
        await session.run("one", turn_id="t1")
        fork = await session.fork("f", at="t1.1")
        right = await fork.run("right", turn_id="t2")
        left = await session.run("left", turn_id="t2")
        return left.text, right.text, len(fork.messages)


async def compacts(core: lash.StandardCore) -> object:
    """Two turns, a compaction between them."""
    async with core.session("s") as session:
        await session.run("one", turn_id="t1")
        if len(session.view.frames) == 1:
            await session.compact()
        return (await session.run("two", turn_id="t2")).text, len(session.view.frames)


async def is_interrupted_by_input(core: lash.StandardCore) -> object:
    """Input that joins the running turn, and input that waits for its end."""
    async with core.session("s") as session:
        await session.enqueue("first of all", id="q0")
        await session.enqueue("and this", id="q1", delivery_policy="after_current_turn_commit")
        await session.run("go", turn_id="t")
        await _drained(session)
        return [
            node.payload.message.text
            for node in session.view.nodes
            if isinstance(node.payload, Conversation) and node.payload.message.role == "user"
        ]


async def starts_anew(core: lash.StandardCore) -> object:
    """A turn in a session that is then reset, once, and a turn after that."""
    async with core.session("s") as session:
        await session.run("one", turn_id="t1")
        await session.commands.applied(await session.commands.reset("anew", key="anew"))
        return (await session.run("two", turn_id="t2")).text, len(session.messages)


async def _beside(turn: Any, helper: Any) -> object:
    """The turn's result, while somebody helps it."""
    task = asyncio.ensure_future(helper)
    try:
        return await turn
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, lash.LashError):
            await task


async def _approve(core: lash.StandardCore) -> None:
    while True:
        for approval in await core.approvals.pending():
            if approval.args["order"] == 7:
                await core.approvals.approve(approval)
            else:
                await core.approvals.deny(approval, "no")
        await asyncio.sleep(0.002)


async def _complete(core: lash.StandardCore) -> None:
    while True:
        for wait in await core.completions.pending():
            await core.completions.complete(wait.key, {"sugar": 5})
        await asyncio.sleep(0.002)


async def _drained(session: lash.Session) -> None:
    while await session.queued_work():  # noqa: ASYNC110 - the store is what is watched
        await asyncio.sleep(0.002)
    await session.refresh()
