"""A batch of tool calls as a group of branches.

Each attempt of each call is one effect, each pause between two attempts another
(decisions 11). A branch yields them one after another and is sent their outcomes,
so the controller alone decides who goes on next, live and in replay.

Whatever a live application contributes (which tool, which hooks, which policy) stays
out of the envelope: it says what the model asked for. So an application may change
under a turn in flight; recorded outcomes stand and the rest runs with what is there.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from lash.base.cancel import CancelToken
from lash.base.clock import Clock
from lash.base.codec import from_json, to_json
from lash.base.json import JsonObject
from lash.base.messages import Message
from lash.effects.envelope import EffectCommand, EffectEnvelope, EffectOutcome, Impact, sleep_command
from lash.effects.errors import EffectControllerError
from lash.effects.invocation import Invocation, RuntimeScope
from lash.effects.local import Branch, EffectRequest, Local, Run
from lash.effects.ports import EffectController
from lash.machine.values import CompletedCall, FailTurn, FinishTurn, PendingCall, SwitchFrame, TurnControl
from lash.plugins.directives import (
    AbortTurn,
    CreateSession,
    EmitRuntimeEvents,
    EnqueueMessages,
    ReplaceToolArgs,
    ShortCircuitTool,
    only_conversation,
)
from lash.plugins.errors import PluginInvokeError
from lash.plugins.hooks import AfterToolCall, BeforeToolCall
from lash.plugins.host import PluginSession
from lash.plugins.snapshots import StateTrail
from lash.runtime import activity
from lash.runtime.activity import ActivityStream
from lash.runtime.asides import carry_out
from lash.tools import result as tool_result
from lash.tools.batch import waves
from lash.tools.calls import PreparedToolCall, ToolCall
from lash.tools.catalog import ToolCatalog
from lash.tools.context import ToolContext
from lash.tools.definition import AttemptPolicy, Scheduling
from lash.tools.dispatch import finish_call, prepare_call, run_attempt
from lash.tools.model_view import model_return, model_text
from lash.tools.result import ToolCallOutput, ToolCallRecord
from lash.tools.retry import allowed_attempts, next_attempt, settled

_IMPACT: dict[str, Impact] = {"safe": "reads", "idempotent": "changes", "never": "never"}


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What a batch gave: for the conversation, for the record, and for the next checkpoint."""

    completed: list[CompletedCall]
    records: list[ToolCallRecord]
    messages: list[Message]
    # Calls of whose result the model saw something else.
    shaped: list[str]


@dataclass(frozen=True, slots=True)
class _Settled:
    record: ToolCallRecord
    model_text: str
    messages: list[Message]
    is_shaped: bool


class ToolBatch:
    """Runs the calls of one machine effect."""

    def __init__(
        self,
        *,
        scope: RuntimeScope,
        parent_key: str,
        effect_number: int,
        frame_id: str,
        catalog: ToolCatalog,
        plugins: PluginSession,
        controller: EffectController,
        stream: ActivityStream,
        cancel: CancelToken,
        clock: Clock,
        trail: StateTrail | None = None,
    ) -> None:
        self._scope = scope
        self._parent_key = parent_key
        self._number = effect_number
        self._frame_id = frame_id
        self._catalog = catalog
        self._plugins = plugins
        self._controller = controller
        self._stream = stream
        self._cancel = cancel
        self.clock = clock
        self.trail = trail

    async def run(self, calls: list[PendingCall]) -> BatchResult:
        """Parallel tools side by side, then serial ones in call order; results in call order."""
        by_index: dict[int, _Settled] = {}
        for wave in waves([self._scheduling(call) for call in calls]):
            branches = [self._branch(index, calls[index]) for index in wave]
            by_index.update(zip(wave, await self._controller.run_group(branches), strict=True))
        done_in_order = [by_index[index] for index in range(len(calls))]
        return BatchResult(
            completed=[_completed(done) for done in done_in_order],
            records=[done.record for done in done_in_order],
            messages=[message for done in done_in_order for message in done.messages],
            shaped=[done.record.call_id or "" for done in done_in_order if done.is_shaped],
        )

    def _scheduling(self, call: PendingCall) -> Scheduling:
        entry = self._catalog.resolve(call.tool_name)
        return "parallel" if entry is None else entry.manifest.scheduling

    def _branch(self, index: int, call: PendingCall) -> Branch[_Settled]:
        correlation_id = f"tool:{call.call_id}"
        args = call.args if call.args is not None else {}
        self._stream.tell(correlation_id, activity.ToolCallStarted(call.call_id, call.tool_name, args))
        run = _CallRun(self, call)
        attempt = 1
        while True:
            envelope = self._attempt_envelope(index, call, attempt)
            is_recorded = self._controller.has_recorded(envelope.replay_key)
            outcome = yield EffectRequest(envelope, Local(run.attempt(attempt), impact=run.impact, cancel=self._cancel))
            body = outcome.expect("tool_call")
            if self.trail is not None:
                self.trail.follow(body)
            delay_ms = body.get("retry_in_ms")
            if not isinstance(delay_ms, int):
                break
            try:
                yield EffectRequest(self._sleep_envelope(index, call, attempt, delay_ms), Local.sleep(self._cancel))
            except EffectControllerError as error:
                if error.code != "runtime_effect_sleep_cancelled" or not self._cancel.is_requested:
                    raise
                body = self._cancelled_body(call)
                break
            attempt += 1
        record = from_json(body["record"], ToolCallRecord)
        messages = from_json(body.get("messages") or [], list[Message])
        self._stream.tell(
            correlation_id,
            activity.ToolCallCompleted(
                call.call_id, call.tool_name, record.args, record.output, record.duration_ms, is_recorded
            ),
        )
        return _Settled(record, str(body["model_text"]), messages, body.get("is_shaped") is True)

    def _cancelled_body(self, call: PendingCall) -> JsonObject:
        """What stands for a call that was cancelled between two attempts."""
        output = ToolCallOutput.cancelled(f"tool {call.tool_name} was cancelled before it was tried again")
        record = ToolCallRecord(call.call_id, call.tool_name, call.args or {}, output, 0)
        return {"record": to_json(record), "model_text": self.shown(record)[0]}

    def _attempt_envelope(self, index: int, call: PendingCall, attempt: int) -> EffectEnvelope:
        suffix = attempt_suffix(index, call, attempt)
        command = EffectCommand(
            "tool_call",
            {"call": {"call_id": call.call_id, "tool_name": call.tool_name, "args": call.args}, "attempt": attempt},
        )
        return self._envelope(suffix, command)

    def _sleep_envelope(self, index: int, call: PendingCall, attempt: int, delay_ms: int) -> EffectEnvelope:
        suffix = f"child:{index}:{call.call_id}:{call.tool_name}:attempt:{attempt}:sleep"
        return self._envelope(suffix, sleep_command(duration_ms=delay_ms))

    def _envelope(self, suffix: str, command: EffectCommand) -> EffectEnvelope:
        invocation = Invocation.effect(
            self._scope, f"{self._number}:{suffix}", command.kind, f"{self._parent_key}:{suffix}"
        )
        return EffectEnvelope(invocation, command)

    # what a call run needs of its batch

    @property
    def catalog(self) -> ToolCatalog:
        """The live tools."""
        return self._catalog

    @property
    def cancel(self) -> CancelToken:
        """Ends running calls."""
        return self._cancel

    def context(self, call: PreparedToolCall, attempt: int, max_attempts: int) -> ToolContext:
        """What the tool sees."""
        return ToolContext(
            session_id=self._scope.session_id,
            turn_id=self._scope.turn_id or "",
            tool_call_id=call.call_id,
            tool_name=call.tool_name,
            agent_frame_id=self._frame_id,
            attempt_number=attempt,
            max_attempts=max_attempts,
            prepared_payload=call.prepared_payload,
            cancellation=self._cancel,
            clock=self.clock,
            on_progress=lambda text: self._stream.tell(
                f"tool:{call.call_id}", activity.ToolCallProgress(call.call_id, call.tool_name, text)
            ),
        )

    async def ask_before(self, call: ToolCall) -> ToolCall | ToolCallOutput:
        """The plugins' word before a call."""
        hooks = self._plugins.registrations.before_tool_call
        entry = self._catalog.resolve(call.tool_name)
        if not hooks.items or entry is None:
            return call
        abort: ToolCallOutput | None = None
        answer: ToolCallOutput | None = None
        # Each hook sees the arguments as the ones before it left them. Every hook is asked, and the
        # strictest word wins: an abort beats a refusal, a refusal an answer, an answer the call itself.
        for hook in hooks.items:
            context = BeforeToolCall(
                self._scope.session_id, self._scope.turn_id or "", call.call_id, entry.manifest, call.args
            )
            for directive in await self._plugins.ask("before_tool_call", hook, context):
                match directive:
                    case AbortTurn(code=code, message=message):
                        abort = abort or ToolCallOutput.failure("permission_denied", code, message, source="plugin")
                    case ReplaceToolArgs(args=args):
                        call = ToolCall(call.call_id, call.tool_name, args, call.replay)
                    case ShortCircuitTool(output=output):
                        answer = output if answer is None or answer.is_success else answer
                    case EmitRuntimeEvents() | CreateSession():
                        await carry_out(self._plugins, self._stream, hook.plugin_id, directive)
                    case EnqueueMessages():
                        raise PluginInvokeError(
                            f"plugin {hook.plugin_id!r} may not enqueue messages before a tool call"
                        )
        return abort or answer or call

    async def ask_after(self, record: ToolCallRecord, messages: list[Message]) -> ToolCallOutput:
        """The plugins' word after a call; messages are kept for the next checkpoint."""
        hooks = self._plugins.registrations.after_tool_call
        entry = self._catalog.resolve(record.tool)
        if not hooks.items or entry is None:
            return record.output
        abort: ToolCallOutput | None = None
        output = record.output
        # Each hook sees the result as the ones before it left it; an abort stays, whatever comes after.
        for hook in hooks.items:
            context = self._after_context(
                ToolCallRecord(record.call_id, record.tool, record.args, abort or output, record.duration_ms)
            )
            assert context is not None
            for directive in await self._plugins.ask("after_tool_call", hook, context):
                match directive:
                    case AbortTurn(code=code, message=message):
                        abort = abort or ToolCallOutput.failure("permission_denied", code, message, source="plugin")
                    case ShortCircuitTool(output=replacement):
                        output = replacement
                    case EmitRuntimeEvents() | CreateSession():
                        await carry_out(self._plugins, self._stream, hook.plugin_id, directive)
                    case EnqueueMessages(messages=queued):
                        messages += only_conversation(hook.plugin_id, queued)
                    case ReplaceToolArgs():
                        raise PluginInvokeError(
                            f"plugin {hook.plugin_id!r} may not replace arguments after a tool call"
                        )
        return abort or output

    def shown(self, record: ToolCallRecord) -> tuple[str, bool]:
        """What the model sees of a result, and whether a plugin made something else of it."""
        text = model_text(record.output)
        projector = self._plugins.registrations.tool_result_projector.item
        context = None if projector is None else self._after_context(record)
        if projector is None or context is None:
            return text, False
        projected = projector.value(context, text)
        return projected, projected != text

    def _after_context(self, record: ToolCallRecord) -> AfterToolCall | None:
        entry = self._catalog.resolve(record.tool)
        if entry is None:
            return None
        return AfterToolCall(
            self._scope.session_id,
            self._scope.turn_id or "",
            record.call_id or "",
            entry.manifest,
            record.args,
            record.output,
        )


class _CallRun:
    """The live half of one call: prepared once, attempted as often as its policy allows."""

    def __init__(self, batch: ToolBatch, call: PendingCall) -> None:
        self._batch = batch
        self._call = call
        entry = batch.catalog.resolve(call.tool_name)
        self._policy = AttemptPolicy() if entry is None else entry.manifest.attempt_policy
        self.impact: Impact = _IMPACT[self._policy.repeat]
        self._prepared: PreparedToolCall | ToolCallOutput | None = None
        self._waited_ms = 0

    def attempt(self, number: int) -> Run:
        """The live code of one attempt."""

        async def run(_envelope: EffectEnvelope) -> EffectOutcome:
            outcome, trail = await self._attempt(number), self._batch.trail
            return outcome if trail is None else EffectOutcome(outcome.kind, trail.record(outcome.body))

        return run

    async def _attempt(self, number: int) -> EffectOutcome:
        clock = self._batch.clock
        started = clock.monotonic()
        output = await self._output(number)
        args = self._prepared.args if isinstance(self._prepared, PreparedToolCall) else self._call.args or {}
        elapsed_ms = round((clock.monotonic() - started) * 1000)
        delay_ms = None
        if not self._batch.cancel.is_cancelled:
            delay_ms = next_attempt(output, self._policy, number)
        if delay_ms is not None:
            return EffectOutcome("tool_call", {"retry_in_ms": delay_ms, "output": output.to_json()})
        record = ToolCallRecord(
            self._call.call_id, self._call.tool_name, args, settled(output, self._policy, number), elapsed_ms
        )
        messages: list[Message] = []
        after = await finish_call(record, after=lambda done: self._batch.ask_after(done, messages))
        if after is not record.output:
            record = ToolCallRecord(record.call_id, record.tool, record.args, after, record.duration_ms)
        text, is_shaped = self._batch.shown(record)
        body: JsonObject = {"record": to_json(record), "model_text": text}
        if is_shaped:
            body["is_shaped"] = True
        if messages:
            body["messages"] = to_json(messages)
        return EffectOutcome("tool_call", body)

    async def _output(self, number: int) -> ToolCallOutput:
        call = self._call
        if call.args is None:
            return ToolCallOutput.failure(
                "invalid_request",
                "invalid_tool_args",
                f"the arguments of {call.tool_name} are not a JSON object; send one that matches its schema",
                source="runtime",
            )
        if self._prepared is None:
            self._prepared = await prepare_call(
                self._batch.catalog,
                ToolCall(call.call_id, call.tool_name, call.args, call.replay),
                before=self._batch.ask_before,
            )
        if isinstance(self._prepared, ToolCallOutput):
            return self._prepared
        context = self._batch.context(self._prepared, number, allowed_attempts(self._policy, call.call_id))
        # A tool that never waits must not keep its siblings from starting.
        await asyncio.sleep(0)
        return await run_attempt(self._batch.catalog, self._prepared, context)


def attempt_suffix(index: int, call: PendingCall, attempt: int) -> str:
    """Names one attempt of one call within its batch."""
    return f"child:{index}:{call.call_id}:attempt:{attempt}"


def _completed(done: _Settled) -> CompletedCall:
    output = done.record.output
    return CompletedCall(
        call_id=done.record.call_id or "",
        tool_name=done.record.tool,
        content=done.model_text,
        status="success" if output.is_success else "failure" if output.error is not None else "cancelled",
        attachments=model_return(output).attachments,
        control=_control(output),
    )


def _control(output: ToolCallOutput) -> TurnControl | None:
    match output.control:
        case None:
            return None
        case tool_result.SwitchAgentFrame(frame_id=frame_id, initial_nodes=nodes, task=task):
            return SwitchFrame(frame_id, task, nodes)
        case tool_result.FinishTurn(value=value):
            return FinishTurn(value)
        case tool_result.FailTurn(failure=failure):
            return FailTurn(to_json(failure))
