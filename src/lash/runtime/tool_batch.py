"""A batch of tool calls as a group of branches.

Each attempt of each call is one effect, each pause between two attempts another
(decisions 11). A branch yields them one after another and is sent their outcomes,
so the controller alone decides who goes on next, live and in replay.

Whatever a live application contributes (which tool, which hooks, which policy) stays
out of the envelope: it says what the model asked for. So an application may change
under a turn in flight; recorded outcomes stand and the rest runs with what is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lash.base.cancel import CancelToken
from lash.base.clock import Clock
from lash.base.codec import from_json, to_json
from lash.base.json import JsonObject
from lash.base.messages import Message
from lash.base.usage import LedgerEntry
from lash.effects.invocation import RuntimeScope
from lash.effects.local import Branch
from lash.effects.ports import EffectController
from lash.machine.values import CompletedCall, FailTurn, FinishTurn, PendingCall, SwitchFrame, TurnControl
from lash.plugins.host import PluginSession
from lash.plugins.trail import HookTrail
from lash.runtime import activity
from lash.runtime.activity import ActivityStream
from lash.runtime.batch_calls import calls_inside, is_batch, together
from lash.runtime.call_branch import CallBranch
from lash.runtime.call_run import CallPlace
from lash.runtime.direct import DirectCalls, DirectModel
from lash.runtime.tool_hooks import LendAt, ToolHooks
from lash.tools import result as tool_result
from lash.tools.batch import waves
from lash.tools.catalog import ToolCatalog
from lash.tools.definition import Scheduling
from lash.tools.model_view import model_return
from lash.tools.result import ToolCallOutput, ToolCallRecord


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What a batch gave: for the conversation, for the record, and for the next checkpoint."""

    completed: list[CompletedCall]
    records: list[ToolCallRecord]
    messages: list[Message]
    # Calls of whose result the model saw something else.
    shaped: list[str]
    # What tools used that asked models themselves.
    usage: list[LedgerEntry]


@dataclass(frozen=True, slots=True)
class _Settled:
    record: ToolCallRecord
    model_text: str
    messages: list[Message]
    is_shaped: bool
    usage: list[LedgerEntry]


class ToolBatch:
    """Runs the calls of one machine effect."""

    def __init__(
        self,
        *,
        scope: RuntimeScope,
        parent_key: str,
        effect_id: str,
        frame_id: str,
        catalog: ToolCatalog,
        plugins: PluginSession,
        controller: EffectController,
        stream: ActivityStream,
        cancel: CancelToken,
        clock: Clock,
        model: DirectModel,
        trail: HookTrail | None = None,
        is_shown: bool = True,
        lend: LendAt | None = None,
    ) -> None:
        """`effect_id` and `parent_key` begin the ids and keys of all effects.

        `is_shown`: the model reads the results as they are, and not what a program makes of them.
        """
        self._parent_key = parent_key
        self._effect_id = effect_id
        self._catalog = catalog
        self._controller = controller
        self._stream = stream
        hooks = ToolHooks(
            plugins,
            catalog,
            stream,
            scope.session_id,
            scope.turn_id or "",
            is_shown=is_shown,
            lend=None if lend is None else lambda where: lend(f"tools:{effect_id}:{where}"),
        )
        self._place = CallPlace(
            scope,
            frame_id,
            catalog,
            hooks,
            stream,
            cancel,
            clock,
            direct=lambda call_id: DirectCalls(controller, scope, call_id, model, cancel=cancel, clock=clock),
            trail=trail,
            projected=plugins.protocol.projected,
        )

    async def run(self, calls: list[PendingCall], names: Sequence[str] | None = None) -> BatchResult:
        """Parallel tools side by side, then serial ones in call order; results in call order.

        `names` tell the calls apart in keys; by default their places do.
        """
        named = names or [child_suffix(index, call) for index, call in enumerate(calls)]
        if any(is_batch(call, self._catalog) for call in calls):
            done_in_order = await self._run_taken_apart(calls, named)
        else:
            done_in_order = await self._run_all(calls, named)
        return BatchResult(
            completed=[_completed(done) for done in done_in_order],
            records=[done.record for done in done_in_order],
            messages=[message for done in done_in_order for message in done.messages],
            shaped=[done.record.call_id or "" for done in done_in_order if done.is_shaped],
            usage=[entry for done in done_in_order for entry in done.usage],
        )

    async def run_one(self, call: PendingCall, name: str) -> ToolCallRecord:
        """One call by itself, for who wants to know no more than what it came to."""
        if is_batch(call, self._catalog):
            return (await self.run([call], [name])).records[0]
        [settled] = await self._controller.run_group([self._branch(name, call)])
        return settled.record

    async def _run_all(self, calls: Sequence[PendingCall], named: Sequence[str]) -> list[_Settled]:
        by_index: dict[int, _Settled] = {}
        for wave in waves([self._scheduling(call) for call in calls]):
            branches = [self._branch(named[index], calls[index]) for index in wave]
            by_index.update(zip(wave, await self._controller.run_group(branches), strict=True))
        return [by_index[index] for index in range(len(calls))]

    async def _run_taken_apart(self, calls: Sequence[PendingCall], named: Sequence[str]) -> list[_Settled]:
        """The same where some calls hold others: those run in their place, and are put together at the end."""
        flat: list[PendingCall] = []
        names: list[str] = []
        spans: list[range] = []
        for call, name in zip(calls, named, strict=True):
            inside = calls_inside(call) if is_batch(call, self._catalog) else None
            start = len(flat)
            if inside is None:
                flat.append(call)
                names.append(name)
            else:
                flat += inside
                names += [inner_name(name, one) for one in inside]
                self._stream.tell(
                    f"tool:{call.call_id}", activity.ToolCallStarted(call.call_id, call.tool_name, call.args or {})
                )
            spans.append(range(start, len(flat)))
        ran = await self._run_all(flat, names)
        done: list[_Settled] = []
        for call, name, span in zip(calls, named, spans, strict=True):
            if not is_batch(call, self._catalog):
                done.append(ran[span.start])
                continue
            branch = self._together(name, call, [ran[place] for place in span])
            done += await self._controller.run_group([branch])
        return done

    def _together(self, child: str, call: PendingCall, inside: list[_Settled]) -> Branch[_Settled]:
        records = [one.record for one in inside]
        branch = self._call_branch(child, call)
        body, was_recorded = yield from branch.put_together(
            together(call, records), max((record.duration_ms for record in records), default=0)
        )
        settled = self._settled(call, body, [entry for one in inside for entry in one.usage], was_recorded)
        return replace(settled, messages=[message for one in [*inside, settled] for message in one.messages])

    def _scheduling(self, call: PendingCall) -> Scheduling:
        entry = self._catalog.resolve(call.tool_name)
        return "parallel" if entry is None else entry.manifest.scheduling

    def _branch(self, child: str, call: PendingCall) -> Branch[_Settled]:
        if self._stream.is_watched:
            started = activity.ToolCallStarted(call.call_id, call.tool_name, call.args or {})
            self._stream.tell(f"tool:{call.call_id}", started)
        branch = self._call_branch(child, call)
        body, was_recorded = yield from branch.effects()
        return self._settled(call, body, branch.usage, was_recorded)

    def _call_branch(self, child: str, call: PendingCall) -> CallBranch:
        return CallBranch(
            self._place,
            self._controller,
            call,
            effect_id=f"{self._effect_id}:{child}",
            replay_key=f"{self._parent_key}:{child}",
        )

    def _settled(self, call: PendingCall, body: JsonObject, usage: list[LedgerEntry], was_recorded: bool) -> _Settled:
        record = from_json(body["record"], ToolCallRecord)
        messages = from_json(body["messages"], list[Message]) if body.get("messages") else []
        if self._stream.is_watched:
            completed = activity.ToolCallCompleted(
                call.call_id, call.tool_name, record.args, record.output, record.duration_ms, was_recorded
            )
            self._stream.tell(f"tool:{call.call_id}", completed)
        return _Settled(record, str(body.get("model_text", "")), messages, body.get("is_shaped") is True, usage)


def child_suffix(index: int, call: PendingCall) -> str:
    """Names one call within its batch."""
    return f"child:{index}:{call.call_id}"


def inner_name(name: str, inside: PendingCall) -> str:
    """Names a call inside a call."""
    return f"{name}:inside:{inside.call_id}"


def first_suffixes(index: int, call: PendingCall) -> list[str]:
    """The effects that one call may begin with: the question to a person, or its first attempt; or of those inside."""
    child = child_suffix(index, call)
    names = [child, *(inner_name(child, inside) for inside in calls_inside(call))]
    return [effect for name in names for effect in first_effects(name)]


def first_effects(name: str) -> tuple[str, str]:
    """The same for a call by its name."""
    return f"{name}:approval", f"{name}:attempt:1"


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
