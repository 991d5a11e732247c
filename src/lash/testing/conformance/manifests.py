"""Suite runtime_persistence (RP): the manifest of a store that declares to keep none."""

from __future__ import annotations

from lash.sessions.store import AttachmentIntent, AttachmentManifest
from lash.testing.conformance.laws import Rows, Suite

NO_MANIFEST: Suite[AttachmentManifest] = Suite("no_manifest")


@NO_MANIFEST.law("RP-20", "RP-21")
async def a_declared_empty_manifest_accepts_everything(manifest: AttachmentManifest, row: Rows) -> None:
    await manifest.record_intent(AttachmentIntent("a", "root", "sha256:a", 100))
    between = await manifest.list_uncommitted(200)
    await manifest.commit_refs("root", ["a"])
    await manifest.forget("a")

    row("RP-20", True)
    row("RP-21", between == [] and await manifest.list_uncommitted(200) == [], between)
