"""A controller around another one, for those that change how effects run and nothing else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TypeVar

from lash.base.tier import DurabilityTier
from lash.effects.envelope import EffectEnvelope, EffectOutcome
from lash.effects.journal import JournalRow
from lash.effects.local import Branch, Local
from lash.effects.ports import EffectController, EffectSummary
from lash.effects.scope import ExecutionScope
from lash.effects.waits import AwaitEventKey, WaitIdentity

T = TypeVar("T")


class ControllerAround(ABC):
    """Everything but the running of effects goes through to the inner controller; see `EffectController`."""

    def __init__(self, inner: EffectController) -> None:
        self._inner = inner

    @abstractmethod
    async def execute(self, envelope: EffectEnvelope, local: Local) -> EffectOutcome:
        """Executes or replays one effect."""

    @abstractmethod
    async def run_group(self, branches: Sequence[Branch[T]]) -> list[T]:
        """Runs branches concurrently; their results in request order."""

    def execution_scope(self) -> ExecutionScope:
        """The inner one's."""
        return self._inner.execution_scope()

    def scope_id(self) -> str:
        """The inner one's."""
        return self._inner.scope_id()

    def turn_id(self) -> str | None:
        """The inner one's."""
        return self._inner.turn_id()

    def durability_tier(self) -> DurabilityTier:
        """The inner one's."""
        return self._inner.durability_tier()

    async def barrier(self) -> None:
        """The inner one's."""
        await self._inner.barrier()

    async def retract(self) -> list[JournalRow]:
        """The inner one's."""
        return await self._inner.retract()

    def restore(self, rows: list[JournalRow]) -> None:
        """The inner one's."""
        self._inner.restore(rows)

    def summary(self) -> list[EffectSummary]:
        """The inner one's."""
        return self._inner.summary()

    async def load_blob(self, ref: str) -> bytes | None:
        """The inner one's."""
        return await self._inner.load_blob(ref)

    def has_recorded(self, replay_key: str) -> bool:
        """The inner one's."""
        return self._inner.has_recorded(replay_key)

    def has_recorded_beyond(self, effect_number: int) -> bool:
        """The inner one's."""
        return self._inner.has_recorded_beyond(effect_number)

    def completion_key(self, wait: WaitIdentity) -> AwaitEventKey:
        """The inner one's."""
        return self._inner.completion_key(wait)
