"""The process registry over the programs of `sql/process*.py`."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from lash.base.clock import Clock
from lash.base.codec import encode
from lash.base.errors import InvalidArgument
from lash.base.ids import IdSource
from lash.processes.authority import AbandonRequest, CompletionAuthority, ReconciledAbandonAuthority
from lash.processes.errors import ProcessAlreadyTerminal
from lash.processes.events import AppendRequest, AppendResult, ProcessEvent, terminal
from lash.processes.handles import ProcessStartGrant
from lash.processes.leases import ProcessLease, ProcessLeaseCompletion
from lash.processes.outputs import ProcessAwaitOutput
from lash.processes.record import ProcessExternalRef, ProcessRecord
from lash.processes.registration import ProcessRegistration, prepare_registration
from lash.processes.registry import ClaimedProcess, ProcessEnd, ProcessQuery, Registered, WorkOutlook, WorkTurnOver
from lash.processes.status import WaitState
from lash.processes.waking import WAKE_EXPIRY_MS
from lash.stores.changes import Changes
from lash.stores.driver import Driver
from lash.stores.planning import refuse_nul
from lash.stores.process_claims import claimed, found_again, held_lease, owner_of_leases, registered
from lash.stores.process_handles import SqlProcessHandles
from lash.stores.process_records import (
    NEVER_MS,
    OWN_KEY_PREFIX,
    decode_event,
    decode_lease,
    decode_record,
    encode_registration,
)
from lash.stores.process_upkeep import SqlProcessUpkeep
from lash.stores.readable import readable
from lash.stores.sql import process_ends, process_events, process_leases, process_work
from lash.stores.sql import processes as sql
from lash.stores.watching import Hub

# Every page finds its place among all that is live, so whoever wants everything reads few of them.
WHOLE_PAGE = 10_000


class SqlProcesses(SqlProcessHandles, SqlProcessUpkeep):
    """All processes of a store. `wake_expiry_ms` is how long a wake may take to find its session."""

    def __init__(
        self,
        driver: Driver,
        clock: Clock,
        ids: IdSource,
        changes: Changes,
        *,
        wake_expiry_ms: int = WAKE_EXPIRY_MS,
    ) -> None:
        super().__init__(driver, clock, ids)
        self._hub = Hub("a process", changes, self._news)
        self._wake_expiry_ms = wake_expiry_ms
        self._known_event_types: set[str] = set()  # stored for good, so they are sent once

    async def close(self) -> None:
        """Ends what waits."""
        await self._hub.close()

    # Rows

    async def register_process(
        self, registration: ProcessRegistration, grant: ProcessStartGrant | None = None
    ) -> ProcessRecord:
        """See `ProcessRegistry`."""
        [stored] = await self._register([registration], grant)
        return stored.record

    async def register_processes(self, registrations: Sequence[ProcessRegistration]) -> list[ProcessRecord]:
        """See `ProcessRegistry`."""
        return [stored.record for stored in await self._register(registrations, None)]

    async def register_and_claim(
        self,
        registration: ProcessRegistration,
        owner_id: str,
        claim_token: str,
        ttl_ms: int,
        *,
        grant: ProcessStartGrant | None = None,
    ) -> Registered:
        """See `ProcessRegistry`."""
        [stored] = await self._register(
            [registration], grant, sql.Claim(owner_of_leases(owner_id), claim_token, ttl_ms)
        )
        return stored

    async def get_process(self, process_id: str) -> ProcessRecord | None:
        """See `ProcessRegistry`."""
        row = await self._driver.run(sql.get(process_id))
        return None if row is None else decode_record(row)

    async def list_processes(self, query: ProcessQuery) -> list[ProcessRecord]:
        """See `ProcessRegistry`."""
        listing = sql.Listing(
            query.after,
            query.status or "",
            "" if query.originator is None else query.originator.scope_id,
            query.identity_kind or "",
            query.identity_label or "",
            -1 if query.waiting is None else int(query.waiting),
            query.limit,
        )
        return [decode_record(row) for row in await self._driver.run(sql.list_page(listing))]

    async def list_non_terminal(self) -> list[ProcessRecord]:
        """See `ProcessRegistry`."""
        found: list[ProcessRecord] = []
        after = ""
        while page := await self.list_non_terminal_page(WHOLE_PAGE, after):
            found += page
            after = page[-1].id
        return found

    async def list_non_terminal_page(self, limit: int, after: str = "") -> list[ProcessRecord]:
        """See `ProcessRegistry`."""
        return [decode_record(row) for row in await self._driver.run(sql.live_page(after, limit))]

    async def set_external_ref(self, process_id: str, ref: ProcessExternalRef) -> ProcessRecord:
        """See `ProcessRegistry`."""
        return decode_record(
            await self._driver.run(sql.set_external_ref(process_id, encode(ref), self._clock.now_ms()))
        )

    async def set_process_wait(self, process_id: str, wait: WaitState) -> ProcessRecord:
        """See `ProcessRegistry`."""
        return decode_record(await self._driver.run(sql.set_wait(process_id, encode(wait), self._clock.now_ms())))

    async def clear_process_wait(self, process_id: str) -> ProcessRecord:
        """See `ProcessRegistry`."""
        return decode_record(await self._driver.run(sql.set_wait(process_id, None, self._clock.now_ms())))

    async def request_process_abandon(self, process_id: str, request: AbandonRequest) -> ProcessRecord:
        """See `ProcessRegistry`."""
        program = sql.request_abandon(process_id, encode(request), self._clock.now_ms())
        return decode_record(await self._driver.run(program))

    # Events

    async def append_event(self, process_id: str, request: AppendRequest) -> AppendResult:
        """See `ProcessRegistry`."""
        if request.replay is not None:
            refuse_nul(request.replay.key)
            if request.replay.key.startswith(OWN_KEY_PREFIX):
                raise InvalidArgument(f"{request.replay.key!r} begins with a control character; use another replay key")
        return await self._driver.run(process_events.append(process_id, request, self._writing()))

    async def events_after(self, process_id: str, sequence: int) -> list[ProcessEvent]:
        """See `ProcessRegistry`."""
        rows = await self._driver.run(process_events.events_after(process_id, sequence))
        return [decode_event(row) for row in rows]

    async def wait_events_after(self, process_id: str, sequence: int) -> list[ProcessEvent]:
        """See `ProcessRegistry`."""

        async def look() -> list[ProcessEvent] | None:
            rows, has_ended = await self._driver.run(process_events.news_after(process_id, sequence))
            return [decode_event(row) for row in rows] if rows or has_ended else None

        return await self._hub.first(process_id, look)

    async def wake_events_after(self, process_id: str, sequence: int) -> list[ProcessEvent]:
        """See `ProcessRegistry`."""
        rows = await self._driver.run(process_events.wake_events_after(process_id, sequence))
        return [decode_event(row) for row in rows]

    async def recent_events(self, process_id: str, count: int) -> list[ProcessEvent]:
        """See `ProcessRegistry`."""
        return [decode_event(row) for row in await self._driver.run(process_events.recent_events(process_id, count))]

    async def count_events_through(self, process_id: str, event_type: str, sequence: int) -> int:
        """See `ProcessRegistry`."""
        return await self._driver.run(process_events.count_events_through(process_id, event_type, sequence))

    async def nth_event(self, process_id: str, event_type: str, ordinal: int) -> ProcessEvent | None:
        """See `ProcessRegistry`."""
        row = await self._driver.run(process_events.nth_event(process_id, event_type, ordinal))
        return None if row is None else decode_event(row)

    async def wait_event_after(self, process_id: str, event_type: str, sequence: int) -> ProcessEvent:
        """See `ProcessRegistry`."""

        async def look() -> ProcessEvent | None:
            program = process_events.first_of_type_after(process_id, event_type, sequence)
            row, has_ended = await self._driver.run(program)
            if has_ended:
                raise ProcessAlreadyTerminal(process_id)
            return None if row is None else decode_event(row)

        return await self._hub.first(process_id, look)

    async def wait_nth_event(self, process_id: str, event_type: str, ordinal: int) -> ProcessEvent:
        """See `ProcessRegistry`."""

        async def look() -> ProcessEvent | None:
            row = await self._driver.run(process_events.nth_event(process_id, event_type, ordinal))
            if row is None:
                record = await self._driver.run(sql.get(process_id))
                if record is not None and record.status != "running":
                    raise ProcessAlreadyTerminal(process_id)
            return None if row is None else decode_event(row)

        return await self._hub.first(process_id, look)

    async def ack_wake(self, process_id: str, sequence: int) -> None:
        """See `ProcessRegistry`."""
        await self._driver.run(process_events.ack_wake(process_id, sequence))

    # Ends

    async def await_process(self, process_id: str) -> ProcessAwaitOutput:
        """See `ProcessRegistry`."""

        async def look() -> ProcessAwaitOutput | None:
            return decode_record(await self._driver.run(sql.require(process_id))).status.await_output

        return await self._hub.first(process_id, look)

    def is_awaited(self, process_id: str) -> bool:
        """See `ProcessRegistry`."""
        return self._hub.is_watched(process_id)

    async def complete_process(
        self, process_id: str, output: ProcessAwaitOutput, authority: CompletionAuthority
    ) -> ProcessRecord:
        """See `ProcessRegistry`."""
        abandon: AbandonRequest | None = None
        if isinstance(authority, ReconciledAbandonAuthority):
            abandon = decode_record(await self._driver.run(sql.require(process_id))).abandon_request
        request = terminal(process_id, output, abandon)
        return await self._driver.run(process_ends.complete(process_id, request, self._writing(), authority))

    async def complete_process_with_lease(self, lease: ProcessLease, output: ProcessAwaitOutput) -> ProcessRecord:
        """See `ProcessRegistry`."""
        request = terminal(lease.process_id, output)
        return await self._driver.run(process_ends.complete_with_lease(lease, request, self._writing()))

    # Leases

    async def claim_process_lease(
        self, process_id: str, owner_id: str, ttl_ms: int, *, proven_dead_owner: str | None = None
    ) -> ProcessLease:
        """See `ProcessRegistry`."""
        claimant = process_leases.ProcessClaimant(
            owner_of_leases(owner_id), self._ids.new_token(), ttl_ms, proven_dead_owner or owner_id
        )
        return held_lease(await self._driver.run(process_leases.claim(process_id, claimant)))

    async def claim_due_processes(self, owner_id: str, ttl_ms: int, limit: int) -> list[ClaimedProcess]:
        """See `ProcessRegistry`."""
        claimant = process_leases.ProcessClaimant(owner_of_leases(owner_id), self._ids.new_token(), ttl_ms)
        now_ms = self._clock.now_ms()
        rows = await self._driver.run(process_leases.claim_due(claimant, limit, now_ms))
        return readable(rows, lambda row: claimed(row, owner_id, now_ms)).found

    async def mark_process_started(self, lease: ProcessLease) -> ProcessRecord:
        """See `ProcessRegistry`."""
        return decode_record(await self._driver.run(process_leases.mark_started(lease, self._clock.now_ms())))

    async def renew_process_lease(self, lease: ProcessLease, ttl_ms: int) -> ProcessLease:
        """See `ProcessRegistry`."""
        held = await self._driver.run(process_leases.renew(lease, ttl_ms))
        return msgspec.structs.replace(lease, expires_at_epoch_ms=held.lease_expires_at_ms)

    async def renew_process_leases(self, leases: Sequence[ProcessLease], ttl_ms: int) -> list[ProcessLease]:
        """See `ProcessRegistry`."""
        rows = await self._driver.run(process_leases.heartbeat(leases, ttl_ms))
        held = {row.process_id: row.lease_expires_at_ms for row in rows}
        return [
            msgspec.structs.replace(lease, expires_at_epoch_ms=held[lease.process_id])
            for lease in leases
            if lease.process_id in held
        ]

    async def complete_process_lease(self, completion: ProcessLeaseCompletion, *, due_at_ms: int = 0) -> None:
        """See `ProcessRegistry`."""
        await self._driver.run(process_leases.release(completion, self._pause_until(due_at_ms)))

    async def give_back(self, claims: Sequence[ClaimedProcess]) -> None:
        """See `ProcessRegistry`."""
        rows = sorted((each.lease.process_id, each.lease.lease_token, int(each.is_first)) for each in claims)
        await self._driver.run(process_leases.give_back(rows))

    async def park_process(
        self,
        lease: ProcessLease,
        *,
        seen_sequence: int,
        until_ms: int | None = None,
        awaited: Sequence[str] = (),
        wait_ids: Sequence[str] = (),
    ) -> bool:
        """See `ProcessRegistry`."""
        pause_ms = NEVER_MS if until_ms is None else self._pause_until(until_ms)
        return await self._driver.run(
            process_leases.park(lease, seen_sequence, pause_ms, sorted(set(awaited)), wait_ids)
        )

    def _pause_until(self, at_ms: int) -> int:
        """How far away a moment is by this host's clock."""
        return max(0, at_ms - self._clock.now_ms())

    # Work

    async def look_for_work(self, owner_id: str) -> WorkOutlook:
        """See `ProcessRegistry`."""
        row = await self._driver.run(process_work.look(owner_id))
        due = row.next_due_ms
        return WorkOutlook(
            None if due is None or due >= NEVER_MS else max(0, due - row.now_ms),
            row.next_wake is not None,
            row.other_owner is not None,
            row.queued_in is not None,
        )

    async def cancel_wanted(self, process_ids: Sequence[str]) -> list[str]:
        """See `ProcessRegistry`."""
        return await self._driver.run(process_work.cancel_wanted(process_ids))

    async def turn_over(
        self, ends: Sequence[ProcessEnd], owner_id: str, claim_token: str, ttl_ms: int, limit: int
    ) -> WorkTurnOver:
        """See `ProcessRegistry`."""
        requests = [
            process_ends.Ending(end.lease, terminal(end.lease.process_id, end.output), end.claimed) for end in ends
        ]
        claimant = process_leases.ProcessClaimant(owner_of_leases(owner_id), claim_token, ttl_ms)
        writing = self._writing()
        turned = await self._driver.run(process_work.turn_over(requests, writing, claimant, limit))
        taken = readable(turned.claimed, lambda row: claimed(row, owner_id, writing.now_ms))
        return WorkTurnOver(turned.lost, taken.found, taken.problems)

    async def get_process_lease(self, process_id: str) -> ProcessLease | None:
        """See `ProcessRegistry`."""
        return decode_lease(await self._driver.run(sql.require(process_id)))

    async def list_lease_owners(self) -> list[str]:
        """See `ProcessRegistry`."""
        return [owner.lease_owner for owner in await self._driver.run(process_leases.owners())]

    async def free_leases_of(self, dead_owner_id: str) -> int:
        """See `ProcessRegistry`."""
        return await self._driver.run(process_leases.free_owner(dead_owner_id))

    def _writing(self) -> process_events.Writing:
        now_ms = self._clock.now_ms()
        return process_events.Writing(now_ms, now_ms + self._wake_expiry_ms, OWN_KEY_PREFIX + self._ids.new_token())

    async def _register(
        self,
        registrations: Sequence[ProcessRegistration],
        grant: ProcessStartGrant | None,
        claim: sql.Claim | None = None,
    ) -> list[Registered]:
        now_ms = self._clock.now_ms()
        prepared = [prepare_registration(registration) for registration in registrations]
        rows = [encode_registration(one, now_ms) for one in prepared]
        if claim is not None and prepared[0].recovery == "externally_owned":
            claim = None
        known = self._known_event_types
        unknown = {one.declared.hash: one.declared.text for one in prepared if one.declared.hash not in known}
        grants = [] if grant is None else [self._grant_row(grant.session_scope, registrations[0].id, grant.descriptor)]
        if len(rows) == 1 and not unknown and not grants:
            added = await self._driver.run(sql.register_one(rows[0], claim))
            if added is not None:
                return [registered(prepared[0], now_ms, added, claim)]
        stored = await self._driver.run(sql.register(rows, sorted(unknown.items()), grants, claim))
        known.update(unknown)
        return [
            found_again(stored.existing[one.registration.id], claim)
            if one.registration.id in stored.existing
            else registered(one, now_ms, stored.added[one.registration.id], claim)
            for one in prepared
        ]
