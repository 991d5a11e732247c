"""From a driven turn to the commit that makes it true, and back to its result."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence, Set

import msgspec

from lash.base.canonical import canonical_json, parse_json, sha256_hex
from lash.base.codec import from_json, to_json
from lash.base.json import Json, JsonObject
from lash.base.messages import Message, Part
from lash.base.usage import LedgerEntry, TokenUsage, merge_ledger
from lash.effects.ports import EffectSummary
from lash.machine.driver import message_id
from lash.machine.outcome import AssistantMessage, FrameSwitch, Stopped, SubmittedValue, ToolValue, TurnOutcome
from lash.machine.values import ProtocolRecord, Said, TurnRecord, TurnTotals
from lash.plugins.trail import LeftNode
from lash.runtime.branching import attachment_ids
from lash.runtime.chaining import chained, initial_nodes, nodes_of, switched, with_variables
from lash.runtime.input import QueuedInput, TextItem, TurnOptions
from lash.runtime.memory import SessionMemory
from lash.runtime.result import RECOVERED, AssistantOutput, Execution, TurnIssue, TurnResult, classify_output
from lash.sessions.accept import turn_source_key
from lash.sessions.checkpoint import EXECUTION_STATE, Checkpoint, TurnState
from lash.sessions.commit import (
    CommitBudget,
    LeaseGuard,
    RuntimeCommit,
    StoredTurn,
    TurnStamp,
    UsageDelta,
)
from lash.sessions.graph import GraphAppend
from lash.sessions.queue import QueuedWorkCompletion, QueuedWorkDraft, TurnInputPayload
from lash.tools.result import Cancelled, Failed, Succeeded, ToolCallOutput, ToolCallRecord
from lash.tools.value import is_marked

# What a stamp keeps of calls in cells: so many of them, and so much of the arguments and the value of each.
BRIEF_CALLS = 200
BRIEF_CHARS = 1_000


class TurnSummary(msgspec.Struct, frozen=True):
    """What a stamp keeps of a turn (decisions 4 and 10): text and calls are in the graph.

    `effects` is a list of `[key suffix, hash prefix, attempts, started_at_ms, duration_ms, replayed]`.
    """

    turn_index: int
    message_count: int
    outcome: TurnOutcome
    usage: TokenUsage = TokenUsage()
    errors: list[TurnIssue] = []
    effects: list[list[Json]] = []
    # Calls that did not succeed or whose result the model saw in another shape, by call id: the graph keeps only
    # what the model saw.
    unsuccessful: dict[str, ToolCallOutput] = {}
    # What tools used that asked models themselves; absent where there is none.
    direct_usage: list[LedgerEntry] = []
    # Calls that programs made, which are no part of the conversation: what they gave by its beginning.
    cell_calls: list[ToolCallRecord] = []
    # Calls whose value is the JSON that the model saw, and not that text.
    json_calls: list[str] = []

    def to_json(self) -> JsonObject:
        """The stored form. The text of an ordinary answer is read from the graph instead."""
        outcome = AssistantMessage("") if isinstance(self.outcome, AssistantMessage) else self.outcome
        body = to_json(msgspec.structs.replace(self, outcome=outcome))
        assert isinstance(body, dict)
        if not self.direct_usage:
            del body["direct_usage"]
        if not self.cell_calls:
            del body["cell_calls"]
        if not self.json_calls:
            del body["json_calls"]
        return body


def compact_effects(effects: Sequence[EffectSummary], prefix: str) -> list[list[Json]]:
    """Effects as the stamp keeps them; `prefix` is the part of the keys that the stamp knows anyway."""
    return [
        [
            effect.key.removeprefix(prefix),
            effect.hash[:16],
            effect.attempts,
            effect.started_at_ms,
            None if effect.finished_at_ms is None else effect.finished_at_ms - effect.started_at_ms,
            effect.replayed,
        ]
        for effect in effects
    ]


def turn_commit(
    memory: SessionMemory,
    *,
    checkpoint: Checkpoint,
    turn_id: str,
    turn_index: int,
    records: Sequence[TurnRecord],
    outcome: TurnOutcome,
    totals: TurnTotals,
    usage_model: str,
    errors: list[TurnIssue],
    effects: list[list[Json]],
    tool_calls: Sequence[ToolCallRecord],
    shaped_calls: Set[str] = frozenset(),
    direct_usage: Sequence[LedgerEntry] = (),
    appended: Sequence[LeftNode] = (),
    guard: LeaseGuard,
    completions: list[QueuedWorkCompletion],
    retire_scope_key: str,
    budget: CommitBudget,
    now_ms: int,
    turn_options: JsonObject,
) -> RuntimeCommit:
    """The one commit of a turn: graph, checkpoint, usage, queue, stamp, journal and lease together."""
    kept = _kept(records, outcome, turn_index)
    nodes = nodes_of(kept, memory, turn_index, now_ms)
    nodes += chained(appended, memory, now_ms, nodes[-1].node_id if nodes else None)
    attached = attachment_ids(nodes)
    in_cells = calls_of_cells(tool_calls, kept)
    if in_cells:
        unsaid = {call.call_id for call in in_cells}
        tool_calls = [call for call in tool_calls if call.call_id not in unsaid]
    summary = TurnSummary(
        turn_index,
        len(kept),
        outcome,
        totals.usage,
        errors,
        effects,
        kept_outputs(tool_calls, shaped_calls),
        merge_ledger(direct_usage),
        [_in_brief(call) for call in in_cells[:BRIEF_CALLS]],
        [call.call_id for call in tool_calls if call.call_id and _is_shown_as_json(call.output)],
    )
    state = checkpoint.turn_state
    checkpoint = msgspec.structs.replace(
        checkpoint,
        turn_state=TurnState(
            turn_index=turn_index,
            token_usage=state.token_usage + totals.usage,
            last_prompt_usage=totals.last_prompt or state.last_prompt_usage,
            protocol_turn_options=state.protocol_turn_options,
            model_calls=state.model_calls + totals.model_calls,
        ),
    )
    variables = checkpoint.execution_state
    frames, frame_id, follow_ups = memory.frames, memory.frame_id, list[QueuedWorkDraft]()
    if variables is not None and not isinstance(outcome, FrameSwitch):
        # The bytes are a component of this very commit; the frame only names them.
        frames = with_variables(frames, frame_id, sha256_hex(variables), None)
    if isinstance(outcome, FrameSwitch):
        if variables is not None:
            frames = with_variables(frames, frame_id, None, variables)
        frames, frame_id = switched(memory, frames, outcome, now_ms), outcome.frame_id
        nodes += initial_nodes(outcome, nodes, memory, turn_index, now_ms)
        components = {key: ref for key, ref in checkpoint.components.items() if key != EXECUTION_STATE}
        checkpoint = msgspec.structs.replace(checkpoint, components=components)
        follow_ups.append(follow_up_draft(memory.session_id, turn_id, outcome.task, turn_options))
    source = memory.assignment.usage_source or "turn"
    deltas = [UsageDelta(source, usage_model, totals.usage, f"{turn_id}:0")] if totals.usage else []
    deltas += [
        UsageDelta(entry.source, entry.model, entry.usage, f"{turn_id}:direct:{number}")
        for number, entry in enumerate(summary.direct_usage)
    ]
    commit = RuntimeCommit(
        session_id=memory.session_id,
        policy=memory.policy,
        agent_frames=frames,
        current_agent_frame_id=frame_id,
        graph=GraphAppend(nodes, nodes[-1].node_id if nodes else memory.leaf_node_id),
        checkpoint=checkpoint,
        expected_head_revision=memory.head_revision or None,
        usage_deltas=deltas,
        rolled_up_to=memory.ancestors,
        completed_queue_claims=completions,
        committed_attachment_ids=attached,
        budget=budget,
        guard=guard,
        enqueue=follow_ups,
        retire_scope_key=retire_scope_key,
    )
    # The store derives the commit's hash; a second copy of ours would only cost time.
    stamp = TurnStamp(memory.session_id, turn_id, "", summary.to_json())
    return msgspec.structs.replace(commit, turn_commit=stamp)


def follow_up_turn_id(turn_id: str) -> str:
    """The turn that continues in another frame after `turn_id` (decisions 9)."""
    base, mark, number = turn_id.rpartition(":frame:")
    if mark and number.isdigit():
        return f"{base}:frame:{int(number) + 1}"
    return f"{turn_id}:frame:1"


def follow_up_draft(session_id: str, turn_id: str, task: str, turn_options: JsonObject) -> QueuedWorkDraft:
    """The input of that turn, which ends as the first one was to end."""
    payload = to_json(QueuedInput([TextItem(task)], TurnOptions(protocol_turn_options=turn_options)))
    assert isinstance(payload, dict)
    return QueuedWorkDraft(
        session_id, [TurnInputPayload(payload)], source_key=turn_source_key(follow_up_turn_id(turn_id))
    )


def turn_result(
    *,
    turn_id: str,
    revision: int,
    summary: TurnSummary,
    messages: Sequence[Message],
    tool_calls: list[ToolCallRecord] | None,
    replayed: bool,
) -> TurnResult:
    """The result of a settled turn from its summary and its messages."""
    calls = tool_calls
    if calls is None:
        calls = [*calls_of(messages, summary.unsuccessful, set(summary.json_calls)), *summary.cell_calls]
    issues = list(summary.errors)
    output, is_recovered = assistant_output(summary.outcome, messages)
    if is_recovered:
        issues.append(TurnIssue("runtime", RECOVERED, message="recovered from history"))
    outcome = summary.outcome
    if isinstance(outcome, AssistantMessage):
        outcome = AssistantMessage(output.safe_text)
    return TurnResult(
        turn_id=turn_id,
        outcome=outcome,
        assistant_output=output,
        revision=revision,
        usage=summary.usage,
        children_usage=summary.direct_usage,
        tool_calls=calls,
        errors=issues,
        execution=Execution(had_tool_calls=bool(calls), had_code_execution=_has_code(messages)),
        replayed=replayed,
    )


def _has_code(messages: Sequence[Message]) -> bool:
    return any(part.kind == "code" for message in messages for part in message.parts)


def assistant_output(outcome: TurnOutcome, messages: Sequence[Message]) -> tuple[AssistantOutput, bool]:
    """What the turn said, and whether it had to be looked for behind a failure."""
    match outcome:
        case SubmittedValue(value=value) | ToolValue(value=value):
            return classify_output(_shown(value)), False
        case AssistantMessage(text=text) if text:
            return classify_output(text), False
        case AssistantMessage():
            return classify_output(_last_prose(messages)), False
        case FrameSwitch():
            return classify_output(""), False
        case Stopped():
            text = _last_prose(messages)
            return classify_output(text, is_recovered=bool(text)), bool(text)


def kept_outputs(calls: Sequence[ToolCallRecord], shaped: Set[str]) -> dict[str, ToolCallOutput]:
    """What the stamp keeps of calls: failures and cancellations without their raw part, shaped results in full."""
    kept: dict[str, ToolCallOutput] = {}
    for call in calls:
        match call.output.outcome:
            case Failed(payload=payload):
                kept[call.call_id or ""] = ToolCallOutput(Failed(msgspec.structs.replace(payload, raw=None)))
            case Cancelled(payload=payload):
                kept[call.call_id or ""] = ToolCallOutput(Cancelled(msgspec.structs.replace(payload, raw=None)))
            case Succeeded(payload=payload):
                if call.call_id in shaped or is_marked(payload):
                    kept[call.call_id or ""] = call.output
    return kept


def _is_shown_as_json(output: ToolCallOutput) -> bool:
    return isinstance(output.outcome, Succeeded) and not isinstance(output.outcome.payload, str)


def calls_of_cells(calls: Sequence[ToolCallRecord], kept: Sequence[TurnRecord]) -> list[ToolCallRecord]:
    """The calls that no message tells of: programs made them."""
    if not calls:
        return []
    told = {
        part.tool_call_id
        for record in kept
        if isinstance(record, Said)
        for part in record.message.parts
        if part.kind == "tool_call"
    }
    return [call for call in calls if call.call_id not in told]


def _in_brief(call: ToolCallRecord) -> ToolCallRecord:
    """The call without what may be large: of a value its text, as far as a reader looks."""
    match call.output.outcome:
        case Succeeded(payload=payload):
            text = payload if isinstance(payload, str) else canonical_json(payload)
            output = ToolCallOutput.ok(text[:BRIEF_CHARS])
        case Failed(payload=payload):
            output = ToolCallOutput(Failed(msgspec.structs.replace(payload, raw=None)))
        case Cancelled(payload=payload):
            output = ToolCallOutput(Cancelled(msgspec.structs.replace(payload, raw=None)))
    args = call.args if len(canonical_json(call.args)) <= BRIEF_CHARS else {}
    return msgspec.structs.replace(call, args=args, output=output)


def calls_of(
    messages: Sequence[Message], unsuccessful: Mapping[str, ToolCallOutput], json_calls: Set[str | None] = frozenset()
) -> list[ToolCallRecord]:
    """Tool calls as the conversation remembers them: the output of a success is what the model saw."""
    results = {
        part.tool_call_id: part.content for message in messages for part in message.parts if part.kind == "tool_result"
    }
    records: list[ToolCallRecord] = []
    for message in messages:
        for part in message.parts:
            if part.kind == "tool_call":
                try:
                    args = parse_json(part.content)
                except ValueError:
                    args = {}
                output = unsuccessful.get(part.tool_call_id or "")
                if output is None:
                    # A fresh start may have dropped the result while the messages were read, one by one.
                    text = results.get(part.tool_call_id, "")
                    output = ToolCallOutput(
                        Succeeded(parse_json(text) if text and part.tool_call_id in json_calls else text)
                    )
                records.append(
                    ToolCallRecord(
                        part.tool_call_id, part.tool_name or "", args if isinstance(args, dict) else {}, output, 0
                    )
                )
    return records


def stored_summary(turn: StoredTurn) -> TurnSummary:
    """The summary of a stored turn."""
    return from_json(turn.summary, TurnSummary)


def message_ids(summary: TurnSummary) -> list[str]:
    """The ids of a turn's messages."""
    return [message_id(summary.turn_index, number) for number in range(summary.message_count)]


def _kept(records: Sequence[TurnRecord], outcome: TurnOutcome, turn_index: int) -> list[TurnRecord]:
    """What history keeps: transient messages go, a final answer nobody appended comes.

    Messages are numbered anew so that the stamp can name them by their count.
    """
    kept: list[TurnRecord] = []
    count = 0
    for record in records:
        if isinstance(record, ProtocolRecord):
            kept.append(record)
        elif not record.message.is_transient:
            kept.append(Said(msgspec.structs.replace(record.message, id=message_id(turn_index, count))))
            count += 1
    messages = [record.message for record in kept if isinstance(record, Said)]
    if isinstance(outcome, AssistantMessage) and outcome.text and _last_prose(messages) != outcome.text:
        prose = Message(message_id(turn_index, count), "assistant", [Part("p0", "prose", outcome.text)])
        kept.append(Said(prose))
    return kept


def _last_prose(messages: Sequence[Message]) -> str:
    for message in reversed(messages):
        if message.role == "assistant" and message.text:
            return message.text
    return ""


def _shown(value: Json) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
