"""The attachment port: bytes by the hash of their content."""

from __future__ import annotations

from typing import Protocol

import msgspec

from lash.base.errors import LashError
from lash.base.messages import AttachmentRef
from lash.base.tier import DurabilityTier


class AttachmentStoreError(LashError):
    """Base of what an attachment store can report."""

    code = "attachment_store"


class AttachmentNotFound(AttachmentStoreError):
    """No attachment has this id."""

    code = "attachment_not_found"

    def __init__(self, attachment_id: str) -> None:
        super().__init__(f"attachment `{attachment_id}` was not found")
        self.attachment_id = attachment_id


class AttachmentMissingMeta(AttachmentStoreError):
    """The bytes are there, their metadata is not."""

    code = "attachment_missing_meta"


class AttachmentTooLarge(AttachmentStoreError):
    """The store does not take bytes of this size."""

    code = "attachment_too_large"

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(
            f"an attachment of {size} bytes is above the {limit} of this store; pass attachment_store= (a folder or S3)"
        )


class AttachmentIoError(AttachmentStoreError):
    """Reading or writing the bytes failed; nothing is half there."""

    code = "attachment_io"


class AttachmentMeta(msgspec.Struct, frozen=True):
    """What the caller knows of the bytes; `id` and `byte_len` are filled in by the store."""

    media_type: str
    id: str = ""
    byte_len: int = 0
    width: int | None = None
    height: int | None = None
    label: str | None = None


class StoredAttachment(msgspec.Struct, frozen=True):
    """Bytes and what is known of them."""

    meta: AttachmentMeta
    data: bytes


class AttachmentStore(Protocol):
    """Content-addressed bytes. Ids are lowercase hex SHA-256; `sha256:{id}` is accepted on reads."""

    def durability_tier(self) -> DurabilityTier: ...

    async def put(self, data: bytes, meta: AttachmentMeta) -> AttachmentRef:
        """Stores the bytes once; the first metadata of equal bytes stands."""
        ...

    async def get(self, attachment_id: str) -> StoredAttachment:
        """Raises `AttachmentNotFound` and `AttachmentMissingMeta`."""
        ...

    async def head(self, attachment_id: str) -> AttachmentMeta: ...

    async def delete(self, attachment_id: str) -> None: ...

    async def list(self) -> list[str]: ...
