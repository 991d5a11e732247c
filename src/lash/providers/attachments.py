"""Attachments as model wires take them: base64, made just before the call."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass

from lash.base.errors import LashError
from lash.base.messages import AttachmentRef
from lash.machine.llm import ImageBlock, LlmRequest, LoadAttachment
from lash.models.failure import ProviderFailure

IMAGE_TYPES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})


@dataclass(frozen=True, slots=True)
class InlineImage:
    """An image inside a request."""

    media_type: str
    base64: str

    @property
    def data_url(self) -> str:
        """The image as a URL that holds it."""
        return f"data:{self.media_type};base64,{self.base64}"


# By attachment id.
InlineImages = dict[str, InlineImage]


async def inline_images(
    request: LlmRequest, load: LoadAttachment | None, types: frozenset[str] = IMAGE_TYPES
) -> InlineImages:
    """Every attachment of a request, loaded once. Raises `ProviderFailure`.

    `load` is the provider's own loader, if it was given one; else the request's is asked.
    """
    images: InlineImages = {}
    for message in request.messages:
        for block in message.blocks:
            if isinstance(block, ImageBlock) and block.attachment.id not in images:
                images[block.attachment.id] = await _inline(block.attachment, load or request.load_attachment, types)
    return images


async def _inline(attachment: AttachmentRef, load: LoadAttachment | None, types: frozenset[str]) -> InlineImage:
    if attachment.media_type not in types:
        known = ", ".join(sorted(types))
        raise ProviderFailure(
            "validation",
            f"attachment {attachment.id} is {attachment.media_type!r}; this wire takes {known}",
            code="unsupported_image_format",
        )
    if load is None:
        raise ProviderFailure(
            "validation",
            f"attachment {attachment.id} cannot be sent: nobody lent access to attachments; "
            "ask through a core, or give the provider load_attachment=",
            code="attachments_unavailable",
        )
    try:
        data = await load(attachment.id)
    except LashError as error:
        raise ProviderFailure(
            "validation", f"attachment {attachment.id} cannot be sent: {error.message}", code=error.code
        ) from error
    return InlineImage(attachment.media_type, b64encode(data).decode())
