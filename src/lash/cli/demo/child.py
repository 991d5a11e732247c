"""The process that dies: `python -m lash.cli.demo.child`, with its orders as the first line of its input.

An ordinary program with a core, a session and a turn id. It does not know whether it
is the first to run this turn or the seventh, and has no code for it.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Literal

import msgspec

import lash
from lash.base.json import JsonObject
from lash.cli.demo.audit import FOLLOW_UP, PROMPT, audit_tools, scripted_auditor, watcher
from lash.cli.demo.boundaries import Brake, ExecutionLog, say
from lash.cli.demo.programs import IN_BACKGROUND, Overview, Report, folder_tools, holder, programmer
from lash.cli.demo.programs import PROMPT as PROGRAMS_PROMPT
from lash.protocols.rlm.submitting import submit_shape


class Orders(msgspec.Struct, frozen=True):
    """What a process is told to do. Without `stop_at` it lives, asks twice, and goes on talking."""

    number: int
    store: str
    session_id: str
    turn_id: str
    folder: str
    log: str
    outbox: str
    stop_at: str | None = None
    act: Literal["calls", "programs"] = "calls"


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


async def work_in_programs(orders: Orders) -> None:
    """The second act: a turn in RLM mode, and the one that its background process wakes."""
    log = ExecutionLog(Path(orders.log), orders.number)
    brake = Brake(orders.stop_at)
    core = lash.RlmCore(
        model=programmer(log, brake),
        tools=folder_tools(Path(orders.folder), log, brake),
        plugins=[holder(brake)],
        store=orders.store,
    )
    # What turns must submit that nobody asked for with `run`: here those that a process wakes.
    options: JsonObject = {"rlm_protocol": submit_shape(Report).turn_options()}
    async with core, core.session(orders.session_id, plugin_options=options) as session:
        for _ in range(2):
            turn = await session.run(PROGRAMS_PROMPT, turn_id=orders.turn_id, submit=Overview)
            say({"value": turn.text, "type": type(turn.value).__name__, "replayed": turn.replayed})
            await brake.reach_on_loop(IN_BACKGROUND)
            # The parent looks whether the session was woken.
            await asyncio.to_thread(sys.stdin.buffer.readline)


if __name__ == "__main__":
    given = msgspec.json.decode(sys.stdin.buffer.readline(), type=Orders)
    asyncio.run(work(given) if given.act == "calls" else work_in_programs(given))
