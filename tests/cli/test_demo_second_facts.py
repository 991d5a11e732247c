"""The second act's verdict notices what would break the promise."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lash.cli.demo.boundaries import Execution
from lash.cli.demo.second_facts import Background, Death, ProgramsSeen, Row, Settled, judge_programs

COUNT_1 = Row("t/count:1", "aaaa1111", "tool:c1:1", is_background=False)
NAP = Row("t/sleep:0", "bbbb1111", None, is_background=False, due_at_ms=1_000)
HASH = Row("p/hash:1", "cccc1111", "tool:p1:1", is_background=True)
LONG_NAP = Row("p/sleep:0", "dddd1111", None, is_background=True, due_at_ms=5_000)
KEPT = (("t/count:1", "aaaa"), ("t/sleep:0", "bbbb"))


def seen() -> ProgramsSeen:
    """Three kills, two sleeps, a woken turn: as it should be."""
    deaths = (
        Death(1, 11, True, 100, (COUNT_1,), is_committed=False),
        Death(2, 12, True, 500, (COUNT_1, NAP, HASH, LONG_NAP), is_committed=False),
        Death(3, 13, True, 2_000, (COUNT_1, NAP, HASH, LONG_NAP), is_committed=True),
    )
    log = (
        Execution(1, "t", "tool:c1:1", "count"),
        Execution(1, "t", "tool:c2:1", "count"),
        Execution(2, "t", "tool:c2:1", "count"),
        Execution(2, "", "tool:p1:1", "hash"),
        Execution(4, "w", "model:w:0", "model call"),
    )
    turns = (
        Settled("t", {"files": 1}, True, KEPT, 1_200, None),
        Settled("w", {"largest": []}, True, (), 5_400, "p"),
    )
    return ProgramsSeen(deaths, log, turns, Background("p", "completed", (HASH, LONG_NAP), 5_100), 0, True)


def test_an_act_as_it_should_be_is_ok_and_counts_what_it_saw() -> None:
    verdict = judge_programs(seen())

    assert verdict.ok
    assert verdict.executed_twice == ("count",)
    assert [(one.is_background, one.kills, one.late_ms) for one in verdict.sleeps] == [(False, 1, 200), (True, 2, 100)]
    assert verdict.to_json()["ok"] is True


def _with_log(*more: Execution) -> ProgramsSeen:
    return replace(seen(), log=(*seen().log, *more))


def _without(turn: int, **changes: object) -> ProgramsSeen:
    turns = list(seen().turns)
    turns[turn] = replace(turns[turn], **changes)  # type: ignore[arg-type]
    return replace(seen(), turns=tuple(turns))


@pytest.mark.parametrize(
    "broken",
    [
        _with_log(Execution(2, "t", "tool:c1:1", "count")),  # recorded before process 2 began
        _with_log(Execution(3, "", "tool:p1:1", "hash")),  # the same in the background
        _with_log(Execution(4, "t", "model:t:5", "model call")),  # of a turn that was committed
        _without(0, effects=KEPT[:1]),  # a recorded effect is lost
        _without(0, effects=(("t/count:1", "ffff"), KEPT[1])),  # or another one in its place
        _without(0, committed_at_ms=900),  # went on before its hour
        _without(1, committed_at_ms=1_900),  # woken before the last kill
        _without(1, woken_by=None),
        _without(1, is_typed=False),
        replace(seen(), background=replace(seen().background, rows=(HASH, replace(LONG_NAP, due_at_ms=6_000)))),
        replace(seen(), background=replace(seen().background, woke_at_ms=None)),
        replace(seen(), turns=seen().turns[:1]),
        replace(seen(), deaths=(replace(seen().deaths[0], by_sigkill=False), *seen().deaths[1:])),
        replace(seen(), executions_when_asked_again=1),
        replace(seen(), same_answer_again=False),
    ],
)
def test_whatever_breaks_the_promise_is_noticed(broken: ProgramsSeen) -> None:
    assert not judge_programs(broken).ok
