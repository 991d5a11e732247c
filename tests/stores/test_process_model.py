"""The process registry against a model: whatever is done to it, in whatever order."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from lash.processes.authority import HostAuthority
from lash.processes.errors import (
    CompletionNotAllowed,
    HandleNotGranted,
    ProcessAlreadyTerminal,
    ProcessError,
    ProcessLeaseHeld,
    ProcessLeaseLost,
    ProcessNoLongerRetained,
    RegistrationConflict,
    ReplayKeyConflict,
    UnknownProcess,
)
from lash.processes.event_types import signal
from lash.processes.events import AppendRequest, cancel_requested, terminal
from lash.processes.events import signal as signal_event
from lash.processes.handles import ProcessHandleDescriptor
from lash.processes.leases import ProcessLease
from lash.processes.outputs import CancelledOutput, ProcessAwaitOutput, SuccessOutput
from lash.processes.registry import ProcessRegistry, PruneFilter
from lash.processes.scopes import SessionScope
from lash.stores import Store
from lash.testing.conformance.process_drafts import event, job, plain
from services.shared import PgSchema

IDS = ["a", "b", "c"]
OWNERS = ["w1", "w2"]
SCOPES = [SessionScope("s1"), SessionScope("s2"), SessionScope("s2", "frame")]
OUTPUTS: list[ProcessAwaitOutput] = [SuccessOutput(1), SuccessOutput(2), CancelledOutput("stop")]
TTL_MS = 60_000
FAR_MS = 10**15

ids = st.sampled_from(IDS)
scopes = st.sampled_from(SCOPES)


class HandClock:
    """Time that moves only when it is told to."""

    def __init__(self) -> None:
        self._now_ms = 1_000_000

    def advance(self, ms: int) -> None:
        self._now_ms += ms

    def now_ms(self) -> int:
        return self._now_ms

    def monotonic(self) -> float:
        return self._now_ms / 1000

    async def sleep(self, ms: int) -> None:
        self.advance(ms)
        await asyncio.sleep(0)


class Model:
    """What a process ought to be, in the plainest words."""

    def __init__(self, variant: int) -> None:
        self.variant = variant
        self.events: list[AppendRequest] = []
        self.keys: dict[str, int] = {}  # replay key -> index
        self.output: ProcessAwaitOutput | None = None
        self.lease: ProcessLease | None = None
        self.fence = 0
        self.grants: dict[str, str] = {}  # scope id -> session id
        self.ended_by: ProcessLease | None = None

    def append(self, request: AppendRequest) -> tuple[int, type[ProcessError] | None]:
        """The sequence, or the error."""
        key = None if request.replay is None else request.replay.key
        if key in self.keys:
            index = self.keys[key]
            same = self.events[index].payload_hash == request.payload_hash
            return (index + 1, None) if same else (0, ReplayKeyConflict)
        if self.output is not None:
            return 0, ProcessAlreadyTerminal
        self.events.append(request)
        if key is not None:
            self.keys[key] = len(self.events) - 1
        return len(self.events), None


class Registry(RuleBasedStateMachine):
    """Registers, appends, leases, ends, grants, prunes; and compares after each step."""

    is_lease_time_ours = True

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = HandClock()
        self.store: Store = self.loop.run_until_complete(self.open())
        self.registry: ProcessRegistry = self.store.processes
        self.models: dict[str, Model] = {}
        self.buried: set[str] = set()
        self.leases: list[ProcessLease] = []
        self.cursor = 0
        self.changed: set[str] = set()

    async def open(self) -> Store:
        return await Store.open(":memory:", clock=self.clock)

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    def attempt(self, work: Any) -> Any:
        """The answer, or the class of the error."""
        try:
            return self.run(work)
        except ProcessError as error:
            return type(error)

    def teardown(self) -> None:
        self.run(self.store.close())
        self.loop.close()

    def missing(self, process_id: str) -> type[ProcessError] | None:
        if process_id in self.buried:
            return ProcessNoLongerRetained
        return None if process_id in self.models else UnknownProcess

    def is_live(self, model: Model) -> bool:
        if not self.is_lease_time_ours:
            return model.lease is not None
        return model.lease is not None and model.lease.expires_at_epoch_ms > self.clock.now_ms()

    @initialize()
    def start(self) -> None:
        assert self.run(self.registry.list_non_terminal()) == []

    @rule(process_id=ids, variant=st.integers(0, 1))
    def register(self, process_id: str, variant: int) -> None:
        types = [plain("line"), signal("go")] + ([plain("extra")] if variant else [])
        answer = self.attempt(self.registry.register_process(job(process_id, *types)))
        known = self.models.get(process_id)
        if process_id in self.buried:
            assert answer is ProcessNoLongerRetained
        elif known is not None and known.variant != variant:
            assert answer is RegistrationConflict
        else:
            assert answer.id == process_id
            if known is None:
                self.models[process_id] = Model(variant)
                self.changed.add(process_id)
            else:
                assert answer.status.await_output == known.output

    @rule(
        process_id=ids,
        kind=st.sampled_from(["line", "signal", "cancel"]),
        payload=st.integers(0, 2),
        key=st.none() | st.sampled_from(["k1", "k2"]),
    )
    def append(self, process_id: str, kind: str, payload: int, key: str | None) -> None:
        request = {
            "line": event("line", payload, key=key),
            "signal": signal_event(process_id, "go", payload, key or "one"),
            "cancel": cancel_requested(process_id, str(payload)),
        }[kind]
        answer = self.attempt(self.registry.append_event(process_id, request))
        if (missing := self.missing(process_id)) is not None:
            assert answer is missing
            return
        before = len(self.models[process_id].events)
        sequence, error = self.models[process_id].append(request)
        if error is not None:
            assert answer is error
            return
        assert answer.is_new is (sequence > before)
        if answer.is_new:  # a repeat changes nothing
            self.changed.add(process_id)
        types = [found.event_type for found in self.models[process_id].events[:sequence]]
        assert (answer.event.sequence, answer.ordinal) == (sequence, types.count(request.event_type))

    @rule(process_id=ids, owner=st.sampled_from(OWNERS))
    def claim(self, process_id: str, owner: str) -> None:
        answer = self.attempt(self.registry.claim_process_lease(process_id, owner, TTL_MS))
        if (missing := self.missing(process_id)) is not None:
            assert answer is missing
            return
        model = self.models[process_id]
        if self.is_live(model) and model.lease is not None and model.lease.owner_id != owner:
            assert answer is ProcessLeaseHeld
            return
        self.took(model, answer)

    @rule(owner=st.sampled_from(OWNERS), limit=st.integers(1, 3))
    def claim_due(self, owner: str, limit: int) -> None:
        claimed = self.run(self.registry.claim_due_processes(owner, TTL_MS, limit))
        free = [key for key, model in self.models.items() if model.output is None and not self.is_live(model)]
        assert len(claimed) == min(limit, len(free))
        assert {found.record.id for found in claimed} <= set(free)
        for found in claimed:
            self.took(self.models[found.record.id], found.lease)

    def took(self, model: Model, lease: ProcessLease) -> None:
        assert lease.fencing_token == model.fence + 1
        model.fence, model.lease = lease.fencing_token, lease
        self.leases.append(lease)
        self.changed.add(lease.process_id)

    @rule(pick=st.integers(0, 20))
    def renew(self, pick: int) -> None:
        if self.leases:
            lease = self.leases[pick % len(self.leases)]
            model = self.models.get(lease.process_id)
            answer = self.attempt(self.registry.renew_process_lease(lease, TTL_MS))
            if model is not None and self.is_ours(model, lease) and self.is_live(model):
                model.lease = answer
            else:
                assert answer is ProcessLeaseLost

    @rule(pick=st.integers(0, 20))
    def release(self, pick: int) -> None:
        if self.leases:
            lease = self.leases[pick % len(self.leases)]
            self.run(self.registry.complete_process_lease(lease.completion()))
            model = self.models.get(lease.process_id)
            if model is not None and self.is_ours(model, lease):
                model.lease = None

    @rule(pick=st.integers(0, 20))
    def park(self, pick: int) -> None:
        """Parked without anything to wait for until now: due at once again."""
        if self.leases:
            lease = self.leases[pick % len(self.leases)]
            model = self.models.get(lease.process_id)
            seen = 0 if model is None else len(model.events)
            program = self.registry.park_process(lease, seen_sequence=seen, until_ms=0)
            answer = self.attempt(program)
            if model is None:
                assert answer in (UnknownProcess, ProcessNoLongerRetained)
            elif self.is_ours(model, lease):
                assert answer is True
                model.lease = None
            else:
                assert answer is ProcessLeaseLost

    def is_ours(self, model: Model, lease: ProcessLease) -> bool:
        return model.lease is not None and model.lease.lease_token == lease.lease_token

    @rule(pick=st.integers(0, 20), output=st.sampled_from(OUTPUTS))
    def complete_with_lease(self, pick: int, output: ProcessAwaitOutput) -> None:
        if not self.leases:
            return
        lease = self.leases[pick % len(self.leases)]
        answer = self.attempt(self.registry.complete_process_with_lease(lease, output))
        if (missing := self.missing(lease.process_id)) is not None:
            assert answer is missing
            return
        model = self.models[lease.process_id]
        if model.output is not None:
            if model.ended_by is None or model.ended_by.lease_token != lease.lease_token:
                assert answer is ProcessLeaseLost
            elif model.output == output:
                assert answer.status.await_output == output
            else:
                assert answer in (ReplayKeyConflict, ProcessAlreadyTerminal)
        elif self.is_ours(model, lease):
            self.ended(lease.process_id, model, output)
            model.ended_by = lease
        else:
            assert answer is ProcessLeaseLost

    @rule(process_id=ids, output=st.sampled_from(OUTPUTS))
    def complete(self, process_id: str, output: ProcessAwaitOutput) -> None:
        answer = self.attempt(self.registry.complete_process(process_id, output, HostAuthority()))
        if (missing := self.missing(process_id)) is not None:
            assert answer is missing
            return
        model = self.models[process_id]
        if model.output is not None:
            _, error = model.append(terminal(process_id, output))
            assert answer is error if error is not None else answer.status.await_output == output
        elif self.is_live(model):
            assert answer is CompletionNotAllowed
        else:
            self.ended(process_id, model, output)

    def ended(self, process_id: str, model: Model, output: ProcessAwaitOutput) -> None:
        model.append(terminal(process_id, output))
        model.output, model.lease = output, None
        self.changed.add(process_id)

    @rule(process_id=ids, scope=scopes)
    def grant(self, process_id: str, scope: SessionScope) -> None:
        answer = self.attempt(self.registry.grant_handle(scope, process_id, ProcessHandleDescriptor()))
        if (missing := self.missing(process_id)) is not None:
            assert answer is missing
        else:
            self.models[process_id].grants[scope.id] = scope.session_id
            self.changed.add(process_id)

    @rule(process_id=ids, scope=scopes)
    def revoke(self, process_id: str, scope: SessionScope) -> None:
        self.run(self.registry.revoke_handle(scope, process_id))
        if process_id in self.models:
            self.models[process_id].grants.pop(scope.id, None)

    @rule(process_ids=st.lists(ids, unique=True, max_size=2), source=scopes, receiver=scopes)
    def transfer(self, process_ids: list[str], source: SessionScope, receiver: SessionScope) -> None:
        answer = self.attempt(self.registry.transfer_handle_grants(source, receiver, process_ids))
        grants = {key: self.models[key].grants if key in self.models else {} for key in process_ids}
        if any(source.id not in held and receiver.id not in held for held in grants.values()):
            assert answer is HandleNotGranted
            return
        for held in grants.values():
            if held.pop(source.id, None) is not None:
                held[receiver.id] = receiver.session_id

    @rule(session_id=st.sampled_from(["s1", "s2"]))
    def delete_session(self, session_id: str) -> None:
        report = self.run(self.registry.delete_session_process_state(session_id))
        revoked = 0
        orphaned: list[str] = []
        preserved: list[str] = []
        for process_id, model in sorted(self.models.items()):
            kept = {key: owner for key, owner in model.grants.items() if owner != session_id}
            if kept != model.grants and model.output is None:
                (preserved if kept else orphaned).append(process_id)
            revoked += len(model.grants) - len(kept)
            model.grants = kept
        assert (report.revoked_handle_count, report.orphaned_process_ids) == (revoked, orphaned)
        assert report.preserved_process_ids == preserved

    @rule(is_projected=st.booleans())
    def prune(self, is_projected: bool) -> None:
        watermark = FAR_MS if is_projected else -1
        report = self.run(self.registry.prune_terminal_processes(FAR_MS, PruneFilter(), watermark=watermark))
        ended = {key for key, model in self.models.items() if model.output is not None}
        free = {
            key for key in ended if is_projected and not self.models[key].grants and not self.is_live(self.models[key])
        }
        assert set(report.pruned) == free
        assert {blocked.process_id for blocked in report.blocked} == ended - free
        for process_id in free:
            del self.models[process_id]
            self.buried.add(process_id)
            self.changed.add(process_id)

    @rule(ms=st.sampled_from([1, TTL_MS // 2, TTL_MS]))
    def time_passes(self, ms: int) -> None:
        if self.is_lease_time_ours:
            self.clock.advance(ms)

    @rule()
    def the_feed_tells_everything(self) -> None:
        page = self.run(self.registry.processes_changed_since(self.cursor, 2))
        seen: set[str] = set()
        while page.changes:
            seen |= {change.process_id for change in page.changes}
            self.cursor = page.next_cursor
            page = self.run(self.registry.processes_changed_since(self.cursor, 2))
        if not self.is_lease_time_ours:  # on a shared server others may hold the feed back
            return
        assert seen >= self.changed
        self.changed = set()

    @invariant()
    def the_registry_is_as_the_model_says(self) -> None:
        live = [record.id for record in self.run(self.registry.list_non_terminal())]
        assert live == sorted(key for key, model in self.models.items() if model.output is None)
        for process_id, model in self.models.items():
            record = self.run(self.registry.get_process(process_id))
            assert record.status.await_output == model.output
            assert record.last_sequence == len(model.events)
            events = self.run(self.registry.events_after(process_id, 0))
            assert [found.sequence for found in events] == list(range(1, len(model.events) + 1))
            assert [found.event_type for found in events] == [found.event_type for found in model.events]
            assert self.run(self.registry.get_process_lease(process_id)) == model.lease
            grants = self.run(self.registry.handle_grants_for_process(process_id))
            assert [grant.session_id for grant in grants] == sorted(model.grants.values())


Registry.TestCase.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestRegistry = Registry.TestCase


def test_postgres_agrees_with_the_model(pg_schema: PgSchema) -> None:
    """Fewer and shorter; lease time is the server's own, so it does not pass."""

    class OnPostgres(Registry):
        is_lease_time_ours = False

        async def open(self) -> Store:
            store = await Store.open(pg_schema.url, schema=pg_schema.schema)
            connection = await asyncpg.connect(pg_schema.url, server_settings={"search_path": pg_schema.schema})
            tables = "lash_processes, lash_process_events, lash_process_grants, lash_process_tombstones"
            await connection.execute(f"TRUNCATE {tables}")
            await connection.close()
            return store

    run_state_machine_as_test(
        OnPostgres,
        settings=settings(
            max_examples=5, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
