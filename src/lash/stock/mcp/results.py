"""From what an MCP server answers to the result of a tool call."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, cast

from lash.attachments.store import AttachmentMeta, AttachmentStore
from lash.base.json import Json
from lash.tools.result import FailureClass, ToolCallOutput

if TYPE_CHECKING:
    from mcp import MCPError
    from mcp_types import CallToolResult, ContentBlock

# JSON-RPC's own codes for a call that was refused before it ran.
_REFUSED = (-32602, -32601)


async def output_of(result: CallToolResult, attachments: AttachmentStore) -> ToolCallOutput:
    """The output of one call: structured content if there is any, else its text, else its parts in order.

    Images, sound and other bytes are stored and come as attachments.
    """
    parts = [await _part(block, attachments) for block in result.content]
    if result.is_error:
        texts = [part for part in parts if isinstance(part, str)]
        message = "\n".join(texts) or "the server reported an error and no reason"
        return ToolCallOutput.failure("execution", "mcp_tool_error", message, raw=result.structured_content)
    others = [part for part in parts if not isinstance(part, str)]
    structured = cast("Json", result.structured_content)
    if structured is not None:
        return ToolCallOutput.ok({"structured": structured, "content": others} if others else structured)
    if len(parts) == 1:
        return ToolCallOutput.ok(parts[0])
    return ToolCallOutput.ok(parts if others else "\n".join(cast("list[str]", parts)))


def refused(error: MCPError) -> ToolCallOutput:
    """A protocol error as a failure."""
    kind: FailureClass = "invalid_request" if error.code in _REFUSED else "external"
    return ToolCallOutput.failure(kind, "mcp_error", error.message, raw={"code": error.code})


async def _part(block: ContentBlock, attachments: AttachmentStore) -> object:
    match block.type:
        case "text":
            return block.text
        case "image" | "audio":
            return await _stored(block.data, block.mime_type, attachments)
        case "resource_link":
            return {"uri": str(block.uri), "name": block.name, "description": block.description}
        case "resource":
            found = block.resource
            text = getattr(found, "text", None)
            if isinstance(text, str):
                return {"uri": str(found.uri), "text": text}
            return await _stored(found.blob, found.mime_type, attachments)  # type: ignore[union-attr]


async def _stored(data: str, media_type: str | None, attachments: AttachmentStore) -> object:
    try:
        content = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return {"error": "the server sent bytes that are not base64", "media_type": media_type}
    return await attachments.put(content, AttachmentMeta(media_type or "application/octet-stream"))
