"""Suite process_registry (RG): leases; and process_registry_reopenable (RGR)."""

from __future__ import annotations

import asyncio
from typing import Final

from lash.processes.errors import ProcessLeaseHeld, ProcessLeaseLost
from lash.processes.registry import ProcessRegistry
from lash.processes.scopes import SessionScope
from lash.testing.conformance.laws import Law, Rows, Scenario, Suite
from lash.testing.conformance.process_drafts import DESCRIPTOR, LONG_MS, event, external, wake
from lash.testing.conformance.processes import PROCESS_REGISTRY

__all__ = ["PROCESS_REGISTRY", "PROCESS_REGISTRY_REOPENABLE"]  # the first whole only with the laws of this module

PROCESS_REGISTRY_REOPENABLE: Suite[tuple[ProcessRegistry, ProcessRegistry]] = Suite("process_registry_reopenable")
law = PROCESS_REGISTRY.law

# Shorter than the pause behind it, longer than a statement on a busy machine.
SHORT_MS: Final = 500
PAUSE_S: Final = 0.6


@law("RG-71", "RG-72")
async def a_live_lease_keeps_others_out(registry: ProcessRegistry, row: Rows) -> None:
    await registry.register_process(external("proc-lease"))
    await registry.claim_process_lease("proc-lease", "owner-a", LONG_MS)
    await _refused(registry, row, "RG-71", "proc-lease", "owner-b")
    again = await registry.claim_process_lease("proc-lease", "owner-a", LONG_MS)
    row("RG-72", again.owner_id == "owner-a", again)


@law("RG-73", "RG-74", "RG-78", "RG-79", "RG-80")
async def an_expired_lease_is_taken_over(registry: ProcessRegistry, row: Rows) -> None:
    await registry.register_process(external("proc-takeover"))
    old = await registry.claim_process_lease("proc-takeover", "owner-a", 0)

    new = await registry.claim_process_lease("proc-takeover", "owner-b", LONG_MS)

    row("RG-73", new.owner_id == "owner-b", new)
    try:
        await registry.renew_process_lease(old, LONG_MS)
        row("RG-74", False)
    except ProcessLeaseLost as error:
        row("RG-74", "missing or expired" in str(error), str(error))
    await registry.complete_process_lease(old.completion())
    row("RG-78", True)
    await _refused(registry, row, "RG-79", "proc-takeover", "owner-c")
    renewed = await registry.renew_process_lease(new, LONG_MS)
    row("RG-80", (renewed.lease_token, renewed.fencing_token) == (new.lease_token, new.fencing_token), renewed)


@law("RG-75")
async def a_renewed_lease_outlives_its_first_deadline(registry: ProcessRegistry, row: Rows) -> None:
    await registry.register_process(external("proc-renew"))
    lease = await registry.claim_process_lease("proc-renew", "owner-a", SHORT_MS)

    renewed = await registry.renew_process_lease(lease, LONG_MS)
    await asyncio.sleep(PAUSE_S)
    again = await registry.renew_process_lease(renewed, LONG_MS)

    row("RG-75", again.expires_at_epoch_ms >= renewed.expires_at_epoch_ms, again)


@law("RG-76", "RG-77")
async def a_lease_given_back_is_free_and_its_fence_stays(registry: ProcessRegistry, row: Rows) -> None:
    await registry.register_process(external("proc-release"))
    first = await registry.claim_process_lease("proc-release", "owner-a", LONG_MS)
    await registry.complete_process_lease(first.completion())
    await registry.complete_process_lease(first.completion())

    second = await registry.claim_process_lease("proc-release", "owner-b", LONG_MS)

    row("RG-76", second.owner_id == "owner-b", second)
    row("RG-77", second.fencing_token > first.fencing_token, second)


async def _refused(registry: ProcessRegistry, row: Rows, law_id: str, process_id: str, owner_id: str) -> None:
    try:
        row(law_id, False, await registry.claim_process_lease(process_id, owner_id, LONG_MS))
    except ProcessLeaseHeld as error:
        row(law_id, "already leased" in str(error), str(error))


@PROCESS_REGISTRY_REOPENABLE.law("RGR-02", "RGR-03", "RGR-04", "RGR-05", stores="SP")
async def everything_is_there_through_another_handle(pair: tuple[ProcessRegistry, ProcessRegistry], row: Rows) -> None:
    first, second = pair
    scope = SessionScope("reopen-session")
    await first.register_process(external("proc-reopen", wake("producer.reopen_wake")))
    await first.grant_handle(scope, "proc-reopen", DESCRIPTOR)
    request = event("producer.reopen_wake", {"wake_input": "reopened"}, key="producer:reopen", target=scope)
    appended = await first.append_event("proc-reopen", request)

    found = await second.get_process("proc-reopen")
    events = await second.events_after("proc-reopen", 0)
    grants = await second.list_handle_grants(scope)
    again = await second.append_event("proc-reopen", request)

    row("RGR-02", found is not None and found.id == "proc-reopen", found)
    row("RGR-03", [seen.sequence for seen in events] == [appended.event.sequence], events)
    row("RGR-04", len(grants) == 1, grants)
    row("RGR-05", again.event.sequence == appended.event.sequence, again)


def _holds_on_open(plain: Law[ProcessRegistry]) -> Scenario[tuple[ProcessRegistry, ProcessRegistry]]:
    async def scenario(pair: tuple[ProcessRegistry, ProcessRegistry], row: Rows) -> None:
        own = Rows("durable")
        await plain.scenario(pair[0], own)
        broken = {law_id: why for law_id, why in own.stated.items() if why}
        row("RGR-01", not broken and set(own.stated) == set(plain.ids), broken)

    scenario.__name__ = plain.title
    return scenario


for plain_law in (*PROCESS_REGISTRY.laws,):
    PROCESS_REGISTRY_REOPENABLE.law("RGR-01", stores="SP")(_holds_on_open(plain_law))
