"""Messages: what a conversation is made of, in memory and in the graph.

Shapes follow docs/spec/runtime.md §3.13. A message is an ordered list of parts;
a part says what it is by `kind` and carries only what that kind needs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

import msgspec

from lash.base.causes import CausalRef
from lash.base.json import Json

Role: TypeAlias = Literal["user", "assistant", "system", "event"]
PartKind: TypeAlias = Literal[
    "text", "image", "code", "output", "error", "prose", "tool_call", "tool_result", "reasoning"
]


class AttachmentRef(msgspec.Struct, frozen=True):
    """A stored attachment. `id` is the lowercase hex SHA-256 of its bytes."""

    id: str
    media_type: str
    byte_len: int
    width: int | None = None
    height: int | None = None
    label: str | None = None


class Part(msgspec.Struct, frozen=True):
    """One piece of a message.

    `content` is the text of the part; for `tool_call` the arguments as JSON text.
    `tool_replay`, `reasoning_meta` and `response_meta` are opaque to everyone but
    the provider that produced them.
    """

    id: str
    kind: PartKind
    content: str = ""
    attachment: AttachmentRef | None = None
    tool_call_id: str | None = None
    tool_name: str | None = None
    tool_replay: Json = None
    reasoning_meta: Json = None
    response_meta: Json = None


class PluginOrigin(msgspec.Struct, frozen=True, tag="plugin", tag_field="kind"):
    """A plugin wrote the message. A transient one is shown to the model and not kept."""

    plugin_id: str
    transient: bool = False


class ProcessOrigin(msgspec.Struct, frozen=True, tag="process", tag_field="kind"):
    """An event of a background process caused the message."""

    process_id: str
    event_type: str
    sequence: int
    wake_id: str | None = None
    caused_by: CausalRef | None = None


MessageOrigin: TypeAlias = PluginOrigin | ProcessOrigin


class Message(msgspec.Struct, frozen=True):
    """One entry of a conversation."""

    id: str
    role: Role
    parts: list[Part]
    origin: MessageOrigin | None = None

    @property
    def text(self) -> str:
        """The readable text: `text` and `prose` parts, joined by blank lines."""
        return "\n\n".join(part.content for part in self.parts if part.kind in ("text", "prose") and part.content)

    @property
    def is_transient(self) -> bool:
        """Whether the message is shown to the model in its turn but never committed."""
        return isinstance(self.origin, PluginOrigin) and self.origin.transient


def user_message(message_id: str, text: str, *, origin: MessageOrigin | None = None) -> Message:
    """A user message with one text part."""
    return Message(message_id, "user", [Part(f"{message_id}:p0", "text", text)], origin)


def unsettled_tool_calls(messages: Iterable[Message]) -> list[str]:
    """Ids of tool calls without exactly one later result: empty means resume-safe.

    A history is resume-safe when every `tool_call` part has a unique non-empty id,
    sits in an assistant message, and is matched later by exactly one `tool_result`
    in a user message (docs/spec/runtime.md §3.8). Providers refuse anything else.
    """
    open_calls: dict[str, int] = {}
    broken: list[str] = []
    for message in messages:
        for part in message.parts:
            call_id = part.tool_call_id or ""
            if part.kind == "tool_call":
                if not call_id or call_id in open_calls or message.role != "assistant":
                    broken.append(call_id)
                open_calls[call_id] = 0
            elif part.kind == "tool_result":
                if message.role != "user" or open_calls.get(call_id) != 0:
                    broken.append(call_id)
                else:
                    open_calls[call_id] = 1
    return broken + [call_id for call_id, results in open_calls.items() if results == 0]
