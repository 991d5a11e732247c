"""Conformance suites: the laws of lash's ports, for anybody's implementation.

```python
from lash.testing import conformance

await conformance.runtime_persistence(make)        # make() gives a fresh, empty SessionStore
await conformance.attachment_store(make)           # … a fresh AttachmentStore
```

`make` is sync or async; for a `_reopenable` suite it gives a pair of handles on one
storage. A law that does not hold raises `LawBroken` with its id. `SUITE.mixin()`
gives a class with one pytest test per scenario; it asks for a fixture named `make`.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from lash.artifacts.store import ArtifactStore
from lash.attachments.store import AttachmentStore
from lash.base.tier import DurabilityTier
from lash.effects.ports import EffectHost
from lash.processes.registry import ProcessRegistry
from lash.sessions.store import SessionStore
from lash.stores.store import Store
from lash.testing.conformance.artifacts import ARTIFACT_STORE, ARTIFACT_STORE_REOPENABLE
from lash.testing.conformance.attachments import ATTACHMENT_STORE, ATTACHMENT_STORE_REOPENABLE
from lash.testing.conformance.hosts import EFFECT_HOST
from lash.testing.conformance.laws import Column, Law, LawBroken, Make, Rows, Suite
from lash.testing.conformance.process_leases import PROCESS_REGISTRY, PROCESS_REGISTRY_REOPENABLE
from lash.testing.conformance.process_model import PROCESS_MODEL
from lash.testing.conformance.process_runner import PROCESS_RUNNER
from lash.testing.conformance.program_runner import PROGRAM_RUNNER
from lash.testing.conformance.queue import RUNTIME_PERSISTENCE
from lash.testing.conformance.rebuild import RUNTIME_REBUILD
from lash.testing.conformance.reopen import RUNTIME_PERSISTENCE_REOPENABLE
from lash.testing.conformance.replay import EFFECT_REPLAY, ReplayBackend
from lash.testing.conformance.triggers import TRIGGER_STORE, TRIGGER_STORE_REOPENABLE
from lash.testing.conformance.worker_boundary import WORKER_BOUNDARY
from lash.testing.conformance.worker_recovery import WORKER_RECOVERY
from lash.triggers.store import TriggerStore

Reopen: TypeAlias = Callable[[], Awaitable[EffectHost] | EffectHost]


async def effect_host(make: Make[EffectHost], *, column: Column | None = None) -> None:
    """Suite EH. `column` says which host it is: I inline, R recording, S or P journaled."""
    await EFFECT_HOST.run(make, column=column or "I")


async def effect_replay(make: Make[tuple[EffectHost, Reopen]]) -> None:
    """Suite ER: `make()` gives a host and a function that opens another over what the first recorded."""

    async def backend() -> ReplayBackend:
        made = make()
        host, reopen = await made if inspect.isawaitable(made) else made
        return ReplayBackend(host, reopen)

    await EFFECT_REPLAY.run(backend)


async def runtime_persistence(make: Make[SessionStore], *, tier: DurabilityTier | None = None) -> None:
    """Suite RP over an unbound `SessionStore`. Raises `LawBroken`."""
    await RUNTIME_PERSISTENCE.run(make, tier=tier)


async def runtime_persistence_reopenable(make: Make[tuple[SessionStore, SessionStore]]) -> None:
    """Suite RPR over two handles on one storage. Raises `LawBroken`."""
    await RUNTIME_PERSISTENCE_REOPENABLE.run(make)


async def attachment_store(make: Make[AttachmentStore], *, tier: DurabilityTier | None = None) -> None:
    """Suite AS. Raises `LawBroken`."""
    await ATTACHMENT_STORE.run(make, tier=tier)


async def attachment_store_reopenable(make: Make[tuple[AttachmentStore, AttachmentStore]]) -> None:
    """Suite AS over two handles on one storage. Raises `LawBroken`."""
    await ATTACHMENT_STORE_REOPENABLE.run(make)


async def trigger_store(make: Make[TriggerStore], *, tier: DurabilityTier | None = None) -> None:
    """Suite TS. Raises `LawBroken`."""
    await TRIGGER_STORE.run(make, tier=tier)


async def trigger_store_reopenable(make: Make[tuple[TriggerStore, TriggerStore]]) -> None:
    """Suite TSR over two handles on one storage. Raises `LawBroken`."""
    await TRIGGER_STORE_REOPENABLE.run(make)


async def artifact_store(make: Make[ArtifactStore], *, tier: DurabilityTier | None = None) -> None:
    """Suite AR. Raises `LawBroken`."""
    await ARTIFACT_STORE.run(make, tier=tier)


async def artifact_store_reopenable(make: Make[tuple[ArtifactStore, ArtifactStore]]) -> None:
    """Suite AR over two handles on one storage. Raises `LawBroken`."""
    await ARTIFACT_STORE_REOPENABLE.run(make)


async def process_registry(make: Make[ProcessRegistry], *, tier: DurabilityTier | None = None) -> None:
    """Suite RG. Raises `LawBroken`."""
    await PROCESS_REGISTRY.run(make, tier=tier)


async def process_registry_reopenable(make: Make[tuple[ProcessRegistry, ProcessRegistry]]) -> None:
    """Suites RG and RGR over two handles on one storage. Raises `LawBroken`."""
    await PROCESS_REGISTRY_REOPENABLE.run(make)


async def process_model(make: Make[object]) -> None:
    """Suite PM: the model of processes in its wire form. Raises `LawBroken`."""
    await PROCESS_MODEL.run(make)


async def worker_boundary(make: Make[Store], *, column: Column | None = None) -> None:
    """Suite WB: what a worker checks and does around a run. `make()` gives a fresh `lash.Store`."""
    await WORKER_BOUNDARY.run(make, column=column)


async def process_runner(make: Make[Store], *, column: Column | None = None) -> None:
    """Suite PR, and the rows of recovery: processes as workers run them. `make()` gives a fresh `lash.Store`."""
    await PROCESS_RUNNER.run(make, column=column)
    await PROGRAM_RUNNER.run(make, column=column)
    await WORKER_RECOVERY.run(make, column=column)


async def runtime_rebuild(make: Make[Store], *, column: Column | None = None) -> None:
    """Suite RR, and the row of replays: sessions opened anew. `make()` gives a fresh `lash.Store`."""
    await RUNTIME_REBUILD.run(make, column=column)


async def runtime_rebuild_and_worker_recovery(make: Make[Store], *, column: Column | None = None) -> None:
    """What a restart must find again: suite RR and the rows of recovery. `make()` gives a fresh `lash.Store`."""
    await runtime_rebuild(make, column=column)
    await WORKER_RECOVERY.run(make, column=column)


__all__ = [
    "ARTIFACT_STORE",
    "ARTIFACT_STORE_REOPENABLE",
    "ATTACHMENT_STORE",
    "ATTACHMENT_STORE_REOPENABLE",
    "EFFECT_HOST",
    "EFFECT_REPLAY",
    "PROCESS_MODEL",
    "PROCESS_REGISTRY",
    "PROCESS_REGISTRY_REOPENABLE",
    "PROCESS_RUNNER",
    "PROGRAM_RUNNER",
    "RUNTIME_PERSISTENCE",
    "RUNTIME_PERSISTENCE_REOPENABLE",
    "RUNTIME_REBUILD",
    "TRIGGER_STORE",
    "TRIGGER_STORE_REOPENABLE",
    "WORKER_BOUNDARY",
    "WORKER_RECOVERY",
    "Law",
    "LawBroken",
    "Make",
    "Rows",
    "Suite",
    "artifact_store",
    "artifact_store_reopenable",
    "attachment_store",
    "attachment_store_reopenable",
    "effect_host",
    "effect_replay",
    "process_model",
    "process_registry",
    "process_registry_reopenable",
    "process_runner",
    "runtime_persistence",
    "runtime_persistence_reopenable",
    "runtime_rebuild",
    "runtime_rebuild_and_worker_recovery",
    "trigger_store",
    "trigger_store_reopenable",
    "worker_boundary",
]
