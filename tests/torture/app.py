"""The application under torture: its tools, its model, and the worker process that is killed.

Everything with a side effect tells the outside log first, under the key of its effect
as the journal names it, so that the judge can hold one against the other.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lash
from lash.base.json import Json
from lash.cli.commands import worker as command
from lash.machine.llm import LlmRequest, ToolResultBlock
from lash.runtime.worker import turnover
from lash.runtime.worker.engines import ProcessEngine
from lash.testing import ScriptedModel, calls, says
from lash.tools.decorator import Tool
from torture.effects_log import EffectsLog
from torture.ordeal import KIND, OrdealEngine

TIMINGS = lash.LeaseTimings(ttl_ms=1_000, renew_ms=300)
DRAIN_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Place:
    """The database, and the folder of the outside log."""

    url: str
    schema: str | None
    folder: Path

    @property
    def log(self) -> EffectsLog:
        """The outside log."""
        return EffectsLog(self.folder / "effects.log")

    async def open(self) -> lash.Store:
        """The store."""
        return await lash.Store.open(self.url, schema=self.schema)


class Ordeals(lash.Plugin):
    """Runs ordeals."""

    def __init__(self, log: EffectsLog) -> None:
        super().__init__("ordeals")
        self._log = log

    def process_engines(self) -> Mapping[str, ProcessEngine]:
        """See `ContributesEngines`."""
        return {KIND: OrdealEngine(self._log)}


def core(place: Place, store: lash.Store, *, workers: int) -> lash.StandardCore:
    """The core of a worker, or of the driver that only asks."""
    return lash.StandardCore(
        model=ScriptedModel(_answer),
        tools=_tools(place.log),
        plugins=[Ordeals(place.log)],
        store=store,
        workers=workers,
        worker_concurrency=16,
        recover=workers > 0,
        host_id="torture",
        lease_timings=TIMINGS,
    )


def worker_main(place: Place, name: str, ready: Any) -> None:
    """Entry point of a worker process: `lash worker` over the torture's app, with what it says in a file."""
    file = (place.folder / f"{name}.log").open("w", buffering=1)
    sys.stdout = sys.stderr = file
    faulthandler.enable(file)
    logging.basicConfig(stream=file, level=logging.INFO, format="%(asctime)s %(name)s %(message)s", force=True)
    # What is left for a while is left for a second: the whole torture lasts less than half a minute.
    turnover.LATER_MS = 1_000
    sys.exit(asyncio.run(_work(place, name, ready)))


async def _work(place: Place, name: str, ready: Any) -> int:
    async with await place.open() as store:
        worker = core(place, store, workers=1)
        await worker.open()
        settling = asyncio.create_task(_settle_doubts(worker))
        # Runs when the worker waits for the first time: from then on it hears signals.
        asyncio.get_running_loop().call_soon(ready.send, worker.executor_id)
        try:
            return await command._work(worker, name, DRAIN_SECONDS)
        finally:
            settling.cancel()
            await asyncio.wait([settling])


async def _settle_doubts(worker: lash.StandardCore) -> None:
    """The person who looks what became of a charge that was cut short: it was made."""
    while True:
        await asyncio.sleep(0.05)
        for doubt in list(worker.recovery.in_doubt):
            try:
                await worker.settle(doubt, lash.ToolResult.ok(charged(doubt.process_id or "")))
            except lash.LashError as error:
                logging.getLogger("torture").info("doubt %s: %s", doubt, error)


def charged(process_id: str) -> Json:
    """What a charge comes to."""
    return f"charged {process_id}"


def _answer(request: LlmRequest) -> Any:
    """A turn of its own calls a tool first; a session that is woken only takes notice."""
    blocks = [block for message in request.messages for block in message.blocks]
    if any("Enter it" in getattr(block, "text", "") for block in blocks):
        if not any(isinstance(block, ToolResultBlock) for block in blocks):
            return calls("entry", number=7)
        return says("entered")
    return says("noted")


def _tools(log: EffectsLog) -> list[Tool[..., Any]]:
    """What the processes do."""

    @lash.tool(repeat="idempotent")
    async def ledger(ctx: lash.ToolContext, number: int) -> dict[str, int]:
        """Enters a number and its double."""
        _note(log, ctx)
        await asyncio.sleep(0.005 * (number % 10))
        return {"number": number, "twice": 2 * number}

    @lash.tool(repeat="idempotent", retry=lash.Retry(attempts=3, max_ms=1_300))
    async def flaky(ctx: lash.ToolContext, number: int) -> lash.ToolResult:
        """Fails twice: it is tried again after a short pause, and after one that is parked."""
        _note(log, ctx)
        if ctx.attempt_number < 3:
            pause_ms = 200 if ctx.attempt_number == 1 else 1_300
            return lash.ToolResult.retryable("unavailable", "busy", "not yet", after_ms=pause_ms)
        return lash.ToolResult.ok(number)

    @lash.tool(repeat="never")
    async def charge(ctx: lash.ToolContext) -> Json:
        """Must not happen twice."""
        _note(log, ctx)
        await asyncio.sleep(0.05)
        return charged(_own_id(ctx))

    @lash.tool
    async def order(ctx: lash.ToolContext) -> lash.ToolResult:
        """Has somebody outside do it."""
        await ctx.completion_key()
        _note(log, ctx)
        return lash.ToolResult.pending(deadline=3600)

    @lash.tool
    async def entry(ctx: lash.ToolContext, number: int) -> int:
        """Called by a turn."""
        log.write(ctx.effect_key, f"turn:{ctx.turn_id}:entry:{ctx.attempt_number}")
        return number

    @lash.tool
    async def tick(ctx: lash.ToolContext, event: dict[str, Any]) -> int:
        """Started by the clock."""
        _note(log, ctx)
        due: int = event["due_at_ms"]
        return due

    return [ledger, flaky, charge, order, entry, tick]


def _own_id(ctx: lash.ToolContext) -> str:
    return ctx.session_id.removeprefix("process-env:")


def _note(log: EffectsLog, ctx: lash.ToolContext) -> None:
    log.write(ctx.effect_key, f"process:{_own_id(ctx)}:tool:{ctx.tool_name}:attempt:{ctx.attempt_number}")
