"""The port of the process registry (docs/spec/durability.md §3.4).

Every method is one transaction and changes nothing when it raises. Unknown ids raise
`UnknownProcess`, pruned ones `ProcessNoLongerRetained`, unless a method says otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, TypeAlias

import msgspec

from lash.base.tier import DurabilityTier
from lash.processes.authority import AbandonRequest, CompletionAuthority
from lash.processes.events import AppendRequest, AppendResult, ProcessEvent
from lash.processes.handles import (
    GrantEntry,
    ProcessHandleDescriptor,
    ProcessHandleGrant,
    ProcessStartGrant,
    SessionDeleteReport,
)
from lash.processes.leases import ProcessLease, ProcessLeaseCompletion
from lash.processes.outputs import ProcessAwaitOutput
from lash.processes.record import ProcessExternalRef, ProcessRecord
from lash.processes.registration import ProcessRegistration
from lash.processes.scopes import ProcessOriginator, SessionScope
from lash.processes.status import ProcessLifecycleStatus, WaitState

BlockedReason: TypeAlias = Literal["not_projected", "undelivered_wakes", "granted", "leased"]


class ProcessQuery(msgspec.Struct, frozen=True):
    """Which processes to list; what is left out does not matter. Pages go on behind the id `after`."""

    originator: ProcessOriginator | None = None
    status: ProcessLifecycleStatus | None = None
    waiting: bool | None = None
    identity_kind: str | None = None
    identity_label: str | None = None
    after: str = ""
    limit: int = 1_000


class ClaimedProcess(msgspec.Struct, frozen=True, gc=False):
    """A process that this owner may run now; `is_first` if this claim noted its first start."""

    lease: ProcessLease
    record: ProcessRecord
    is_first: bool = False


class Registered(msgspec.Struct, frozen=True, gc=False):
    """A process as it is stored; `claimed` when the caller asked for its lease and has it."""

    record: ProcessRecord
    claimed: ClaimedProcess | None = None


class ProcessEnd(msgspec.Struct, frozen=True):
    """How a process ended, under the lease it was run with.

    `claimed` is the record that came with the lease. What was registered never changes, so a store that is
    given it need not read that again.
    """

    lease: ProcessLease
    output: ProcessAwaitOutput
    claimed: ProcessRecord | None = None


class WorkOutlook(msgspec.Struct, frozen=True):
    """What there is to do. `due_in_ms`: the next process is due then, 0 for now; None when none ever is.

    `has_queued`: some session has work in its queue, whoever is at it.
    """

    due_in_ms: int | None
    has_wakes: bool
    has_other_workers: bool
    has_queued: bool = False


class WorkTurnOver(msgspec.Struct, frozen=True):
    """What came of a turn-over: ends that came too late, and what is to run next.

    `unreadable` says why a row that was claimed cannot be run: it is damaged, or another release wrote it. It
    keeps its lease until that runs out, so that it is not come to again at once, and keeps nobody else from running.
    """

    lost: list[str]
    claimed: list[ClaimedProcess]
    unreadable: list[str] = []


class ProcessChange(msgspec.Struct, frozen=True):
    """Something about a process changed; only its newest change is kept. Read the record for the rest."""

    process_id: str
    change_seq: int
    status: ProcessLifecycleStatus
    is_pruned: bool = False


class ProcessChanges(msgspec.Struct, frozen=True):
    """A page of the change feed. `next_cursor` goes into the next call."""

    changes: list[ProcessChange]
    next_cursor: int


class PruneFilter(msgspec.Struct, frozen=True):
    """Which terminal processes may be pruned."""

    originator: ProcessOriginator | None = None
    identity_kind: str | None = None
    status: ProcessLifecycleStatus | None = None
    limit: int = 500


class BlockedProcess(msgspec.Struct, frozen=True):
    """A process that prune left alone, and why."""

    process_id: str
    reason: BlockedReason


class PruneReport(msgspec.Struct, frozen=True):
    """What one prune did."""

    pruned: list[str] = []
    blocked: list[BlockedProcess] = []


class LiveReferences(msgspec.Struct, frozen=True):
    """What processes that have not ended refer to: sorted, each once. Do not delete it."""

    env_refs: list[str] = []
    module_refs: list[str] = []
    attachment_ids: list[str] = []


class WakeDrain(msgspec.Struct, frozen=True):
    """What one drain of the wake outbox did, and in which sessions' queues there may be something new."""

    enqueued: int = 0
    discarded: int = 0
    session_ids: list[str] = []


class ProcessRegistry(Protocol):
    """The processes of one store."""

    def durability_tier(self) -> DurabilityTier:
        """What the store promises."""
        ...

    # Rows

    async def register_process(
        self, registration: ProcessRegistration, grant: ProcessStartGrant | None = None
    ) -> ProcessRecord:
        """Stores intent, once per id, with the grant if one is given; the existing record when it is known.

        Raises `InvalidRegistration` and `RegistrationConflict`.
        """
        ...

    async def register_processes(self, registrations: Sequence[ProcessRegistration]) -> list[ProcessRecord]:
        """The same for many, all or none, in one transaction."""
        ...

    async def register_and_claim(
        self,
        registration: ProcessRegistration,
        owner_id: str,
        claim_token: str,
        ttl_ms: int,
        *,
        grant: ProcessStartGrant | None = None,
    ) -> Registered:
        """`register_process` for whoever is going to run it: a new process is stored with its lease.

        A known one is left as it is, and so is one that workers do not run. `claim_token` is fresh per call.
        """
        ...

    async def get_process(self, process_id: str) -> ProcessRecord | None:
        """The record; None for an unknown id."""
        ...

    async def list_processes(self, query: ProcessQuery) -> list[ProcessRecord]:
        """Records by process id."""
        ...

    async def list_non_terminal(self) -> list[ProcessRecord]:
        """Everything that has not ended, by process id."""
        ...

    async def list_non_terminal_page(self, limit: int, after: str = "") -> list[ProcessRecord]:
        """A page of it, behind the id `after`."""
        ...

    async def set_external_ref(self, process_id: str, ref: ProcessExternalRef) -> ProcessRecord:
        """Notes where the work goes on outside."""
        ...

    async def set_process_wait(self, process_id: str, wait: WaitState) -> ProcessRecord:
        """Notes what it waits for; raises `TerminalCannotWait`."""
        ...

    async def clear_process_wait(self, process_id: str) -> ProcessRecord:
        """Notes that it waits no more; raises `TerminalCannotWait`."""
        ...

    # Events

    async def append_event(self, process_id: str, request: AppendRequest) -> AppendResult:
        """Appends an event once per replay key (docs/spec/durability.md §4.3)."""
        ...

    async def events_after(self, process_id: str, sequence: int) -> list[ProcessEvent]:
        """Events behind a sequence, in order."""
        ...

    async def wait_events_after(self, process_id: str, sequence: int) -> list[ProcessEvent]:
        """The same, but waits for the first one; nothing once the process has ended without more."""
        ...

    async def wake_events_after(self, process_id: str, sequence: int) -> list[ProcessEvent]:
        """Those that woke somebody and were not acknowledged."""
        ...

    async def recent_events(self, process_id: str, count: int) -> list[ProcessEvent]:
        """The last events, in order."""
        ...

    async def count_events_through(self, process_id: str, event_type: str, sequence: int) -> int:
        """How many events of a type there are up to a sequence."""
        ...

    async def nth_event(self, process_id: str, event_type: str, ordinal: int) -> ProcessEvent | None:
        """The n-th event of a type, from 1."""
        ...

    async def wait_event_after(self, process_id: str, event_type: str, sequence: int) -> ProcessEvent:
        """The first event of a type behind a sequence; waits for it.

        Raises `ProcessAlreadyTerminal` when the process ends without it.
        """
        ...

    async def wait_nth_event(self, process_id: str, event_type: str, ordinal: int) -> ProcessEvent:
        """The n-th event of a type; waits for it like `wait_event_after`."""
        ...

    async def ack_wake(self, process_id: str, sequence: int) -> None:
        """The wake of an event was taken notice of; again is harmless."""
        ...

    # Ends

    async def await_process(self, process_id: str) -> ProcessAwaitOutput:
        """How it ended; waits for the end."""
        ...

    def is_awaited(self, process_id: str) -> bool:
        """Whether somebody waits for this process here, through this object. A hint: others wait elsewhere."""
        ...

    async def complete_process(
        self, process_id: str, output: ProcessAwaitOutput, authority: CompletionAuthority
    ) -> ProcessRecord:
        """Ends a process without its lease; raises `CompletionNotAllowed` and `ProcessAlreadyTerminal`."""
        ...

    async def complete_process_with_lease(self, lease: ProcessLease, output: ProcessAwaitOutput) -> ProcessRecord:
        """Ends a process and frees its lease, in one transaction; raises `ProcessLeaseLost`."""
        ...

    async def request_process_abandon(self, process_id: str, request: AbandonRequest) -> ProcessRecord:
        """Notes the first request to give it up."""
        ...

    # Leases

    async def claim_process_lease(
        self, process_id: str, owner_id: str, ttl_ms: int, *, proven_dead_owner: str | None = None
    ) -> ProcessLease:
        """Takes the lease with a greater fence; raises `ProcessLeaseHeld` while another owner is live.

        `proven_dead_owner` is not waited for.
        """
        ...

    async def claim_due_processes(self, owner_id: str, ttl_ms: int, limit: int) -> list[ClaimedProcess]:
        """Takes up to `limit` processes that nobody runs, the most overdue first, and notes their first start.

        Parked, leased and externally owned ones are not due. One transaction for all.
        """
        ...

    async def mark_process_started(self, lease: ProcessLease) -> ProcessRecord:
        """Notes the first start, by the owner of the lease; later ones change nothing. Raises `ProcessLeaseLost`."""
        ...

    async def renew_process_lease(self, lease: ProcessLease, ttl_ms: int) -> ProcessLease:
        """Extends a lease that is ours and unexpired; raises `ProcessLeaseLost`."""
        ...

    async def renew_process_leases(self, leases: Sequence[ProcessLease], ttl_ms: int) -> list[ProcessLease]:
        """Extends every lease that nobody took over, expired or not; what is missing from the answer is lost."""
        ...

    async def complete_process_lease(self, completion: ProcessLeaseCompletion, *, due_at_ms: int = 0) -> None:
        """Gives a lease back; others may run the process from `due_at_ms` on. A stale one changes nothing."""
        ...

    async def give_back(self, claims: Sequence[ClaimedProcess]) -> None:
        """Gives leases back under which nothing was run: others may run the processes at once.

        A start that was noted with the claim is taken back. Leases that were lost change nothing.
        """
        ...

    async def park_process(
        self,
        lease: ProcessLease,
        *,
        seen_sequence: int,
        until_ms: int | None = None,
        awaited: Sequence[str] = (),
        wait_ids: Sequence[str] = (),
    ) -> bool:
        """Gives the lease back until there is something to do.

        That is an event, the end of an awaited process, the resolution of a durable wait of its scope,
        or `until_ms`. False, and nothing changes, when it is there already: an event behind
        `seen_sequence`, an awaited process that has ended or is unknown, a resolved one of `wait_ids`.
        Raises `ProcessLeaseLost`.
        """
        ...

    # Work

    async def look_for_work(self, owner_id: str) -> WorkOutlook:
        """What there is to do, in one read of four index heads."""
        ...

    async def cancel_wanted(self, process_ids: Sequence[str]) -> list[str]:
        """Those of them with a `process.cancel_requested`."""
        ...

    async def turn_over(
        self, ends: Sequence[ProcessEnd], owner_id: str, claim_token: str, ttl_ms: int, limit: int
    ) -> WorkTurnOver:
        """Ends processes and claims up to `limit` due ones, in one transaction: what a busy worker does.

        With the same `claim_token` and ends again, after an acknowledgement was lost, the answer is the same.
        """
        ...

    async def get_process_lease(self, process_id: str) -> ProcessLease | None:
        """The lease as a fact; it may have expired."""
        ...

    async def list_lease_owners(self) -> list[str]:
        """Who holds leases, so that a worker may ask whether they are alive."""
        ...

    async def free_leases_of(self, dead_owner_id: str) -> int:
        """Makes everything due that an owner held who is proven dead."""
        ...

    # Handles

    async def grant_handle(
        self, scope: SessionScope, process_id: str, descriptor: ProcessHandleDescriptor
    ) -> ProcessHandleGrant:
        """Lets a scope see a process; granting again changes how it is shown."""
        ...

    async def revoke_handle(self, scope: SessionScope, process_id: str) -> None:
        """Takes a handle away; again is harmless."""
        ...

    async def transfer_handle_grants(
        self, from_scope: SessionScope, to_scope: SessionScope, process_ids: Sequence[str]
    ) -> None:
        """Moves handles, all or none; raises `HandleNotGranted`."""
        ...

    async def list_handle_grants(self, scope: SessionScope) -> list[GrantEntry]:
        """What a scope sees, by process id, ended processes too."""
        ...

    async def list_live_handle_grants(self, scope: SessionScope) -> list[GrantEntry]:
        """What a scope sees that has not ended."""
        ...

    async def has_handle_grant(self, scope: SessionScope, process_id: str) -> bool:
        """Whether a scope sees a process."""
        ...

    async def handle_grants_for_process(self, process_id: str) -> list[ProcessHandleGrant]:
        """Who sees a process, by session id, then scope id."""
        ...

    async def delete_session_process_state(self, session_id: str) -> SessionDeleteReport:
        """Takes a deleted session's handles away and detaches what would wake it; stops nothing."""
        ...

    # Wakes, changes, retention

    async def deliver_pending_wakes(self, limit: int = 500) -> WakeDrain:
        """Enqueues committed wakes in the queues of their sessions: each event at most once, whoever calls."""
        ...

    async def processes_changed_since(self, cursor: int, limit: int = 500) -> ProcessChanges:
        """What changed behind a cursor (0 is the beginning), in order; nothing is passed over."""
        ...

    async def prune_terminal_processes(
        self, cutoff_ms: int, query: PruneFilter, *, watermark: int | None = None
    ) -> PruneReport:
        """Forgets processes that ended by `cutoff_ms`; tombstones keep their ids taken.

        Kept are those that changed behind `watermark` (the feed cursor of whoever projects
        them), that hold undelivered wakes, that a session sees, or that are leased. What is kept
        counts not to the limit, and as many of them are reported. A transaction a page.
        """
        ...

    async def live_reference_summary(self) -> LiveReferences:
        """What live processes refer to; ask before deleting shared blobs."""
        ...
