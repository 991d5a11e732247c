"""What a model sees of a tool's output.

A success that is text is shown verbatim, any other value as compact JSON; a failure
as one bracketed line and its message. Attachments keep their place in the text as a
short label and follow as parts of their own (docs/spec/runtime.md §6.2).
"""

from __future__ import annotations

from typing import assert_never

import msgspec

from lash.base.canonical import canonical_json
from lash.base.json import Json
from lash.base.messages import AttachmentRef
from lash.tools.result import Cancelled, Failed, Succeeded, ToolCallOutput
from lash.tools.value import attachments_of, unmarked


class ModelToolReturn(msgspec.Struct, frozen=True):
    """The text of a tool result, and the attachments that follow it in order."""

    text: str
    attachments: list[AttachmentRef] = []


def model_return(output: ToolCallOutput) -> ModelToolReturn:
    """The default projection: everything the tool returned."""
    match output.outcome:
        case Succeeded(payload=value):
            return ModelToolReturn(_value_text(value), attachments_of(value))
        case Failed(payload=failure):
            return ModelToolReturn(f"[tool execution failed]\n{failure.message}", attachments_of(failure.raw))
        case Cancelled(payload=cancellation):
            return ModelToolReturn(
                f"[tool execution cancelled]\n{cancellation.message}", attachments_of(cancellation.raw)
            )
        case other:
            assert_never(other)


def model_text(output: ToolCallOutput) -> str:
    """The text alone."""
    return model_return(output).text


def _value_text(value: Json) -> str:
    if isinstance(value, str):
        return value
    shown = _labelled(value)
    return shown if isinstance(shown, str) else canonical_json(shown)


def _labelled(value: Json) -> Json:
    """The value as its author wrote it: escapes undone, attachments as labels."""
    if isinstance(value, list):
        return [_labelled(item) for item in value]
    if not isinstance(value, dict):
        return value
    part = unmarked(value)
    if isinstance(part, AttachmentRef):
        return attachment_label(part)
    return {key: _labelled(item) for key, item in part.items()}


def attachment_label(attachment: AttachmentRef) -> str:
    """`[attachment chart.png: image/png, 2048 bytes]`."""
    name = attachment.label or attachment.id[:12]
    return f"[attachment {name}: {attachment.media_type}, {attachment.byte_len} bytes]"
