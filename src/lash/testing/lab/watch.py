"""Watching effects: which ran, in which order, and dying at a chosen one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, TypeVar

from lash.base.cancel import CancelToken
from lash.base.tier import DurabilityTier
from lash.effects.around import ControllerAround
from lash.effects.envelope import EffectEnvelope, EffectOutcome
from lash.effects.lease import Lease
from lash.effects.local import Branch, Local, together
from lash.effects.ports import EffectController, EffectHost
from lash.effects.scope import ExecutionScope
from lash.effects.waits import AwaitEventKey, OpenWait, Resolution, ResolveOutcome
from lash.hosts.choice import HostParts, Journal
from lash.testing.lab.power import Power

T = TypeVar("T")

# before: about to run; done-not-recorded: it happened and nobody wrote it down; recorded: written down, nobody told
When: TypeAlias = Literal["before", "done-not-recorded", "recorded"]


@dataclass(frozen=True, slots=True)
class Execution:
    """One effect that really ran. `name` is its kind, and the tool's name for a tool call."""

    scope: ExecutionScope
    key: str
    name: str


@dataclass(frozen=True, slots=True)
class EffectCut:
    """Cut at the `number`-th effect (from 1) that a life asks for and that is not recorded."""

    number: int
    when: When


@dataclass(slots=True)
class EffectWatch:
    """What one life executed. `asked` is every effect that was asked for and not recorded yet, in order."""

    power: Power
    cut_at: EffectCut | None = None
    asked: list[Execution] = field(default_factory=list)
    executed: list[Execution] = field(default_factory=list)

    def ran(self, execution: Execution) -> None:
        """Notes an effect that is about to run."""
        self.executed.append(execution)

    def is_cut(self, key: str, when: When) -> bool:
        """Whether the process is to die at this instant of this effect."""
        cut = self.cut_at
        return (
            cut is not None and cut.when == when and [e.key for e in self.asked[cut.number - 1 : cut.number]] == [key]
        )


@dataclass(frozen=True, slots=True)
class WatchedJournal:
    """The journaled host, watched."""

    watch: EffectWatch

    def bind(self, parts: HostParts) -> EffectHost:
        """See `HostChoice`."""
        return WatchedHost(Journal().bind(parts), self.watch)


class WatchedHost:
    """Hands out watched controllers."""

    def __init__(self, inner: EffectHost, watch: EffectWatch) -> None:
        self._inner = inner
        self._watch = watch

    def durability_tier(self) -> DurabilityTier:
        """See `EffectHost`."""
        return self._inner.durability_tier()

    def scoped(self, scope: ExecutionScope) -> EffectController:
        """See `EffectHost`."""
        return WatchedController(scope, self._inner.scoped(scope), self._watch)

    def scoped_static(self, scope: ExecutionScope) -> EffectController | None:
        """See `EffectHost`."""
        inner = self._inner.scoped_static(scope)
        return None if inner is None else WatchedController(scope, inner, self._watch)

    async def owned(
        self, scope: ExecutionScope, lease: Lease, *, is_fresh: bool, on_lost: Callable[[], None]
    ) -> EffectController:
        """See `EffectHost`."""
        inner = await self._inner.owned(scope, lease, is_fresh=is_fresh, on_lost=on_lost)
        return WatchedController(scope, inner, self._watch)

    async def resolve_await_event(self, key: AwaitEventKey, resolution: Resolution) -> ResolveOutcome:
        """See `EffectHost`."""
        return await self._inner.resolve_await_event(key, resolution)

    async def await_await_event(
        self, key: AwaitEventKey, cancel: CancelToken | None = None, deadline_ms: int | None = None
    ) -> Resolution:
        """See `EffectHost`."""
        return await self._inner.await_await_event(key, cancel, deadline_ms)

    async def open_waits(self, session_id: str | None = None) -> list[OpenWait]:
        """See `EffectHost`."""
        return await self._inner.open_waits(session_id)

    async def await_event_key(self, key_id: str) -> AwaitEventKey | None:
        """See `EffectHost`."""
        return await self._inner.await_event_key(key_id)

    async def revoke_await_events_for_session(self, session_id: str) -> None:
        """See `EffectHost`."""
        await self._inner.revoke_await_events_for_session(session_id)

    async def cancel_await_events_for_session(self, session_id: str) -> None:
        """See `EffectHost`."""
        await self._inner.cancel_await_events_for_session(session_id)


class WatchedController(ControllerAround):
    """Notes what runs, and dies where it must."""

    def __init__(self, scope: ExecutionScope, inner: EffectController, watch: EffectWatch) -> None:
        super().__init__(inner)
        self._scope = scope
        self._watch = watch

    async def execute(self, envelope: EffectEnvelope, local: Local) -> EffectOutcome:
        """See `EffectController`."""
        key, watch = envelope.replay_key, self._watch
        if self._inner.has_recorded(key):
            return await self._inner.execute(envelope, self._counted(envelope, local))
        watch.asked.append(Execution(self._scope, key, name_of(envelope)))
        if watch.is_cut(key, "before"):
            await watch.power.die()
        outcome = await self._inner.execute(envelope, self._counted(envelope, local))
        if watch.is_cut(key, "done-not-recorded"):  # a sleep or a wait: nothing of ours ran
            await watch.power.die()
        if watch.is_cut(key, "recorded"):
            await self._inner.barrier()
            await watch.power.die()
        return outcome

    def _counted(self, envelope: EffectEnvelope, local: Local) -> Local:
        """The same executor; what it runs is noted, whatever the journal says of it."""
        if not local.has_code:
            return local
        watch = self._watch

        async def run(asked: EffectEnvelope) -> EffectOutcome:
            watch.ran(Execution(self._scope, asked.replay_key, name_of(asked)))
            outcome = await local.run(asked)
            if watch.is_cut(asked.replay_key, "done-not-recorded"):
                await watch.power.die()
            return outcome

        return Local(run, impact=local.impact, cancel=local.cancel, deadline_ms=local.deadline_ms)

    async def run_group(self, branches: Sequence[Branch[T]]) -> list[T]:
        """See `EffectController`."""
        return await together(branches, self.execute)


def name_of(envelope: EffectEnvelope) -> str:
    """The effect's kind; for a tool call also the tool."""
    call = envelope.command.body.get("call")
    tool = call.get("tool_name") if isinstance(call, dict) else None
    return f"{envelope.kind}:{tool}" if isinstance(tool, str) else envelope.kind
