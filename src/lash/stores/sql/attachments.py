"""The attachment manifest, and attachments that live in the database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from lash.sessions.store import AttachmentIntent
from lash.stores.dialect import Statement
from lash.stores.program import Query, Steps, each, execute, lock, many, one, program
from lash.stores.sql.leases import refuse_deleted, session_lock

# Far longer than deleting one attachment takes anywhere.
VOID_AFTER_MS: Final = 60_000


class EntryRow(NamedTuple):
    """One row of the manifest."""

    attachment_id: str
    session_id: str
    canonical_uri: str
    intent_at_ms: int
    committed_at_ms: int | None


class AttachmentRow(NamedTuple):
    """Bytes with their metadata."""

    meta_json: str
    content: bytes


class MetaRow(NamedTuple):
    """Metadata alone."""

    meta_json: str


class Id(NamedTuple):
    """An attachment."""

    attachment_id: str


RECORD_INTENT = Statement(
    """
    INSERT INTO lash_attachment_manifest (session_id, attachment_id, canonical_uri, intent_at_ms)
    VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (session_id, attachment_id) DO UPDATE SET intent_at_ms = excluded.intent_at_ms
    WHERE lash_attachment_manifest.committed_at_ms IS NULL
      AND lash_attachment_manifest.intent_at_ms < excluded.intent_at_ms
    """
)
COMMIT_REF = Statement(
    """
    UPDATE lash_attachment_manifest
    SET committed_at_ms = coalesce(committed_at_ms, CAST(?3 AS BIGINT))
    WHERE session_id = ?1 AND attachment_id = ?2
    """
)
UNCOMMITTED = Query(
    EntryRow,
    """
    SELECT attachment_id, session_id, canonical_uri, intent_at_ms, committed_at_ms
    FROM lash_attachment_manifest
    WHERE committed_at_ms IS NULL AND intent_at_ms <= ?1
    ORDER BY intent_at_ms, session_id, attachment_id
    """,
)
FORGET = Statement("DELETE FROM lash_attachment_manifest WHERE attachment_id = ?1 AND session_id = ?2")
FORGET_EVERYWHERE = Statement("DELETE FROM lash_attachment_manifest WHERE attachment_id = ?1")
# Only what is still uncommitted: a commit that came in between wins.
FORGET_ORPHAN = Statement(
    """
    DELETE FROM lash_attachment_manifest
    WHERE attachment_id = ?1 AND session_id = ?2 AND committed_at_ms IS NULL AND intent_at_ms <= ?3
    """
)
CONDEMN = Statement(
    """
    INSERT INTO lash_attachment_condemnations (attachment_id, condemned_at_ms) VALUES (?1, {now})
    ON CONFLICT (attachment_id) DO UPDATE SET condemned_at_ms = excluded.condemned_at_ms
    """
)
# A sweep that died leaves its mark behind; after a minute it is void.
IS_CONDEMNED = Query(
    Id,
    f"""
    SELECT attachment_id FROM lash_attachment_condemnations
    WHERE attachment_id = ?1 AND condemned_at_ms > {{now}} - {VOID_AFTER_MS}
    """,
)
ABSOLVE = Statement("DELETE FROM lash_attachment_condemnations WHERE attachment_id = ?1")
MENTIONS = Query(Id, "SELECT attachment_id FROM lash_attachment_manifest WHERE attachment_id = ?1 LIMIT 1")
# The first metadata of equal bytes stands.
PUT_ATTACHMENT = Statement(
    """
    INSERT INTO lash_attachments (attachment_id, meta_json, content, created_at_ms) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (attachment_id) DO NOTHING
    """
)
GET_ATTACHMENT = Query(AttachmentRow, "SELECT meta_json, content FROM lash_attachments WHERE attachment_id = ?1")
HEAD_ATTACHMENT = Query(MetaRow, "SELECT meta_json FROM lash_attachments WHERE attachment_id = ?1")
DELETE_ATTACHMENT = Statement("DELETE FROM lash_attachments WHERE attachment_id = ?1")
LIST_ATTACHMENTS = Query(Id, "SELECT attachment_id FROM lash_attachments ORDER BY attachment_id")


@program("write")
def record_intent(intent: AttachmentIntent) -> Steps[bool]:
    """Announces bytes; False while a sweep is deleting the same bytes, and then nothing was written.

    Announcing again makes an uncommitted entry younger, so that no sweep takes it.
    """
    yield from lock(session_lock(intent.session_id))
    yield from lock(attachment_lock(intent.attachment_id))
    yield from refuse_deleted(intent.session_id)
    if (yield from one(IS_CONDEMNED, intent.attachment_id)) is not None:
        return False
    yield from execute(
        RECORD_INTENT, intent.session_id, intent.attachment_id, intent.canonical_uri, intent.intent_at_epoch_ms
    )
    return True


@program("write")
def commit_refs(session_id: str, attachment_ids: Sequence[str], now_ms: int) -> Steps[None]:
    """Marks announced attachments as committed; the first time stands."""
    yield from each(COMMIT_REF, [(session_id, attachment_id, now_ms) for attachment_id in attachment_ids])


@program("read")
def list_uncommitted(older_than_ms: int) -> Steps[list[EntryRow]]:
    """Announced and never committed, oldest first."""
    return (yield from many(UNCOMMITTED, older_than_ms))


@program("write")
def forget(attachment_id: str, session_id: str | None) -> Steps[None]:
    """Removes entries, of one session or of all."""
    if session_id is None:
        yield from execute(FORGET_EVERYWHERE, attachment_id)
    else:
        yield from execute(FORGET, attachment_id, session_id)


@program("write")
def forget_orphan(attachment_id: str, session_id: str, older_than_ms: int) -> Steps[bool]:
    """Removes one entry that was never committed; condemns the bytes when nobody else refers to them."""
    yield from lock(attachment_lock(attachment_id))
    yield from execute(FORGET_ORPHAN, attachment_id, session_id, older_than_ms)
    if (yield from one(MENTIONS, attachment_id)) is not None:
        return False
    yield from execute(CONDEMN, attachment_id)
    return True


@program("single")
def absolve(attachment_id: str) -> Steps[int]:
    """The bytes are deleted: they may be announced again."""
    return (yield from execute(ABSOLVE, attachment_id))


def attachment_lock(attachment_id: str) -> str:
    """Held while it is decided whether somebody refers to the bytes."""
    return f"attachment:{attachment_id}"


@program("write")
def put(attachment_id: str, meta_json: str, content: bytes, now_ms: int) -> Steps[str]:
    """Stores bytes once; answers the metadata that stands."""
    yield from execute(PUT_ATTACHMENT, attachment_id, meta_json, content, now_ms)
    stored = yield from one(HEAD_ATTACHMENT, attachment_id)
    return meta_json if stored is None else stored.meta_json


@program("read")
def get(attachment_id: str) -> Steps[AttachmentRow | None]:
    """Bytes and metadata."""
    return (yield from one(GET_ATTACHMENT, attachment_id))


@program("read")
def head(attachment_id: str) -> Steps[MetaRow | None]:
    """Metadata alone."""
    return (yield from one(HEAD_ATTACHMENT, attachment_id))


@program("single")
def delete(attachment_id: str) -> Steps[int]:
    """Removes bytes and metadata."""
    return (yield from execute(DELETE_ATTACHMENT, attachment_id))


@program("read")
def list_ids() -> Steps[list[Id]]:
    """Every stored attachment."""
    return (yield from many(LIST_ATTACHMENTS))
