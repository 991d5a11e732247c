"""A controller that traces what goes through another one.

It stands between the turn and the effect boundary, so it sees every effect once, knows
which are replayed, and needs no word from the code in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar, cast

from lash.base.codec import from_json
from lash.base.json import JsonObject
from lash.effects.around import ControllerAround
from lash.effects.envelope import EffectEnvelope, EffectOutcome
from lash.effects.local import Branch, EffectRequest, Local
from lash.effects.ports import EffectController
from lash.machine.values import PendingCall
from lash.tools.result import ToolCallOutput, ToolCallRecord
from lash.tracing.records import TraceContext
from lash.tracing.turn import TurnTrace

T = TypeVar("T")


class TracedController(ControllerAround):
    """Another controller, watched."""

    def __init__(self, inner: EffectController, trace: TurnTrace) -> None:
        super().__init__(inner)
        self._trace = trace
        if trace.tracer.recalls:
            trace.remember(inner.summary())

    async def execute(self, envelope: EffectEnvelope, local: Local) -> EffectOutcome:
        """As the other does."""
        watched = _Watched(self._trace, self._inner, envelope, None)
        watched.begins()
        try:
            outcome = await self._inner.execute(envelope, local)
        except Exception as error:
            watched.failed(error)
            raise
        watched.ends(outcome)
        return outcome

    async def run_group(self, branches: Sequence[Branch[T]]) -> list[T]:
        """As the other does; each branch is watched."""
        return await self._inner.run_group(
            [_BranchTrace(self._trace, self._inner).follow(branch) for branch in branches]
        )


class _Watched:
    """One effect on its way."""

    def __init__(
        self, trace: TurnTrace, controller: EffectController, envelope: EffectEnvelope, call: PendingCall | None
    ) -> None:
        self._trace = trace
        self._envelope = envelope
        self._call = call
        self.is_replayed = controller.has_recorded(envelope.replay_key)
        self._started = trace.tracer.clock.monotonic()

    @property
    def elapsed_ms(self) -> int | None:
        """None for what was recorded before."""
        if self.is_replayed:
            return None
        return round((self._trace.tracer.clock.monotonic() - self._started) * 1000)

    @property
    def _wait_kind(self) -> str | None:
        if self._envelope.kind == "sleep":
            return "sleep"
        if self._envelope.kind != "await_event":
            return None
        return "approval" if self._envelope.effect_id.endswith(":approval:wait") else "completion"

    def begins(self) -> None:
        kind = self._wait_kind
        if kind is not None and not self.is_replayed:
            self._trace.wait_started(self._trace.context_of(self._envelope), kind, self._call)

    def ends(self, outcome: EffectOutcome) -> None:
        envelope = self._envelope
        if envelope.kind == "llm_call":
            self._trace.model_answered(envelope, outcome, self.elapsed_ms)
        elif (kind := self._wait_kind) is not None:
            self._end_wait(kind, "completed")

    def failed(self, error: Exception) -> None:
        kind = self._wait_kind
        if kind is not None and not self.is_replayed:
            self._end_wait(kind, str(getattr(error, "code", type(error).__name__)))

    def _end_wait(self, kind: str, status: str) -> None:
        context = self._trace.context_of(self._envelope)
        key = self._envelope.replay_key
        self._trace.wait_completed(context, kind, self._call, key, self.elapsed_ms, status)


class _BranchTrace:
    """One branch of a group. When it is a tool call, also the call as a whole."""

    def __init__(self, trace: TurnTrace, controller: EffectController) -> None:
        self._trace = trace
        self._controller = controller
        self._call: PendingCall | None = None
        self._context = TraceContext()
        self._key = ""
        self._attempts = 0
        self._is_done = False
        self._last: _Watched | None = None

    def follow(self, branch: Branch[T]) -> Branch[T]:
        """The same branch."""
        try:
            request = next(branch)
            while True:
                watched = self._begins(request)
                try:
                    outcome = yield request
                except Exception as error:
                    watched.failed(error)
                    request = branch.throw(error)
                else:
                    self._ends(request.envelope, outcome, watched)
                    request = branch.send(outcome)
        except StopIteration as stop:
            self._returns()
            result: T = stop.value
            return result
        finally:
            branch.close()

    def _begins(self, request: EffectRequest) -> _Watched:
        envelope = request.envelope
        if self._call is None and (asked := _asked(envelope)) is not None:
            self._call = PendingCall(str(asked["call_id"]), str(asked["tool_name"]), cast("Any", asked.get("args")))
            # The call is known by what its effects have in common.
            effect_id, _, _ = envelope.effect_id.rpartition(":approval")
            if envelope.kind == "tool_call":
                effect_id, _, _ = envelope.effect_id.rpartition(":attempt:")
            cut = len(envelope.effect_id) - len(effect_id)
            self._key = envelope.replay_key[:-cut]
            self._context = self._trace.context_of(envelope, effect_id)
            if not self._controller.has_recorded(envelope.replay_key):
                self._trace.tool_started(self._context, self._call)
        watched = _Watched(self._trace, self._controller, envelope, self._call)
        watched.begins()
        self._last = watched
        return watched

    def _ends(self, envelope: EffectEnvelope, outcome: EffectOutcome, watched: _Watched) -> None:
        watched.ends(outcome)
        if self._call is None:
            return
        body = outcome.body
        if envelope.kind == "tool_call":
            self._attempts += 1
            self._attempted(envelope, body, watched)
        elif envelope.kind == "durable_step":
            value = body.get("value")
            body = value if isinstance(value, dict) else {}
            body = cast("JsonObject", body.get("done", body))
        if "record" in body and envelope.kind in ("tool_call", "durable_step"):
            self._complete(from_json(body["record"], ToolCallRecord), watched.elapsed_ms, envelope.replay_key)

    def _attempted(self, envelope: EffectEnvelope, body: JsonObject, watched: _Watched) -> None:
        status = "retry" if "retry_in_ms" in body else "pending" if "pending" in body else "final"
        if (status, self._attempts) != ("final", 1):
            assert self._call is not None
            self._trace.tool_attempted(
                self._trace.context_of(envelope),
                self._call,
                self._attempts,
                status,
                envelope.replay_key,
                watched.elapsed_ms,
                body.get("retry_in_ms"),
            )

    def _complete(self, record: ToolCallRecord, elapsed_ms: int | None, recorded_as: str) -> None:
        self._is_done = True
        self._trace.tool_completed(self._context, record, self._attempts, self._key, elapsed_ms, recorded_as)

    def _returns(self) -> None:
        """A call that was cancelled between two attempts has no effect that says so."""
        if self._call is not None and not self._is_done:
            output = ToolCallOutput.cancelled(f"tool {self._call.tool_name} was cancelled")
            record = ToolCallRecord(self._call.call_id, self._call.tool_name, self._call.args or {}, output, 0)
            elapsed_ms = None if self._last is None else self._last.elapsed_ms
            self._complete(record, elapsed_ms, self._key)


def _asked(envelope: EffectEnvelope) -> JsonObject | None:
    """What the model asked for, in the first effect of a tool call."""
    body = envelope.command.body
    if envelope.kind == "tool_call":
        return cast("JsonObject", body["call"])
    if envelope.kind == "durable_step" and body.get("step_id") == "approval":
        return cast("JsonObject", cast("JsonObject", body["input"])["call"])
    return None
