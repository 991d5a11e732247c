"""The attachment manifest: which bytes which session announced and committed."""

from __future__ import annotations

from collections.abc import Sequence

from lash.sessions.store import AttachmentIntent, ManifestEntry
from lash.stores.facet import Facet
from lash.stores.sql import attachments as sql


class SqlManifest(Facet):
    """Manifest rows. Identity is (session, attachment): equal bytes of two sessions are two entries."""

    async def record_intent(self, intent: AttachmentIntent) -> None:
        """Announces bytes before they are put. Announcing again changes nothing."""
        await self._driver.run(sql.record_intent(intent))

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
