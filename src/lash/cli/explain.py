"""What is known of a turn: what is recorded, what would run next, what is in doubt.

A settled turn is read from its stamp, which keeps a compact line for each effect; a
turn in flight from its journal. What runs next follows from the last recorded model
answer and needs no application: the turn itself would take the same way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import msgspec

from lash.base.json import Json, JsonObject
from lash.cli.effect_keys import EffectKey, parse_key
from lash.machine.values import LlmAnswered
from lash.protocols.rlm.cells import FencedCells

TurnState: TypeAlias = Literal["settled", "in flight", "queued"]
EffectStatus: TypeAlias = Literal["recorded", "failed", "in doubt", "running"]


class EffectFact(msgspec.Struct, frozen=True):
    """One effect. `replayed`: the drive that settled the turn took it from the journal."""

    key: str
    name: str
    status: EffectStatus
    attempts: int
    started_at_ms: int
    duration_ms: int | None
    replayed: bool | None = None


class Explanation(msgspec.Struct, frozen=True):
    """A turn as the store knows it."""

    session_id: str
    turn_id: str
    state: TurnState
    outcome: str | None
    revision: int | None
    owner: str | None
    owner_is_live: bool | None
    cancel_requested: bool
    effects: list[EffectFact]
    next: list[str]
    in_doubt: list[str]


def settled_effect(line: Sequence[Json], tools: Mapping[str, str]) -> EffectFact:
    """An effect from a stamp's line: key, hash, attempts, start, duration, replayed."""
    key, _, attempts, started, duration, replayed = line
    parsed = parse_key(str(key))
    return EffectFact(
        str(key),
        str(key) if parsed is None else parsed.named(tools.get(parsed.site or parsed.call_id or "")),
        "recorded",
        attempts if isinstance(attempts, int) else 1,
        started if isinstance(started, int) else 0,
        duration if isinstance(duration, int) else None,
        replayed is True,
    )


@dataclass(frozen=True, slots=True)
class Row:
    """A journal row, read: `answer` of a model call, `body` of a tool call."""

    fact: EffectFact
    parsed: EffectKey | None
    answer: LlmAnswered | None = None
    body: JsonObject | None = None


def next_steps(rows: Sequence[Row]) -> list[str]:
    """What the next drive would do first, in order."""
    if any(row.fact.status == "in doubt" for row in rows):
        return ["nothing: the turn waits until its effects in doubt are settled with core.settle"]
    known = [(row.parsed, row) for row in rows if row.parsed is not None]
    models = [(key, row) for key, row in known if row.answer is not None]
    if not models:
        prompted = any(key.kind == "sync_execution_environment" for key, _ in known)
        return ["model call 1"] if prompted else ["prompt 1, then model call 1"]
    last, asked = max(models, key=lambda pair: pair[0].number)
    assert asked.answer is not None
    later = [key for key, _ in known if key.kind == "sync_execution_environment" and key.number > last.number]
    if later:
        return [f"model call {later[-1].iteration + 1}"]
    if asked.answer.response is None:
        return ["the commit: the model call failed for good"]
    calls = asked.answer.response.tool_calls
    if not calls and FencedCells().find(asked.answer.response.full_text).code is not None:
        return [f"the program of model call {last.iteration + 1}: what is recorded of it is answered from the record"]
    if not calls:
        return ["the commit"]
    steps = [
        step
        for call in calls
        if (step := _next_of_call(call.tool_name, [row for key, row in known if key.call_id == call.call_id]))
    ]
    return steps or [f"prompt {last.iteration + 2}, then model call {last.iteration + 2}"]


def _next_of_call(tool: str, rows: Sequence[Row]) -> str | None:
    steps = {row.parsed.step for row in rows if row.parsed is not None}
    attempts = {row.parsed.attempt: row for row in rows if row.parsed is not None and row.parsed.step == "attempt"}
    if "result" in steps:
        return None
    if not attempts:
        if "approval" not in steps:
            return tool
        return f"{tool}, if it is approved" if "approval:wait" not in steps else f"{tool}, or its denial"
    latest = max(attempts)
    body = attempts[latest].body
    if body is not None and "pending" in body:
        return f"the completion of {tool} from outside" if "wait" not in steps else f"the result of {tool}"
    if body is None or not isinstance(body.get("retry_in_ms"), int):
        return None
    has_paused = any(row.parsed.is_pause and row.parsed.attempt == latest for row in rows if row.parsed is not None)
    following = f"{tool}, attempt {latest + 1}"
    return following if has_paused else f"a pause, then {following}"
