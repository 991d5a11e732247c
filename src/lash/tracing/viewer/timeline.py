"""From the lines of a trace to turns and their spans.

Tolerant: a trace may have been cut anywhere, may hold the lines of several processes and
record types nobody here knows. What cannot be read is counted, what cannot be placed is
kept as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias, cast

import msgspec

from lash.base.json import Json, JsonObject

SpanStatus: TypeAlias = Literal["ok", "failed", "open"]


class Span(msgspec.Struct):
    """A piece of work, or a moment when `end_ms` is `start_ms`. `depth` 0 is the turn itself."""

    name: str
    kind: str
    start_ms: int
    end_ms: int
    depth: int
    status: SpanStatus
    records: list[JsonObject]
    note: str = ""


class Turn(msgspec.Struct):
    """One turn of one session, or what a session told outside of turns (`turn_id` is then empty)."""

    session_id: str
    turn_id: str
    start_ms: int
    end_ms: int
    status: SpanStatus
    spans: list[Span]
    input_tokens: int = 0
    output_tokens: int = 0


# The record that ends a piece of work, and the one that began it.
_BEGAN = {
    "llm_call_completed": "llm_call_started",
    "llm_call_failed": "llm_call_started",
    "tool_call_completed": "tool_call_started",
    "wait_completed": "wait_started",
}
_BEGINS = frozenset(_BEGAN.values())
_DEPTH = {"llm_call": 1, "tool_call": 1, "tool_attempt": 2, "wait": 2}


def read_trace(lines: Iterable[str | bytes]) -> tuple[list[JsonObject], int]:
    """The records of a JSON lines file, and how many lines are none."""
    records: list[JsonObject] = []
    broken = 0
    for line in lines:
        if not line.strip():
            continue
        try:
            record = msgspec.json.decode(line)
        except msgspec.MsgspecError:
            broken += 1
            continue
        if isinstance(record, dict) and isinstance(record.get("type"), str):
            records.append(cast("JsonObject", record))
        else:
            broken += 1
    return records, broken


def timeline(records: Iterable[JsonObject]) -> list[Turn]:
    """Turns in the order they began."""
    groups: dict[tuple[str, str], list[JsonObject]] = {}
    for record in records:
        groups.setdefault((_context(record, "session_id"), _context(record, "turn_id")), []).append(record)
    turns = [_turn(session_id, turn_id, group) for (session_id, turn_id), group in groups.items()]
    return sorted(turns, key=lambda turn: (turn.start_ms, turn.session_id, turn.turn_id))


def _turn(session_id: str, turn_id: str, records: list[JsonObject]) -> Turn:
    spans: list[Span] = []
    began: dict[tuple[str, str], JsonObject] = {}
    used = {"input_tokens": 0, "output_tokens": 0}
    for record in records:
        kind, when = str(record["type"]), _time(record)
        key = (kind, _context(record, "effect_id"))
        if kind in _BEGINS:
            if (unended := began.pop(key, None)) is not None:
                spans.append(_unended(unended, when))
            began[key] = record
        elif kind in _BEGAN:
            first = began.pop((_BEGAN[kind], key[1]), None)
            spans.append(_ended(record, first))
        elif kind == "tool_attempt":
            spans.append(_ended(record, None))
        elif kind == "token_usage":
            usage = record.get("usage")
            for count in used:
                used[count] += _number(usage.get(count)) if isinstance(usage, dict) else 0
        else:
            spans.append(_moment(record))
    end_ms = max((_time(record) for record in records), default=0)
    spans += [_unended(record, end_ms) for record in began.values()]
    spans.sort(key=lambda span: (span.start_ms, span.depth))
    start_ms = min((span.start_ms for span in spans), default=end_ms)
    status = _status(turn_id, records)
    if turn_id:
        settled = [record for record in records if record["type"] == "turn_completed"]
        spans.insert(0, Span(f"turn {turn_id}", "turn", start_ms, end_ms, 0, status, settled[-1:]))
    return Turn(session_id, turn_id, start_ms, end_ms, status, spans, used["input_tokens"], used["output_tokens"])


def _status(turn_id: str, records: list[JsonObject]) -> SpanStatus:
    for record in reversed(records):
        if record["type"] == "turn_completed":
            return "ok" if record.get("status") == "completed" else "failed"
    return "open" if turn_id else "ok"


def _ended(record: JsonObject, first: JsonObject | None) -> Span:
    kind = str(record["type"]).rpartition("_")[0] if record["type"] != "tool_attempt" else "tool_attempt"
    end_ms = _time(record)
    start_ms = min(end_ms, _time(first)) if first is not None else end_ms - _number(record.get("duration_ms"))
    output = record.get("output")
    failed = record["type"] == "llm_call_failed" or (isinstance(output, dict) and output.get("status") != "success")
    both = [record] if first is None else [first, record]
    status: SpanStatus = "failed" if failed else "ok"
    return Span(_name(kind, record), kind, start_ms, end_ms, _DEPTH[kind], status, both, _note(record))


def _unended(record: JsonObject, until_ms: int) -> Span:
    kind = str(record["type"]).rpartition("_")[0]
    return Span(_name(kind, record), kind, _time(record), until_ms, _DEPTH[kind], "open", [record], "never ended here")


def _moment(record: JsonObject) -> Span:
    kind, when = str(record["type"]), _time(record)
    name = str(record.get("name") or kind) if kind == "custom" else kind
    return Span(name, kind, when, when, 1, "ok", [record], _note(record))


def _name(kind: str, record: JsonObject) -> str:
    match kind:
        case "llm_call":
            return f"model {record.get('model', '')}"
        case "tool_call":
            return f"tool {record.get('name', '')}"
        case "tool_attempt":
            return f"attempt {record.get('attempt', '')} of {record.get('name', '')}"
        case _:
            return f"wait: {record.get('kind', '')} {record.get('name', '')}".strip()


def _note(record: JsonObject) -> str:
    usage = record.get("usage")
    parts: list[str] = []
    if isinstance(usage, dict):
        parts.append(f"{_number(usage.get('input_tokens'))} in, {_number(usage.get('output_tokens'))} out")
    if (first := record.get("first_token_ms")) is not None:
        parts.append(f"first token after {first} ms")
    if _number(record.get("attempts")) > 1:
        parts.append(f"{record['attempts']} attempts")
    if record.get("recovered"):
        parts.append("told from the record")
    error = record.get("error")
    if isinstance(error, dict):
        parts.append(str(error.get("code") or error.get("kind") or "failed"))
    return " · ".join(parts)


def _context(record: JsonObject, field: str) -> str:
    context = record.get("context")
    return str(context.get(field) or "") if isinstance(context, dict) else ""


def _time(record: JsonObject) -> int:
    return _number(record.get("timestamp"))


def _number(value: Json) -> int:
    return round(value) if isinstance(value, int | float) else 0
