"""What a hook may ask for. Each place allows some of them (docs/spec/runtime.md §7.3)."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from lash.base.json import Json, JsonObject
from lash.base.messages import Message
from lash.plugins.errors import PluginInvokeError
from lash.sessions.frames import SessionPolicy, ToolAccess
from lash.sessions.graph import ProtocolEvent
from lash.tools.result import ToolCallOutput


class StatusEvent(msgspec.Struct, frozen=True, tag="status", tag_field="kind"):
    """A line that a person may want to see."""

    key: str
    label: str
    detail: str | None = None


class CustomEvent(msgspec.Struct, frozen=True, tag="custom", tag_field="kind"):
    """Anything else, by name."""

    name: str
    payload: Json = None


RuntimeEvent: TypeAlias = StatusEvent | CustomEvent


class AbortTurn(msgspec.Struct, frozen=True, tag="abort_turn", tag_field="type"):
    """Ends the turn (or the tool call) with the plugin's code."""

    code: str
    message: str


class EnqueueMessages(msgspec.Struct, frozen=True, tag="enqueue_messages", tag_field="type"):
    """Adds user or system messages."""

    messages: list[Message]


class ReplaceToolArgs(msgspec.Struct, frozen=True, tag="replace_tool_args", tag_field="type"):
    """Runs the call with other arguments; they are validated again."""

    args: JsonObject


class ShortCircuitTool(msgspec.Struct, frozen=True, tag="short_circuit_tool", tag_field="type"):
    """Answers the call without running it, or replaces what it answered."""

    output: ToolCallOutput


class EmitRuntimeEvents(msgspec.Struct, frozen=True, tag="emit_runtime_events", tag_field="type"):
    """Tells whoever watches."""

    events: list[RuntimeEvent]


class CreateSession(msgspec.Struct, frozen=True, tag="create_session", tag_field="type"):
    """Makes a child session, ready to be run by the host. The same id from the same parent is the same session.

    Its usage is booked under `usage_source`. It starts `empty`, or as the parent stands committed (`parent`: its
    conversation and tools); `messages` come after that. Its plugins begin `fresh`, or with what those of the parent
    remember (`fork`). Where `policy` says nothing the parent's holds.
    """

    session_id: str
    messages: list[Message] = []
    plugin_options: JsonObject = {}
    tool_access: ToolAccess = ToolAccess()
    usage_source: str = "child"
    # Records of the mode that its first frame begins with.
    records: list[ProtocolEvent] = []
    start: Literal["empty", "parent"] = "empty"
    plugin_source: Literal["fresh", "fork"] = "fresh"
    policy: SessionPolicy | None = None


class EmitTrace(msgspec.Struct, frozen=True, tag="emit_trace", tag_field="type"):
    """A record `plugin.{id}.{name}` in the trace, where there is one. `context` is metadata of the record."""

    name: str
    payload: Json = None
    context: JsonObject = {}


# What every hook may ask for, and means the same everywhere.
Aside: TypeAlias = EmitRuntimeEvents | CreateSession | EmitTrace

Directive: TypeAlias = (
    AbortTurn | EnqueueMessages | ReplaceToolArgs | ShortCircuitTool | EmitRuntimeEvents | CreateSession | EmitTrace
)


def as_directives(plugin_id: str, hook: str, returned: object) -> list[Directive]:
    """What a hook returned as a list: nothing, one directive, or several."""
    items = returned if isinstance(returned, list | tuple) else [] if returned is None else [returned]
    directives: list[Directive] = []
    for item in items:
        if not isinstance(item, Directive):
            raise PluginInvokeError(
                f"plugin {plugin_id!r}: hook {hook} returned {type(item).__name__}; return directives or None"
            )
        directives.append(item)
    return directives


def only_conversation(plugin_id: str, messages: list[Message]) -> list[Message]:
    """The messages themselves; raises unless each is a user or system message."""
    for message in messages:
        if message.role not in ("user", "system"):
            raise PluginInvokeError(
                f"plugin {plugin_id!r} enqueued a message with role {message.role!r}; only user and system are allowed"
            )
    return messages
