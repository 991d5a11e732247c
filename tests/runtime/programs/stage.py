"""Tools that count, programs that are started, and workers that park soon."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import lash
from lash.base.json import JsonObject
from lash.processes.outputs import ProcessAwaitOutput
from lash.runtime.worker.worker import ProcessWorker
from lash.testing.conformance.worker_drafts import core_over, ended, eventually, worker_of
from lash.tools.decorator import Tool


class Counter:
    """A tool that says what it is told, and how often each thing was said."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.most_at_once = 0
        self._now = 0

    def tool(self) -> Tool[..., Any]:
        """The tool."""

        @lash.tool
        async def say(text: str) -> str:
            """Says it."""
            self.said.append(text)
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
            await asyncio.sleep(0.002)
            self._now -= 1
            return text

        return say


@lash.tool
async def order(ctx: lash.ToolContext) -> lash.ToolResult:
    """Done by somebody outside."""
    await ctx.completion_key()
    return lash.ToolResult.pending(deadline=600)


@asynccontextmanager
async def stage(
    store: lash.Store, tools: Sequence[Tool[..., Any]] = (), *, park_after_ms: int = 20, **options: Any
) -> AsyncIterator[tuple[lash.LashCore, ProcessWorker]]:
    """A core and its one worker, which leaves in order at the end."""
    async with core_over(store, tools) as core:
        worker = worker_of(core, park_after_ms=park_after_ms, **options)
        try:
            yield core, worker
        finally:
            await worker.drain(timeout_ms=0)


async def run(
    core: lash.LashCore, worker: ProcessWorker, source: str, args: JsonObject | None = None, **options: Any
) -> ProcessAwaitOutput:
    """How the process `main` of a program ended."""
    handle = await core.processes.start(lash.LangProcess(source, "main"), args=args, **options)
    worker.poke()
    return await ended(core.store, handle.id)


async def parked(store: lash.Store, worker: ProcessWorker, process_id: str, *, waits_for: int | None = None) -> None:
    """Waits until the process is a row and nothing else; `waits_for` the n-th signal of a name."""

    async def is_row() -> bool:
        record = await store.processes.get_process(process_id)
        if record is None or record.first_started_at_ms is None:
            return False
        if await store.processes.get_process_lease(process_id) is not None:
            return False
        is_there = waits_for is None or (record.wait is not None and record.wait.kind.ordinal == waits_for)
        return is_there and process_id not in worker.running

    await eventually(is_row)
