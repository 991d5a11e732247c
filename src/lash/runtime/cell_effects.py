"""What a running cell may do to the world: each thing an effect under a key of the cell.

Tool calls go through the same batches as those of standard mode, so approvals, retries,
detached completion and hooks work in cells as they do there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from lash.base.cancel import CancelToken
from lash.base.json import Json
from lash.base.messages import Message
from lash.base.usage import LedgerEntry
from lash.effects.envelope import EffectCommand, EffectEnvelope, durable_step_command, sleep_command
from lash.effects.errors import EffectControllerError
from lash.effects.invocation import Invocation, RuntimeScope
from lash.effects.local import Local
from lash.effects.ports import EffectController
from lash.machine.values import PendingCall
from lash.plugins.execution import CellCall, CellCallDone, CellCut
from lash.runtime.tool_batch import ToolBatch, first_effects
from lash.tools.result import ToolCallRecord


@dataclass(slots=True)
class CellTrace:
    """What the calls of a cell leave behind besides their results."""

    records: list[ToolCallRecord] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    direct_usage: list[LedgerEntry] = field(default_factory=list)


class CellRun:
    """The effects of one cell: `lash.plugins.execution.CellEffects`."""

    def __init__(
        self,
        *,
        scope: RuntimeScope,
        replay_key: str,
        number: int,
        controller: EffectController,
        batch: ToolBatch,
        cancel: CancelToken,
    ) -> None:
        self._scope = scope
        self._key = replay_key
        self._number = number
        self._controller = controller
        self._batch = batch
        self._cancel = cancel
        self._is_live = not controller.has_recorded_beyond(number - 1)
        self.trace = CellTrace()

    @property
    def replay_key(self) -> str:
        """The key of the cell."""
        return self._key

    def must_stop(self) -> bool:
        """Whether the turn was cancelled, and nothing recorded would be cut off."""
        return self._is_live and self._cancel.is_requested

    def has_ended(self) -> bool:
        """Whether an earlier drive came past this cell."""
        return self._controller.has_recorded_beyond(self._number)

    def has_recorded(self, key: str) -> bool:
        """Whether the effect `key` of this cell is recorded."""
        return self._controller.has_recorded(f"{self._key}:{key}")

    async def call(self, calls: Sequence[CellCall]) -> list[CellCallDone]:
        """Runs tool calls as one batch."""
        self._look(any(self.has_recorded(key) for call in calls for key in first_effects(call.key)))
        pending = [PendingCall(call.call_id, call.tool_name, call.args) for call in calls]
        result = await self._batch.run(pending, [call.key for call in calls])
        self.trace.records += result.records
        self.trace.messages += result.messages
        self.trace.direct_usage += result.usage
        return [
            CellCallDone(record.output, completed)
            for record, completed in zip(result.records, result.completed, strict=True)
        ]

    async def sleep(self, key: str, *, duration_ms: int | None = None, until_ms: int | None = None) -> None:
        """A durable sleep."""
        self._look(self.has_recorded(key))
        envelope = self._envelope(key, sleep_command(duration_ms=duration_ms, until_ms=until_ms))
        try:
            await self._controller.execute(envelope, Local.sleep(self._cancel))
        except EffectControllerError as error:
            if error.code != "runtime_effect_sleep_cancelled" or not self._cancel.is_requested:
                raise
            raise CellCut from error

    async def step(self, key: str, step_input: Json, run: Callable[[], Awaitable[Json]]) -> Json:
        """A value that is computed once and recorded."""
        self._look(self.has_recorded(key))
        envelope = self._envelope(key, durable_step_command(key, step_input))
        outcome = await self._controller.execute(envelope, Local.durable_step(run, impact="reads"))
        return outcome.expect("durable_step")["value"]

    def _look(self, is_recorded: bool) -> None:
        self._is_live = self._is_live or not is_recorded
        if not is_recorded and self._cancel.is_requested:
            raise CellCut

    def _envelope(self, key: str, command: EffectCommand) -> EffectEnvelope:
        invocation = Invocation.effect(self._scope, f"{self._number}:{key}", command.kind, f"{self._key}:{key}")
        return EffectEnvelope(invocation, command)
