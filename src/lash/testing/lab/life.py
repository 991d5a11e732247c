"""One life of an agent: its program run in a core until it ends or is killed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from lash.base.canonical import canonical_json
from lash.base.codec import to_json
from lash.base.json import Json
from lash.core import LashCore
from lash.effects.errors import EffectInDoubt
from lash.effects.scope import ExecutionScope
from lash.hosts.choice import HostChoice
from lash.processes.event_types import RESUMED, WAITING
from lash.processes.registry import ProcessQuery
from lash.runtime.doubt import RunAgain
from lash.runtime.engine import DoubtfulEffect
from lash.sessions.graph import FullGraph
from lash.stores.store import Store
from lash.testing.lab.places import LabPlace
from lash.testing.lab.power import Power, WriteCut
from lash.testing.lab.watch import EffectCut, EffectWatch, Execution, WatchedJournal
from lash.tools.result import ToolCallOutput

Cut: TypeAlias = EffectCut | WriteCut
Program: TypeAlias = Callable[[Any], Awaitable[object]]
Settle: TypeAlias = Callable[[DoubtfulEffect], ToolCallOutput | RunAgain]


@dataclass(frozen=True, slots=True)
class Life:
    """What a core of the lab is built with: pass both on, everything else is yours."""

    store: Store
    effect_host: HostChoice


MakeCore: TypeAlias = Callable[[Life], LashCore]


@dataclass(slots=True)
class Lived:
    """What came of a life. `value` is what the program returned, unless it was killed."""

    is_killed: bool
    value: object = None
    asked: list[Execution] = field(default_factory=list)
    executed: list[Execution] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)


async def live(place: LabPlace, make: MakeCore, program: Program, settle: Settle | None, cut: Cut | None) -> Lived:
    """Runs the program in a fresh core over `place`, to its end or to the cut."""
    power = Power()
    watch = EffectWatch(power, cut if isinstance(cut, EffectCut) else None)
    store = await place.open(power, cut if isinstance(cut, WriteCut) else None)
    core: LashCore | None = None
    running: asyncio.Task[object] | None = None
    try:
        core = make(Life(store, WatchedJournal(watch)))
        running = asyncio.ensure_future(_run(core, program, settle))
        outage = asyncio.ensure_future(power.outage())
        try:
            await asyncio.wait([running, outage], return_when=asyncio.FIRST_COMPLETED)
        finally:
            outage.cancel()
        value = None if power.is_off else running.result()
        return Lived(power.is_off, value, watch.asked, watch.executed, power.writes)
    finally:
        power.bury()
        if core is not None:  # before its callers hear of it: one that leaves would wait for its turn
            with contextlib.suppress(Exception):
                await core.close()
        if running is not None:
            running.cancel()
            with contextlib.suppress(BaseException):
                await running
        await store.close()


async def _run(core: LashCore, program: Program, settle: Settle | None) -> object:
    async with core:
        while True:
            try:
                return await program(core)
            except EffectInDoubt:
                doubts = list(core.recovery.in_doubt)
                if settle is None or not doubts:
                    raise
                for doubt in doubts:
                    await core.settle(doubt, settle(doubt))


@dataclass(frozen=True, slots=True)
class Facts:
    """What is stored, without ids of rows and without times: equal however often the process died."""

    sessions: dict[str, Json]
    processes: dict[str, Json] = field(default_factory=dict)

    @staticmethod
    async def read(store: Store) -> Facts:
        """Everything of every session and every process that a user could miss."""
        return Facts(
            {one.session_id: await _session(store, one.session_id) for one in await store.sessions.list_sessions()},
            {
                record.id: await _process(store, record.id)
                for record in await store.processes.list_processes(ProcessQuery())
            },
        )


async def recorded_keys(store: Store, seen: list[Execution]) -> set[tuple[str, str]]:
    """Which of these effects are recorded: in the journal, or behind the stamp of a settled turn."""
    keys: set[tuple[str, str]] = set()
    for scope in dict.fromkeys(execution.scope for execution in seen):
        if await _is_settled(store, scope):
            keys |= {(scope.journal_key, execution.key) for execution in seen if execution.scope == scope}
        else:
            rows = await store.journal.load(scope)
            keys |= {(scope.journal_key, row.replay_key) for row in rows if row.status == "completed"}
    return keys


async def _is_settled(store: Store, scope: ExecutionScope) -> bool:
    if scope.session_id is None or scope.turn_id is None:
        return False
    session = await store.sessions.open_existing_store(scope.session_id)
    return session is not None and await session.load_turn(scope.session_id, scope.turn_id) is not None


async def _session(store: Store, session_id: str) -> Json:
    session = await store.sessions.open_existing_store(session_id)
    assert session is not None
    stored = await session.load_session(FullGraph())
    queued = [batch.source_key for batch in await session.list_queued_work(session_id)]
    if stored is None:
        return {"queued": list[Json](queued)}
    messages = [getattr(node.payload, "message", None) for node in stored.graph.nodes]
    turns = [turn.turn_id for turn in await session.list_turns(session_id) if not turn.turn_id.startswith("queue:")]
    return {
        "messages": [to_json(message) for message in messages if message is not None],
        "usage": [to_json(entry) for entry in stored.token_ledger],
        "turns": list[Json](turns),
        "queued": list[Json](queued),
        "frame": stored.current_agent_frame_id,
    }


async def _process(store: Store, process_id: str) -> Json:
    """What happened to a process. Whether it had to wait, and who was first, is chance."""
    events = await store.processes.events_after(process_id, 0)
    return list[Json](
        sorted(
            canonical_json([event.event_type, event.payload])
            for event in events
            if event.event_type not in (WAITING, RESUMED)
        )
    )
