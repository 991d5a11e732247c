"""Processes as whoever claims them gets them: the record, with the lease that came with it."""

from __future__ import annotations

import msgspec

from lash.base.errors import InvalidArgument
from lash.processes.errors import ProcessNoLongerRetained
from lash.processes.leases import ProcessLease
from lash.processes.record import ProcessRecord
from lash.processes.registration import PreparedRegistration
from lash.processes.registry import ClaimedProcess, Registered
from lash.stores.process_records import RecordRow, decode_lease, decode_record
from lash.stores.sql.processes import AddedRow, Claim


def owner_of_leases(owner_id: str) -> str:
    """The id, if leases can be held under it. Raises `InvalidArgument`."""
    if not owner_id or "\0" in owner_id:
        raise InvalidArgument(f"{owner_id!r} is no owner of leases; use the id of the executor")
    return owner_id


def held_lease(row: RecordRow) -> ProcessLease:
    """The lease that a claim has just taken. Raises `ProcessNoLongerRetained`."""
    lease = decode_lease(row)
    if lease is None:
        raise ProcessNoLongerRetained(row.process_id, row.status, 0)
    return lease


def claimed(row: RecordRow, owner_id: str, now_ms: int) -> ClaimedProcess:
    """A process that was due, for its owner; `now_ms` is what the claim noted as a first start."""
    is_first = row.first_started_at_ms == now_ms and row.first_started_by == owner_id
    return ClaimedProcess(held_lease(row), decode_record(row), is_first)


def registered(prepared: PreparedRegistration, now_ms: int, added: AddedRow, claim: Claim | None) -> Registered:
    """A process that was new, and is claimed if that was asked for."""
    record = ProcessRecord.from_prepared(prepared, now_ms)
    if claim is None:
        return Registered(record)
    record = msgspec.structs.replace(record, first_started_at_ms=now_ms, first_started_by=claim.owner_id)
    lease = ProcessLease(
        record.id, claim.owner_id, claim.token, 1, added.lease_claimed_at_ms, added.lease_expires_at_ms
    )
    return Registered(record, ClaimedProcess(lease, record, is_first=True))


def found_again(row: RecordRow, claim: Claim | None) -> Registered:
    """A process that was there; it is claimed only if this claim took it before its acknowledgement was lost."""
    record = decode_record(row)
    if claim is None or row.lease_token != claim.token:
        return Registered(record)
    return Registered(record, ClaimedProcess(held_lease(row), record, is_first=True))
