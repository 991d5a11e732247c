"""The agent of the demo: five tools over a real folder, and a model that follows a script.

The tools are ordinary `@lash.tool` functions and the model is the `ScriptedModel` of
`lash.testing`; nothing here knows about journals or replay. What it does know is the
execution log and the brake, which stand for the outside world.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import lash
from lash.base.json import Json, JsonObject
from lash.cli.demo import folder as reading
from lash.cli.demo.boundaries import Brake, ExecutionLog
from lash.machine.llm import LlmRequest, ToolResultBlock
from lash.plugins.hooks import BeforeToolCall, LifecycleEvent, PromptContext, TurnFinalized, TurnPersisted
from lash.testing import ScriptedModel, calls, says
from lash.testing.script import Answer
from lash.tools.decorator import Tool

PROMPT: Final = "Audit this folder: how much is there, what is left to do, what is large? Publish a report."
FOLLOW_UP: Final = "Thank you. Anything else?"


def audit_tools(folder: Path, outbox: Path, log: ExecutionLog, brake: Brake) -> list[Tool[..., Any]]:
    """The tools. Plain functions run in threads, so the three of one step really run side by side."""

    @lash.tool
    def list_files(context: lash.ToolContext) -> JsonObject:
        """List what is in the folder."""
        _log_call(log, context)
        found = reading.survey(folder)
        return {
            "files": len(found.files),
            "folders": found.folders,
            "bytes": sum(file.size for file in found.files),
            "unreadable": found.unreadable,
            "capped": found.is_capped,
        }

    @lash.tool
    def count_lines(context: lash.ToolContext) -> JsonObject:
        """Count lines by language."""
        _log_call(log, context)
        counted = reading.count_lines(reading.survey(folder).files)
        top: JsonObject = dict(list(counted.by_language.items())[:5])
        return {"lines": counted.total, "by_language": top, "unreadable": counted.unreadable}

    @lash.tool
    def find_markers(context: lash.ToolContext) -> JsonObject:
        """Find TODO, FIXME and the like."""
        _log_call(log, context)
        found = reading.find_markers(reading.survey(folder).files, lambda: brake.reach("mid-tool"))
        counts: JsonObject = dict(found.counts)
        return {"markers": sum(found.counts.values()), "counts": counts, "first": list[Json](found.places)}

    @lash.tool
    def hash_largest(context: lash.ToolContext, limit: int) -> list[JsonObject]:
        """Find the largest files and fingerprint them."""
        _log_call(log, context)
        largest = reading.hash_largest(reading.survey(folder).files, limit)
        return [{"path": file.shown, "bytes": file.size, "sha256": file.digest} for file in largest]

    @lash.tool(repeat="idempotent", retry=lash.Retry(attempts=3, base_ms=20, max_ms=20))
    def publish_report(context: lash.ToolContext, text: str) -> JsonObject | lash.ToolResult:
        """Publish the report. The outbox takes one delivery for each idempotency key."""
        if context.attempt_number == 2:
            brake.reach("between-attempts")
        _log_call(log, context)
        if context.attempt_number == 1:
            return lash.ToolResult.retryable("unavailable", "outbox_busy", "the outbox is busy (staged by the demo)")
        delivery = outbox / f"{context.effect_key}.txt"
        delivery.write_text(text, encoding="utf-8")
        brake.reach("done-not-recorded")
        return {"delivered": True, "characters": len(text)}

    return [list_files, count_lines, find_markers, hash_largest, publish_report]


def _log_call(log: ExecutionLog, context: lash.ToolContext) -> None:
    log.started(context.turn_id, f"tool:{context.tool_call_id}:{context.attempt_number}", context.tool_name)


def watcher(log: ExecutionLog, brake: Brake) -> lash.Plugin:
    """A plugin that logs when a prompt is rendered, and stops where no tool could."""

    def on_prompt(context: PromptContext) -> None:
        log.started(context.turn_id, f"prompt:{context.iteration}", "prompt")

    async def before_tool_call(call: BeforeToolCall) -> None:
        if call.manifest.name == "list_files":
            await brake.reach_on_loop("before-a-tool")

    async def on_event(event: LifecycleEvent) -> None:
        if isinstance(event, TurnFinalized):
            await brake.reach_on_loop("before-the-commit")
        elif isinstance(event, TurnPersisted):
            await brake.reach_on_loop("after-the-commit")

    return lash.Plugin("demo_watcher").prompt(on_prompt).before_tool_call(before_tool_call).on_event(on_event)


def scripted_auditor(log: ExecutionLog) -> ScriptedModel:
    """The model: five answers, two of them written from what the tools found."""

    def answer(request: LlmRequest) -> Answer:
        assert request.place is not None
        log.started(request.place.turn_id, f"model:{request.place.model_call}", "model call")
        match request.place.model_call:
            case 0:
                return [says("I follow a script; the files are real. First I look around."), calls("list_files")]
            case 1:
                return [
                    says("Three looks at once."),
                    calls("count_lines"),
                    calls("find_markers"),
                    calls("hash_largest", limit=3),
                ]
            case 2:
                return calls("publish_report", text=report(request))
            case 3:
                return says(f"Published. {report(request)}")
            case _:
                return says("Nothing else. Everything above came out of one turn that was killed on the way.")

    return ScriptedModel(answer)


def report(request: LlmRequest) -> str:
    """A few sentences from the tool results in the request."""
    found = _results(request)
    files, lines, markers = (found.get(name) for name in ("call_0_0", "call_1_0", "call_1_1"))
    largest = found.get("call_1_2")
    said: list[str] = []
    if isinstance(files, dict):
        more = " (and more than I look at)" if files.get("capped") else ""
        said.append(f"{files.get('files')} files, {files.get('folders')} folders{more}")
    if isinstance(lines, dict):
        by_language = lines.get("by_language")
        top = (
            ", ".join(f"{name} {count}" for name, count in by_language.items()) if isinstance(by_language, dict) else ""
        )
        said.append(f"{lines.get('lines')} lines" + (f" ({top})" if top else ""))
    if isinstance(markers, dict):
        said.append(f"{markers.get('markers')} markers left to do")
    if isinstance(largest, list) and largest and isinstance(largest[0], dict):
        said.append(f"largest: {largest[0].get('path')}, {largest[0].get('bytes')} bytes")
    return "; ".join(said) + "."


def _results(request: LlmRequest) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for message in request.messages:
        for block in message.blocks:
            if isinstance(block, ToolResultBlock):
                try:
                    found[block.call_id] = json.loads(block.content)
                except ValueError:
                    continue
    return found
