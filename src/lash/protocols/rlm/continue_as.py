"""`control.continue_as`: the session goes on in a fresh frame (docs/spec/runtime.md §5.8).

The new frame inherits no messages and no variables: only the task, and what the seed names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lash.base.canonical import tagged_hash
from lash.base.codec import to_json
from lash.base.json import JsonObject
from lash.protocols.rlm.options import PLUGIN_ID
from lash.protocols.rlm.seeds import InvalidSeed, seed_record
from lash.sessions.graph import ProtocolEvent
from lash.tools.calls import ToolExecution
from lash.tools.definition import ToolContract, ToolManifest
from lash.tools.provider import ToolProvider
from lash.tools.result import SwitchAgentFrame, ToolCallOutput

NAME: Final = "continue_as"
_MANIFEST: Final = ToolManifest(
    id=f"tool:{NAME}",
    name=NAME,
    description=(
        "Go on with a task in a fresh context. Nothing is carried over but `task`, the first message there, "
        "and `seed`, the variables that it begins with."
    ),
    bindings={"lashlang": {"module": "control", "operation": NAME}},
)
_CONTRACT: Final = ToolContract(
    {
        "type": "object",
        "properties": {"task": {"type": "string", "minLength": 1}, "seed": {"type": "object"}},
        "required": ["task"],
        "additionalProperties": False,
    },
    {
        "type": "object",
        "properties": {
            "ok": {"type": "boolean"},
            "frame_id": {"type": "string"},
            "task": {"type": "string"},
            "seed_keys": {"type": "array", "items": {"type": "string"}},
            "seed_count": {"type": "integer"},
        },
    },
)


class ContinueAs(ToolProvider):
    """The tool. `reserved` are names that the host has bound."""

    def __init__(self, reserved: frozenset[str]) -> None:
        self._reserved = reserved

    def tool_manifests(self) -> Sequence[ToolManifest]:
        """The one tool."""
        return [_MANIFEST]

    def resolve_contract(self, name: str) -> ToolContract | None:
        """Its contract."""
        return _CONTRACT if name == NAME else None

    async def execute(self, call: ToolExecution) -> object:
        """Asks for the switch; it happens with the commit of the turn."""
        if not call.context.turn_id:
            return ToolCallOutput.failure(
                "invalid_request",
                "no_turn",
                "a background process has no context to leave; it ends with `finish value`",
            )
        task = str(call.args["task"])
        given = call.args.get("seed")
        seed = given if isinstance(given, dict) else {}
        try:
            record = seed_record(seed, self._reserved)
        except InvalidSeed as error:
            return ToolCallOutput.failure("invalid_request", error.code, str(error))
        context = call.context
        # Nothing random: every attempt and every replay of the call means the same frame.
        frame_id = "frame-" + tagged_hash("lash-frame", context.session_id, context.turn_id, context.tool_call_id)[:24]
        node = to_json(ProtocolEvent(PLUGIN_ID, record))
        assert isinstance(node, dict)
        answer: JsonObject = {
            "ok": True,
            "frame_id": frame_id,
            "task": task,
            "seed_keys": list(seed),
            "seed_count": len(seed),
        }
        return ToolCallOutput.ok(answer).with_control(SwitchAgentFrame(frame_id, [node] if seed else [], task))
