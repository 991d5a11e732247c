"""How processes end: by whoever may, under a lease, or many in one transaction.

An end is an event like any other and goes the one path of `process_events.py`; it also frees the
lease, clears the wait and makes due whoever is parked on the process (docs/spec/durability.md §4.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from lash.base.codec import encode
from lash.processes.appending import plan_append
from lash.processes.authority import CompletionAuthority, LeaseAuthority, check_authority
from lash.processes.errors import ProcessLeaseLost
from lash.processes.events import AppendRequest
from lash.processes.leases import ProcessLease
from lash.processes.record import ProcessRecord
from lash.stores.dialect import Statement
from lash.stores.process_records import RecordRow, StandingRow, brought_up, decode_abandon, decode_record
from lash.stores.program import Query, Row, Steps, many_each, notify, program, together, write_each
from lash.stores.sql.process_events import Writing, append_held, parts_of, wake_parked, write_plan
from lash.stores.sql.processes import hold, read

# Not what was registered: whoever ends a process has read that when it was claimed.
STANDING = Query(
    StandingRow,
    """
    SELECT process_id, recovery, wake_detached, status, authority_json, last_sequence,
           lease_owner, lease_token, lease_fence
    FROM lash_processes, {rows: id text} WHERE process_id = rows.id
    ORDER BY process_id {for_update}
    """,
)


def _finish(
    row: RecordRow, request: AppendRequest, writing: Writing, authority: CompletionAuthority
) -> Steps[ProcessRecord]:
    """Appends the core event that ends a process; answers how it stands then.

    A process that runs has no such event yet, so there is nothing to look for and the ordinal is 1.
    """
    if row.status != "running":
        yield from append_held(row, request, writing)  # a repeat is fine, anything else is too late
        return decode_record(row)
    record = decode_record(row)
    plan = plan_append(record, request, writing.now_ms, authority)
    assert plan.status is not None
    yield from write_plan(plan, request, 1, writing)
    return msgspec.structs.replace(
        record, status=plan.status, wait=None, last_sequence=plan.event.sequence, updated_at_ms=writing.now_ms
    )


@program("write")
def complete(
    process_id: str, request: AppendRequest, writing: Writing, authority: CompletionAuthority
) -> Steps[ProcessRecord]:
    """Ends a process without a lease of one's own. Raises `CompletionNotAllowed` and `ProcessAlreadyTerminal`."""
    row = yield from hold(process_id)
    if row.status == "running":
        check_authority(
            process_id,
            authority,
            row.recovery,
            has_live_lease=row.is_leased > 0,
            abandon=decode_abandon(row),
        )
    return (yield from _finish(row, request, writing, authority))


@program("write")
def complete_with_lease(lease: ProcessLease, request: AppendRequest, writing: Writing) -> Steps[ProcessRecord]:
    """Ends a process and frees its lease. Raises `ProcessLeaseLost` unless the lease is the present one."""
    row = yield from hold(lease.process_id)
    if not _is_ours(row, lease):
        raise ProcessLeaseLost(lease.process_id)
    authority = LeaseAuthority(lease.owner_id, lease.fencing_token)
    if row.status == "running":
        check_authority(lease.process_id, authority, row.recovery, has_live_lease=True, abandon=None)
    return (yield from _finish(row, request, writing, authority))


class Ending(NamedTuple):
    """An end under a lease; `claimed` is the record that came with it, if it is at hand."""

    lease: ProcessLease
    request: AppendRequest
    claimed: ProcessRecord | None


def complete_many_steps(ends: Sequence[Ending], writing: Writing) -> Steps[list[str]]:
    """Ends many processes, each under its lease, in few round trips; the ids of those whose lease was lost.

    All rows are locked in the order of ids, so that two workers never wait for each other.
    """
    ids = sorted({each_end.lease.process_id for each_end in ends})
    held = {row.process_id: row for row in (yield from many_each(STANDING, [(process_id,) for process_id in ids]))}
    rows: dict[Statement, list[Row]] = {}
    lost: list[str] = []
    ended: list[str] = []
    for lease, request, claimed in ends:
        row = held.get(lease.process_id)
        if row is None or not _is_ours(row, lease):
            lost.append(lease.process_id)
        elif row.status == "running":
            authority = LeaseAuthority(lease.owner_id, lease.fencing_token)
            check_authority(lease.process_id, authority, row.recovery, has_live_lease=True, abandon=None)
            if claimed is None:
                record = decode_record((yield from read(lease.process_id)))
            else:
                record = brought_up(claimed, row)
            plan = plan_append(record, request, writing.now_ms, authority)
            ended.append(lease.process_id)
            for statement, arguments in parts_of(plan, request, 1, writing):
                rows.setdefault(statement, []).extend(arguments)
    if rows:
        parts = [write_each(statement, arguments) for statement, arguments in rows.items()]
        # Whoever is parked holds no lease, and whatever ends here does: no row is changed by two parts.
        yield from together(*parts, wake_parked(ended))
        yield from notify()
    return lost


def _is_ours(row: RecordRow | StandingRow, lease: ProcessLease) -> bool:
    """Whether the lease is the present one, or the one under which the process has ended.

    A repeat whose acknowledgement was lost finds its own words; anybody else is late.
    """
    if row.status != "running":
        return row.authority_json == encode(LeaseAuthority(lease.owner_id, lease.fencing_token))
    mine = (lease.lease_token, lease.owner_id, lease.fencing_token)
    return (row.lease_token, row.lease_owner, row.lease_fence) == mine
