"""Attachments as rows of the database, and in memory."""

from __future__ import annotations

import msgspec

from lash.attachments.store import (
    AttachmentMeta,
    AttachmentMissingMeta,
    AttachmentNotFound,
    AttachmentTooLarge,
    StoredAttachment,
)
from lash.base.canonical import sha256_hex
from lash.base.codec import DecodeError, decode, encode
from lash.base.messages import AttachmentRef
from lash.base.tier import DurabilityTier
from lash.stores.facet import Facet
from lash.stores.sql import attachments as sql

# Rows are read whole and travel through one writer: past this a folder or S3 serves better.
MAX_BYTES = 16 * 1024 * 1024


class SqlAttachments(Facet):
    """Bytes in `lash_attachments`, up to 16 MiB each."""

    def durability_tier(self) -> DurabilityTier:
        """What the database behind it promises."""
        return self._driver.tier

    async def put(self, data: bytes, meta: AttachmentMeta) -> AttachmentRef:
        """Stores the bytes once; the first metadata of equal bytes stands."""
        if len(data) > MAX_BYTES:
            raise AttachmentTooLarge(len(data), MAX_BYTES)
        filled = filled_meta(data, meta)
        stored = await self._driver.run(sql.put(filled.id, encode(filled), data, self._clock.now_ms()))
        return ref_of(decode_meta(filled.id, stored))

    async def get(self, attachment_id: str) -> StoredAttachment:
        """Bytes and metadata; raises `AttachmentNotFound`."""
        row = await self._driver.run(sql.get(bare_id(attachment_id)))
        if row is None:
            raise AttachmentNotFound(attachment_id)
        return StoredAttachment(decode_meta(attachment_id, row.meta_json), row.content)

    async def head(self, attachment_id: str) -> AttachmentMeta:
        """Metadata alone; raises `AttachmentNotFound`."""
        row = await self._driver.run(sql.head(bare_id(attachment_id)))
        if row is None:
            raise AttachmentNotFound(attachment_id)
        return decode_meta(attachment_id, row.meta_json)

    async def delete(self, attachment_id: str) -> None:
        """Removes bytes and metadata; absent ones are fine."""
        await self._driver.run(sql.delete(bare_id(attachment_id)))

    async def list(self) -> list[str]:
        """Every id, sorted."""
        return [row.attachment_id for row in await self._driver.run(sql.list_ids())]


class MemoryAttachments:
    """Bytes in this process."""

    def __init__(self) -> None:
        self._stored: dict[str, StoredAttachment] = {}

    def durability_tier(self) -> DurabilityTier:
        """Gone with the process."""
        return "inline"

    async def put(self, data: bytes, meta: AttachmentMeta) -> AttachmentRef:
        """Stores the bytes once; the first metadata of equal bytes stands."""
        filled = filled_meta(data, meta)
        return ref_of(self._stored.setdefault(filled.id, StoredAttachment(filled, data)).meta)

    async def get(self, attachment_id: str) -> StoredAttachment:
        """Bytes and metadata; raises `AttachmentNotFound`."""
        stored = self._stored.get(bare_id(attachment_id))
        if stored is None:
            raise AttachmentNotFound(attachment_id)
        return stored

    async def head(self, attachment_id: str) -> AttachmentMeta:
        """Metadata alone; raises `AttachmentNotFound`."""
        return (await self.get(attachment_id)).meta

    async def delete(self, attachment_id: str) -> None:
        """Removes bytes and metadata; absent ones are fine."""
        self._stored.pop(bare_id(attachment_id), None)

    async def list(self) -> list[str]:
        """Every id, sorted."""
        return sorted(self._stored)


def filled_meta(data: bytes, meta: AttachmentMeta) -> AttachmentMeta:
    """Metadata with the id and the length of the bytes."""
    return msgspec.structs.replace(meta, id=sha256_hex(data), byte_len=len(data))


def ref_of(meta: AttachmentMeta) -> AttachmentRef:
    """The reference that messages carry."""
    return AttachmentRef(meta.id, meta.media_type, meta.byte_len, meta.width, meta.height, meta.label)


def bare_id(attachment_id: str) -> str:
    """The id without its optional `sha256:`."""
    return attachment_id.removeprefix("sha256:")


def decode_meta(attachment_id: str, text: str | bytes) -> AttachmentMeta:
    """Stored metadata; raises `AttachmentMissingMeta` when it cannot be read."""
    try:
        return decode(text, AttachmentMeta)
    except DecodeError as error:
        raise AttachmentMissingMeta(f"metadata of attachment `{attachment_id}` cannot be read: {error}") from error
