"""Process leases: who runs a process.

Several owners may try; a claim by another than the live owner fails, and every
claim raises the fence, also the owner's own. Expiry makes a lease takeable, a
takeover makes it lost (docs/spec/durability.md §4.7).
"""

from __future__ import annotations

import msgspec

from lash.effects.lease import Lease

SCHEMA_VERSION = 1


class ProcessLease(msgspec.Struct, frozen=True, gc=False):
    """A held lease, in its wire form."""

    process_id: str
    owner_id: str
    lease_token: str
    fencing_token: int
    claimed_at_epoch_ms: int
    expires_at_epoch_ms: int
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        if self.schema_version != SCHEMA_VERSION:
            raise ValueError(f"process lease schema_version {self.schema_version} is not supported ({SCHEMA_VERSION})")

    def __repr__(self) -> str:
        return f"ProcessLease({self.process_id!r}, {self.owner_id!r}, fence {self.fencing_token})"

    def completion(self) -> ProcessLeaseCompletion:
        """What gives it back."""
        return ProcessLeaseCompletion(self.process_id, self.lease_token)

    def as_lease(self) -> Lease:
        """The lease as journals know it."""
        return Lease(
            "process",
            self.process_id,
            self.owner_id,
            self.lease_token,
            self.fencing_token,
            self.expires_at_epoch_ms,
        )


class ProcessLeaseCompletion(msgspec.Struct, frozen=True, gc=False):
    """Gives a lease back; a stale one changes nothing."""

    process_id: str
    lease_token: str
