"""What every scoped controller shares: its scope, and driving the branches of a group."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TypeVar

from lash.effects.envelope import EffectEnvelope, EffectOutcome
from lash.effects.journal import JournalRow
from lash.effects.local import Branch, Local, together
from lash.effects.ports import EffectSummary
from lash.effects.scope import ExecutionScope

T = TypeVar("T")


class ScopedController(ABC):
    """Base of the controllers: bound to one validated scope."""

    def __init__(self, scope: ExecutionScope) -> None:
        self._scope = scope.validate()

    def execution_scope(self) -> ExecutionScope:
        """The scope whose effects this controller executes."""
        return self._scope

    def scope_id(self) -> str:
        """The scope's id, for people."""
        return self._scope.id

    def turn_id(self) -> str | None:
        """The turn, when the scope is one."""
        return self._scope.turn_id

    @abstractmethod
    async def execute(self, envelope: EffectEnvelope, local: Local) -> EffectOutcome:
        """Executes or replays one effect."""

    async def run_group(self, branches: Sequence[Branch[T]]) -> list[T]:
        """Runs branches concurrently as tasks; results in request order."""
        return await together(branches, self.execute)

    async def barrier(self) -> None:  # noqa: B027 - most controllers hold nothing back
        """Nothing is ever pending here."""

    async def retract(self) -> list[JournalRow]:
        """Nothing is ever pending here."""
        return []

    def restore(self, rows: list[JournalRow]) -> None:  # noqa: B027 - most controllers hold nothing back
        """Nothing was retracted."""

    def summary(self) -> list[EffectSummary]:
        """Nothing is recorded here."""
        return []

    async def load_blob(self, ref: str) -> bytes | None:
        """Nothing is stored here."""
        del ref
        return None

    def has_recorded(self, replay_key: str) -> bool:
        """Nothing is recorded here."""
        del replay_key
        return False

    def has_recorded_beyond(self, effect_number: int) -> bool:
        """Nothing is recorded here."""
        del effect_number
        return False
