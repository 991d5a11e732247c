"""Artifacts: bytes under a reference that follows from their content, written once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lash.artifacts.store import ArtifactConflict
from lash.stores.dialect import Statement
from lash.stores.program import Query, Steps, execute, many, many_each, one, program


class ArtifactRow(NamedTuple):
    """Bytes and their hash."""

    descriptor: str
    content_hash: str
    content: bytes


class HashRow(NamedTuple):
    """What tells bytes apart."""

    content_hash: str


class Ref(NamedTuple):
    """A reference."""

    artifact_ref: str


# An artifact that is put again counts as young again, so that a collection beside the put leaves it alone.
PUT_ARTIFACT = Statement(
    """
    INSERT INTO lash_artifacts (artifact_ref, descriptor, content_hash, content, created_at_ms)
    VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT (artifact_ref) DO UPDATE SET created_at_ms = excluded.created_at_ms
    WHERE lash_artifacts.content_hash = excluded.content_hash
      AND lash_artifacts.created_at_ms < excluded.created_at_ms
    """
)
GET_HASH = Query(HashRow, "SELECT content_hash FROM lash_artifacts WHERE artifact_ref = ?1")
GET_ARTIFACT = Query(
    ArtifactRow, "SELECT descriptor, content_hash, content FROM lash_artifacts WHERE artifact_ref = ?1"
)
LIST_ARTIFACTS = Query(
    Ref,
    """
    SELECT artifact_ref FROM lash_artifacts
    WHERE CAST(?1 AS TEXT) IS NULL OR descriptor = CAST(?1 AS TEXT)
    ORDER BY artifact_ref
    """,
)
OLD_ARTIFACTS = Query(Ref, "SELECT artifact_ref FROM lash_artifacts WHERE created_at_ms <= ?1 ORDER BY artifact_ref")
# The age again: whoever put it anew in between keeps it.
DELETE_OLD = Query(
    Ref, "DELETE FROM lash_artifacts WHERE artifact_ref = ?1 AND created_at_ms <= ?2 RETURNING artifact_ref"
)


@program("write")
def put(ref: str, descriptor: str, content_hash: str, content: bytes, now_ms: int) -> Steps[None]:
    """Keeps bytes under a reference; raises `ArtifactConflict` when others lie there."""
    yield from execute(PUT_ARTIFACT, ref, descriptor, content_hash, content, now_ms)
    stored = yield from one(GET_HASH, ref)
    if stored is not None and stored.content_hash != content_hash:
        raise ArtifactConflict(ref)


@program("read")
def get(ref: str) -> Steps[ArtifactRow | None]:
    """The bytes of a reference."""
    return (yield from one(GET_ARTIFACT, ref))


@program("read")
def list_refs(descriptor: str | None) -> Steps[list[Ref]]:
    """References, sorted."""
    return (yield from many(LIST_ARTIFACTS, descriptor))


@program("write")
def collect(live: Sequence[str], older_than_ms: int) -> Steps[list[Ref]]:
    """Deletes what is old and not in `live`."""
    kept = frozenset(live)
    doomed = [
        row.artifact_ref for row in (yield from many(OLD_ARTIFACTS, older_than_ms)) if row.artifact_ref not in kept
    ]
    return (yield from many_each(DELETE_OLD, [(ref, older_than_ms) for ref in doomed]))
