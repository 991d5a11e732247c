"""Every table in pages, in one shape, for the check of a store."""

from __future__ import annotations

from typing import Final, NamedTuple

from lash.stores.program import Query, Steps, many, program

PAGE: Final = 200

# Rows that carry bytes may be 16 MiB each.
PAGE_OF_BYTES: Final = 4


class Place(NamedTuple):
    """Where a page ends: the sort key of its last row."""

    first: str
    second: str


class Stored(NamedTuple):
    """A row as the check sees it."""

    first: str
    second: str
    key: str
    text: str | None
    other: str | None
    content: bytes | None

    @property
    def place(self) -> Place:
        """Where the next page starts."""
        return Place(self.first, self.second)


START: Final = Place("", "")

_NO_BYTES: Final = "CAST(NULL AS {blob})"

# A number whose text sorts as it does.
_PADDED: Final = "CAST(1000000000000000000 + sequence AS TEXT)"


def _page(table: str, first: str, second: str, key: str, text: str, other: str, content: str) -> Query[Stored]:
    return Query(
        Stored,
        f"""
        SELECT {first}, {second}, {key}, {text}, {other}, {content}
        FROM {table}
        WHERE ({first} > CAST(?1 AS TEXT) OR ({first} = CAST(?1 AS TEXT) AND {second} > CAST(?2 AS TEXT)))
        ORDER BY {first}, {second}
        LIMIT {PAGE if content == _NO_BYTES else PAGE_OF_BYTES}
        """,
    )


PAGES: Final = {
    "lash_sessions": _page(
        "lash_sessions", "session_id", "session_id", "session_id", "head_json", "manifest_json", _NO_BYTES
    ),
    "lash_graph_nodes": _page(
        "lash_graph_nodes", "session_id", "node_id", "session_id", "node_json", "node_id", _NO_BYTES
    ),
    "lash_turn_commits": _page(
        "lash_turn_commits", "session_id", "turn_id", "turn_id", "result_json", "summary_json", _NO_BYTES
    ),
    "lash_queued_batches": _page(
        "lash_queued_batches", "session_id", "batch_id", "batch_id", "payloads_json", "merge_key_json", _NO_BYTES
    ),
    "lash_session_leases": _page(
        "lash_session_leases", "session_id", "session_id", "session_id", "turn_json", "owner", _NO_BYTES
    ),
    "lash_session_meta": _page(
        "lash_session_meta", "session_id", "session_id", "session_id", "relation_json", "CAST(NULL AS TEXT)", _NO_BYTES
    ),
    "lash_effect_journal": _page(
        "lash_effect_journal", "scope_key", "replay_key", "replay_key", "outcome_json", "envelope_json", _NO_BYTES
    ),
    "lash_await_events": _page(
        "lash_await_events", "key_id", "key_id", "key_id", "terminal_json", "scope_json", _NO_BYTES
    ),
    "lash_processes": _page(
        "lash_processes", "process_id", "process_id", "process_id", "registration_json", "await_output_json", _NO_BYTES
    ),
    "lash_process_event_types": _page(
        "lash_process_event_types", "hash", "hash", "hash", "event_types_json", "CAST(NULL AS TEXT)", _NO_BYTES
    ),
    # One replay key per event of a process: its place in the order of pages.
    "lash_process_events": _page(
        "lash_process_events", "process_id", "replay_key", "process_id", "payload_json", "semantics_json", _NO_BYTES
    ),
    "lash_process_wake_outbox": _page(
        "lash_process_wake_outbox",
        "process_id",
        _PADDED,
        "process_id",
        "delivery_json",
        "CAST(NULL AS TEXT)",
        _NO_BYTES,
    ),
    "lash_process_grants": _page(
        "lash_process_grants",
        "scope_id",
        "process_id",
        "process_id",
        "descriptor_json",
        "CAST(NULL AS TEXT)",
        _NO_BYTES,
    ),
    "lash_blobs": _page("lash_blobs", "hash", "hash", "hash", "CAST(NULL AS TEXT)", "CAST(NULL AS TEXT)", "content"),
    "lash_artifacts": _page(
        "lash_artifacts", "artifact_ref", "artifact_ref", "artifact_ref", "content_hash", "descriptor", "content"
    ),
    "lash_trigger_subscriptions": _page(
        "lash_trigger_subscriptions",
        "registrant_scope_id",
        "registration_key",
        "registration_key",
        "draft_json",
        "CAST(NULL AS TEXT)",
        _NO_BYTES,
    ),
    "lash_trigger_occurrences": _page(
        "lash_trigger_occurrences",
        "occurrence_id",
        "occurrence_id",
        "occurrence_id",
        "payload_json",
        "source_json",
        _NO_BYTES,
    ),
    "lash_trigger_deliveries": _page(
        "lash_trigger_deliveries",
        "occurrence_id",
        "subscription_id",
        "process_id",
        "subscription_json",
        "CAST(NULL AS TEXT)",
        _NO_BYTES,
    ),
    "lash_schedules": _page(
        "lash_schedules", "schedule_id", "schedule_id", "schedule_id", "draft_json", "CAST(NULL AS TEXT)", _NO_BYTES
    ),
    "lash_attachments": _page(
        "lash_attachments",
        "attachment_id",
        "attachment_id",
        "attachment_id",
        "meta_json",
        "CAST(NULL AS TEXT)",
        "content",
    ),
}


@program("read")
def page(table: str, after: Place) -> Steps[list[Stored]]:
    """The next rows of a table."""
    return (yield from many(PAGES[table], after.first, after.second))
