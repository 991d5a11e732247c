"""What a process of the first act does: an ordinary program with a core, a session and a turn id.

It does not know whether it is the first to run this turn or the seventh, and has no code for it.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import lash
from lash.cli.demo.audit import FOLLOW_UP, PROMPT, audit_tools, scripted_auditor, watcher
from lash.cli.demo.boundaries import Brake, ExecutionLog, say
from lash.cli.demo.orders import Orders


async def work(orders: Orders) -> None:
    """Runs the turn under its id."""
    log = ExecutionLog(Path(orders.log), orders.number)
    brake = Brake(orders.stop_at)
    core = lash.StandardCore(
        model=scripted_auditor(log),
        tools=audit_tools(Path(orders.folder), Path(orders.outbox), log, brake),
        plugins=[watcher(log, brake)],
        store=orders.store,
    )
    async with core, core.session(orders.session_id) as session:
        for _ in range(2):
            turn = await session.run(PROMPT, turn_id=orders.turn_id)
            say({"told": turn.text, "replayed": turn.replayed})
        # The parent counts before we go on.
        await asyncio.to_thread(sys.stdin.buffer.readline)
        following = await session.run(FOLLOW_UP, turn_id=f"{orders.turn_id}-next")
        say({"next": following.text, "next_ok": following.ok})
