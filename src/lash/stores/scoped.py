"""Attachments of one session: announced, put, verified, then committed with a turn.

The announcement comes first, so that bytes without a committed turn are found and
removed; the sweep never takes bytes that any session still refers to.
"""

from __future__ import annotations

import contextlib

from lash.attachments.store import (
    AttachmentIoError,
    AttachmentMeta,
    AttachmentNotFound,
    AttachmentStore,
    AttachmentStoreError,
    StoredAttachment,
)
from lash.base.canonical import sha256_hex
from lash.base.clock import Clock
from lash.base.messages import AttachmentRef
from lash.base.tier import DurabilityTier
from lash.sessions.store import AttachmentIntent, AttachmentManifest
from lash.stores.driver import Driver
from lash.stores.sql import attachments as sql


class ManifestRecordFailed(AttachmentStoreError):
    """The announcement could not be written; the bytes were not put."""

    code = "attachment_manifest_record_failed"


class SessionAttachments:
    """An attachment store seen from one session."""

    def __init__(self, inner: AttachmentStore, manifest: AttachmentManifest, session_id: str, clock: Clock) -> None:
        self._inner = inner
        self._manifest = manifest
        self._session_id = session_id
        self._clock = clock
        self._uncommitted: dict[str, None] = {}

    def durability_tier(self) -> DurabilityTier:
        """That of the bytes."""
        return self._inner.durability_tier()

    @property
    def uncommitted_ids(self) -> list[str]:
        """What the next commit must carry, in the order it was put."""
        return list(self._uncommitted)

    def committed(self, attachment_ids: list[str]) -> None:
        """A commit has carried these."""
        for attachment_id in attachment_ids:
            self._uncommitted.pop(attachment_id, None)

    async def put(self, data: bytes, meta: AttachmentMeta) -> AttachmentRef:
        """Announces, stores and verifies. Raises `ManifestRecordFailed` before anything is stored."""
        attachment_id = sha256_hex(data)
        intent = AttachmentIntent(attachment_id, self._session_id, f"sha256:{attachment_id}", self._clock.now_ms())
        try:
            await self._manifest.record_intent(intent)
        except Exception as error:
            raise ManifestRecordFailed(f"attachment {attachment_id} could not be announced: {error}") from error
        ref = await self._inner.put(data, meta)
        if ref.id != attachment_id:
            raise AttachmentIoError(f"the store answered id {ref.id} for bytes of {attachment_id}; they are not used")
        self._uncommitted[attachment_id] = None
        return ref

    async def get(self, attachment_id: str) -> StoredAttachment:
        """Raises `AttachmentNotFound` and `AttachmentMissingMeta`."""
        return await self._inner.get(attachment_id)

    async def head(self, attachment_id: str) -> AttachmentMeta:
        """Metadata alone."""
        return await self._inner.head(attachment_id)

    async def delete(self, attachment_id: str) -> None:
        """Removes the bytes for every session, and this session's entry."""
        await self._inner.delete(attachment_id)
        await self._manifest.forget(attachment_id.removeprefix("sha256:"), self._session_id)
        self._uncommitted.pop(attachment_id.removeprefix("sha256:"), None)

    async def list(self) -> list[str]:
        """Every id of the store beneath."""
        return await self._inner.list()


class Orphans:
    """Removes what was announced and never committed."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    async def sweep(self, inner: AttachmentStore, older_than_ms: int) -> list[str]:
        """Forgets old announcements, and deletes their bytes unless another session refers to them.

        `older_than_ms` is an epoch time well before any turn that may still run. Answers the deleted ids.
        """
        deleted: list[str] = []
        for entry in await self._driver.run(sql.list_uncommitted(older_than_ms)):
            program = sql.forget_orphan(entry.attachment_id, entry.session_id, older_than_ms)
            if await self._driver.run(program):
                with contextlib.suppress(AttachmentNotFound):  # announced and never put
                    await inner.delete(entry.attachment_id)
                    deleted.append(entry.attachment_id)
                await self._driver.run(sql.absolve(entry.attachment_id))
        return deleted
