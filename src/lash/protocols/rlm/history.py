"""The conversation as a program sees it: the read-only list `history` (docs/spec/runtime.md §5.6)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

from lash.base.json import Json, JsonObject
from lash.base.messages import Message, PluginOrigin
from lash.protocols.rlm.options import PLUGIN_ID
from lash.tools.surface import image_json


def is_came_of(message: Message) -> bool:
    """Whether a message says what came of the cell before it."""
    origin = message.origin
    return (
        message.role == "user"
        and isinstance(origin, PluginOrigin)
        and origin.plugin_id == PLUGIN_ID
        and not origin.transient
    )


def count_items(messages: Iterable[Message]) -> int:
    """How many items of `history` messages make: a cell and what came of it are one."""
    return sum(not is_came_of(message) for message in messages)


def history_items(*stretches: Sequence[Message]) -> list[Json]:
    """The items: messages, and steps."""
    items: list[Json] = []
    for message in chain(*stretches):
        last = items[-1] if items else None
        if is_came_of(message) and isinstance(last, dict) and last["kind"] == "rlm_step":
            _add_outcome(last, message)
        elif message.role == "assistant" and any(part.kind == "code" for part in message.parts):
            items.append(_step(message))
        else:
            items.append(_said(message))
    return items


def _said(message: Message) -> JsonObject:
    content = "\n\n".join(part.content for part in message.parts if part.kind != "reasoning" and part.content)
    return {
        "kind": "message",
        "id": message.id,
        "role": message.role,
        "content": content,
        "attachments": [image_json(part.attachment) for part in message.parts if part.attachment is not None],
    }


def _step(message: Message) -> JsonObject:
    code = next(part for part in message.parts if part.kind == "code")
    prose = [part.content for part in message.parts if part.kind in ("prose", "text")]
    iteration = code.id.removeprefix("code:")
    return {
        "kind": "rlm_step",
        "id": message.id,
        "protocol_iteration": int(iteration) if iteration.isdigit() else 0,
        "reasoning": "\n\n".join(prose),
        "code": code.content,
        "output": [],
        "images": [],
    }


def _add_outcome(step: JsonObject, message: Message) -> None:
    output: list[Json] = []
    images: list[Json] = []
    for part in message.parts:
        if part.kind == "error":
            step["error"] = part.content
        elif part.id.endswith(".final_output"):
            step["final_output"] = part.content
        elif part.kind == "output":
            output.append(part.content)
        elif part.attachment is not None:
            images.append(image_json(part.attachment))
    step["output"], step["images"] = output, images
