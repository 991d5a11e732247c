"""What a process does. Inputs carry references only: no program text, no linked module, no callback."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from lash.base.json import Json, JsonObject
from lash.processes.definitions import ProcessDefinition, ProcessRef
from lash.tools.calls import PreparedToolCall


def _null() -> Json:
    """JSON null as a value that is written out, unlike an absent field."""
    return None


class ToolCallInput(msgspec.Struct, frozen=True, tag="tool_call", tag_field="type", gc=False):
    """One prepared tool call."""

    call: PreparedToolCall


class LashlangProcessInput(msgspec.Struct, frozen=True, tag="lashlang_process", tag_field="type"):
    """A process of a stored lashlang module."""

    module_ref: str
    process_ref: ProcessRef
    host_requirements_ref: str
    process_name: str
    args: JsonObject = {}

    @property
    def definition(self) -> ProcessDefinition:
        """Which process, without its arguments."""
        return ProcessDefinition(self.module_ref, self.host_requirements_ref, self.process_ref, self.process_name)


class SessionTurnInput(msgspec.Struct, frozen=True, tag="session_turn", tag_field="type"):
    """One turn of a child session; the three parts are serialized requests of the runtime."""

    create_request: JsonObject
    turn_input: JsonObject
    output_contract: JsonObject = {}


class ExternalInput(msgspec.Struct, frozen=True, tag="external", tag_field="type"):
    """Work that somebody else does and reports; no worker ever runs it."""

    metadata: Json = msgspec.field(default_factory=_null)


class EngineInput(msgspec.Struct, frozen=True, tag="engine", tag_field="type"):
    """Work of a registered engine."""

    kind: str
    payload: Json = msgspec.field(default_factory=_null)


ProcessInput: TypeAlias = ToolCallInput | LashlangProcessInput | SessionTurnInput | ExternalInput | EngineInput


class ProcessIdentity(msgspec.Struct, frozen=True, gc=False):
    """What people call it: a kind, a label, and the definition it is an instance of."""

    kind: str
    label: str | None = None
    definition: Json = None


def identity_of(work: ProcessInput) -> ProcessIdentity:
    """The identity that an input has by itself (docs/spec/durability.md §4.1)."""
    match work:
        case ToolCallInput(call=call):
            return ProcessIdentity("tool", call.tool_name)
        case LashlangProcessInput():
            return ProcessIdentity("lashlang", work.process_name, work.definition.to_value())
        case SessionTurnInput(create_request=request):
            return ProcessIdentity("session_turn", _first_text(request, "capability", "usage_source", "session_id"))
        case ExternalInput(metadata=metadata):
            return ProcessIdentity("external", _first_text(metadata, "label", "name", "title"))
        case EngineInput(kind=kind, payload=payload):
            return ProcessIdentity(kind, _first_text(payload, "label", "name", "title"))


def needs_environment(work: ProcessInput) -> bool:
    """Whether a worker needs a captured execution environment to run it; the others must not have one."""
    return isinstance(work, ToolCallInput | LashlangProcessInput | EngineInput)


def _first_text(value: Json, *names: str) -> str | None:
    fields = value if isinstance(value, dict) else {}
    for name in names:
        text = fields.get(name)
        if isinstance(text, str) and text:
            return text
    return None
