"""The process registry of a store: what is due, parked, awaited, fed, pruned and checked."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from conformance.places import Kind
from lash.base.clock import SystemClock
from lash.base.json import Json
from lash.processes.authority import (
    AbandonRequest,
    ExternalOwnerAuthority,
    HostAuthority,
    ReconciledAbandonAuthority,
)
from lash.processes.definitions import ProcessRef
from lash.processes.errors import (
    CompletionNotAllowed,
    ProcessAlreadyTerminal,
    ProcessLeaseHeld,
    ProcessLeaseLost,
    ProcessNoLongerRetained,
    RegistrationConflict,
    TerminalCannotWait,
    UnknownProcess,
)
from lash.processes.event_types import end_wake, signal
from lash.processes.events import cancel_requested, waiting
from lash.processes.events import signal as signal_event
from lash.processes.handles import ProcessHandleDescriptor, ProcessStartGrant
from lash.processes.inputs import LashlangProcessInput, ToolCallInput
from lash.processes.outputs import FailureOutput, SuccessOutput
from lash.processes.registration import ProcessRegistration
from lash.processes.registry import ClaimedProcess, ProcessChange, ProcessEnd, ProcessQuery, PruneFilter, WakeDrain
from lash.processes.scopes import HostOriginator, ProcessProvenance, SessionScope
from lash.processes.status import SignalWait, WaitState
from lash.sessions.errors import StoreUnavailable
from lash.sessions.store import SessionCreate
from lash.stores import Store, process_upkeep
from lash.stores.processes import SqlProcesses
from lash.stores.sql import process_retention
from lash.testing.conformance.process_drafts import LONG_MS, complete, event, external, job, places, plain, wake
from lash.tools.calls import PreparedToolCall
from services.shared import PgSchema

FAR_MS = 10**15
SOON_S = 30.0  # generous for a busy machine; what never comes fails all the same
ROOT = SessionScope("root")


async def feed_up_to(store: Store, cursor: int, process_ids: set[str], limit: int = 500) -> list[ProcessChange]:
    """What the feed says from a cursor on, until it has named these processes.

    On PostgreSQL a transaction of anybody on the server, another test's too, holds the feed back.
    """
    seen: list[ProcessChange] = []
    async with asyncio.timeout(SOON_S):
        while not process_ids <= {change.process_id for change in seen}:
            page = await store.processes.processes_changed_since(cursor, limit)
            seen += page.changes
            cursor = page.next_cursor
            if not page.changes:
                await asyncio.sleep(0.02)
    return seen


async def test_a_job_is_three_transactions(store: Store) -> None:
    await store.processes.register_process(job("first"))  # its event types are stored with the first
    before = store.transactions

    await store.processes.register_process(job("p1"))
    claimed = await store.processes.claim_due_processes("worker", LONG_MS, 2)
    for found in claimed:
        await store.processes.complete_process_with_lease(found.lease, SuccessOutput(1))

    assert [found.record.id for found in claimed] == ["first", "p1"]
    assert store.transactions - before == 4


async def test_a_registration_is_one_statement(store: Store) -> None:
    await store.processes.register_process(job("first"))
    before = (store.transactions, store.statements)

    await store.processes.register_process(job("p1"))

    assert (store.transactions - before[0], store.statements - before[1]) == (1, 1)
    again = await store.processes.register_process(job("p1"))
    assert again == await store.processes.get_process("p1")
    with pytest.raises(RegistrationConflict):
        await store.processes.register_process(msgspec.structs.replace(job("p1"), recovery="owner_bound"))


async def test_many_ends_and_claims_are_a_few_statements_in_one_transaction(store: Store, kind: Kind) -> None:
    await store.processes.register_processes([job(f"p{n:02}") for n in range(40)])
    first = await store.processes.turn_over([], "worker", "token-1", LONG_MS, 20)
    before = (store.transactions, store.statements)

    ends = [ProcessEnd(claimed.lease, SuccessOutput(1), claimed.record) for claimed in first.claimed]
    second = await store.processes.turn_over(ends, "worker", "token-2", LONG_MS, 20)

    assert (len(first.claimed), len(second.claimed), second.lost) == (20, 20, [])
    # Rows held, all that is written about the ends, and the claim; SQLite counts the parts of what is written.
    assert (store.transactions - before[0], store.statements - before[1]) == (1, 3 if kind == "postgres" else 5)


@pytest.mark.parametrize("has_record", [True, False])
async def test_many_ends_in_one_transaction_wake_whoever_waits_for_them(store: Store, *, has_record: bool) -> None:
    await store.processes.register_processes([job("a1"), job("a2"), job("w1"), job("w2")])
    claimed = {one.record.id: one for one in await store.processes.claim_due_processes("worker", LONG_MS, 4)}
    for name, awaited in (("w1", ["a1"]), ("w2", ["a2"])):
        assert await store.processes.park_process(claimed[name].lease, seen_sequence=0, awaited=awaited)
    await store.processes.append_event("a1", cancel_requested("a1"))  # behind the back of its record

    ends = [
        ProcessEnd(claimed[name].lease, SuccessOutput(name), claimed[name].record if has_record else None)
        for name in ("a1", "a2")
    ]
    turned = await store.processes.turn_over(ends, "worker", "token-2", LONG_MS, 4)

    assert sorted(one.record.id for one in turned.claimed) == ["w1", "w2"]
    assert [event.sequence for event in await store.processes.events_after("a1", 0)] == [1, 2]
    ended = await store.processes.get_process("a2")
    assert ended is not None
    assert ended.status.await_output == SuccessOutput("a2")


async def test_whoever_registers_may_claim_in_the_same_write(store: Store) -> None:
    await store.processes.register_process(job("known"))  # its event types are known from now on
    before = store.transactions

    registered = await store.processes.register_and_claim(job("p1"), "w1", "token", LONG_MS)

    assert store.transactions - before == 1
    claimed = registered.claimed
    assert claimed is not None
    assert claimed.is_first
    assert claimed.record == registered.record == await store.processes.get_process("p1")
    assert claimed.lease == await store.processes.get_process_lease("p1")
    assert (claimed.lease.owner_id, claimed.lease.fencing_token) == ("w1", 1)
    assert claimed.record.first_started_by == "w1"
    others = await store.processes.claim_due_processes("w2", LONG_MS, 5)
    assert [other.record.id for other in others] == ["known"]
    await store.processes.give_back([claimed])
    [taken] = await store.processes.claim_due_processes("w2", LONG_MS, 5)
    assert (taken.lease.fencing_token, taken.is_first) == (2, True)


async def test_a_claim_at_the_start_is_found_again_and_nobody_elses_is_taken(store: Store) -> None:
    first = await store.processes.register_and_claim(job("p1"), "w1", "token", LONG_MS)
    again = await store.processes.register_and_claim(job("p1"), "w1", "token", LONG_MS)
    other = await store.processes.register_and_claim(job("p1"), "w2", "another", LONG_MS)

    assert again == first
    assert (other.record, other.claimed) == (first.record, None)
    with pytest.raises(RegistrationConflict):
        await store.processes.register_and_claim(job("p1", plain("other")), "w1", "third", LONG_MS)


async def test_a_claim_at_the_start_comes_with_grants_and_event_types_of_its_own(store: Store) -> None:
    grant = ProcessStartGrant(SessionScope("s"), ProcessHandleDescriptor("tool", "job"))

    registered = await store.processes.register_and_claim(job("p1", plain("line")), "w1", "token", LONG_MS, grant=grant)

    assert registered.claimed is not None
    assert registered.claimed.lease == await store.processes.get_process_lease("p1")
    assert await store.processes.has_handle_grant(SessionScope("s"), "p1")


async def test_a_store_knows_for_whom_somebody_waits_through_it(store: Store) -> None:
    await store.processes.register_process(external("p1"))
    assert not store.processes.is_awaited("p1")

    waiting = asyncio.create_task(store.processes.await_process("p1"))
    await asyncio.sleep(0)  # from its first step on, before anything was read

    assert store.processes.is_awaited("p1")
    await complete(store.processes, "p1")
    await waiting
    assert not store.processes.is_awaited("p1")
    await store.processes.await_process("p1")  # at once, and nobody is left behind
    assert not store.processes.is_awaited("p1")


async def test_work_of_somebody_else_is_registered_and_not_claimed(store: Store) -> None:
    registered = await store.processes.register_and_claim(external("p1"), "w1", "token", LONG_MS)

    assert registered.claimed is None
    assert await store.processes.get_process_lease("p1") is None
    assert (await store.processes.look_for_work("w1")).due_in_ms is None


async def test_what_is_given_back_has_not_started(store: Store) -> None:
    await store.processes.register_processes([job("p1"), job("p2")])
    first = await store.processes.claim_due_processes("w1", LONG_MS, 2)
    assert [claimed.is_first for claimed in first] == [True, True]

    await store.processes.give_back(first[:1])
    await store.processes.complete_process_lease(first[1].lease.completion())
    second = await store.processes.claim_due_processes("w2", LONG_MS, 2)

    found = {claimed.record.id: claimed for claimed in second}
    assert {key: claimed.record.first_started_by for key, claimed in found.items()} == {"p1": "w2", "p2": "w1"}
    assert {key: claimed.is_first for key, claimed in found.items()} == {"p1": True, "p2": False}
    assert found["p1"].lease.fencing_token == first[0].lease.fencing_token + 1
    await store.processes.give_back(first)  # leases of the past change nothing
    assert await store.processes.list_lease_owners() == ["w2"]


async def test_what_is_due_is_claimed_once_by_many_workers(store: Store) -> None:
    ids = [f"p{n:02}" for n in range(40)]
    await store.processes.register_processes([job(process_id) for process_id in ids])

    async def work(owner: str) -> list[str]:
        found: list[str] = []
        while claimed := await store.processes.claim_due_processes(owner, LONG_MS, 3):
            found += [one.record.id for one in claimed]
        return found

    shares = await asyncio.gather(*(work(f"w{n}") for n in range(6)))

    assert sorted(process_id for share in shares for process_id in share) == ids


async def test_the_first_start_is_noted_and_stays(store: Store) -> None:
    await store.processes.register_process(job("p1"))

    [first] = await store.processes.claim_due_processes("w1", LONG_MS, 1)
    await store.processes.complete_process_lease(first.lease.completion())
    [second] = await store.processes.claim_due_processes("w2", LONG_MS, 1)

    assert first.record.first_started_by == second.record.first_started_by == "w1"
    assert (await store.processes.mark_process_started(second.lease)).first_started_by == "w1"
    with pytest.raises(ProcessLeaseLost):
        await store.processes.mark_process_started(first.lease)


async def test_external_work_is_never_due(store: Store) -> None:
    await store.processes.register_process(external("p1", plain("line")))
    await store.processes.append_event("p1", event("line"))
    lease = await store.processes.claim_process_lease("p1", "owner", 0)
    await store.processes.complete_process_lease(lease.completion())

    assert await store.processes.claim_due_processes("worker", LONG_MS, 5) == []
    with pytest.raises(CompletionNotAllowed):
        await store.processes.complete_process_with_lease(
            await store.processes.claim_process_lease("p1", "owner", LONG_MS), SuccessOutput(1)
        )


async def test_a_pause_puts_work_off(store: Store) -> None:
    await store.processes.register_process(job("p1"))
    [claimed] = await store.processes.claim_due_processes("worker", LONG_MS, 1)

    await store.processes.complete_process_lease(claimed.lease.completion(), due_at_ms=FAR_MS)

    assert await store.processes.claim_due_processes("worker", LONG_MS, 1) == []
    again = await store.processes.claim_process_lease("p1", "worker", LONG_MS)
    assert again.fencing_token == claimed.lease.fencing_token + 1


async def test_a_parked_process_is_due_after_an_event(store: Store) -> None:
    await store.processes.register_process(job("p1", signal("go")))
    [claimed] = await store.processes.claim_due_processes("worker", LONG_MS, 1)
    wait = WaitState(SignalWait.of("p1", "go", "signal.go", 1), 5)
    noted = await store.processes.append_event("p1", waiting("p1", wait))

    assert await store.processes.park_process(claimed.lease, seen_sequence=noted.event.sequence)
    assert await store.processes.claim_due_processes("worker", LONG_MS, 1) == []
    await store.processes.append_event("p1", signal_event("p1", "go", None, "one"))
    [again] = await store.processes.claim_due_processes("worker", LONG_MS, 1)

    assert again.record.wait == wait
    assert not await store.processes.park_process(again.lease, seen_sequence=noted.event.sequence)


async def test_a_parked_parent_is_due_when_its_child_ends(store: Store) -> None:
    await store.processes.register_processes([job("child"), job("parent")])
    claimed = {found.record.id: found for found in await store.processes.claim_due_processes("worker", LONG_MS, 2)}

    parked = await store.processes.park_process(claimed["parent"].lease, seen_sequence=0, awaited=["child"])
    before = await store.processes.claim_due_processes("worker", LONG_MS, 2)
    await store.processes.complete_process_with_lease(claimed["child"].lease, SuccessOutput(1))
    [again] = await store.processes.claim_due_processes("worker", LONG_MS, 2)

    assert parked
    assert before == []
    assert again.record.id == "parent"
    assert not await store.processes.park_process(again.lease, seen_sequence=0, awaited=["child"])
    assert not await store.processes.park_process(again.lease, seen_sequence=0, awaited=["nobody"])
    with pytest.raises(ProcessLeaseLost):
        await store.processes.park_process(claimed["parent"].lease, seen_sequence=0)


async def test_a_heartbeat_keeps_what_nobody_took(store: Store) -> None:
    await store.processes.register_processes([job("kept"), job("taken")])
    kept = await store.processes.claim_process_lease("kept", "w1", 0)
    taken = await store.processes.claim_process_lease("taken", "w1", 0)
    await store.processes.claim_process_lease("taken", "w2", LONG_MS)

    held = await store.processes.renew_process_leases([kept, taken], LONG_MS)

    assert [lease.process_id for lease in held] == ["kept"]
    assert held[0].expires_at_epoch_ms > kept.expires_at_epoch_ms


async def test_the_leases_of_a_dead_owner_are_free_at_once(store: Store) -> None:
    await store.processes.register_processes([job("p1"), job("p2"), job("p3")])
    await store.processes.claim_due_processes("dead", LONG_MS, 2)
    await store.processes.claim_process_lease("p3", "alive", LONG_MS)

    taken = await store.processes.claim_process_lease("p1", "new", LONG_MS, proven_dead_owner="dead")

    assert await store.processes.list_lease_owners() == ["alive", "dead", "new"]
    assert taken.fencing_token == 2
    assert await store.processes.free_leases_of("dead") == 1
    assert [found.record.id for found in await store.processes.claim_due_processes("new", LONG_MS, 5)] == ["p2"]
    with pytest.raises(ProcessLeaseHeld):
        await store.processes.claim_process_lease("p3", "new", LONG_MS)


async def test_a_start_and_its_grant_are_one(store: Store) -> None:
    grant = ProcessStartGrant(ROOT, ProcessHandleDescriptor("tool", "echo"))

    await store.processes.register_process(job("p1"), grant=grant)
    await store.processes.register_process(job("p1"), grant=grant)

    [(found, record)] = await store.processes.list_live_handle_grants(ROOT)
    assert (found.descriptor, record.id) == (grant.descriptor, "p1")


async def test_many_registrations_are_all_or_none(store: Store) -> None:
    await store.processes.register_process(job("p2"))

    with pytest.raises(RegistrationConflict):
        await store.processes.register_processes([job("p1"), job("p2", plain("other"))])

    assert await store.processes.get_process("p1") is None


async def test_processes_are_listed_by_what_they_are(store: Store) -> None:
    sessions = ProcessProvenance.session(ROOT)
    await store.processes.register_process(external("a", provenance=sessions))
    await store.processes.register_process(external("b"))
    await store.processes.register_process(job("c"))
    await store.processes.set_process_wait("c", WaitState(SignalWait.of("c", "go", "signal.go", 1), 5))
    await complete(store.processes, "b")

    async def listed(query: ProcessQuery) -> list[str]:
        return [record.id for record in await store.processes.list_processes(query)]

    assert await listed(ProcessQuery()) == ["a", "b", "c"]
    assert await listed(ProcessQuery(originator=sessions.originator)) == ["a"]
    assert await listed(ProcessQuery(originator=HostOriginator(), status="running")) == ["c"]
    assert await listed(ProcessQuery(waiting=True)) == ["c"]
    assert await listed(ProcessQuery(waiting=False, after="a")) == ["b"]
    assert await listed(ProcessQuery(identity_kind="tool", identity_label="echo")) == ["c"]
    assert await listed(ProcessQuery(limit=2)) == ["a", "b"]
    assert (await store.processes.clear_process_wait("c")).wait is None
    with pytest.raises(TerminalCannotWait, match="terminal process `b` cannot enter a wait state"):
        await store.processes.clear_process_wait("b")


async def test_only_its_owner_outside_or_an_abandon_request_ends_external_work(store: Store) -> None:
    processes = store.processes
    await processes.register_processes([external("done"), external("lost")])
    request = AbandonRequest("ops", 5, "gone")
    output = FailureOutput("external", "abandoned", "nobody answers")

    await processes.complete_process("done", SuccessOutput(1), ExternalOwnerAuthority())
    with pytest.raises(CompletionNotAllowed, match="authority `reconciled_abandon`"):
        await processes.complete_process("lost", output, ReconciledAbandonAuthority())
    await processes.request_process_abandon("lost", request)
    noted = await processes.request_process_abandon("lost", AbandonRequest("later", 9))
    ended = await processes.complete_process("lost", output, ReconciledAbandonAuthority())

    assert noted.abandon_request == request
    assert (ended.status.state, ended.status.await_output) == ("abandoned", output)
    [found] = await processes.events_after("lost", 0)
    assert (found.event_type, ended.status.completion_authority) == (
        "process.abandoned",
        ReconciledAbandonAuthority(),
    )


async def test_a_thousand_waiters_cost_one_reader(store: Store) -> None:
    ids = [f"p{n:04}" for n in range(1_000)]
    await store.processes.register_processes([job(process_id) for process_id in ids])
    waiters = [asyncio.create_task(store.processes.await_process(process_id)) for process_id in ids]
    hub = store.processes._hub
    async with asyncio.timeout(SOON_S):
        while hub.waiting < len(ids):  # noqa: ASYNC110  # the hub tells nobody who waits
            await asyncio.sleep(0.01)
    before = -1
    while before != store.statements:  # the last of them looks once more
        before = store.statements
        await asyncio.sleep(0.3)

    [claimed] = await store.processes.claim_due_processes("worker", LONG_MS, 1)
    await store.processes.complete_process_with_lease(claimed.lease, SuccessOutput("first"))
    first = await asyncio.wait_for(waiters[0], SOON_S)

    assert first == SuccessOutput("first")
    assert store.statements - before < 100
    for waiter in waiters[1:]:
        waiter.cancel()
    await asyncio.gather(*waiters, return_exceptions=True)
    assert hub.waiting == 0


async def test_whoever_waits_hears_of_the_end_of_process_and_store(store: Store) -> None:
    await store.processes.register_process(external("p1", plain("line")))
    never = asyncio.create_task(store.processes.wait_event_after("p1", "line", 0))
    nth = asyncio.create_task(store.processes.wait_nth_event("p1", "line", 2))
    await asyncio.sleep(0)
    await complete(store.processes, "p1")

    for waiter in (never, nth):
        with pytest.raises(ProcessAlreadyTerminal):
            await asyncio.wait_for(waiter, SOON_S)
    with pytest.raises(UnknownProcess, match="unknown process `nobody`"):
        await store.processes.await_process("nobody")
    await store.processes.register_process(external("p2"))
    left = asyncio.create_task(store.processes.await_process("p2"))
    while not store.processes._hub.waiting:  # noqa: ASYNC110  # as above
        await asyncio.sleep(0)
    await store.close()
    with pytest.raises(StoreUnavailable):
        await asyncio.wait_for(left, SOON_S)


async def test_the_feed_passes_nothing_over(store: Store) -> None:
    for n in range(7):
        await store.processes.register_process(external(f"p{n}"))
    await store.processes.register_processes([external("batch-a"), external("batch-b"), external("batch-c")])

    every = await feed_up_to(store, 0, {"batch-a", "batch-b", "batch-c"}, limit=2)
    await complete(store.processes, "p3")
    news = await feed_up_to(store, every[-1].change_seq, {"p3"})

    seen = [change.process_id for change in every]
    assert seen[:7] == [f"p{n}" for n in range(7)]
    assert sorted(seen[7:]) == ["batch-a", "batch-b", "batch-c"]
    assert [(change.process_id, change.status) for change in news] == [("p3", "completed")]


async def test_pruning_forgets_what_is_of_no_use_and_keeps_the_id_taken(store: Store) -> None:
    processes = store.processes
    for process_id in ("free", "granted", "waking", "running"):
        await processes.register_process(external(process_id, wake("note"), wake_target=ROOT))
    await processes.grant_handle(ROOT, "granted", ProcessHandleDescriptor())
    await processes.append_event("waking", event("note", {"wake_input": "hi"}))
    for process_id in ("free", "granted", "waking"):
        await complete(processes, process_id)
    changes = await feed_up_to(store, 0, {"free", "granted", "waking", "running"})
    while changes[-1].process_id != "waking":  # the last that was changed
        changes = await feed_up_to(store, 0, {"free", "granted", "waking", "running"})
    cursor = changes[-1].change_seq

    early = await processes.prune_terminal_processes(FAR_MS, PruneFilter(), watermark=0)
    report = await processes.prune_terminal_processes(FAR_MS, PruneFilter(), watermark=cursor)

    assert {blocked.reason for blocked in early.blocked} == {"not_projected"}
    assert report.pruned == ["free"]
    assert {blocked.process_id: blocked.reason for blocked in report.blocked} == {
        "granted": "granted",
        "waking": "undelivered_wakes",
    }
    for attempt in (
        processes.get_process("free"),
        processes.register_process(external("free", wake("note"), wake_target=ROOT)),
        processes.events_after("free", 0),
    ):
        with pytest.raises(ProcessNoLongerRetained, match="it ended completed and was pruned"):
            await attempt
    [change] = await feed_up_to(store, cursor, {"free"})
    assert (change.process_id, change.is_pruned) == ("free", True)


async def test_what_is_kept_does_not_stand_before_what_can_be_forgotten(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_upkeep, "PAGE", 2)
    processes = store.processes
    for process_id in ("a-seen", "b-seen", "c-seen", "d-free", "e-free", "f-free"):
        await processes.register_process(external(process_id))
        if process_id.endswith("seen"):
            await processes.grant_handle(ROOT, process_id, ProcessHandleDescriptor())
        await complete(processes, process_id)

    first = await processes.prune_terminal_processes(FAR_MS, PruneFilter(limit=2))
    second = await processes.prune_terminal_processes(FAR_MS, PruneFilter(limit=2))

    assert first.pruned == ["d-free", "e-free"]
    assert [blocked.process_id for blocked in first.blocked] == ["a-seen", "b-seen"]
    assert second.pruned == ["f-free"]


async def test_live_processes_say_what_they_refer_to(store: Store) -> None:
    image: Json = {"id": "ab" * 32, "media_type": "image/png", "byte_len": 3}
    host = ProcessProvenance.host()
    call = PreparedToolCall("c", "tool:x", "x", {"image": [{"$lash_tool_value": "attachment", "ref": image}]})
    module = LashlangProcessInput("lashlang:v1:m", ProcessRef("c", 0), "r", "main")
    await store.processes.register_process(ProcessRegistration("a", ToolCallInput(call), host, env_ref="env-a"))
    await store.processes.register_process(ProcessRegistration("b", module, host, env_ref="env-b"))
    await store.processes.register_process(ProcessRegistration("c", ToolCallInput(call), host, env_ref="env-c"))
    await complete(store.processes, "c")

    live = await store.processes.live_reference_summary()

    assert (live.env_refs, live.module_refs) == (["env-a", "env-b"], ["lashlang:v1:m"])
    assert live.attachment_ids == ["ab" * 32]


async def test_a_late_wake_is_given_up(store: Store) -> None:
    impatient = SqlProcesses(store.processes._driver, store.clock, store.ids, store.changes, wake_expiry_ms=-LONG_MS)
    await impatient.register_process(external("p1", wake("note"), wake_target=ROOT))
    await impatient.append_event("p1", event("note", {"wake_input": "late"}))

    drained = await store.processes.deliver_pending_wakes()

    assert (drained.enqueued, drained.discarded) == (0, 1)


async def test_a_delivered_wake_is_work_of_its_session(store: Store) -> None:
    session = store.sessions.unbound()
    await store.processes.register_process(external("p1", wake("note"), wake_target=ROOT))
    await store.processes.append_event("p1", event("note", {"wake_input": "hello"}))

    drained = await store.processes.deliver_pending_wakes()

    [batch] = await session.list_queued_work("root")
    payload = msgspec.to_builtins(batch.items[0].payload)
    assert (payload["type"], payload["wake"]["input"]) == ("process_wake", "hello")
    assert drained.session_ids == ["root"]


async def test_the_check_reads_processes_too(store: Store) -> None:
    await store.processes.register_process(external("p1", wake("note"), wake_target=ROOT))
    await store.processes.grant_handle(ROOT, "p1", ProcessHandleDescriptor())
    await store.processes.append_event("p1", event("note", {"wake_input": "hello"}))
    await complete(store.processes, "p1")

    report = await store.check()
    stats = await store.stats()

    assert report.ok, report
    # process, event types, two events, wake, grant
    assert report.checked_row_count == 6
    assert stats.rows["lash_process_events"] == 2


async def test_change_numbers_rise_after_a_restore_into_a_younger_server(store: Store) -> None:
    """What a store does when it opens a database whose numbers lie above its server's."""
    await store.processes.register_process(external("old"))
    driver = store.processes._driver
    old = (await feed_up_to(store, 0, {"old"}))[-1].change_seq

    await driver.run(process_retention.raise_base(1_000_000))
    await store.processes.register_process(external("new"))

    news = await feed_up_to(store, old, {"new"})
    assert [change.process_id for change in news] == ["new"]
    bounds = await driver.run(process_retention.bounds())
    assert bounds.newest < bounds.unborn


async def test_an_end_by_the_host_waits_for_the_lease(store: Store) -> None:
    await store.processes.register_process(job("p1"))
    lease = await store.processes.claim_process_lease("p1", "worker", LONG_MS)

    with pytest.raises(CompletionNotAllowed, match="authority `host`"):
        await store.processes.complete_process("p1", SuccessOutput(1), HostAuthority())
    await store.processes.complete_process_lease(lease.completion())
    ended = await store.processes.complete_process("p1", SuccessOutput(1), HostAuthority())

    assert ended.is_terminal
    assert ended == await store.processes.get_process("p1")


async def test_the_end_of_a_process_wakes_its_session_in_the_same_transaction(store: Store) -> None:
    processes = store.processes
    await store.sessions.create_store(SessionCreate("s"))
    await processes.register_process(external("p", end_wake("report"), wake_target=SessionScope("s")))

    before = store.transactions
    await complete(processes, "p", SuccessOutput({"pages": 3}))
    took = store.transactions - before
    await complete(processes, "p", SuccessOutput({"pages": 3}))
    drained = [await processes.deliver_pending_wakes(), await processes.deliver_pending_wakes()]

    [event] = await processes.wake_events_after("p", 0)
    assert took == 1
    assert [found.enqueued for found in drained] == [1, 0]
    assert event.event_type == "process.completed"
    assert event.semantics.terminal is not None
    assert event.semantics.wake is not None
    assert event.semantics.wake.input == 'report ended: {"type":"success","value":{"pages":3}}'
    assert not (await store.check()).corrupt_rows


async def test_an_end_that_nobody_wants_to_hear_of_wakes_nobody(store: Store) -> None:
    await store.processes.register_process(external("silent", end_wake("report")))
    await store.processes.register_process(external("detached", end_wake("report"), wake_target="detached"))

    await complete(store.processes, "silent")
    await complete(store.processes, "detached")

    assert await store.processes.deliver_pending_wakes() == WakeDrain()


async def test_events_are_waited_for_until_the_process_has_ended(store: Store) -> None:
    await store.processes.register_process(external("p", plain("note")))
    waiting_for_it = asyncio.create_task(store.processes.wait_events_after("p", 0))
    await store.processes.append_event("p", event("note"))

    assert places(await waiting_for_it) == [(1, "note")]

    waiting_for_it = asyncio.create_task(store.processes.wait_events_after("p", 1))
    await complete(store.processes, "p")

    assert places(await waiting_for_it) == [(2, "process.completed")]
    assert await store.processes.wait_events_after("p", 2) == []
    with pytest.raises(UnknownProcess):
        await store.processes.wait_events_after("unknown", 0)


class AheadClock(SystemClock):
    """A host whose clock runs an hour ahead."""

    def now_ms(self) -> int:
        return super().now_ms() + 3_600_000


async def test_a_host_whose_clock_runs_ahead_holds_nothing_back(pg_store_schema: PgSchema) -> None:
    url, schema = pg_store_schema
    clock = AheadClock()
    async with (
        await Store.open(url, schema=schema, clock=clock) as ahead,
        await Store.open(url, schema=schema) as right,
    ):

        async def claims() -> list[ClaimedProcess]:
            return await right.processes.claim_due_processes("w", LONG_MS, 5)

        await ahead.processes.register_process(job("p", plain("news")))
        [fresh] = await claims()
        await ahead.processes.register_process(external("child"))
        assert await right.processes.park_process(fresh.lease, seen_sequence=0, awaited=["child"])
        assert await claims() == []
        await complete(ahead.processes, "child")
        [awoken] = await claims()
        assert await right.processes.park_process(awoken.lease, seen_sequence=0)
        await ahead.processes.append_event("p", event("news"))
        [told] = await claims()
        assert await ahead.processes.park_process(told.lease, seen_sequence=1, until_ms=clock.now_ms())
        [rested] = await claims()

        assert {claimed.record.id for claimed in (fresh, awoken, told, rested)} == {"p"}
