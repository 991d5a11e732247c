"""Attachments in folders and rows, seen from sessions, swept when nobody wants them."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from lash.attachments.store import AttachmentIoError, AttachmentMeta, AttachmentMissingMeta, AttachmentNotFound
from lash.base.canonical import sha256_hex
from lash.base.clock import SystemClock
from lash.base.messages import AttachmentRef
from lash.sessions.store import AttachmentIntent, SessionStore
from lash.stores import Store
from lash.stores.attachments import MemoryAttachments
from lash.stores.files import FileAttachments
from lash.stores.scoped import ManifestRecordFailed, SessionAttachments
from lash.testing.conformance.drafts import plain_commit, replaced
from stores.turns import SESSION

TEXT = AttachmentMeta("text/plain", label="first")


async def test_a_file_lies_under_the_first_two_digits_of_its_hash(tmp_path: Path) -> None:
    ref = await FileAttachments(tmp_path).put(b"bytes", TEXT)

    folder = tmp_path / "sha256" / ref.id[:2]
    assert sorted(path.name for path in folder.iterdir()) == [ref.id, f"{ref.id}.json"]
    assert (folder / ref.id).read_bytes() == b"bytes"


async def test_the_first_metadata_of_equal_bytes_stands(tmp_path: Path, store: Store) -> None:
    for attachments in (FileAttachments(tmp_path), MemoryAttachments(), store.attachments):
        await attachments.put(b"bytes", TEXT)
        again = await attachments.put(b"bytes", AttachmentMeta("text/html", label="second"))

        assert (again.media_type, again.label) == ("text/plain", "first")
        assert await attachments.list() == [again.id]
        assert (await attachments.head(f"sha256:{again.id}")).byte_len == 5
        await attachments.delete(again.id)
        await attachments.delete(again.id)
        assert await attachments.list() == []


async def test_content_without_metadata_is_told_apart_from_nothing(tmp_path: Path) -> None:
    attachments = FileAttachments(tmp_path)
    ref = await attachments.put(b"bytes", TEXT)
    meta = tmp_path / "sha256" / ref.id[:2] / f"{ref.id}.json"
    meta.write_text("{")
    with pytest.raises(AttachmentMissingMeta):
        await attachments.get(ref.id)
    meta.unlink()

    with pytest.raises(AttachmentMissingMeta):
        await attachments.get(ref.id)
    assert (await attachments.put(b"bytes", TEXT)).id == ref.id
    assert (await attachments.get(ref.id)).data == b"bytes"


async def test_an_id_is_never_a_path(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")

    for name in ("../secret", "/etc/passwd", "x" * 64, ""):
        with pytest.raises(AttachmentNotFound):
            await FileAttachments(tmp_path / "store").get(name)


async def test_a_failed_write_leaves_nothing_half_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    attachments = FileAttachments(tmp_path)

    def refuse(_descriptor: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(AttachmentIoError, match="disk full"):
        await attachments.put(b"bytes", TEXT)
    monkeypatch.undo()

    assert await attachments.list() == []
    assert (await attachments.put(b"bytes", TEXT)).byte_len == 5


async def test_bytes_are_announced_before_they_are_put(session: SessionStore) -> None:
    order: list[str] = []

    class Watched(MemoryAttachments):
        async def put(self, data: bytes, meta: AttachmentMeta) -> AttachmentRef:
            order.extend(entry.attachment_id for entry in await session.list_uncommitted(SystemClock().now_ms()))
            return await super().put(data, meta)

    scoped = SessionAttachments(Watched(), session, SESSION, SystemClock())
    ref = await scoped.put(b"bytes", TEXT)

    assert order == [ref.id]
    assert scoped.uncommitted_ids == [ref.id]
    await session.commit(replaced(plain_commit(SESSION), committed_attachment_ids=scoped.uncommitted_ids))
    scoped.committed([ref.id])
    assert scoped.uncommitted_ids == []
    assert await session.list_uncommitted(SystemClock().now_ms()) == []


async def test_bytes_that_cannot_be_announced_are_not_put(store: Store, session: SessionStore) -> None:
    inner = MemoryAttachments()
    scoped = SessionAttachments(inner, session, SESSION, SystemClock())
    await store.sessions.delete_session(SESSION)

    with pytest.raises(ManifestRecordFailed):
        await scoped.put(b"bytes", TEXT)

    assert await inner.list() == []


async def test_a_sweep_forgets_announcements_whose_bytes_never_came(store: Store, session: SessionStore) -> None:
    await session.record_intent(AttachmentIntent(sha256_hex(b"never"), SESSION, "sha256:x", 100))

    await store.orphans.sweep(store.attachments, 200)

    assert await session.list_uncommitted(10**15) == []


async def test_a_sweep_leaves_young_and_committed_bytes_alone(store: Store, session: SessionStore) -> None:
    scoped = SessionAttachments(store.attachments, session, SESSION, SystemClock())
    kept = await scoped.put(b"kept", TEXT)
    await session.commit_refs(SESSION, [kept.id])
    young = await scoped.put(b"young", TEXT)

    assert await store.orphans.sweep(store.attachments, 100) == []
    assert await store.orphans.sweep(store.attachments, SystemClock().now_ms() + 1) == [young.id]
    assert (await store.attachments.get(kept.id)).data == b"kept"


async def test_bytes_that_are_being_swept_are_announced_after_the_sweep(store: Store, session: SessionStore) -> None:
    first = SessionAttachments(store.attachments, session, SESSION, SystemClock())
    await first.put(b"bytes", TEXT)
    begun = asyncio.Event()

    class Slow(MemoryAttachments):
        async def delete(self, attachment_id: str) -> None:
            begun.set()
            await asyncio.sleep(0.1)
            await store.attachments.delete(attachment_id)

    sweep = asyncio.create_task(store.orphans.sweep(Slow(), SystemClock().now_ms() + 1))
    await begun.wait()
    ref = await first.put(b"bytes", TEXT)
    await sweep

    assert (await store.attachments.get(ref.id)).data == b"bytes"
