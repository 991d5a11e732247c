"""What a process of the second act does. Like those of the first one it does not know how many came before it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import lash
from lash.base.json import JsonObject
from lash.cli.demo.boundaries import Brake, ExecutionLog, say
from lash.cli.demo.orders import Orders
from lash.cli.demo.programs import IN_BACKGROUND, PROMPT, Overview, Report, folder_tools, holder, programmer
from lash.protocols.rlm.submitting import submit_shape


async def work(orders: Orders) -> None:
    """Runs a turn in RLM mode under its id, and the one that its background process wakes."""
    log = ExecutionLog(Path(orders.log), orders.number)
    brake = Brake(orders.stop_at)
    core = lash.RlmCore(
        model=programmer(log),
        tools=folder_tools(Path(orders.folder), log, brake),
        plugins=[holder(brake)],
        store=orders.store,
        # The third process only finishes the first turn. On a slow machine the background process would
        # otherwise wake it in that turn's last moments, and its word would become part of that turn.
        workers=0 if brake.stops_at(IN_BACKGROUND) else 1,
    )
    # What turns must submit that nobody asked for with `run`: here those that a process wakes.
    options: JsonObject = {"rlm_protocol": submit_shape(Report).turn_options()}
    async with core, core.session(orders.session_id, plugin_options=options) as session:
        for _ in range(2):
            turn = await session.run(PROMPT, turn_id=orders.turn_id, submit=Overview)
            say({"value": turn.text, "type": type(turn.value).__name__, "replayed": turn.replayed})
            await brake.reach_on_loop(IN_BACKGROUND)
            # The parent looks whether the session was woken.
            await asyncio.to_thread(sys.stdin.buffer.readline)
