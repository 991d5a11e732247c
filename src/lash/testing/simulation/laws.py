"""What must hold in a simulated world, whatever happened in it.

Some laws are looked at after every step: what was settled stays settled, numbers only rise. The others
at rest, when everything that was accepted has ended.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Final

from lash.stores.sql.commit import ROLLED_UP
from lash.testing.lab.watch import Execution
from lash.testing.simulation.agent import AgentNotes
from lash.testing.simulation.database import Facts, World

# Rows that may appear and then never change, by what identifies them. Rows of a reset session may go.
_SETTLED: Final = {
    "turn": (
        "SELECT session_id || '/' || turn_id, turn_commit_hash, result_json, summary_json, fence FROM lash_turn_commits"
    ),
    "receipt": (
        "SELECT session_id || '/' || source_key, batch_id, payload_hash, outcome, settled_at_ms "
        "FROM lash_queued_receipts"
    ),
    "usage": "SELECT session_id || '/' || delta_id, input_tokens, output_tokens, source FROM lash_usage_deltas",
    "node": "SELECT session_id || '/' || node_id, parent_node_id, node_json FROM lash_graph_nodes",
    "occurrence": "SELECT occurrence_id, request_hash, payload_json FROM lash_trigger_occurrences",
    "end of process": "SELECT process_id, status, await_output_json FROM lash_processes WHERE status <> 'running'",
    "process event": "SELECT process_id || '/' || sequence, event_type, payload_json FROM lash_process_events",
}
_RISING: Final = {
    "head revision of": "SELECT session_id, head_revision FROM lash_sessions",
    "fence of": "SELECT session_id, fence FROM lash_session_leases",
    "fence of process": "SELECT process_id, lease_fence FROM lash_processes",
    "last event of process": "SELECT process_id, last_sequence FROM lash_processes",
}
_AT_REST: Final = {
    "a turn never ended": "SELECT session_id || '/' || turn_id FROM lash_session_leases WHERE turn_id IS NOT NULL",
    "queued input never ended": "SELECT session_id || '/' || coalesce(source_key, batch_id) FROM lash_queued_batches",
    "a lease is held by nobody": "SELECT session_id || ' by ' || owner FROM lash_session_leases "
    "WHERE lease_token <> ''",
    "a journal row is left": "SELECT scope_key || ' ' || replay_key FROM lash_effect_journal WHERE process_id IS NULL",
    "a turn was settled twice": "SELECT session_id || '/' || turn_id FROM lash_turn_commits "
    "GROUP BY session_id, turn_id HAVING count(*) > 1",
    "a process never ended": "SELECT process_id || ' ' || status FROM lash_processes WHERE status = 'running'",
    "a process is held by nobody": "SELECT process_id || ' by ' || lease_owner FROM lash_processes "
    "WHERE lease_token <> ''",
    "a wake was never delivered": "SELECT process_id || '/' || sequence FROM lash_process_wake_outbox "
    "WHERE state = 'pending'",
    "a process ended twice": "SELECT process_id FROM lash_process_events WHERE event_type IN "
    "('process.completed', 'process.failed', 'process.cancelled', 'process.abandoned') "
    "GROUP BY process_id HAVING count(*) > 1",
    "a delivery was never made": "SELECT occurrence_id || '/' || subscription_id || ' ' || state "
    "FROM lash_trigger_deliveries WHERE state NOT IN ('started', 'skipped') OR next_attempt_at_ms IS NOT NULL",
    "a delivery started no process": "SELECT d.process_id FROM lash_trigger_deliveries d "
    "LEFT JOIN lash_processes p ON p.process_id = d.process_id "
    "WHERE d.state = 'started' AND p.process_id IS NULL",
}
_LEASES: Final = (
    "SELECT 'session ' || session_id, owner, lease_token, expires_at_ms FROM lash_session_leases "
    "UNION ALL SELECT 'process ' || process_id, lease_owner, lease_token, lease_expires_at_ms FROM lash_processes"
)
_SETTLED_KEY_STILL_QUEUED: Final = (
    "SELECT b.session_id || '/' || b.source_key FROM lash_queued_batches b "
    "JOIN lash_queued_receipts r ON r.session_id = b.session_id AND r.source_key = b.source_key"
)


@dataclass(slots=True)
class Said:
    """Something that was said to a session, and what its sayer knows of it."""

    session: str
    name: str
    # Somebody took it back, or cancelled the session's turn: it may have come to nothing.
    may_be_gone: bool = False


@dataclass(slots=True)
class Laws:
    """Looks at one world. `problems` is what it has found."""

    world: World
    notes: AgentNotes
    problems: list[str] = field(default_factory=list)
    # Set at the first: the world ends there.
    are_broken: asyncio.Event = field(default_factory=asyncio.Event)
    _seen: dict[str, dict[str, Facts]] = field(default_factory=dict)
    _highest: dict[str, dict[str, int]] = field(default_factory=dict)
    # Of each session and process: the lease as it was last seen.
    _held: dict[str, Facts] = field(default_factory=dict)

    def broken(self, problem: str) -> None:
        """Notes a problem, once."""
        if problem not in self.problems:
            self.problems.append(problem)
            self.world.tell("LAW", problem)
            self.are_broken.set()

    def on_run(self, execution: Execution, executor_id: str) -> None:
        """An effect really runs. One that is recorded must not, if its driver still holds the lease."""
        scope = execution.scope
        held = self.world.query(
            "SELECT 1 FROM lash_session_leases WHERE session_id = ? AND owner = ? AND lease_token <> '' "
            "UNION ALL SELECT 1 FROM lash_processes WHERE process_id = ? AND lease_owner = ? AND lease_token <> ''",
            scope.session_id,
            executor_id,
            scope.process_id,
            executor_id,
        )
        if not held:
            return
        recorded = self.world.query(
            "SELECT 1 FROM lash_effect_journal WHERE scope_key = ? AND replay_key = ? AND status = 'completed' "
            "UNION ALL SELECT 1 FROM lash_turn_commits WHERE session_id = ? AND turn_id = ?",
            scope.journal_key,
            execution.key,
            scope.session_id,
            scope.turn_id,
        )
        if recorded:
            self.broken(f"recorded, and ran again: {execution.name} {execution.key} of {scope.id}")

    def after_write(self, now_ms: int) -> None:
        """A lease passes from its owner to another only when it is given back, has run out, or its owner is dead."""
        for row in self.world.query(_LEASES):
            key, owner, token, _ = row
            before = self._held.get(str(key))
            self._held[str(key)] = row
            if before is None or not before[2] or token == before[2] or not token or owner == before[1]:
                continue
            holder = self.world.locks.get(str(before[1]))
            if holder is not None and holder.state != "dead" and int(str(before[3])) > now_ms:
                self.broken(f"the lease of {key} was taken from its living owner")

    def after_step(self) -> None:
        """What holds at every moment."""
        for what, sql in _SETTLED.items():
            before = self._seen.get(what, {})
            now = {str(row[0]): row for row in self.world.query(sql)}
            for key, row in before.items():
                if key in now and now[key] != row:
                    self.broken(f"what was settled has changed: {what} {key}")
                elif key not in now and what != "node":
                    self.broken(f"what was settled is gone: {what} {key}")
            self._seen[what] = now
        for what, sql in _RISING.items():
            highest = self._highest.setdefault(what, {})
            for owner, number in self.world.query(sql):
                assert isinstance(number, int)
                if number < highest.get(str(owner), 0):
                    self.broken(f"{what} {owner} fell from {highest[str(owner)]} to {number}")
                highest[str(owner)] = number
        for (queued,) in self.world.query(_SETTLED_KEY_STILL_QUEUED):
            self.broken(f"what was settled is queued again: {queued}")
        for problem in self.notes.invalid_requests:
            self.broken(f"no provider would accept this history: {problem}")

    def at_rest(self, said: list[Said]) -> None:
        """What holds when everything has ended."""
        self.after_step()
        for what, sql in _AT_REST.items():
            for (key,) in self.world.query(sql):
                self.broken(f"{what}: {key}")
        for process_id, count, last in self.world.query(
            "SELECT process_id, count(*), max(sequence) FROM lash_process_events GROUP BY process_id"
        ):
            if count != last:
                self.broken(f"the events of process {process_id} have gaps: {count} events up to {last}")
        self._ledger()
        for one in said:
            self._said_once(one)

    def _ledger(self) -> None:
        """The ledger of a session is the sum of what its turns say they used."""
        used: dict[str, int] = {}
        for session_id, summary in self.world.query("SELECT session_id, summary_json FROM lash_turn_commits"):
            if summary:
                usage = json.loads(str(summary)).get("usage", {})
                used[str(session_id)] = used.get(str(session_id), 0) + _tokens(usage)
        booked = {
            str(session_id): int(str(tokens))
            for session_id, tokens in self.world.query(
                "SELECT session_id, sum(input_tokens + output_tokens) FROM lash_usage_deltas "
                f"WHERE delta_id NOT LIKE '{ROLLED_UP}%' GROUP BY session_id"
            )
        }
        for session_id in sorted({*used, *booked}):
            if used.get(session_id, 0) != booked.get(session_id, 0):
                self.broken(
                    f"the ledger of {session_id} says {booked.get(session_id, 0)} tokens, "
                    f"its turns used {used.get(session_id, 0)}"
                )

    def _said_once(self, one: Said) -> None:
        """What was said stands once in the history, or not at all when it was taken back."""
        [(count,)] = self.world.query(
            "SELECT count(*) FROM lash_graph_nodes WHERE session_id = ? AND instr(node_json, ?) > 0",
            one.session,
            f'"{one.name}: ',
        )
        if count == 1 or (count == 0 and one.may_be_gone):
            return
        self.broken(f"{one.name!r} was said once and stands {count} times in the history of {one.session}")


def _tokens(usage: dict[str, int]) -> int:
    return usage.get("input_tokens", 0) + usage.get("output_tokens", 0)
