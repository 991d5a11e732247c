"""The registry's upkeep: delivery of wakes, the change feed, retention."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from lash.base.canonical import parse_json
from lash.base.json import Json
from lash.processes.registry import (
    BlockedProcess,
    BlockedReason,
    LiveReferences,
    ProcessChange,
    ProcessChanges,
    PruneFilter,
    PruneReport,
    WakeDrain,
)
from lash.processes.status import ProcessLifecycleStatus
from lash.processes.waking import wake_draft
from lash.stores.facet import Facet
from lash.stores.planning import plan_draft
from lash.stores.process_records import NEVER_MS, decode_wake
from lash.stores.sql import process_retention as sql
from lash.stores.sql import process_wakes
from lash.stores.watching import News

# One page of the feed, of live rows, of one session's wakes.
PAGE = 500


class SqlProcessUpkeep(Facet):
    """What somebody has to do now and then."""

    async def deliver_pending_wakes(self, limit: int = 500) -> WakeDrain:
        """See `ProcessRegistry`."""
        enqueued = discarded = 0
        session_ids: list[str] = []
        for session in await self._driver.run(process_wakes.pending_sessions(limit)):
            session_id = session.target_session_id
            wakes = await self._driver.run(process_wakes.pending(session_id, limit))
            now_ms = self._clock.now_ms()
            drafts = [
                (
                    wake,
                    plan_draft(
                        wake_draft(decode_wake(wake.process_id, wake.delivery_json)), self._ids.new_id(), now_ms
                    ),
                )
                for wake in wakes
            ]
            counted = await self._driver.run(process_wakes.deliver(session_id, drafts, now_ms))
            enqueued += counted.enqueued
            discarded += counted.discarded
            if counted.enqueued:
                session_ids.append(session_id)
        return WakeDrain(enqueued, discarded, session_ids)

    async def processes_changed_since(self, cursor: int, limit: int = 500) -> ProcessChanges:
        """See `ProcessRegistry`."""
        rows = await self._driver.run(sql.changes(cursor, limit))
        changes = [
            ProcessChange(row.process_id, row.change_seq, cast("ProcessLifecycleStatus", row.status), row.is_pruned > 0)
            for row in rows
        ]
        return ProcessChanges(changes, rows[-1].change_seq if rows else cursor)

    async def prune_terminal_processes(
        self, cutoff_ms: int, query: PruneFilter, *, watermark: int | None = None
    ) -> PruneReport:
        """See `ProcessRegistry`."""
        wanted = sql.PruneQuery(
            cutoff_ms,
            "" if query.originator is None else query.originator.scope_id,
            query.identity_kind or "",
            query.status or "",
            max(query.limit, PAGE),
            0,
            "",
        )
        bound = NEVER_MS if watermark is None else watermark
        pruned: list[str] = []
        blocked: list[BlockedProcess] = []
        while len(pruned) < query.limit:
            room = query.limit - len(pruned)
            verdicts = await self._driver.run(sql.prune(wanted, room, bound, self._clock.now_ms()))
            pruned += [found.process_id for found, reason in verdicts if not reason]
            kept = [(found.process_id, cast("BlockedReason", reason)) for found, reason in verdicts if reason]
            blocked += [BlockedProcess(*each) for each in kept[: query.limit - len(blocked)]]
            if len(verdicts) < wanted.limit:
                break
            # What is kept does not stand in the way of what is not.
            last = verdicts[-1][0]
            wanted = wanted._replace(after_ms=last.terminal_at_ms, after_id=last.process_id)
        return PruneReport(pruned, blocked)

    async def live_reference_summary(self) -> LiveReferences:
        """See `ProcessRegistry`."""
        env_refs: set[str] = set()
        module_refs: set[str] = set()
        attachments: set[str] = set()
        after = ""
        while rows := await self._driver.run(sql.live_references(after, PAGE)):
            for row in rows:
                if row.env_ref is not None:
                    env_refs.add(row.env_ref)
                if row.module_ref is not None:
                    module_refs.add(row.module_ref)
                attachments |= set(_attachment_ids(parse_json(row.registration_json)))
            after = rows[-1].process_id
        return LiveReferences(sorted(env_refs), sorted(module_refs), sorted(attachments))

    async def _news(self, start: int | None) -> News:
        if start is None:
            bounds = await self._driver.run(sql.bounds())
            return News((), min(bounds.settled, bounds.newest + 1))
        found: list[tuple[str, int]] = []
        after = sql.ChangeRow(0, "", "", 0)
        resume: int | None = None
        while True:
            rows, bound = await self._driver.run(sql.news(start, after, PAGE))
            # Only the first page's bound holds for all pages: later ones may see more.
            resume = bound if resume is None else resume
            found += [(row.process_id, row.change_seq) for row in rows]
            if len(rows) < PAGE:
                return News(found, resume)
            after = rows[-1]


def _attachment_ids(json: Json) -> Iterator[str]:
    """The ids of stored attachments anywhere in a value, by the shape of their references."""
    if isinstance(json, dict):
        found = json.get("id")
        if isinstance(found, str) and "media_type" in json and "byte_len" in json:
            yield found
        for item in json.values():
            yield from _attachment_ids(item)
    elif isinstance(json, list):
        for item in json:
            yield from _attachment_ids(item)
