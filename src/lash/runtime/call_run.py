"""The live half of one tool call: asks, prepares, attempts, finishes. What it returns is recorded.

Each method is the body of one effect. Nothing here decides what comes next: the
branch of the call does (runtime/call_branch.py), from what is recorded.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count

import msgspec

from lash.base.cancel import CancelToken
from lash.base.clock import Clock
from lash.base.codec import from_json, to_json
from lash.base.json import Json, JsonObject
from lash.base.messages import Message
from lash.effects.envelope import EffectEnvelope, EffectOutcome, Impact
from lash.effects.invocation import RuntimeScope
from lash.effects.local import Run
from lash.effects.waits import AwaitEventKey
from lash.machine.values import PendingCall
from lash.models.text import readable
from lash.plugins.trail import HookTrail
from lash.runtime import direct
from lash.runtime.activity import ActivityStream, ToolCallProgress
from lash.runtime.direct import DirectCalls
from lash.runtime.open_call import OpenCall
from lash.runtime.tool_hooks import ToolHooks
from lash.tools.calls import PreparedToolCall, ToolCall, ToolExecution
from lash.tools.catalog import ToolCatalog
from lash.tools.context import ToolContext
from lash.tools.definition import AttemptPolicy
from lash.tools.dispatch import asks_for_approval, finish_call, prepare_call, run_attempt
from lash.tools.projected import ProjectedValues
from lash.tools.provider import CancelsCalls
from lash.tools.result import PendingToolCall, ToolCallOutput, ToolCallRecord
from lash.tools.retry import allowed_attempts, next_attempt, settled

logger = logging.getLogger("lash.runtime")
_IMPACT: dict[str, Impact] = {"safe": "reads", "idempotent": "changes", "never": "never"}


class CallPlace(msgspec.Struct, frozen=True):
    """What the calls of one batch share."""

    scope: RuntimeScope
    frame_id: str
    catalog: ToolCatalog
    hooks: ToolHooks
    stream: ActivityStream
    cancel: CancelToken
    clock: Clock
    # Questions of tools to a model, by the id of the call.
    direct: Callable[[str], DirectCalls]
    # What plugins remember is recorded with the effects that changed it; None where no plugin has a state.
    trail: HookTrail | None = None
    # What references in arguments stand for; None where nothing is projected.
    projected: ProjectedValues | None = None
    # The order in which calls began to wait: several do within one millisecond.
    waits: Iterator[int] = msgspec.field(default_factory=count)
    # Whether the batch has but one call.
    is_alone: bool = False

    def recorded(self, body: JsonObject) -> JsonObject:
        """The body of a live outcome with what plugins remember since the last one."""
        return body if self.trail is None else self.trail.record(body)

    def follow(self, body: JsonObject) -> None:
        """After any outcome: a recorded one brings the states of plugins along."""
        if self.trail is not None:
            self.trail.follow(body)


class CallRun:
    """One call: prepared once, attempted as often as its policy allows."""

    def __init__(self, place: CallPlace, call: PendingCall, make_key: Callable[[], AwaitEventKey]) -> None:
        self._place = place
        self._call = call
        self._make_key = make_key
        entry = place.catalog.resolve(call.tool_name)
        manifest = None if entry is None else entry.manifest
        self._policy = AttemptPolicy() if manifest is None else manifest.attempt_policy
        self._approval_timeout_ms = None if manifest is None else manifest.approval_timeout_ms
        self.impact: Impact = _IMPACT[self._policy.repeat]
        self.may_ask = manifest is not None and manifest.approve != "never"
        self._prepared: PreparedToolCall | ToolCallOutput | None = None
        self._direct: DirectCalls | None = None

    def resume(self, prepared: Json) -> None:
        """Goes on with the call as it was prepared when a person was asked about it."""
        self._prepared = from_json(prepared, PreparedToolCall)

    async def ask(self) -> Json:
        """Whether a person must be asked, of a call that is otherwise ready to run.

        Either `{"done": body}`: the call is answered without anybody's word. Or
        `{"prepared": …}`, with `"approval": {"deadline_ms"}` when somebody must be asked.
        """
        prepared = await self._prepare()
        if isinstance(prepared, ToolCallOutput):
            return {"done": await self.finished(prepared, 0)}
        try:
            must_ask = await asks_for_approval(self._place.catalog, prepared, self._context(prepared, 1))
        except Exception as error:  # a predicate that cannot say lets nothing pass
            refused = ToolCallOutput.failure(
                "internal",
                "approval_check_failed",
                readable(f"whether {prepared.tool_name} needs approval could not be decided: {error!r}"),
                source="policy",
            )
            return {"done": await self.finished(refused, 0)}
        answer: JsonObject = {"prepared": to_json(prepared)}
        if must_ask:
            answer["approval"] = {"deadline_ms": self._after(self._approval_timeout_ms)}
        return answer

    def attempt(self, number: int) -> Run:
        """The live code of one attempt."""

        return partial(self._outcome, number)

    async def finished(self, output: ToolCallOutput, duration_ms: int) -> JsonObject:
        """The body of a finished call: its record, what the model sees, messages of hooks."""
        record = ToolCallRecord(self._call.call_id, self._call.tool_name, self._args(), output, duration_ms)
        hooks = self._place.hooks
        messages: list[Message] = []
        if hooks.asks_after:
            after = await finish_call(record, after=lambda done: hooks.after(done, messages))
            if after is not record.output:
                record = ToolCallRecord(record.call_id, record.tool, record.args, after, record.duration_ms)
        text, is_shaped = hooks.shown(record)
        body: JsonObject = {"record": to_json(record), "model_text": text}
        if is_shaped:
            body["is_shaped"] = True
        if messages:
            body["messages"] = to_json(messages)
        return body

    async def cancel_external(self, prepared: Json, number: int) -> Json:
        """Tells the tool that nobody waits for its detached call any more; whether it could be told."""
        call = from_json(prepared, PreparedToolCall)
        entry = self._place.catalog.resolve_id(call.tool_id)
        if entry is None or not isinstance(entry.source.provider, CancelsCalls):
            return {"is_told": False}
        try:
            await entry.source.provider.cancel_call(ToolExecution(call, self._context(call, number)))
        except Exception:
            logger.warning("tool %s: its external work could not be cancelled", call.tool_name, exc_info=True)
            return {"is_told": False}
        return {"is_told": True}

    async def _outcome(self, number: int, _envelope: EffectEnvelope) -> EffectOutcome:
        body = await self._attempt(number)
        if self._direct is not None and self._direct.spent:
            body[direct.USAGE] = to_json(self._direct.usage)
        return EffectOutcome("tool_call", self._place.recorded(body))

    async def _attempt(self, number: int) -> JsonObject:
        clock = self._place.clock
        started = clock.monotonic()
        output = await self._output(number)
        elapsed_ms = round((clock.monotonic() - started) * 1000)
        if isinstance(output, PendingToolCall):
            pending: JsonObject = {
                "args": self._args(),
                "deadline_ms": self._after(output.deadline_ms),
                "on_timeout": output.on_timeout,
                "duration_ms": elapsed_ms,
            }
            if output.on_cancel == "cancel_external_work":
                pending["cancel"] = to_json(self._prepared)
            return {"pending": pending}
        delay_ms = None
        if not self._place.cancel.is_cancelled:
            delay_ms = next_attempt(output, self._policy, number)
        if delay_ms is not None:
            again: JsonObject = {"retry_in_ms": delay_ms, "output": output.to_json()}
            if isinstance(self._prepared, PreparedToolCall):
                again["prepared"] = to_json(self._prepared)  # hooks had their say once for all attempts
            return again
        return await self.finished(settled(output, self._policy, number), elapsed_ms)

    async def _output(self, number: int) -> ToolCallOutput:
        prepared = await self._prepare()
        if isinstance(prepared, ToolCallOutput):
            return prepared
        if not self._place.is_alone:
            # A tool that never waits must not keep its siblings from starting.
            await asyncio.sleep(0)
        with OpenCall(self._place.scope.session_id, prepared.tool_name):
            return await run_attempt(self._place.catalog, prepared, self._context(prepared, number))

    async def _prepare(self) -> PreparedToolCall | ToolCallOutput:
        call = self._call
        if call.args is None:
            return ToolCallOutput.failure(
                "invalid_request",
                "invalid_tool_args",
                f"the arguments of {call.tool_name} are not a JSON object; send one that matches its schema",
                source="runtime",
            )
        if self._prepared is None:
            hooks = self._place.hooks
            self._prepared = await prepare_call(
                self._place.catalog,
                ToolCall(call.call_id, call.tool_name, call.args, call.replay),
                before=hooks.before if hooks.asks_before else None,
            )
        return self._prepared

    def _args(self) -> JsonObject:
        return self._prepared.args if isinstance(self._prepared, PreparedToolCall) else self._call.args or {}

    def _after(self, duration_ms: int | None) -> int | None:
        """The moment so long from now; absolute, because it is recorded."""
        return None if duration_ms is None else self._place.clock.now_ms() + duration_ms

    def _context(self, call: PreparedToolCall, number: int) -> ToolContext:
        place = self._place
        self._direct = place.direct(call.call_id)
        return ToolContext(
            session_id=place.scope.session_id,
            turn_id=place.scope.turn_id or "",
            tool_call_id=call.call_id,
            tool_name=call.tool_name,
            agent_frame_id=place.frame_id,
            attempt_number=number,
            max_attempts=allowed_attempts(self._policy, call.call_id),
            prepared_payload=call.prepared_payload,
            cancellation=place.cancel,
            clock=place.clock,
            on_progress=self._tell_progress,
            make_key=self._make_key,
            direct=self._direct,
            catalog=place.catalog,
            projected=place.projected,
        )

    def _tell_progress(self, text: str) -> None:
        call = self._call
        self._place.stream.tell(f"tool:{call.call_id}", ToolCallProgress(call.call_id, call.tool_name, text))
