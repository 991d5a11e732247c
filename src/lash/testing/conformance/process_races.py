"""The X rows that the process registry answers for: races, wakes, signals, leases.

A case gets a `StorePair`: a store, and a way to open the same storage once more (None in memory).
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from lash.base.codec import struct_to_json
from lash.processes.authority import HostAuthority
from lash.processes.errors import ProcessAlreadyTerminal, ProcessLeaseLost
from lash.processes.event_types import SelectedKey, signal
from lash.processes.events import cancel_requested
from lash.processes.events import signal as signal_event
from lash.processes.inputs import ExternalInput, ProcessIdentity
from lash.processes.outputs import CancelledOutput, ProcessAwaitOutput, SuccessOutput
from lash.processes.scopes import HostOriginator, SessionScope
from lash.processes.selectors import const, pointer
from lash.runtime.process_starter import RegistryStarter
from lash.runtime.trigger_router import TriggerRouter
from lash.sessions.meta import RootSession
from lash.sessions.store import SessionCreate, SessionStore
from lash.stores import Store
from lash.testing.conformance.bundles import StorePair
from lash.testing.conformance.laws import Rows, Suite
from lash.testing.conformance.process_drafts import LONG_MS, event, external, job, plain, wake, waking
from lash.triggers.delivery import delivery_process_id
from lash.triggers.occurrence import OccurrenceRequest
from lash.triggers.subscription import SubscriptionDraft

PROCESSES: Suite[StorePair] = Suite("processes")
law = PROCESSES.law

ROOT = SessionScope("root")
_EARLY_S = 30.0  # generous for a busy machine; what never comes fails all the same


@law("X-12", stores="SP")
async def a_wake_is_enqueued_once_whoever_delivers(pair: StorePair, row: Rows) -> None:
    assert pair.reopen is not None
    await pair.store.processes.register_process(external("p1", wake("note"), wake_target=ROOT))
    await pair.store.processes.append_event("p1", event("note", {"wake_input": "hello"}))
    # The appending process dies here; two others find the wake.
    others = [await pair.reopen(), await pair.reopen()]

    drains = await asyncio.gather(*(store.processes.deliver_pending_wakes() for store in others))
    again = await pair.store.processes.deliver_pending_wakes()

    batches = await (await _session(pair.store)).list_queued_work("root")
    row("X-12", [batch.source_key for batch in batches] == ["process:p1:event:1:wake"], batches)
    row("X-12", sum(drain.enqueued for drain in drains) == 1 and again.enqueued == 0, (drains, again))


@law("X-13")
async def equal_wakes_are_one_until_somebody_takes_them(pair: StorePair, row: Rows) -> None:
    processes = pair.store.processes
    same = waking("note", pointer("/text"), dedupe_key=SelectedKey(const="same"))
    await processes.register_process(external("p1", same, wake_target=ROOT))
    session = await _session(pair.store)
    for text in ("one", "two"):
        await processes.append_event("p1", event("note", {"text": text}))
        await processes.deliver_pending_wakes()

    before = await session.list_queued_work("root")
    claim = await session.claim_ready_queued_work("root", "owner", "idle", LONG_MS, 1)
    await processes.append_event("p1", event("note", {"text": "three"}))
    await processes.deliver_pending_wakes()

    row("X-13", len(before) == 1, before)
    after = await session.list_queued_work("root")
    row("X-13", claim is not None and len(after) == 2, after)


@law("X-15")
async def events_of_many_writers_have_no_gap(pair: StorePair, row: Rows) -> None:
    processes = pair.store.processes
    await processes.register_process(external("p1", plain("line")))

    appended = await asyncio.gather(*(processes.append_event("p1", event("line", n)) for n in range(20)))
    keyed = await asyncio.gather(*(processes.append_event("p1", event("line", "k", key="k")) for _ in range(10)))

    row("X-15", sorted(found.event.sequence for found in appended) == list(range(1, 21)), appended)
    row("X-15", {found.event.sequence for found in keyed} == {21}, keyed)
    stored = [found.sequence for found in await processes.events_after("p1", 0)]
    row("X-15", stored == list(range(1, 22)), stored)


@law("X-16")
async def one_of_two_ends_wins(pair: StorePair, row: Rows) -> None:
    processes = pair.store.processes
    for attempt in range(10):
        process_id = f"p{attempt}"
        await processes.register_process(external(process_id))
        outputs: list[ProcessAwaitOutput] = [SuccessOutput("done"), CancelledOutput("stopped")]

        ends = await asyncio.gather(
            *(processes.complete_process(process_id, output, HostAuthority()) for output in outputs),
            return_exceptions=True,
        )

        late = [end for end in ends if isinstance(end, BaseException)]
        says_so = len(late) == 1 and isinstance(late[0], ProcessAlreadyTerminal) and "already terminal" in str(late[0])
        won = next(output for end, output in zip(ends, outputs, strict=True) if not isinstance(end, BaseException))
        row("X-16", says_so and await processes.await_process(process_id) == won, ends)
        row("X-16", len(await processes.events_after(process_id, 0)) == 1)


@law("X-17")
async def a_wake_after_its_session_is_gone_is_only_stored(pair: StorePair, row: Rows) -> None:
    store = pair.store
    session = await _session(store)
    types = (wake("note"), plain("line"))
    await store.processes.register_process(external("p1", *types, wake_target=ROOT))
    await store.processes.append_event("p1", event("note", {"wake_input": "pending when it is deleted"}))
    await store.sessions.delete_session("root")

    late = await store.processes.append_event("p1", event("note", {"wake_input": "late"}))
    drained = await store.processes.deliver_pending_wakes()
    after = await store.processes.append_event("p1", event("line", "goes on"))

    row("X-17", late.event.sequence == 2 and late.wake_delivery is None, late)
    row("X-17", drained.enqueued == 0 and after.event.sequence == 3, (drained, after))
    record = await store.processes.get_process("p1")
    row("X-17", record is not None and not record.is_terminal and record.wake_target == "detached", record)
    del session
    aimed = event("note", {"wake_input": "aimed"}, target=ROOT)
    await store.processes.append_event("p1", aimed)
    drained = await store.processes.deliver_pending_wakes()
    row("X-17", (drained.enqueued, drained.discarded) == (0, 1), drained)


@law("X-18")
async def signals_and_waits_are_paired_in_order(pair: StorePair, row: Rows) -> None:
    processes = pair.store.processes
    await processes.register_process(external("early", signal("go")))
    await processes.register_process(external("late", signal("go")))

    async def send(process_id: str) -> None:
        await processes.append_event(process_id, signal_event(process_id, "go", "first", "id-1"))
        await processes.append_event(process_id, signal_event(process_id, "go", "second", "id-2"))
        await processes.append_event(process_id, signal_event(process_id, "go", "second", "id-2"))

    await send("early")
    waits = [processes.wait_nth_event("early", "signal.go", n) for n in (1, 2)]
    seen = [found.payload for found in await _soon(asyncio.gather(*waits))]
    row("X-18", seen == ["first", "second"], seen)

    tasks = [asyncio.create_task(processes.wait_nth_event("late", "signal.go", n)) for n in (2, 1)]
    await asyncio.sleep(0)
    await send("late")
    seen = [found.payload for found in await _soon(asyncio.gather(*tasks))]
    row("X-18", seen == ["second", "first"], seen)


@law("X-19", stores="SP")
async def a_signal_is_found_though_nobody_rang_the_bell(pair: StorePair, row: Rows) -> None:
    assert pair.reopen is not None
    await pair.store.processes.register_process(external("p1", signal("go")))
    other = await pair.reopen()
    waiter = asyncio.create_task(other.processes.wait_nth_event("p1", "signal.go", 1))
    await asyncio.sleep(0.05)

    # Only the event is written: the sender dies before it resolves any promise.
    await pair.store.processes.append_event("p1", signal_event("p1", "go", {"n": 1}, "id-1"))

    found = await _soon(waiter)
    row("X-19", found.payload == {"n": 1}, found)


@law("X-20")
async def a_stale_owner_cannot_finish_a_process(pair: StorePair, row: Rows) -> None:
    processes = pair.store.processes
    await processes.register_process(job("p1"))
    stale = await processes.claim_process_lease("p1", "owner-a", 0)
    fresh = await processes.claim_process_lease("p1", "owner-b", LONG_MS)
    before = await processes.get_process("p1")

    refused = processes.complete_process_with_lease(stale, SuccessOutput("stale"))
    await row.raises("X-20", ProcessLeaseLost, refused)

    row("X-20", await processes.get_process("p1") == before)
    ended = await processes.complete_process_with_lease(fresh, SuccessOutput("fresh"))
    again = await processes.complete_process_with_lease(fresh, SuccessOutput("fresh"))
    row("X-20", ended == again and await processes.get_process_lease("p1") is None, again)


@law("X-21")
async def a_cancel_waits_for_the_first_worker(pair: StorePair, row: Rows) -> None:
    """The registry's half: the request is there before anybody runs the process, and its owner may end it so."""
    processes = pair.store.processes
    await processes.register_process(job("p1"))
    await processes.append_event("p1", cancel_requested("p1", "changed my mind"))

    [claimed] = await processes.claim_due_processes("worker", LONG_MS, 5)
    seen = await processes.events_after(claimed.lease.process_id, 0)
    ended = await processes.complete_process_with_lease(claimed.lease, CancelledOutput("changed my mind"))

    row("X-21", [found.event_type for found in seen] == ["process.cancel_requested"], seen)
    row("X-21", ended.terminal_state() == "cancelled", ended)


@law("X-22", stores="MS")
async def many_parents_await_their_children_with_one_reader(pair: StorePair, row: Rows) -> None:
    """The registry's half: 200 waiters, 8 workers, nobody is lost."""
    processes = pair.store.processes
    ids = [f"child-{n:03}" for n in range(200)]
    await processes.register_processes([job(process_id) for process_id in ids])
    parents = [asyncio.create_task(processes.await_process(process_id)) for process_id in ids]

    async def work(owner: str) -> None:
        while claimed := await processes.claim_due_processes(owner, LONG_MS, 4):
            for found in claimed:
                await processes.complete_process_with_lease(found.lease, SuccessOutput(found.record.id))

    await asyncio.gather(*(work(f"worker-{n}") for n in range(8)))

    outputs = await _soon(asyncio.gather(*parents))
    row("X-22", outputs == [SuccessOutput(process_id) for process_id in ids], len(outputs))


@law("X-23", stores="SP")
async def a_delivery_that_its_emitter_left_is_started_once(pair: StorePair, row: Rows) -> None:
    assert pair.reopen is not None
    triggers = pair.store.triggers
    subscription = await triggers.register_subscription(_pressed_starts_external_work())
    request = OccurrenceRequest(source_type="button", source_key="blue", payload=1, idempotency_key="one")
    emitted = await triggers.record_and_reserve(request)
    # The emitter dies here. Its time to start what it reserved is over, and two others sweep.
    await triggers.defer_delivery(emitted.occurrence.occurrence_id, subscription.subscription_id, 0)
    others = [await pair.reopen(), await pair.reopen()]
    routers = [TriggerRouter(store.triggers, RegistryStarter(store.processes)) for store in others]

    swept = await asyncio.gather(*(router.sweep() for router in routers))
    again = await routers[0].sweep()

    expected = delivery_process_id(emitted.occurrence.occurrence_id, subscription.subscription_id)
    ids = [record.id for record in await pair.store.processes.list_non_terminal()]
    row("X-23", ids == [expected] == [reserved.process_id for reserved in emitted.reservations], ids)
    row("X-23", any(report.started for report in swept) and again.started == 0, (swept, again))
    states = [delivery.state for delivery in await triggers.list_deliveries()]
    row("X-23", states == ["started"], states)


def _pressed_starts_external_work() -> SubscriptionDraft:
    return SubscriptionDraft(
        registrant=HostOriginator(),
        source_type="button",
        source_key="blue",
        source=None,
        payload_schema=True,
        target=struct_to_json(ExternalInput()),
        target_identity=ProcessIdentity("external"),
        input_template={},
    )


@law("X-34")
async def a_parked_process_is_due_when_it_is_cancelled(pair: StorePair, row: Rows) -> None:
    """The registry's half: a cancel makes a parked process somebody's work again."""
    processes = pair.store.processes
    await processes.register_process(job("p1", waking("unused", const("x"))))
    [claimed] = await processes.claim_due_processes("worker", LONG_MS, 1)
    parked = await processes.park_process(claimed.lease, seen_sequence=0)
    idle = await processes.claim_due_processes("worker", LONG_MS, 1)

    await processes.append_event("p1", cancel_requested("p1"))
    [again] = await processes.claim_due_processes("worker", LONG_MS, 1)
    ended = await processes.complete_process_with_lease(again.lease, CancelledOutput("cancelled"))

    row("X-34", parked and idle == [] and again.lease.fencing_token > claimed.lease.fencing_token, again)
    row("X-34", ended.terminal_state() == "cancelled", ended)


async def _session(store: Store) -> SessionStore:
    return await store.sessions.create_store(SessionCreate("root", RootSession()))


async def _soon(work: asyncio.Future[Any] | Coroutine[Any, Any, Any]) -> Any:
    return await asyncio.wait_for(work, _EARLY_S)
