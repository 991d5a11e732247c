"""What a host asks for when it tidies up: vacuum, collection, checks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from lash.sessions.store import GcReport, VacuumReport
from lash.stores.dialect import Statement
from lash.stores.program import Query, Steps, each, execute, many, many_each, one, program
from lash.stores.records import decode_head, decode_manifest
from lash.stores.sql.sessions import resolve

# A blob is written before the row that refers to it; this is how long it may take.
GRACE_MS: Final = 3_600_000

_REF: Final = re.compile(r"[0-9a-f]{64}")


class HeadText(NamedTuple):
    """What of a head refers to blobs."""

    session_id: str
    head_json: str
    manifest_json: str


class JournalText(NamedTuple):
    """What of a journal row may refer to blobs."""

    envelope_json: str | None
    outcome_json: str | None


class BlobRow(NamedTuple):
    """A blob without its bytes."""

    hash: str
    created_at_ms: int


class Count(NamedTuple):
    """Rows of a table."""

    n: int


class Hash(NamedTuple):
    """A deleted blob."""

    hash: str


TOMBSTONE = Statement("UPDATE lash_graph_nodes SET tombstoned = 1 WHERE session_id = ?1 AND node_id = ?2")
TABLES: Final = (
    "lash_artifacts",
    "lash_attachment_manifest",
    "lash_attachments",
    "lash_await_events",
    "lash_blobs",
    "lash_deleted_sessions",
    "lash_effect_journal",
    "lash_graph_nodes",
    "lash_process_event_types",
    "lash_process_events",
    "lash_process_grants",
    "lash_process_parked_on",
    "lash_process_tombstones",
    "lash_process_wake_outbox",
    "lash_processes",
    "lash_live_replay",
    "lash_queued_batches",
    "lash_queued_receipts",
    "lash_schedules",
    "lash_session_leases",
    "lash_sessions",
    "lash_trigger_deliveries",
    "lash_trigger_occurrences",
    "lash_trigger_subscriptions",
    "lash_turn_commits",
    "lash_usage_deltas",
)
COUNTS: Final = {table: Query(Count, f"SELECT count(*) FROM {table}") for table in TABLES}
# From the tips: a tombstoned node that something hangs on stays, or the path above it would break.
VACUUM_TIPS = Statement(
    """
    DELETE FROM lash_graph_nodes
    WHERE session_id = ?1 AND tombstoned = 1
      AND NOT EXISTS (
        SELECT 1 FROM lash_graph_nodes c
        WHERE c.session_id = lash_graph_nodes.session_id AND c.parent_node_id = lash_graph_nodes.node_id
      )
      AND NOT EXISTS (
        SELECT 1 FROM lash_sessions s
        WHERE s.session_id = lash_graph_nodes.session_id AND s.leaf_node_id = lash_graph_nodes.node_id
      )
    """
)
ALL_HEADS = Query(HeadText, "SELECT session_id, head_json, manifest_json FROM lash_sessions ORDER BY session_id")
ALL_JOURNAL = Query(JournalText, "SELECT envelope_json, outcome_json FROM lash_effect_journal ORDER BY seq")
ALL_BLOBS = Query(BlobRow, "SELECT hash, created_at_ms FROM lash_blobs ORDER BY hash")
# The age again: a commit that put the blob anew in between keeps it.
DELETE_BLOB = Query(Hash, "DELETE FROM lash_blobs WHERE hash = ?1 AND created_at_ms <= ?2 RETURNING hash")


@program("write")
def tombstone(session_id: str | None, node_ids: Sequence[str]) -> Steps[None]:
    """Hides nodes."""
    found = yield from resolve(session_id)
    if found is not None:
        yield from each(TOMBSTONE, [(found, node_id) for node_id in node_ids])


@program("write")
def vacuum(session_id: str | None) -> Steps[VacuumReport]:
    """Deletes tombstoned nodes that nothing hangs on."""
    found = yield from resolve(session_id)
    removed = 0
    while found is not None:
        count = yield from execute(VACUUM_TIPS, found)
        if count == 0:
            break
        removed += count
    return VacuumReport(removed)


@program("write")
def collect(now_ms: int) -> Steps[GcReport]:
    """Deletes blobs that nothing refers to and that are older than the grace period.

    References are those of every head, and every digest that occurs in a journal row.
    """
    roots: set[str] = set()
    for head in (yield from many(ALL_HEADS)):
        roots |= set(decode_manifest(head.session_id, head.manifest_json).values())
        for frame in decode_head(head.session_id, head.head_json).agent_frames:
            if frame.execution_state_ref is not None:
                roots.add(frame.execution_state_ref)
    for row in (yield from many(ALL_JOURNAL)):
        for text in row:
            roots |= set(_REF.findall(text or ""))
    blobs = yield from many(ALL_BLOBS)
    oldest = now_ms - GRACE_MS
    doomed = [blob.hash for blob in blobs if blob.hash not in roots and blob.created_at_ms <= oldest]
    deleted = yield from many_each(DELETE_BLOB, [(ref, oldest) for ref in doomed])
    return GcReport(len(roots), len(blobs) - len(deleted), len(deleted))


@program("read")
def count_rows() -> Steps[dict[str, int]]:
    """How many rows each table holds."""
    counts: dict[str, int] = {}
    for table, query in COUNTS.items():
        row = yield from one(query)
        counts[table] = 0 if row is None else row.n
    return counts
