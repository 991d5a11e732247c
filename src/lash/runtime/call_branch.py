"""One tool call as a branch: which effect comes next, from what the last one came to.

```
[ask -> [wait for approval]] -> attempt -> (pause -> attempt)* -> [wait for completion -> result]
```

What stands in brackets is there for tools that ask a person, or hand their work to
somebody outside. Each arrow is an effect of its own, recorded under its own key, so a
crash anywhere loses nothing that was answered and asks nobody twice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, cast

from lash.base.codec import from_json, to_json
from lash.base.json import Json, JsonObject
from lash.base.usage import LedgerEntry
from lash.effects.envelope import (
    EffectCommand,
    EffectEnvelope,
    EffectOutcome,
    await_event_command,
    durable_step_command,
    sleep_command,
)
from lash.effects.errors import EffectControllerError
from lash.effects.invocation import Invocation
from lash.effects.local import Branch, EffectRequest, Local
from lash.effects.ports import EffectController
from lash.effects.waits import AwaitEventKey, CustomWait, Resolution, ResolvedErr, ToolCompletionWait, WaitCancelled
from lash.machine.values import PendingCall
from lash.runtime import activity, verdicts
from lash.runtime.call_run import CallPlace, CallRun
from lash.runtime.direct import spent
from lash.tools.calls import PreparedToolCall
from lash.tools.dispatch import storable
from lash.tools.result import OnTimeout, ToolCallOutput, ToolCallRecord


class CallBranch:
    """One call of a batch."""

    def __init__(
        self,
        place: CallPlace,
        controller: EffectController,
        call: PendingCall,
        *,
        effect_id: str,
        replay_key: str,
        prepared: PreparedToolCall | None = None,
    ) -> None:
        """`effect_id` and `replay_key` name the call; its effects add their part. A `prepared` call is not again."""
        self._place = place
        self._controller = controller
        self._call = call
        self._effect_id = effect_id
        self._replay_key = replay_key
        self._run = CallRun(place, call, partial(_completion_key, controller, call))
        self._was_recorded = False
        # What the call's questions to models used, recorded with its attempts.
        self.usage: list[LedgerEntry] = []
        if prepared is not None:
            self._run.resume(to_json(prepared))

    def effects(self) -> Branch[tuple[JsonObject, bool]]:
        """The body of the finished call, and whether it was recorded by an earlier drive."""
        body = yield from self._approved()
        if body is None:
            body = yield from self._attempts()
        return body, self._was_recorded

    def put_together(self, output: ToolCallOutput, duration_ms: int) -> Branch[tuple[JsonObject, bool]]:
        """The body of a call whose output is made of other calls; they are recorded under their own keys."""

        async def finish() -> Json:
            return await self._run.finished(storable(output), duration_ms)

        envelope = self._envelope("together", durable_step_command("together", {"call": self._asked()}))
        body = _object((yield from self._do(envelope, finish))["value"])
        return body, self._was_recorded

    # a person's word

    def _approved(self) -> Branch[JsonObject | None]:
        """None when the call may run; else the body that stands for it."""
        has_recorded = self._controller.has_recorded
        is_asked = self._run.may_ask and not has_recorded(f"{self._replay_key}:attempt:1")
        if not is_asked and not has_recorded(f"{self._replay_key}:approval"):
            return None
        step = self._envelope("approval", durable_step_command("approval", {"call": self._asked()}))
        answer = _object((yield from self._do(step, self._run.ask))["value"])
        if "done" in answer:
            return _object(answer["done"])
        self._run.resume(answer["prepared"])
        if "approval" not in answer:
            return None
        key = self._controller.completion_key(CustomWait(f"approval:{self._call.call_id}"))
        args = _object(_object(answer["prepared"])["args"])
        deadline_ms = cast("int | None", _object(answer["approval"]).get("deadline_ms"))
        resolution = yield from self._wait(
            "approval:wait",
            key,
            deadline_ms,
            self._subject("approval", args),
            activity.ApprovalRequested(key.key_id, self._call.call_id, self._call.tool_name, args, deadline_ms),
        )
        is_approved = verdicts.is_approved(resolution)
        if not self._was_recorded:
            reason = resolution.payload.message if isinstance(resolution, ResolvedErr) else None
            self._tell(
                activity.ApprovalResolved(key.key_id, self._call.call_id, self._call.tool_name, is_approved, reason)
            )
        if is_approved:
            return None
        return (yield from self._result(verdicts.refused(self._call.tool_name, resolution), 0))

    # attempts

    def _attempts(self) -> Branch[JsonObject]:
        number = 1
        while True:
            envelope = self._attempt_envelope(number)
            local = Local(self._run.attempt(number), impact=self._run.impact, cancel=self._place.cancel)
            body = (yield from self._request(envelope, local)).expect("tool_call")
            self.usage += spent(body)
            if "pending" in body:
                return (yield from self._completed(number, _object(body["pending"])))
            delay_ms = body.get("retry_in_ms")
            if not isinstance(delay_ms, int):
                return body
            if self._was_recorded and "prepared" in body:
                self._run.resume(body["prepared"])
            pause = self._envelope(
                f"{self._call.tool_name}:attempt:{number}:sleep", sleep_command(duration_ms=delay_ms)
            )
            try:
                yield from self._request(pause, Local.sleep(self._place.cancel))
            except EffectControllerError as error:
                if error.code != "runtime_effect_sleep_cancelled" or not self._place.cancel.is_requested:
                    raise
                return self._cancelled_body()
            number += 1

    def _cancelled_body(self) -> JsonObject:
        """What stands for a call that was cancelled between two attempts."""
        call = self._call
        output = ToolCallOutput.cancelled(f"tool {call.tool_name} was cancelled before it was tried again")
        record = ToolCallRecord(call.call_id, call.tool_name, call.args or {}, output, 0)
        return {"record": to_json(record), "model_text": self._place.hooks.shown(record)[0]}

    # somebody outside

    def _completed(self, number: int, pending: JsonObject) -> Branch[JsonObject]:
        key = _completion_key(self._controller, self._call)
        deadline_ms = cast("int | None", pending.get("deadline_ms"))
        resolution = yield from self._wait(
            f"attempt:{number}:wait",
            key,
            deadline_ms,
            self._subject("completion", _object(pending["args"])),
            activity.ToolCallPending(key.key_id, self._call.call_id, self._call.tool_name, deadline_ms),
        )
        if isinstance(resolution, WaitCancelled) and "cancel" in pending:
            yield from self._cancelled_outside(number, pending["cancel"])
        on_timeout = cast("OnTimeout", pending["on_timeout"])
        output = verdicts.completed(self._call.tool_name, resolution, on_timeout)
        return (yield from self._result(output, cast("int", pending["duration_ms"])))

    def _cancelled_outside(self, number: int, prepared: Json) -> Branch[None]:
        async def cancel() -> Json:
            return await self._run.cancel_external(prepared, number)

        suffix = f"attempt:{number}:cancel"
        yield from self._do(self._envelope(suffix, durable_step_command("cancel", {"call": self._asked()})), cancel)

    # effects

    def _wait(
        self,
        suffix: str,
        key: AwaitEventKey,
        deadline_ms: int | None,
        subject: JsonObject,
        news: activity.TurnEvent,
    ) -> Branch[Resolution]:
        local = Local.await_event(self._place.cancel, deadline_ms, subject=subject, on_open=lambda: self._tell(news))
        outcome = yield from self._request(self._envelope(suffix, await_event_command(key)), local)
        resolution: Resolution = from_json(
            outcome.expect("await_event")["resolution"],
            Resolution,  # type: ignore[arg-type]  # a union is a shape to msgspec
        )
        return resolution

    def _result(self, output: ToolCallOutput, duration_ms: int) -> Branch[JsonObject]:
        """What hooks make of an output that no attempt gave. An effect, because hooks are live code."""

        async def finish() -> Json:
            return await self._run.finished(storable(output), duration_ms)

        envelope = self._envelope("result", durable_step_command("result", {"output": output.to_json()}))
        return _object((yield from self._do(envelope, finish))["value"])

    def _do(self, envelope: EffectEnvelope, step: Callable[[], Awaitable[Json]]) -> Branch[JsonObject]:
        async def recorded() -> Json:
            return self._place.recorded(_object(await step()))

        outcome = yield from self._request(envelope, Local.durable_step(recorded, impact="reads"))
        body = outcome.expect("durable_step")
        self._place.follow(_object(body["value"]))
        return body

    def _request(self, envelope: EffectEnvelope, local: Local) -> Branch[EffectOutcome]:
        self._was_recorded = self._controller.has_recorded(envelope.replay_key)
        outcome = yield EffectRequest(envelope, local)
        self._place.follow(outcome.body)
        return outcome

    def _attempt_envelope(self, number: int) -> EffectEnvelope:
        command = EffectCommand("tool_call", {"call": self._asked(), "attempt": number})
        return self._envelope(f"attempt:{number}", command)

    def _envelope(self, suffix: str, command: EffectCommand) -> EffectEnvelope:
        effect_id, replay_key = f"{self._effect_id}:{suffix}", f"{self._replay_key}:{suffix}"
        return EffectEnvelope(Invocation.effect(self._place.scope, effect_id, command.kind, replay_key), command)

    def _asked(self) -> JsonObject:
        """What the model asked for; nothing of the live application."""
        return {"call_id": self._call.call_id, "tool_name": self._call.tool_name, "args": self._call.args}

    def _subject(self, kind: str, args: JsonObject) -> JsonObject:
        call = self._call
        place = next(self._place.waits)
        return {"kind": kind, "call_id": call.call_id, "tool": call.tool_name, "args": args, "place": place}

    def _tell(self, event: activity.TurnEvent) -> None:
        self._place.stream.tell(f"tool:{self._call.call_id}", event)


def _completion_key(controller: EffectController, call: PendingCall) -> AwaitEventKey:
    return controller.completion_key(ToolCompletionWait(call.call_id))


def _object(value: Any) -> JsonObject:
    assert isinstance(value, dict)
    return value
