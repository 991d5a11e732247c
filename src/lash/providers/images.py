"""Attachments as model wires take them: a data URL, made just before the call."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from lash.base.messages import AttachmentRef
from lash.machine.llm import ImageBlock, LlmRequest
from lash.models.failure import ProviderFailure

# Gives the bytes of an attachment by its id.
LoadAttachment: TypeAlias = Callable[[str], Awaitable[bytes]]

IMAGE_TYPES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})


async def data_urls(request: LlmRequest, load: LoadAttachment | None) -> dict[str, str]:
    """A data URL for each attachment of a request, by attachment id. Raises `ProviderFailure`."""
    urls: dict[str, str] = {}
    for message in request.messages:
        for block in message.blocks:
            if isinstance(block, ImageBlock) and block.attachment.id not in urls:
                urls[block.attachment.id] = await _data_url(block.attachment, load)
    return urls


async def _data_url(attachment: AttachmentRef, load: LoadAttachment | None) -> str:
    if attachment.media_type not in IMAGE_TYPES:
        known = ", ".join(sorted(IMAGE_TYPES))
        raise ProviderFailure(
            "validation",
            f"attachment {attachment.id} is {attachment.media_type!r}; this wire takes {known}",
            code="unsupported_image_format",
        )
    if load is None:
        raise ProviderFailure(
            "validation",
            f"attachment {attachment.id} cannot be sent: the provider has no access to attachments; "
            "give it load_attachment=, or name the model as 'provider:model-id'",
            code="attachments_unavailable",
        )
    data = await load(attachment.id)
    return f"data:{attachment.media_type};base64,{b64encode(data).decode()}"
