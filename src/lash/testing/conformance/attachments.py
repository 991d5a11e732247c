"""Suites attachment_store and attachment_store_reopenable (AS)."""

from __future__ import annotations

from lash.attachments.store import AttachmentMeta, AttachmentNotFound, AttachmentStore
from lash.testing.conformance.laws import Rows, Suite

ATTACHMENT_STORE: Suite[AttachmentStore] = Suite("attachment_store")
ATTACHMENT_STORE_REOPENABLE: Suite[tuple[AttachmentStore, AttachmentStore]] = Suite("attachment_store_reopenable")

PIXEL = AttachmentMeta("image/png", width=7, height=11, label="pixel")


@ATTACHMENT_STORE.law("AS-01", "AS-02", "AS-03", "AS-04", stores="MWFSP")
async def bytes_and_meta_round_trip(store: AttachmentStore, row: Rows) -> None:
    ref = await store.put(bytes([1, 2, 3, 4, 5]), PIXEL)

    stored = await store.get(ref.id)

    meta = stored.meta
    row("AS-01", stored.data == bytes([1, 2, 3, 4, 5]), stored.data)
    row("AS-02", meta.id == ref.id, meta.id)
    row("AS-03", meta.byte_len == 5, meta.byte_len)
    row("AS-04", (meta.media_type, meta.width, meta.height, meta.label) == ("image/png", 7, 11, "pixel"), meta)


@ATTACHMENT_STORE.law("AS-05", "AS-06", stores="MWFSP")
async def an_id_is_the_hash_of_the_bytes(store: AttachmentStore, row: Rows) -> None:
    first = await store.put(bytes([9, 9, 9]), PIXEL)
    again = await store.put(bytes([9, 9, 9]), PIXEL)
    other = await store.put(bytes([9, 9, 8]), PIXEL)

    row("AS-05", first.id == again.id, again.id)
    row("AS-06", first.id != other.id, other.id)


@ATTACHMENT_STORE.law("AS-07", stores="MWFSP")
async def an_unknown_id_is_not_found(store: AttachmentStore, row: Rows) -> None:
    await row.raises("AS-07", AttachmentNotFound, store.get("sha256:does-not-exist"))


@ATTACHMENT_STORE.law("AS-08", stores="MWFSP")
async def a_store_reports_its_tier(store: AttachmentStore, row: Rows) -> None:
    tier = store.durability_tier()

    row("AS-08", tier in ("inline", "durable") and row.tier in (None, tier), tier)


@ATTACHMENT_STORE_REOPENABLE.law("AS-09", stores="FSP")
async def the_plain_suite_holds_on_a_durable_store(pair: tuple[AttachmentStore, AttachmentStore], row: Rows) -> None:
    own = Rows("durable")
    for law in ATTACHMENT_STORE.laws:
        await law.scenario(pair[0], own)
    broken = {law_id: why for law_id, why in own.stated.items() if why}
    row("AS-09", not broken and len(own.stated) == 8, broken)


@ATTACHMENT_STORE_REOPENABLE.law("AS-10", stores="FSP")
async def bytes_are_there_through_another_handle(pair: tuple[AttachmentStore, AttachmentStore], row: Rows) -> None:
    first, second = pair
    ref = await first.put(bytes([4, 3, 2, 1]), PIXEL)

    stored = await second.get(ref.id)

    row("AS-10", (stored.data, stored.meta.id, stored.meta.byte_len) == (bytes([4, 3, 2, 1]), ref.id, 4), stored)
