"""Emitters and clocks that are killed with SIGKILL lose nothing and start nothing twice (X-23, §8 rows 20 and 21)."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import msgspec
import pytest

from kill.emitter import FolderRegistry
from lash.runtime.trigger_router import TriggerRouter
from lash.stores import Store
from lash.testing.clock import VirtualClock
from lash.testing.conformance.triggers import button_draft
from lash.triggers.registrant import HostOriginator
from lash.triggers.schedules import SOURCE_TYPE, At, ScheduleDraft, schedule_source_key
from lash.triggers.subscription import Overlap
from services.shared import PgSchema

TESTS = Path(__file__).parents[1]


@pytest.fixture(params=["sqlite", "postgres"])
def where(request: pytest.FixtureRequest) -> str:
    """The kind of database."""
    kind: str = request.param
    return kind


@pytest.fixture
def database(where: str, request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """Its address and its schema."""
    if where == "sqlite":
        return str(tmp_path / "a.db"), ""
    schema: PgSchema = request.getfixturevalue("pg_schema")
    return schema.url, schema.schema


@pytest.mark.parametrize("overlap", ["allow", "skip"])
@pytest.mark.parametrize("kill", ["before", "after"])
@pytest.mark.parametrize("what", ["emit", "tick"])
async def test_what_a_killed_emitter_reserved_is_started_once(
    database: tuple[str, str], tmp_path: Path, what: str, kill: str, overlap: Overlap
) -> None:
    address, schema = database
    folder = tmp_path / "processes"
    folder.mkdir()
    draft = msgspec.structs.replace(button_draft("session-a", "run"), overlap=overlap)
    async with await Store.open(address, schema=schema or None) as store:
        if what == "tick":
            await store.triggers.put_schedule(ScheduleDraft(schedule_id="s", registrant=HostOriginator(), spec=At(0)))
            draft = msgspec.structs.replace(
                draft, source_type=SOURCE_TYPE, source_key=schedule_source_key("s"), payload_schema={}
            )
        await store.triggers.register_subscription(draft)

    emitter = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "kill.emitter", address, schema, str(folder), what, kill),
        cwd=TESTS,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])},
    )
    assert await emitter.wait() == -signal.SIGKILL

    later = VirtualClock(int(time.time() * 1_000) + 60_000)
    registry = FolderRegistry(folder)
    async with await Store.open(address, schema=schema or None, clock=later) as store:
        [before] = await store.triggers.list_deliveries()
        swept = await TriggerRouter(store.triggers, registry).sweep()
        [delivery] = await store.triggers.list_deliveries()

    assert (before.state, delivery.state, swept.started) == ("reserved", "started", 1)
    assert registry.ids == [delivery.process_id]
    assert registry.registered == ([delivery.process_id] if kill == "before" else [])
