"""The demo's verdict is computed: every way to break the promise is seen."""

from __future__ import annotations

import dataclasses

import pytest

from lash.base.messages import Message, Part
from lash.cli.demo.boundaries import BOUNDARIES, Execution
from lash.cli.demo.evidence import Committed, Kill, Recorded, Seen, Verdict, effect_lines, execution_key, judge

PROMPT = Recorded("0:sync_execution_environment:1", "a" * 64)
MODEL = Recorded("0:llm_call:2", "b" * 64)
TOOL = Recorded("0:tool_batch:3:child:0:c1:attempt:1", "c" * 64, "42")
SAID = (
    Message("m0", "user", [Part("p0", "text", "go")]),
    Message("m1", "assistant", [Part("p0", "tool_call", "{}", tool_call_id="c1", tool_name="look")]),
    Message("m2", "user", [Part("p0", "tool_result", "42", tool_call_id="c1", tool_name="look")]),
)


def _ran(*pairs: tuple[int, str]) -> tuple[Execution, ...]:
    return tuple(Execution(process, "t1", key, key.split(":")[0]) for process, key in pairs)


def _kill(process: int, *recorded: Recorded, is_committed: bool = False) -> Kill:
    return Kill(process, 100 + process, BOUNDARIES[process - 1], True, recorded, is_committed)


KEPT = Seen(
    prompt="go",
    kills=(_kill(1), _kill(2, PROMPT, MODEL), _kill(3, PROMPT, MODEL, TOOL), _kill(4, is_committed=True)),
    log=_ran((1, "prompt:0"), (2, "prompt:0"), (2, "model:0"), (2, "tool:c1:1"), (3, "tool:c1:1")),
    committed=Committed(
        tuple(dataclasses.replace(effect, hash=effect.hash[:16], text=None) for effect in (PROMPT, MODEL, TOOL)),
        SAID,
        commit_count=1,
        head_revision=1,
        turn_is_ok=True,
    ),
    executions_when_asked_again=0,
    same_answer_again=True,
    next_turn_ok=True,
    next_messages=SAID,
    deliveries=1,
)


def test_a_kept_promise_is_ok() -> None:
    assert judge(KEPT).ok


def _committed(**changes: object) -> Seen:
    return dataclasses.replace(KEPT, committed=dataclasses.replace(KEPT.committed, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seen", "fact", "value"),
    [
        (dataclasses.replace(KEPT, kills=KEPT.kills[:2]), "kills", 2),
        (
            dataclasses.replace(KEPT, kills=tuple(dataclasses.replace(kill, by_sigkill=False) for kill in KEPT.kills)),
            "kills",
            0,
        ),
        (dataclasses.replace(KEPT, log=(*KEPT.log, *_ran((3, "model:0")))), "recorded_effects_executed_again", 1),
        (dataclasses.replace(KEPT, log=(*KEPT.log, *_ran((5, "tool:c1:1")))), "recorded_effects_executed_again", 1),
        (_committed(effects=KEPT.committed.effects[:2]), "lost", 1),
        (_committed(effects=(*KEPT.committed.effects[:2], Recorded(TOOL.key, "d" * 16))), "lost", 1),
        (_committed(messages=SAID[:2]), "lost", 1),
        (_committed(commit_count=0), "turns_committed", 0),
        (_committed(head_revision=2), "duplicate_commits", 1),
        (_committed(messages=(*SAID, SAID[0])), "duplicate_commits", 1),
        (_committed(turn_is_ok=False), "turn_is_ok", False),
        (dataclasses.replace(KEPT, next_messages=SAID[:2]), "next_request_valid", False),
        (dataclasses.replace(KEPT, next_turn_ok=False), "next_request_valid", False),
        (dataclasses.replace(KEPT, executions_when_asked_again=1), "asked_again_for_nothing", False),
        (dataclasses.replace(KEPT, same_answer_again=False), "asked_again_for_nothing", False),
        (dataclasses.replace(KEPT, deliveries=2), "deliveries", 2),
    ],
)
def test_a_broken_promise_is_seen(seen: Seen, fact: str, value: object) -> None:
    verdict: Verdict = judge(seen)

    assert getattr(verdict, fact) == value
    assert not verdict.ok


def test_an_effect_that_was_cut_short_may_run_again() -> None:
    [line] = [line for line in effect_lines(KEPT) if line.name == "tool"]

    assert line.ran_in == (2, 3)
    assert line.recorded_in == 3
    assert line.replayed == 1


def test_a_pause_has_no_executions_to_count() -> None:
    assert execution_key("2:tool_batch:11:child:0:c2:publish:attempt:1:sleep") is None
    assert execution_key("2:tool_batch:11:child:0:c2:attempt:2") == "tool:c2:2"
