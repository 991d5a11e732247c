"""The recording host: a test fixture that logs what crosses the port.

It synthesises sleeps and durable steps and refuses every other command, so a test
sees exactly which scopes and envelopes the code under test produced.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from lash.base.cancel import CancelToken
from lash.base.errors import LashRuntimeError
from lash.base.tier import DurabilityTier
from lash.effects.envelope import EffectEnvelope, EffectKind, EffectOutcome
from lash.effects.errors import EffectControllerError
from lash.effects.invocation import RuntimeScope
from lash.effects.lease import Lease
from lash.effects.local import Local
from lash.effects.scope import ExecutionScope
from lash.effects.waits import AwaitEventKey, OpenWait, Resolution, ResolveOutcome, WaitIdentity
from lash.hosts.controller import ScopedController
from lash.hosts.inline import InlineEffectHost


class EffectRecord(msgspec.Struct, frozen=True):
    """One effect that crossed the port."""

    runtime_scope: RuntimeScope
    execution_scope: ExecutionScope
    effect_id: str
    kind: EffectKind
    replay_key: str
    envelope_hash: str


class RecordingEffectHost:
    """Logs selected scopes and effects. Its waits live in this process."""

    def __init__(self) -> None:
        self._waits = InlineEffectHost()
        self._selected: list[ExecutionScope] = []
        self._records: list[EffectRecord] = []

    def durability_tier(self) -> DurabilityTier:
        """Inline."""
        return "inline"

    def selected_scopes(self) -> list[ExecutionScope]:
        """Scopes that controllers were made for, in order."""
        return list(self._selected)

    def records(self) -> list[EffectRecord]:
        """Effects in the order they were requested."""
        return list(self._records)

    def scoped(self, scope: ExecutionScope) -> RecordingController:
        """A controller that logs into this host."""
        controller = RecordingController(scope, self._records)
        self._selected.append(scope)
        return controller

    def scoped_static(self, scope: ExecutionScope) -> RecordingController:
        """The same."""
        return self.scoped(scope)

    async def owned(
        self, scope: ExecutionScope, lease: Lease, *, is_fresh: bool, on_lost: Callable[[], None] = lambda: None
    ) -> RecordingController:
        """The same: there is nothing to fence."""
        del lease, is_fresh, on_lost
        return self.scoped(scope)

    async def resolve_await_event(self, key: AwaitEventKey, resolution: Resolution) -> ResolveOutcome:
        """First writer wins, in this process."""
        return await self._waits.resolve_await_event(key, resolution)

    async def await_await_event(
        self, key: AwaitEventKey, cancel: CancelToken | None = None, deadline_ms: int | None = None
    ) -> Resolution:
        """Waits in this process."""
        return await self._waits.await_await_event(key, cancel, deadline_ms)

    async def open_waits(self, session_id: str | None = None) -> list[OpenWait]:
        """Described waits of this process."""
        return await self._waits.open_waits(session_id)

    async def await_event_key(self, key_id: str) -> AwaitEventKey | None:
        """The signed key of a known wait."""
        return await self._waits.await_event_key(key_id)

    async def revoke_await_events_for_session(self, session_id: str) -> None:
        """For good."""
        await self._waits.revoke_await_events_for_session(session_id)

    async def cancel_await_events_for_session(self, session_id: str) -> None:
        """Every open wait of the session."""
        await self._waits.cancel_await_events_for_session(session_id)


class RecordingController(ScopedController):
    """Logs effects; answers only sleeps and durable steps."""

    def __init__(self, scope: ExecutionScope, records: list[EffectRecord]) -> None:
        super().__init__(scope)
        self._records = records

    def durability_tier(self) -> DurabilityTier:
        """Inline."""
        return "inline"

    async def execute(self, envelope: EffectEnvelope, local: Local) -> EffectOutcome:
        """Logs, then synthesises the outcome; the local executor is never consulted."""
        del local
        self._records.append(
            EffectRecord(
                runtime_scope=envelope.invocation.scope,
                execution_scope=self._scope,
                effect_id=envelope.effect_id,
                kind=envelope.kind,
                replay_key=envelope.replay_key,
                envelope_hash=envelope.stable_hash,
            )
        )
        if envelope.kind == "sleep":
            return EffectOutcome("sleep", {})
        if envelope.kind == "durable_step":
            return EffectOutcome("durable_step", {"value": envelope.command.body.get("input")})
        raise EffectControllerError(
            "recording_effect_host_unsupported_command",
            f"recording effect host cannot synthesize {envelope.kind} outcomes",
        )

    def completion_key(self, wait: WaitIdentity) -> AwaitEventKey:
        """Recording hosts have no waits."""
        raise LashRuntimeError("await_event_unsupported", f"the recording host has no durable waits ({wait!r})")
