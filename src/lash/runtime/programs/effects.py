"""The effects of one run of a program: tool calls, pauses and process commands, each under a key of the program's.

A run begins at the program's start, and what is recorded is answered from the journal. When the
run is to end, nothing new begins: what is recorded is still answered, so that a call which is
under way is come to and hears of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from lash.base.json import Json, JsonObject
from lash.effects.envelope import EffectCommand, EffectEnvelope, EffectOutcome, Impact, sleep_command
from lash.effects.errors import SleepCut
from lash.effects.invocation import Invocation, RuntimeScope
from lash.effects.local import Local
from lash.machine.values import PendingCall
from lash.runtime.tool_batch import first_effects
from lash.runtime.worker.context import RunContextBuilder
from lash.runtime.worker.engines import ProcessParts
from lash.runtime.worker.parking import AT_ONCE, ParkingController
from lash.runtime.worker.run import ProcessRun, RunCut
from lash.tools.result import ToolCallOutput


class ProgramEffects:
    """What a program does to the world, in one run."""

    def __init__(self, run: ProcessRun, parts: ProcessParts) -> None:
        self._run = run
        self._controller = ParkingController(run)
        self._scope = RuntimeScope(parts.session_id)
        self._calls_key = f"lashlang:{run.process_id}:resource"
        context = RunContextBuilder(run.process_id, parts.session_id, run.cancel, run.clock)
        context.tools(parts.catalog).records(self._controller)
        self._batch = context.build(parts.plugins, parts.model, self._calls_key)
        recorded = run.controller.summary()
        # The last effect of earlier runs; what comes behind it is new. None once the run has come past it.
        self._last_recorded = recorded[-1].key if recorded else None

    @property
    def is_live(self) -> bool:
        """Whether everything that is recorded was answered."""
        return self._last_recorded is None

    def check(self) -> None:
        """Raises `RunCut` when the run is to end here. A replay goes on to the last thing that was begun."""
        if self._run.cancel.is_cancelled and (self.is_live or not self._run.cancel.is_requested):
            self._run.note(AT_ONCE)
            raise RunCut

    async def call(self, name: str, tool: str, args: JsonObject) -> ToolCallOutput:
        """A tool call under its name within the run (`operation_name`)."""
        key = f"{self._calls_key}:{name}"
        self._begin(self._is_begun(key), key)
        return (await self._batch.run_one(PendingCall(key, tool, args), name)).output

    async def call_all(self, calls: Sequence[tuple[str, str, JsonObject]]) -> list[ToolCallOutput]:
        """Several calls as one batch: name, tool and arguments of each."""
        keys = [f"{self._calls_key}:{name}" for name, _, _ in calls]
        self._begin(any(map(self._is_begun, keys)), *keys)
        pending = [PendingCall(key, tool, args) for key, (_, tool, args) in zip(keys, calls, strict=True)]
        done = await self._batch.run(pending, [name for name, _, _ in calls])
        return [record.output for record in done.records]

    async def sleep(self, sequence: int, *, duration_ms: int | None = None, until_ms: int | None = None) -> None:
        """A durable pause."""
        key = f"process:process:{self._run.process_id}:sleep:{sequence}"
        self._begin(self._has(key), key)
        command = sleep_command(duration_ms=duration_ms, until_ms=until_ms)
        try:
            await self._controller.execute(self._envelope(key, command), Local.sleep(self._run.cancel))
        except SleepCut as cut:
            raise RunCut from cut

    async def command(
        self, key: str, body: JsonObject, perform: Callable[[], Awaitable[Json]], impact: Impact = "changes"
    ) -> Json:
        """A process command and its recorded answer. `perform` is harmless to repeat."""
        self._begin(self._has(key), key)

        async def local(_envelope: EffectEnvelope) -> EffectOutcome:
            return EffectOutcome("process", {"result": {"op": body["op"], "value": await perform()}})

        envelope = self._envelope(key, EffectCommand("process", {"command": body}))
        outcome = await self._controller.execute(envelope, Local(local, impact=impact))
        result = outcome.expect("process")["result"]
        assert isinstance(result, dict)
        return result.get("value")

    def _begin(self, is_recorded: bool, *keys: str) -> None:
        last = self._last_recorded
        if not is_recorded or (last is not None and any(last == key or last.startswith(f"{key}:") for key in keys)):
            self._last_recorded = None
        if not is_recorded:
            self.check()

    def _has(self, key: str) -> bool:
        return self._run.controller.has_recorded(key)

    def _is_begun(self, key: str) -> bool:
        return any(map(self._run.controller.has_recorded, first_effects(key)))

    def _envelope(self, key: str, command: EffectCommand) -> EffectEnvelope:
        return EffectEnvelope(Invocation.effect(self._scope, key, command.kind, key), command)
