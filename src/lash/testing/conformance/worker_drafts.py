"""Cores, tools and processes that the suites of workers speak of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import lash
from lash.artifacts import persist_process_env
from lash.base.json import JsonObject
from lash.effects.ports import EffectHost
from lash.hosts.choice import HostChoice
from lash.processes.environment import ProcessExecutionEnvSpec
from lash.processes.inputs import EngineInput, ProcessInput, SessionTurnInput, ToolCallInput
from lash.processes.outputs import ProcessAwaitOutput
from lash.processes.registration import ProcessRegistration
from lash.processes.scopes import ProcessProvenance, WakeTarget
from lash.runtime.worker.config import ProcessWorkerConfig
from lash.runtime.worker.engines import EngineOutcome, ProcessEngine, ProcessParts
from lash.runtime.worker.run import ProcessRun
from lash.runtime.worker.worker import ProcessWorker
from lash.testing.scripted import ScriptedModel
from lash.tools.calls import PreparedToolCall
from lash.tools.decorator import Tool
from lash.tracing.records import TraceSink

LIMIT_S = 20


class Tools:
    """An echo that counts, and a gate that holds whoever comes."""

    def __init__(self) -> None:
        self.echoes = 0
        self.arrived = asyncio.Event()
        self.opened = asyncio.Event()
        self.arrivals = 0
        self.cancelled: str | None = None

    def all(self) -> list[Tool[..., Any]]:
        """The tools."""

        @lash.tool
        async def echo(value: str) -> JsonObject:
            """Says it again."""
            self.echoes += 1
            return {"payload": f"raw:{value}"}

        @lash.tool
        async def gate(ctx: lash.ToolContext) -> str:
            """Waits until it is opened, or cancelled."""
            self.arrivals += 1
            self.arrived.set()
            opened = asyncio.ensure_future(self.opened.wait())
            cancelled = asyncio.ensure_future(ctx.cancellation.wait())
            try:
                await asyncio.wait([opened, cancelled], return_when=asyncio.FIRST_COMPLETED)
            finally:
                self.cancelled = ctx.cancellation.reason
                opened.cancel()
                cancelled.cancel()
            return "through"

        @lash.tool
        async def order(ctx: lash.ToolContext) -> lash.ToolResult:
            """Done by somebody outside."""
            await ctx.completion_key()
            return lash.ToolResult.pending(deadline=600)

        return [echo, gate, order]


class Engine:
    """A process engine made of a function."""

    def __init__(self, body: Callable[[ProcessRun, ProcessParts], Awaitable[EngineOutcome]]) -> None:
        self._body = body

    async def run(self, run: ProcessRun, parts: ProcessParts) -> EngineOutcome:
        """See `ProcessEngine`."""
        return await self._body(run, parts)


@asynccontextmanager
async def core_over(
    store: lash.Store,
    tools: Sequence[Tool[..., Any]] = (),
    *,
    model: ScriptedModel | None = None,
    effect_host: HostChoice | EffectHost | None = None,
    lease_timings: lash.LeaseTimings | None = None,
    trace_sink: TraceSink | None = None,
    execution_sink: Callable[[JsonObject], None] | None = None,
) -> AsyncIterator[lash.LashCore]:
    """An open core whose own worker stands still."""
    core = lash.StandardCore(
        model=model or ScriptedModel([]),
        tools=tools,
        store=store,
        workers=0,
        effect_host=effect_host,
        lease_timings=lease_timings,
        trace_sink=trace_sink,
        lashlang_execution_sink=execution_sink,
    )
    async with core:
        yield core


def worker_of(
    core: lash.LashCore,
    engines: Mapping[str, ProcessEngine] | None = None,
    *,
    concurrency: int = 64,
    park_after_ms: int = 50,
    change: Callable[[ProcessWorkerConfig], ProcessWorkerConfig] = lambda config: config,
) -> ProcessWorker:
    """A worker of a core."""
    config = replace(
        core.process_worker_config(), engines=engines or {}, concurrency=concurrency, park_after_ms=park_after_ms
    )
    return ProcessWorker(change(config))


async def tool_process(
    store: lash.Store,
    process_id: str,
    tool: str,
    args: JsonObject | None = None,
    *,
    provenance: ProcessProvenance | None = None,
    wake_target: WakeTarget = None,
) -> ProcessRegistration:
    """One tool call, with a captured environment. Not registered yet."""
    call = PreparedToolCall(f"call-{process_id}", f"tool:{tool}", tool, args or {})
    return await draft(store, process_id, ToolCallInput(call), provenance=provenance, wake_target=wake_target)


async def engine_process(store: lash.Store, process_id: str, kind: str = "test") -> ProcessRegistration:
    """Work of an engine."""
    return await draft(store, process_id, EngineInput(kind, {}))


def session_turn(process_id: str, child_id: str, text: str = "work") -> ProcessRegistration:
    """One turn of a child session."""
    work = SessionTurnInput({"session_id": child_id}, {"items": [{"type": "text", "text": text}]})
    return ProcessRegistration(process_id, work, ProcessProvenance.host())


async def draft(
    store: lash.Store,
    process_id: str,
    work: ProcessInput,
    *,
    provenance: ProcessProvenance | None = None,
    wake_target: WakeTarget = None,
) -> ProcessRegistration:
    """A registration with a captured environment."""
    env_ref = await persist_process_env(store.process_envs, ProcessExecutionEnvSpec())
    return ProcessRegistration(
        process_id, work, provenance or ProcessProvenance.host(), env_ref=env_ref, wake_target=wake_target
    )


async def ended(store: lash.Store, process_id: str) -> ProcessAwaitOutput:
    """How it ended, soon."""
    async with asyncio.timeout(LIMIT_S):
        return await store.processes.await_process(process_id)


async def soon(event: asyncio.Event) -> None:
    """Waits for it, not for ever."""
    async with asyncio.timeout(LIMIT_S):
        await event.wait()


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    """Asks until it holds."""
    async with asyncio.timeout(LIMIT_S):
        while not await holds():  # noqa: ASYNC110 - the store is what is watched
            await asyncio.sleep(0.002)
