"""Reading every row, to find what cannot be read back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from lash.artifacts.environments import PROCESS_ENV, env_ref_of
from lash.artifacts.store import MODULE
from lash.attachments.store import AttachmentMeta
from lash.base.canonical import parse_json, sha256_hex
from lash.base.codec import decode
from lash.base.errors import LashError
from lash.sessions.errors import StoredDataCorrupt
from lash.sessions.queue import QueuedPayload
from lash.stores.driver import Driver
from lash.stores.process_records import StoredRegistration, decode_wake, event_types_of
from lash.stores.records import decode_head, decode_in_flight, decode_manifest, decode_node, decode_turn, decoded
from lash.stores.sql import check as sql
from lash.triggers.schedules import ScheduleDraft
from lash.triggers.subscription import Subscription, SubscriptionDraft


class CorruptRow(msgspec.Struct, frozen=True):
    """A row that cannot be read back."""

    table: str
    key: str
    problem: str


class CheckReport(msgspec.Struct, frozen=True):
    """What a check found. `problems` are the database's own."""

    checked_row_count: int
    problems: list[str]
    corrupt_rows: list[CorruptRow]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems and not self.corrupt_rows


def _node(row: sql.Stored) -> None:
    decode_node(row.key, row.text or "")


def _head(row: sql.Stored) -> None:
    decode_head(row.key, row.text or "")
    decode_manifest(row.key, row.other or "")


def _turn(row: sql.Stored) -> None:
    decode_turn("", row.key, row.text, row.other, 0)


def _json(row: sql.Stored) -> None:
    for text in (row.text, row.other):
        if text is not None:
            parse_json(text)


def _digest(row: sql.Stored) -> None:
    if row.content is None or sha256_hex(row.content) != row.key:
        raise ValueError("the bytes do not hash to the key")


def _attachment(row: sql.Stored) -> None:
    _digest(row)
    decode(row.text or "", AttachmentMeta)


def _batch(row: sql.Stored) -> None:
    decoded(row.key, row.text or "", list[QueuedPayload])


def _lease(row: sql.Stored) -> None:
    if row.text is not None:
        decode_in_flight(row.key, row.text)


def _artifact(row: sql.Stored) -> None:
    if row.content is None or sha256_hex(row.content) != row.text:
        raise ValueError("the bytes do not hash to what was stored")
    if row.other == MODULE:
        from lash.lashlang.modules.artifact import ModuleArtifact

        ModuleArtifact.from_bytes(row.content)
    elif row.other == PROCESS_ENV and env_ref_of(row.content) != row.key:
        raise ValueError("the environment does not hash to the key")


def _subscription(row: sql.Stored) -> None:
    decoded(row.key, row.text or "", SubscriptionDraft).validated()


def _delivery(row: sql.Stored) -> None:
    decoded(row.key, row.text or "", Subscription)


def _schedule(row: sql.Stored) -> None:
    decoded(row.key, row.text or "", ScheduleDraft)


def _process(row: sql.Stored) -> None:
    decoded(row.key, row.text or "", StoredRegistration)
    if row.other is not None:
        parse_json(row.other)


def _event_types(row: sql.Stored) -> None:
    if sha256_hex((row.text or "").encode()) != row.key:
        raise ValueError("the text does not hash to the key")
    event_types_of(row.text or "")


def _wake(row: sql.Stored) -> None:
    decode_wake(row.key, row.text or "")


# How the rows of each table are read back.
_READERS: Final[dict[str, Callable[[sql.Stored], None]]] = {
    "lash_sessions": _head,
    "lash_graph_nodes": _node,
    "lash_turn_commits": _turn,
    "lash_queued_batches": _batch,
    "lash_session_leases": _lease,
    "lash_session_meta": _json,
    "lash_effect_journal": _json,
    "lash_await_events": _json,
    "lash_processes": _process,
    "lash_process_event_types": _event_types,
    "lash_process_events": _json,
    "lash_process_wake_outbox": _wake,
    "lash_process_grants": _json,
    "lash_blobs": _digest,
    "lash_attachments": _attachment,
    "lash_artifacts": _artifact,
    "lash_trigger_subscriptions": _subscription,
    "lash_trigger_occurrences": _json,
    "lash_trigger_deliveries": _delivery,
    "lash_schedules": _schedule,
}


async def find_corrupt_rows(driver: Driver) -> tuple[int, list[CorruptRow]]:
    """How many rows there are, and those that cannot be read back."""
    count = 0
    corrupt: list[CorruptRow] = []
    for table, read in _READERS.items():
        after = sql.START
        while rows := await _next_page(driver, table, after, corrupt):
            for row in rows:
                count += 1
                try:
                    read(row)
                except (LashError, ValueError) as error:
                    corrupt.append(CorruptRow(table, row.key, str(error)))
            after = rows[-1].place
    return count, corrupt


async def _next_page(driver: Driver, table: str, after: sql.Place, corrupt: list[CorruptRow]) -> list[sql.Stored]:
    """The next rows; a damaged page ends its table and is reported like a row."""
    try:
        return await driver.run(sql.page(table, after))
    except StoredDataCorrupt as error:
        corrupt.append(CorruptRow(table, after.second or after.first, f"cannot be read from here on: {error}"))
        return []
