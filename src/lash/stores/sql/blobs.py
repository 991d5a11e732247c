"""Content-addressed bytes, written once."""

from __future__ import annotations

from typing import Final, NamedTuple

from lash.stores.dialect import Statement
from lash.stores.program import Query, Steps, one, program

# A blob that is put again counts as young again, so that a collection which runs beside the commit
# leaves it alone. Renewing only after ten minutes keeps a repeated put from writing.
RENEW_AFTER_MS: Final = 600_000


class Content(NamedTuple):
    """The bytes of a blob."""

    content: bytes


class Found(NamedTuple):
    """That a blob is there."""

    n: int


PUT_BLOB = Statement(
    f"""
    INSERT INTO lash_blobs (hash, content, byte_len, created_at_ms) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (hash) DO UPDATE SET created_at_ms = excluded.created_at_ms
    WHERE lash_blobs.created_at_ms < excluded.created_at_ms - {RENEW_AFTER_MS}
    """
)
GET_BLOB = Query(Content, "SELECT content FROM lash_blobs WHERE hash = ?1")
HAS_BLOB = Query(Found, "SELECT 1 FROM lash_blobs WHERE hash = ?1")


@program("read")
def get_blob(ref: str) -> Steps[bytes | None]:
    """The bytes of a ref."""
    row = yield from one(GET_BLOB, ref)
    return None if row is None else row.content
