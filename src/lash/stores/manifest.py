"""The attachment manifest: which bytes which session announced and committed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lash.sessions.errors import StoreUnavailable
from lash.sessions.store import AttachmentIntent, ManifestEntry
from lash.stores.facet import Facet
from lash.stores.sql import attachments as sql

# Deleting one attachment takes milliseconds.
SWEEP_POLL_MS: Final = 25


class SqlManifest(Facet):
    """Manifest rows. Identity is (session, attachment): equal bytes of two sessions are two entries."""

    async def record_intent(self, intent: AttachmentIntent) -> None:
        """Announces bytes before they are put. Waits while a sweep is deleting the same bytes."""
        deadline = self._clock.monotonic() + sql.VOID_AFTER_MS / 1000
        while not await self._driver.run(sql.record_intent(intent)):
            if self._clock.monotonic() > deadline:
                raise StoreUnavailable(f"attachment {intent.attachment_id} is being deleted; try again")
            await self._clock.sleep(SWEEP_POLL_MS)

    async def commit_refs(self, session_id: str, attachment_ids: Sequence[str]) -> None:
        """Marks announced attachments as committed; the first time stands."""
        await self._driver.run(sql.commit_refs(session_id, list(attachment_ids), self._clock.now_ms()))

    async def list_uncommitted(self, older_than_ms: int) -> list[ManifestEntry]:
        """Entries announced at or before `older_than_ms` and never committed, oldest first."""
        return [ManifestEntry(*row) for row in await self._driver.run(sql.list_uncommitted(older_than_ms))]

    async def forget(self, attachment_id: str, session_id: str | None = None) -> None:
        """Removes entries, of one session or of all."""
        await self._driver.run(sql.forget(attachment_id, session_id))


class NoManifest:
    """The manifest of a store that declares to keep none."""

    async def record_intent(self, intent: AttachmentIntent) -> None:
        """Keeps nothing."""

    async def commit_refs(self, session_id: str, attachment_ids: Sequence[str]) -> None:
        """Keeps nothing."""

    async def list_uncommitted(self, older_than_ms: int) -> list[ManifestEntry]:
        """Always empty."""
        return []

    async def forget(self, attachment_id: str, session_id: str | None = None) -> None:
        """Keeps nothing."""
