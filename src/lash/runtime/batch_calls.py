"""Calls inside a call: the `batch` tool of standard mode, taken apart and put together. Pure.

Each call inside is run like any other, with its own effects, approvals and retries; what the
model gets back is one result (docs/spec/runtime.md §4). What cannot be taken apart stays the
call that it is, and fails as one whose arguments are wrong.
"""

from __future__ import annotations

from collections.abc import Sequence

from lash.base.json import JsonObject
from lash.machine.values import PendingCall
from lash.tools.catalog import ToolCatalog
from lash.tools.result import Cancelled, ToolCallOutput, ToolCallRecord
from lash.tools.value import ToolValue

# The plugin that offers the tool, and the tool's name.
BATCH_PLUGIN = "batch_tool"
BATCH_TOOL = "batch"
MAX_CALLS = 25


def calls_inside(call: PendingCall) -> list[PendingCall]:
    """The calls that a call of `batch` holds, as many as are run; none when it is not one or cannot be read.

    A `batch` inside is no call to run: its entry says so.
    """
    asked = _asked(call)
    return [
        PendingCall(f"{call.call_id}.{index}", str(one["tool"]), _parameters(one))
        for index, one in enumerate(asked[:MAX_CALLS])
        if one["tool"] != BATCH_TOOL
    ]


def is_batch(call: PendingCall, catalog: ToolCatalog) -> bool:
    """Whether a call is one of the `batch` tool, and can be taken apart."""
    if call.tool_name != BATCH_TOOL:
        return False
    entry = catalog.resolve(BATCH_TOOL)
    return entry is not None and entry.source.id == BATCH_PLUGIN and bool(_asked(call))


def together(call: PendingCall, records: Sequence[ToolCallRecord]) -> ToolCallOutput:
    """The one result: an entry for each call, in the order they were written. The first control of a call stands."""
    done = {record.call_id: record for record in records}
    entries: list[ToolValue] = []
    for index, one in enumerate(_asked(call)):
        record = done.get(f"{call.call_id}.{index}")
        if record is not None:
            entries.append(_entry(index, record))
        elif index >= MAX_CALLS:
            entries.append(_refused(index, one, f"one batch runs {MAX_CALLS} calls; send the rest in another one"))
        else:
            entries.append(_refused(index, one, "a batch cannot hold a batch; put its calls into this one"))
    output = ToolCallOutput.ok({"results": entries})
    controls = [record.output.control for record in records if record.output.control is not None]
    return output.with_control(controls[0]) if controls else output


def _entry(index: int, record: ToolCallRecord) -> ToolValue:
    output = record.output
    entry: dict[str, ToolValue] = {
        "index": index,
        "tool": record.tool,
        "success": output.is_success,
        "duration_ms": record.duration_ms,
    }
    if output.error is not None:
        entry["error"] = {"code": output.error.code, "message": output.error.message}
    elif isinstance(output.outcome, Cancelled):
        entry["error"] = {"code": "cancelled", "message": output.outcome.payload.message}
    else:
        entry["result"] = output.value
    return entry


def _refused(index: int, one: JsonObject, why: str) -> ToolValue:
    error: dict[str, ToolValue] = {"code": "batch_call_refused", "message": why}
    return {"index": index, "tool": str(one["tool"]), "success": False, "duration_ms": 0, "error": error}


def _asked(call: PendingCall) -> list[JsonObject]:
    """What the call holds; empty when it is not what the tool's schema says."""
    listed = (call.args or {}).get("tool_calls")
    if call.tool_name != BATCH_TOOL or not isinstance(listed, list):
        return []
    asked = [one for one in listed if isinstance(one, dict) and isinstance(one.get("tool"), str)]
    is_whole = len(asked) == len(listed) and all(isinstance(one.get("parameters", {}), dict) for one in asked)
    return asked if is_whole else []


def _parameters(one: JsonObject) -> JsonObject:
    parameters = one.get("parameters", {})
    assert isinstance(parameters, dict)
    return parameters
