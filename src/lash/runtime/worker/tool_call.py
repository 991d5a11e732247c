"""Processes that are one tool call: approvals, retries, detached completion and doubt as in a turn."""

from __future__ import annotations

from functools import partial

from lash.base.codec import from_json
from lash.effects.invocation import RuntimeScope
from lash.machine.values import PendingCall
from lash.plugins.trail import HookTrail
from lash.processes.inputs import ToolCallInput
from lash.processes.outputs import ProcessAwaitOutput, output_of_tool
from lash.runtime.activity import ActivityStream
from lash.runtime.call_branch import CallBranch
from lash.runtime.call_run import CallPlace
from lash.runtime.direct import DirectCalls
from lash.runtime.tool_hooks import ToolHooks
from lash.runtime.worker.engines import ProcessParts
from lash.runtime.worker.parking import ParkingController
from lash.runtime.worker.run import ProcessRun
from lash.tools.result import ToolCallRecord


async def run_tool_call(run: ProcessRun, work: ToolCallInput, parts: ProcessParts) -> ProcessAwaitOutput:
    """Runs the call under its stored id. A call that was prepared when it was started is not prepared again."""
    call = work.call
    stream = ActivityStream(run.process_id, [])
    # No model reads what comes of it.
    hooks = ToolHooks(parts.plugins, parts.catalog, stream, parts.session_id, "", is_shown=False)
    trail = HookTrail(parts.plugins.states) if parts.plugins.states else None
    scope = RuntimeScope(parts.session_id)
    controller = ParkingController(run)
    direct = partial(DirectCalls, controller, scope, model=parts.model, cancel=run.cancel, clock=run.clock)
    place = CallPlace(
        scope, "", parts.catalog, hooks, stream, run.cancel, run.clock, direct=direct, trail=trail, is_alone=True
    )
    key = f"process:{run.process_id}:tool:{call.tool_name}"
    branch = CallBranch(
        place,
        controller,
        PendingCall(call.call_id, call.tool_name, call.args, call.replay),
        effect_id=key,
        replay_key=key,
        prepared=call if call.prepared_payload is not None else None,
    )
    [(body, _)] = await controller.run_group([branch.effects()])
    return output_of_tool(from_json(body["record"], ToolCallRecord).output)
