"""What a running cell may do to the world: each thing an effect under a key of the cell.

Tool calls go through the same batches as those of standard mode, so approvals, retries,
detached completion and hooks work in cells as they do there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from lash.base.cancel import CancelToken
from lash.base.json import Json, JsonObject
from lash.base.messages import Message
from lash.base.usage import LedgerEntry
from lash.effects.envelope import EffectCommand, EffectEnvelope, EffectOutcome, durable_step_command, sleep_command
from lash.effects.errors import EffectControllerError
from lash.effects.invocation import Invocation, RuntimeScope
from lash.effects.local import Local, Run
from lash.effects.ports import EffectController
from lash.machine.values import PendingCall
from lash.plugins.execution import CellCall, CellCallDone, CellCut
from lash.runtime.tool_batch import ToolBatch, first_effects
from lash.runtime.worker.run import waiting_for_others
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

    async def command(self, key: str, command: JsonObject, run: Callable[[], Awaitable[Json]]) -> Json:
        """A command to background work."""
        return await self._commanded(key, command, Local(_recording(command, run), impact="changes"))

    async def wait(self, key: str, command: JsonObject, run: Callable[[], Awaitable[Json]]) -> Json:
        """A command that waits for others."""

        async def waited() -> Json:
            async with waiting_for_others():
                return await unless_cancelled(run, self._cancel)

        return await self._commanded(key, command, Local(_recording(command, waited), impact="reads"))

    async def _commanded(self, key: str, command: JsonObject, local: Local) -> Json:
        self._look(self.has_recorded(key))
        outcome = await self._controller.execute(
            self._envelope(key, EffectCommand("process", {"command": command})), local
        )
        result = outcome.expect("process")["result"]
        assert isinstance(result, dict)
        return result.get("value")

    def _look(self, is_recorded: bool) -> None:
        self._is_live = self._is_live or not is_recorded
        if not is_recorded and self._cancel.is_requested:
            raise CellCut

    def _envelope(self, key: str, command: EffectCommand) -> EffectEnvelope:
        invocation = Invocation.effect(self._scope, f"{self._number}:{key}", command.kind, f"{self._key}:{key}")
        return EffectEnvelope(invocation, command)


def _recording(command: JsonObject, run: Callable[[], Awaitable[Json]]) -> Run:
    async def local(_envelope: EffectEnvelope) -> EffectOutcome:
        return EffectOutcome("process", {"result": {"op": command["op"], "value": await run()}})

    return local


async def unless_cancelled(run: Callable[[], Awaitable[Json]], cancel: CancelToken) -> Json:
    """What `run` gives. Raises `CellCut` when somebody wants the turn to end first, and detaches when it is left."""
    task = asyncio.ensure_future(run())

    def cut() -> None:
        task.cancel()

    undo = cancel.on_cancel(cut)
    try:
        await asyncio.wait([task])
    finally:
        undo()
        task.cancel()
        if not task.done():
            await asyncio.wait([task])
    if not task.cancelled():
        return task.result()
    if cancel.is_requested:
        raise CellCut
    raise EffectControllerError("await_event_detached", f"the wait was left open: {cancel.reason}")
