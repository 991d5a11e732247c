"""Cells that start processes, and whatever they do with them, as a host sees it."""

from __future__ import annotations

from pathlib import Path

import lash
from lash.processes.inputs import LashlangProcessInput
from lash.processes.scopes import SessionOriginator, SessionScope
from lash.testing import ScriptedModel, cell
from lash.testing.script import Step

GREET = """
process greet(name: str) {
  finish format("hello {}", name)
}
"""


def core_of(*steps: Step, workers: int = 1, store: str = ":memory:") -> lash.RlmCore:
    return lash.RlmCore(model=ScriptedModel(list(steps)), workers=workers, store=store)


async def run(core: lash.RlmCore, text: str = "go") -> lash.TurnResult:
    async with core.session("s") as session:
        return await session.run(text)


async def test_start_registers_a_process_of_the_session_and_gives_a_handle() -> None:
    async with core_of(cell(GREET + 'h = start greet(name: "Ada")\nsubmit h'), workers=0) as core:
        turn = await run(core)
        [record] = await core.processes.list()

        assert turn.value == {"__handle__": "process", "id": record.id}
        assert record.id.startswith("process:lashlang:sha256:")
        assert isinstance(record.input, LashlangProcessInput)
        assert (record.input.process_name, record.input.args) == ("greet", {"name": "Ada"})
        assert record.provenance.originator == SessionOriginator(SessionScope("s"))
        assert record.wake_target == SessionScope("s")
        assert await core.store.artifacts.get_module_artifact(record.input.module_ref) is not None
        assert [summary.id for summary in await core.session("s").processes.list()] == [record.id]
