"""Settling effects in doubt: the host says what happened, or that it may run again."""

from __future__ import annotations

from typing import Final

from lash.base.canonical import canonical_json, parse_json
from lash.base.codec import to_json
from lash.base.errors import InvalidArgument
from lash.effects.envelope import EffectOutcome
from lash.effects.scope import ExecutionScope
from lash.runtime.engine import DoubtfulEffect, Engine
from lash.tools.dispatch import storable
from lash.tools.model_view import model_text
from lash.tools.result import ToolCallOutput, ToolCallRecord


class RunAgain:
    """The host looked and the effect did not happen: run it again."""

    def __repr__(self) -> str:
        return "lash.RUN_AGAIN"


RUN_AGAIN: Final = RunAgain()


async def settle_doubt(engine: Engine, doubt: DoubtfulEffect, decision: ToolCallOutput | RunAgain) -> None:
    """Records the host's decision. Raises `InvalidArgument` when the effect is not in doubt (any more).

    And for what is no decision: nobody runs a payment again because of a slip of the pen.
    """
    if not isinstance(doubt, DoubtfulEffect):
        raise InvalidArgument(f"{doubt!r} is no effect in doubt; core.recovery.in_doubt lists those that are")
    if not isinstance(decision, ToolCallOutput | RunAgain):
        raise InvalidArgument(
            f"an effect in doubt is settled with a lash.ToolResult or lash.RUN_AGAIN, got {type(decision).__name__}; "
            "write lash.ToolResult.ok(…) for what came of it"
        )
    if doubt.process_id is not None:
        scope = ExecutionScope.process(doubt.process_id)
    else:
        scope = ExecutionScope.turn(doubt.session_id, doubt.turn_id)
    row = await engine.store.journal.get(scope, doubt.replay_key)
    is_settled = False
    if row is not None and row.status == "in_progress":
        outcome = None
        if isinstance(decision, ToolCallOutput):
            outcome = canonical_json(_outcome(row.envelope_json or "{}", storable(decision)).to_json())
        is_settled = await engine.store.journal.settle(scope, doubt.replay_key, outcome)
    # Also one that somebody else has settled, or that runs again by now, is no longer in doubt.
    engine.recovery.in_doubt[:] = [other for other in engine.recovery.in_doubt if other != doubt]
    if not is_settled:
        raise InvalidArgument(f"effect {doubt.replay_key} is not in doubt; core.recovery.in_doubt lists those that are")


def _outcome(envelope_json: str, output: ToolCallOutput) -> EffectOutcome:
    envelope = parse_json(envelope_json)
    command = envelope.get("command") if isinstance(envelope, dict) else None
    call = command.get("call") if isinstance(command, dict) else None
    if not isinstance(call, dict):
        raise InvalidArgument("the effect in doubt is no tool call")
    args = call.get("args")
    record = ToolCallRecord(
        str(call["call_id"]), str(call["tool_name"]), args if isinstance(args, dict) else {}, output, 0
    )
    return EffectOutcome("tool_call", {"record": to_json(record), "model_text": model_text(output)})
