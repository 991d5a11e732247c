"""Suite process_registry (RG): registration, events, wakes, handles."""

from __future__ import annotations

import asyncio

from lash.base.causes import ProcessCause, SessionNodeCause
from lash.base.json import Json
from lash.effects.invocation import ProcessEventSubject, Replay, RuntimeScope
from lash.processes.authority import HostAuthority
from lash.processes.errors import (
    InvalidEventPayload,
    MissingWakeTarget,
    RegistrationConflict,
    ReplayKeyConflict,
    ReplayKeyRequired,
    UnknownProcess,
)
from lash.processes.event_types import CANCEL_REQUESTED, SelectedKey
from lash.processes.events import cancel_requested
from lash.processes.handles import ProcessHandleDescriptor
from lash.processes.outputs import CancelledOutput, SuccessOutput
from lash.processes.record import ProcessExternalRef
from lash.processes.registry import ProcessRegistry
from lash.processes.scopes import ProcessProvenance, SessionScope
from lash.processes.selectors import PAYLOAD, const, pointer, present, template
from lash.testing.conformance.laws import Rows, Suite
from lash.testing.conformance.process_drafts import (
    DESCRIPTOR,
    complete,
    event,
    external,
    places,
    plain,
    wake,
    waking,
)

PROCESS_REGISTRY: Suite[ProcessRegistry] = Suite("process_registry")
law = PROCESS_REGISTRY.law


@law("RG-01")
async def a_registry_reports_its_tier(registry: ProcessRegistry, row: Rows) -> None:
    tier = registry.durability_tier()
    row("RG-01", tier in ("inline", "durable") and row.tier in (None, tier), tier)


@law("RG-02", "RG-03")
async def a_registration_is_stored_once(registry: ProcessRegistry, row: Rows) -> None:
    first = await registry.register_process(external("proc-idempotent"))
    second = await registry.register_process(external("proc-idempotent"))

    row("RG-02", first.registration_hash == second.registration_hash, second)
    other = external("proc-idempotent", wake("producer.wake"))
    await row.raises("RG-03", RegistrationConflict, registry.register_process(other))


@law("RG-04", "RG-05", "RG-06")
async def an_external_reference_is_kept(registry: ProcessRegistry, row: Rows) -> None:
    missing = registry.set_external_ref("missing-process", ProcessExternalRef("test", "missing"))
    await row.raises("RG-04", UnknownProcess, missing)
    await registry.register_process(external("proc-external-ref"))
    ref = ProcessExternalRef("worker", "job-123", {"queue": "critical"})

    answered = await registry.set_external_ref("proc-external-ref", ref)
    stored = await registry.get_process("proc-external-ref")

    row("RG-05", answered.external_ref == ref, answered)
    row("RG-06", stored is not None and stored.external_ref == ref, stored)


@law("RG-07", "RG-08", "RG-09", "RG-10")
async def a_handle_is_granted_and_revoked(registry: ProcessRegistry, row: Rows) -> None:
    scope = SessionScope("grant-owner")
    await registry.register_process(external("proc-external-ref"))

    row("RG-07", not await registry.has_handle_grant(scope, "proc-external-ref"))
    await registry.grant_handle(scope, "proc-external-ref", DESCRIPTOR)
    row("RG-08", await registry.has_handle_grant(scope, "proc-external-ref"))
    await registry.revoke_handle(scope, "proc-external-ref")
    await registry.revoke_handle(scope, "proc-external-ref")
    row("RG-09", not await registry.has_handle_grant(scope, "proc-external-ref"))
    row("RG-10", await registry.list_handle_grants(scope) == [])


@law("RG-11", "RG-12", "RG-13", "RG-14", "RG-15")
async def a_wake_is_listed_until_it_is_acknowledged(registry: ProcessRegistry, row: Rows) -> None:
    schema: Json = {
        "type": "object",
        "properties": {"line": {"type": "string"}, "wake_input": {"type": "string"}},
        "required": ["line"],
    }
    line = waking("producer.line", pointer("/wake_input"), when=present("/wake_input"), schema=schema)
    await registry.register_process(external("proc-1", line))
    payload: Json = {"line": "deploy failed", "wake_input": "Process event: deploy failed"}

    appended = await registry.append_event("proc-1", event("producer.line", payload, target=SessionScope("s1")))

    row("RG-11", appended.event.sequence == 1, appended)
    semantics = appended.event.semantics.wake
    row("RG-12", semantics is not None and semantics.input == "Process event: deploy failed", semantics)
    row("RG-13", len(await registry.wake_events_after("proc-1", 0)) == 1)
    await registry.ack_wake("proc-1", 1)
    await registry.ack_wake("proc-1", 1)
    row("RG-14", await registry.wake_events_after("proc-1", 0) == [])
    bad = event("producer.line", {"wake_input": "missing required line"}, target=SessionScope("s1"))
    await row.raises("RG-15", InvalidEventPayload, registry.append_event("proc-1", bad))


@law(*(f"RG-{number}" for number in range(16, 28)))
async def an_event_says_where_it_comes_from(registry: ProcessRegistry, row: Rows) -> None:
    cause = SessionNodeCause("target-session", "host-event:button")
    provenance = ProcessProvenance.session(SessionScope("owner-session"), cause)
    kind = "producer.custom_wake"
    await registry.register_process(external("proc-provenance", wake(kind), provenance=provenance))
    target = SessionScope("target-session", "target-frame")
    payload: Json = {"line": "build failed", "wake_input": "custom wake: build failed"}
    request = event(kind, payload, key="custom-wake:build-failed", target=target)

    first = await registry.append_event("proc-provenance", request)
    again = await registry.append_event("proc-provenance", request)
    stored = await registry.events_after("proc-provenance", 0)

    row("RG-16", first.event.sequence == 1, first)
    row("RG-17", again.event.sequence == 1, again)
    row("RG-18", len(stored) == 1, stored)
    invocation = stored[0].invocation
    row("RG-19", invocation.scope in (RuntimeScope("owner-session"), RuntimeScope("runtime")), invocation)
    row("RG-20", invocation.subject == ProcessEventSubject("proc-provenance", 1, kind), invocation)
    row("RG-21", invocation.caused_by == ProcessCause("proc-provenance"), invocation)
    row("RG-22", invocation.replay == Replay("custom-wake:build-failed"), invocation)
    delivery = first.wake_delivery
    assert delivery is not None
    row("RG-23", (delivery.event_type, delivery.event_invocation) == (kind, first.event.invocation), delivery)
    row("RG-24", delivery.process_caused_by == cause, delivery)
    row("RG-25", (delivery.target_session_id, delivery.target_scope_id) == ("target-session", target.id), delivery)
    identity = (delivery.process_id, delivery.sequence, delivery.dedupe_key, delivery.input)
    expected = ("proc-provenance", 1, "proc-provenance:1", "custom wake: build failed")
    row("RG-26", identity == expected, delivery)
    row("RG-27", again.wake_delivery is not None and again.wake_delivery.wake_id == delivery.wake_id, again)


@law(*(f"RG-{number}" for number in range(28, 34)))
async def events_are_read_from_any_place_and_waited_for(registry: ProcessRegistry, row: Rows) -> None:
    types = (plain("producer.line"), wake("producer.wake"), plain("producer.future"))
    await registry.register_process(external("proc-stream", *types))
    await registry.append_event("proc-stream", event("producer.line", {"line": "one"}))
    woken = event("producer.wake", {"wake_input": "two"}, target=SessionScope("root"))
    await registry.append_event("proc-stream", woken)
    await registry.append_event("proc-stream", event("producer.line", {"line": "three"}))

    after = places(await registry.events_after("proc-stream", 1))
    wakes = places(await registry.wake_events_after("proc-stream", 1))

    row("RG-28", after == [(2, "producer.wake"), (3, "producer.line")], after)
    row("RG-29", await registry.events_after("proc-stream", 3) == [])
    row("RG-30", wakes == [(2, "producer.wake")], wakes)
    row("RG-31", await registry.wake_events_after("proc-stream", 2) == [])
    found = await registry.wait_event_after("proc-stream", "producer.line", 1)
    row("RG-32", found.sequence == 3, found)
    waiter = asyncio.create_task(registry.wait_event_after("proc-stream", "producer.future", 3))
    await asyncio.sleep(0.02)
    await registry.append_event("proc-stream", event("producer.future", {"line": "later"}))
    # Generous for a busy machine; a waiter that never wakes fails all the same.
    future = await asyncio.wait_for(waiter, 30)
    row("RG-33", future.sequence == 4, future)


@law(*(f"RG-{number}" for number in range(34, 44)))
async def wakes_select_what_they_say(registry: ProcessRegistry, row: Rows) -> None:
    types = (
        waking("never", const("must not wake"), when=const(False)),
        waking("payload", PAYLOAD),
        waking("const", const("constant wake input")),
        waking("template", template("line {line} #{n}", {"line": pointer("/line"), "n": pointer("/n")})),
        waking("by-selector", pointer("/text"), dedupe_key=SelectedKey(selector=pointer("/dedupe"))),
        waking("by-const", pointer("/text"), dedupe_key=SelectedKey(const="constant-dedupe")),
    )
    process_id = "proc-wake-matrix"
    await registry.register_process(external(process_id, *types, wake_target=SessionScope("root")))

    async def append(name: str, payload: object) -> object:
        return (await registry.append_event(process_id, event(name, payload))).wake_delivery  # type: ignore[arg-type]

    row("RG-34", await append("never", {}) is None)
    said = await append("payload", "payload wake")
    row("RG-35", getattr(said, "input", None) == "payload wake", said)
    row("RG-36", getattr(said, "dedupe_key", None) == "proc-wake-matrix:2", said)
    said = await append("const", {})
    row("RG-37", getattr(said, "input", None) == "constant wake input", said)
    said = await append("template", {"line": "done", "n": 7})
    row("RG-38", getattr(said, "input", None) == "line done #7", said)
    one = await append("by-selector", {"text": "selector one", "dedupe": "group-a"})
    two = await append("by-selector", {"text": "selector two", "dedupe": "group-a"})
    row("RG-39", getattr(one, "dedupe_key", None) == "group-a", one)
    row("RG-40", one is not None and getattr(one, "wake_id", 1) == getattr(two, "wake_id", 2), two)
    one = await append("by-const", {"text": "const one"})
    two = await append("by-const", {"text": "const two"})
    row("RG-41", getattr(one, "dedupe_key", None) == "constant-dedupe", one)
    row("RG-42", one is not None and getattr(one, "wake_id", 1) == getattr(two, "wake_id", 2), two)
    sequences = [found.sequence for found in await registry.wake_events_after(process_id, 0)]
    row("RG-43", sequences == [2, 3, 4, 5, 6, 7, 8], sequences)


@law("RG-44", "RG-45", "RG-46", "RG-47", "RG-48", "RG-49")
async def a_wake_is_one_per_key_and_needs_a_target(registry: ProcessRegistry, row: Rows) -> None:
    await registry.register_process(external("proc-wake", wake("process.wake")))
    target = SessionScope("session")
    payload: Json = {"wake_input": "Process wake: deploy failed"}
    request = event("process.wake", payload, key="wake:deploy failed", target=target)

    first = await registry.append_event("proc-wake", request)
    second = await registry.append_event("proc-wake", request)

    row("RG-44", first.event.sequence == second.event.sequence, second)
    row("RG-45", first.wake_delivery is not None and first.wake_delivery == second.wake_delivery, second)
    delivery = first.wake_delivery
    assert delivery is not None
    seen = (delivery.input, delivery.target_scope_id, delivery.process_id, delivery.sequence)
    row("RG-46", seen == ("Process wake: deploy failed", target.id, "proc-wake", first.event.sequence), delivery)
    other = event("process.wake", {"wake_input": "something else"}, key="wake:deploy failed")
    await row.raises("RG-47", ReplayKeyConflict, registry.append_event("proc-wake", other))
    await registry.register_process(external("proc-missing-wake-target", wake("process.wake")))
    lost = event("process.wake", payload, key="wake:missing-target")
    try:
        await registry.append_event("proc-missing-wake-target", lost)
        row("RG-48", False)
    except MissingWakeTarget as error:
        row("RG-48", "without a wake target scope" in str(error), str(error))
    row("RG-49", await registry.events_after("proc-missing-wake-target", 0) == [])


@law("RG-50", "RG-51", "RG-52", "RG-53", "RG-54")
async def a_process_is_cancelled_and_ends(registry: ProcessRegistry, row: Rows) -> None:
    await registry.register_process(external("proc-terminal"))
    await registry.register_process(external("proc-2"))
    unkeyed = event(CANCEL_REQUESTED, {"reason": "stop"})
    await row.raises("RG-50", ReplayKeyRequired, registry.append_event("proc-terminal", unkeyed))
    accepted = await registry.append_event("proc-terminal", cancel_requested("proc-terminal", "stop"))
    row("RG-51", accepted.event.event_type == CANCEL_REQUESTED, accepted)
    ended = await registry.complete_process("proc-terminal", CancelledOutput("stopped"), HostAuthority())
    row("RG-52", ended.terminal_state() == "cancelled", ended)

    output = SuccessOutput({"ok": True})
    record = await registry.complete_process("proc-2", output, HostAuthority())

    row("RG-53", await registry.await_process("proc-2") == output)
    row("RG-54", record.is_terminal, record)


@law("RG-55", "RG-56", "RG-57", "RG-58", "RG-59", "RG-60", "RG-61")
async def handles_move_between_sessions(registry: ProcessRegistry, row: Rows) -> None:
    one, two, three = SessionScope("s1"), SessionScope("s2"), SessionScope("s3")
    shown = ProcessHandleDescriptor("tool", "demo")
    await registry.register_process(external("proc-3"))
    await registry.grant_handle(one, "proc-3", shown)

    await registry.transfer_handle_grants(one, two, ["proc-3"])

    row("RG-55", await registry.list_handle_grants(one) == [])
    row("RG-56", len(await registry.list_handle_grants(two)) == 1)
    row("RG-57", await registry.events_after("proc-3", 0) == [])
    await registry.register_process(external("proc-5"))
    await registry.grant_handle(one, "proc-5", shown)
    await registry.grant_handle(two, "proc-5", shown)
    before = [grant.session_id for grant in await registry.handle_grants_for_process("proc-5")]
    await registry.transfer_handle_grants(one, three, ["proc-5"])
    after = [grant.session_id for grant in await registry.handle_grants_for_process("proc-5")]
    row("RG-58", before == ["s1", "s2"], before)
    row("RG-59", after == ["s2", "s3"], after)
    row("RG-60", await registry.events_after("proc-5", 0) == [])
    await registry.register_process(external("proc-4"))
    row("RG-61", await registry.list_handle_grants(one) == [])


@law("RG-62", "RG-63", "RG-64", "RG-65", "RG-66", "RG-67")
async def a_deleted_session_leaves_its_processes_alone(registry: ProcessRegistry, row: Rows) -> None:
    deleted, remaining = SessionScope("deleted"), SessionScope("remaining")
    for process_id in ("sole", "shared", "terminal"):
        await registry.register_process(external(process_id, wake("producer.wake")))
        await registry.grant_handle(deleted, process_id, DESCRIPTOR)
    await registry.grant_handle(remaining, "shared", DESCRIPTOR)
    await complete(registry, "terminal")
    await registry.append_event("sole", event("producer.wake", {"wake_input": "hello"}, target=deleted))

    report = await registry.delete_session_process_state("deleted")

    row("RG-62", report.revoked_handle_count == 3, report)
    row("RG-63", report.deleted_wake_count == 0, report)
    row("RG-64", report.orphaned_process_ids == ["sole"], report)
    row("RG-65", report.preserved_process_ids == ["shared"], report)
    row("RG-66", await registry.list_handle_grants(deleted) == [])
    row("RG-67", len(await registry.list_handle_grants(remaining)) == 1)


@law("RG-68", "RG-69", "RG-70")
async def what_has_ended_is_history(registry: ProcessRegistry, row: Rows) -> None:
    for process_id in ("proc-live", "proc-done"):
        await registry.register_process(external(process_id))
    await complete(registry, "proc-done")
    live = [record.id for record in await registry.list_non_terminal()]
    row("RG-68", live == ["proc-live"], live)

    scope = SessionScope("history-owner")
    for process_id in ("proc-live-grant", "proc-done-grant"):
        await registry.register_process(external(process_id))
        await registry.grant_handle(scope, process_id, DESCRIPTOR)
    await complete(registry, "proc-done-grant")
    live = [record.id for _, record in await registry.list_live_handle_grants(scope)]
    every = [record.id for _, record in await registry.list_handle_grants(scope)]

    row("RG-69", live == ["proc-live-grant"], live)
    row("RG-70", every == ["proc-done-grant", "proc-live-grant"], every)
