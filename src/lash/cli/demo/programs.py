"""The agent of the second act: its model writes programs, and one of them goes on in the background.

Nothing here knows about journals or replay. What it does know is the execution log and
the brake, which stand for the outside world.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import lash
from lash.base.json import JsonObject
from lash.cli.demo import folder as reading
from lash.cli.demo.boundaries import Brake, ExecutionLog
from lash.machine.llm import LlmRequest
from lash.plugins.hooks import LifecycleEvent, TurnFinalized
from lash.testing import ScriptedModel, cell
from lash.testing.script import Answer
from lash.tools.decorator import Tool

PROMPT: Final = "What is left to do here? And have the largest files fingerprinted in the background."

# Where this agent is killed, by the names that processes are told.
MID_CELL: Final = "mid-cell"
TWO_SLEEPS: Final = "two-sleeps"
IN_BACKGROUND: Final = "in-background"
# The call that is hit: the third one of the first program.
HIT_CALL: Final = 3


@dataclass
class Overview:
    """What the first turn must submit."""

    files: int
    lines: int
    left_to_do: int


@dataclass
class Fingerprint:
    """A large file."""

    path: str
    bytes: int
    sha256: str | None


@dataclass
class Report:
    """What the turn must submit that the background process wakes."""

    largest: list[Fingerprint]
    left_to_do: int
    advice: str


COUNTING: Final = """
left = {}
for word in ["TODO", "FIXME", "HACK", "XXX"] {
  left[word] = await folder.count({ word: word })?
}
print left
"""

IN_TWO_PLACES: Final = """
process fingerprint(limit: int) {
  prints = []
  for path in await folder.largest({ limit: limit })? {
    prints = push(prints, await folder.hash({ path: path })?)
  }
  sleep for "4s"
  wake { fingerprinted: len(prints) }
  finish prints
}

job = start fingerprint(limit: 3)
size = await { files: folder.files()?, lines: folder.lines()? }
sleep for "1500ms"

total = 0
for word in keys(left) { total = total + left[word] }
submit { files: size.files, lines: size.lines, left_to_do: total }
"""

AWAITING: Final = """
done = await job
print len(done.value)
"""

REPORTING: Final = """
advice = total > 20 ? "plan some time" : "nearly done"
submit { largest: done.value, left_to_do: total, advice: advice }
"""


def programmer(log: ExecutionLog) -> ScriptedModel:
    """The model: two programs when it is asked, two when it is woken."""

    def answer(request: LlmRequest) -> Answer:
        place = request.place
        assert place is not None
        log.started(place.turn_id, f"model:{place.turn_id}:{place.iteration}", "model call")
        asked = [
            cell(COUNTING, prose="I follow a script; program, files and processes are real."),
            cell(IN_TWO_PLACES, prose="The slow part goes on in the background."),
        ]
        woken = [cell(AWAITING, prose="The background process has woken me."), cell(REPORTING)]
        return (asked if place.turn_index == 1 else woken)[place.iteration]

    return ScriptedModel(answer)


def folder_tools(folder: Path, log: ExecutionLog, brake: Brake) -> list[Tool[..., Any]]:
    """What programs find: the module `folder`."""

    @lash.tool(module="folder")
    def count(context: lash.ToolContext, word: str) -> int:
        """How often a marker such as TODO stands in the files."""
        _log_call(log, context)
        return reading.find_markers(reading.survey(folder).files, lambda: _hit(context, brake)).counts.get(word, 0)

    @lash.tool(module="folder")
    def files(context: lash.ToolContext) -> int:
        """How many files there are."""
        _log_call(log, context)
        return len(reading.survey(folder).files)

    @lash.tool(module="folder")
    def lines(context: lash.ToolContext) -> int:
        """How many lines they have."""
        _log_call(log, context)
        return reading.count_lines(reading.survey(folder).files).total

    @lash.tool(module="folder")
    def largest(context: lash.ToolContext, limit: int) -> list[str]:
        """The largest files, by their paths."""
        _log_call(log, context)
        return [file.shown for file in reading.hash_largest(reading.survey(folder).files, limit)]

    @lash.tool(module="folder", name="hash")
    def fingerprint(context: lash.ToolContext, path: str) -> JsonObject:
        """The fingerprint of a file."""
        _log_call(log, context)
        found = [file for file in reading.survey(folder).files if file.shown == path]
        [large] = reading.hash_largest(found[:1], 1) or [reading.Large(path, 0, None)]
        return {"path": large.shown, "bytes": large.size, "sha256": large.digest}

    return [count, files, lines, largest, fingerprint]


def holder(brake: Brake) -> lash.Plugin:
    """A plugin that keeps the turn from its commit in the process that is killed while it sleeps."""

    async def on_event(event: LifecycleEvent) -> None:
        if isinstance(event, TurnFinalized) and brake.stops_at(TWO_SLEEPS):
            await asyncio.Event().wait()

    return lash.Plugin("demo_holder").on_event(on_event)


def _hit(context: lash.ToolContext, brake: Brake) -> None:
    if context.tool_call_id.endswith(f".{HIT_CALL}"):
        brake.reach(MID_CELL)


def _log_call(log: ExecutionLog, context: lash.ToolContext) -> None:
    log.started(context.turn_id, f"tool:{context.tool_call_id}:{context.attempt_number}", context.tool_name)
