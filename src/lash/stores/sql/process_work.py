"""What a worker asks of the registry: what there is to do, and one transaction for what ended and what comes next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lash.processes.event_types import CANCEL_REQUESTED
from lash.stores.process_records import RecordRow
from lash.stores.program import Query, Steps, many_each, one, program
from lash.stores.sql.process_ends import Ending, complete_many_steps
from lash.stores.sql.process_events import Writing
from lash.stores.sql.process_leases import ProcessClaimant, claim_due_steps


class WorkRow(NamedTuple):
    """What there is to do: four looks at the heads of indexes."""

    now_ms: int
    next_due_ms: int | None
    next_wake: str | None
    other_owner: str | None
    queued_in: str | None


class Wanted(NamedTuple):
    """A process that somebody wants stopped."""

    process_id: str


class TurnedOver(NamedTuple):
    """What one turn-over came to."""

    lost: list[str]
    claimed: list[RecordRow]


LOOK = Query(
    WorkRow,
    """
    SELECT {now},
      (SELECT due_at_ms FROM lash_processes WHERE status = 'running' ORDER BY due_at_ms, process_id LIMIT 1),
      (SELECT target_session_id FROM lash_process_wake_outbox WHERE state = 'pending' LIMIT 1),
      (SELECT lease_owner FROM lash_processes WHERE lease_token <> '' AND lease_owner <> ?1
       ORDER BY lease_owner LIMIT 1),
      (SELECT session_id FROM lash_queued_batches LIMIT 1)
    """,
)
CANCEL_WANTED = Query(
    Wanted,
    f"""
    SELECT process_id FROM lash_process_events, {{rows: id text}}
    WHERE process_id = rows.id AND event_type = '{CANCEL_REQUESTED}' AND type_ordinal = 1
    """,
)


@program("read")
def look(owner_id: str) -> Steps[WorkRow]:
    """What there is to do for anybody, and whether somebody else is at work."""
    row = yield from one(LOOK, owner_id)
    assert row is not None
    return row


@program("read")
def cancel_wanted(process_ids: Sequence[str]) -> Steps[list[str]]:
    """Those of them that somebody wants stopped."""
    rows = yield from many_each(CANCEL_WANTED, [(process_id,) for process_id in process_ids])
    return [row.process_id for row in rows]


@program("write")
def turn_over(ends: Sequence[Ending], writing: Writing, claimant: ProcessClaimant, limit: int) -> Steps[TurnedOver]:
    """Ends processes under their leases and takes up to `limit` that are due."""
    lost = yield from complete_many_steps(ends, writing)
    claimed: list[RecordRow] = []
    if limit > 0:
        claimed = yield from claim_due_steps(claimant, limit, writing.now_ms)
    return TurnedOver(lost, claimed)
