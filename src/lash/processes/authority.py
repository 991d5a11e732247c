"""Who may end a process.

Recovery says who runs it again after its owner is lost; every terminal write states
on whose authority it ends, and the pair must fit (docs/spec/durability.md §4.6).
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from lash.processes.errors import CompletionNotAllowed

# rerunnable:       any worker may run it again from its journal
# owner_bound:      only the worker incarnation that first started it may finish it
# externally_owned: no worker ever runs it
Recovery: TypeAlias = Literal["rerunnable", "owner_bound", "externally_owned"]


class AbandonRequest(msgspec.Struct, frozen=True):
    """Somebody gave up on a process whose owner is outside."""

    requested_by: str
    requested_at_ms: int
    reason: str | None = None


class LeaseAuthority(msgspec.Struct, frozen=True, tag="lease", tag_field="type"):
    """The worker that holds the lease."""

    owner: str
    fencing: int


class ExternalOwnerAuthority(msgspec.Struct, frozen=True, tag="external_owner", tag_field="type"):
    """Whoever does the work outside."""


class WorkflowKeyAuthority(msgspec.Struct, frozen=True, tag="workflow_key", tag_field="type"):
    """An engine that runs at most one workflow per key."""

    key: str


class ReconciledAbandonAuthority(msgspec.Struct, frozen=True, tag="reconciled_abandon", tag_field="type"):
    """Administration, after an abandon request."""


class HostAuthority(msgspec.Struct, frozen=True, tag="host", tag_field="type"):
    """Administration; only while nobody holds a live lease."""


CompletionAuthority: TypeAlias = (
    LeaseAuthority | ExternalOwnerAuthority | WorkflowKeyAuthority | ReconciledAbandonAuthority | HostAuthority
)


def check_authority(
    process_id: str,
    authority: CompletionAuthority,
    recovery: Recovery,
    *,
    has_live_lease: bool,
    abandon: AbandonRequest | None,
) -> None:
    """Raises `CompletionNotAllowed` unless `authority` may end a process of this kind, as it stands."""
    match authority:
        case LeaseAuthority() | WorkflowKeyAuthority():
            allowed = recovery != "externally_owned"
        case ExternalOwnerAuthority():
            allowed = recovery == "externally_owned"
        case ReconciledAbandonAuthority():
            allowed = recovery == "externally_owned" and abandon is not None
        case HostAuthority():
            allowed = not has_live_lease
    if not allowed:
        raise CompletionNotAllowed(process_id, name_of(authority))


def name_of(authority: CompletionAuthority) -> str:
    """The tag of an authority."""
    return str(type(authority).__struct_config__.tag)
