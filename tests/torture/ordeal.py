"""A process of many parts: steps with side effects, children, signals, pauses, a wake.

It is what a program in the language comes to, written as a process engine: every run
begins at the beginning and finds what is recorded.
"""

from __future__ import annotations

from typing import Final

import msgspec

from lash.base.json import Json
from lash.effects.envelope import EffectCommand, EffectEnvelope, durable_step_command, sleep_command
from lash.effects.invocation import Invocation, Replay, RuntimeScope
from lash.effects.local import Local
from lash.processes import events
from lash.processes.event_types import EventSemanticsSpec, ProcessEventType, WakeSpec, end_wake, signal
from lash.processes.events import AppendRequest
from lash.processes.inputs import EngineInput, ToolCallInput
from lash.processes.outputs import ProcessAwaitOutput, SuccessOutput
from lash.processes.registration import ProcessRegistration
from lash.processes.scopes import ProcessProvenance, SessionScope
from lash.processes.selectors import pointer
from lash.processes.status import SignalWait, WaitState
from lash.runtime.worker.engines import EngineOutcome, ProcessParts
from lash.runtime.worker.parking import ParkingController
from lash.runtime.worker.run import Park, ProcessRun
from lash.tools.calls import PreparedToolCall
from torture.effects_log import EffectsLog

KIND: Final = "ordeal"
SIGNAL: Final = "go"
NEWS: Final = "ordeal.news"


class Ordeal(msgspec.Struct, frozen=True):
    """What one of them goes through."""

    number: int
    children: int
    signals: int
    pause_ms: int


def registration(process_id: str, ordeal: Ordeal, env_ref: str, session_id: str) -> ProcessRegistration:
    """The process; it wakes the session once on its way and once at its end."""
    news = ProcessEventType(NEWS, True, EventSemanticsSpec(wake=WakeSpec(pointer("/text"))))
    return ProcessRegistration(
        process_id,
        EngineInput(KIND, msgspec.to_builtins(ordeal)),
        ProcessProvenance.host(),
        [signal(SIGNAL), news, end_wake(KIND)],
        env_ref,
        SessionScope(session_id),
    )


def child_ids(process_id: str, ordeal: Ordeal) -> list[str]:
    """Its children, by name."""
    return [f"{process_id}/child-{number}" for number in range(1, ordeal.children + 1)]


def outcome(ordeal: Ordeal) -> Json:
    """What it ends with, however often it was interrupted."""
    return {
        "children": [{"number": ordeal.number, "twice": 2 * ordeal.number} for _ in range(ordeal.children)],
        "signals": list(range(1, ordeal.signals + 1)),
    }


class OrdealEngine:
    """Runs them."""

    def __init__(self, log: EffectsLog) -> None:
        self._log = log

    async def run(self, run: ProcessRun, parts: ProcessParts) -> EngineOutcome:
        """See `ProcessEngine`."""
        work = run.registration.input
        assert isinstance(work, EngineInput)
        part = _Run(run, parts, self._log, msgspec.convert(work.payload, Ordeal))
        try:
            return await part.go()
        except Exception:
            if run.parked is not None:
                return run.parked
            raise


class _Run:
    def __init__(self, run: ProcessRun, parts: ProcessParts, log: EffectsLog, ordeal: Ordeal) -> None:
        self._run = run
        self._id = run.process_id
        self._controller = ParkingController(run)
        self._parts = parts
        self._registry = parts.processes
        self._log = log
        self._ordeal = ordeal

    async def go(self) -> EngineOutcome:
        await self._step("begin")
        await self._start_children()
        waits_for = [child for child in child_ids(self._id, self._ordeal) if await self._end_of(child) is None]
        if waits_for:
            return Park(awaited=tuple(waits_for))
        children = [await self._value_of(child) for child in child_ids(self._id, self._ordeal)]
        await self._step("joined")
        heard: list[Json] = []
        for ordinal in range(1, self._ordeal.signals + 1):
            event = await self._registry.nth_event(self._id, f"signal.{SIGNAL}", ordinal)
            wait = SignalWait.of(self._id, SIGNAL, f"signal.{SIGNAL}", ordinal)
            if event is None:
                await self._registry.append_event(self._id, events.waiting(self._id, WaitState(wait, 0)))
                return Park()
            await self._registry.append_event(self._id, events.resumed(self._id, wait))
            heard.append(event.payload)
            await self._step(f"heard-{ordinal}")
        await self._pause()
        await self._tell_news()
        await self._step("end")
        return SuccessOutput({"children": children, "signals": heard})

    async def _start_children(self) -> None:
        for child in child_ids(self._id, self._ordeal):
            call = PreparedToolCall("call", "tool:ledger", "ledger", {"number": self._ordeal.number})
            await self._registry.register_process(
                ProcessRegistration(
                    child, ToolCallInput(call), ProcessProvenance.host(), env_ref=self._run.registration.env_ref
                )
            )

    async def _end_of(self, process_id: str) -> ProcessAwaitOutput | None:
        record = await self._registry.get_process(process_id)
        assert record is not None
        return record.status.await_output

    async def _value_of(self, process_id: str) -> Json:
        output = await self._end_of(process_id)
        return output.value if isinstance(output, SuccessOutput) else str(output)

    async def _step(self, name: str) -> None:
        """A side effect, recorded."""
        envelope = self._envelope(f"step:{name}", durable_step_command(name))

        async def do() -> Json:
            self._log.write(f"{self._id}:{name}", envelope.replay_key)
            return name

        await self._controller.execute(envelope, Local.durable_step(do))

    async def _pause(self) -> None:
        envelope = self._envelope("pause", sleep_command(duration_ms=self._ordeal.pause_ms))
        await self._controller.execute(envelope, Local.sleep(self._run.cancel))

    async def _tell_news(self) -> None:
        news = AppendRequest(NEWS, {"text": f"news of {self._id}"}, Replay(f"process:{self._id}:news"))
        await self._registry.append_event(self._id, news)

    def _envelope(self, name: str, command: EffectCommand) -> EffectEnvelope:
        key = f"process:{self._id}:{name}"
        scope = RuntimeScope(self._parts.session_id)
        return EffectEnvelope(Invocation.effect(scope, key, command.kind, key), command)
