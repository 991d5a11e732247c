"""When a failed attempt is followed by another one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash.base.errors import InvalidArgument
from lash.tools import AttemptPolicy, FinishTurn, Retry, ToolResult, allowed_attempts, next_attempt, settled
from lash.tools.batch import waves
from lash.tools.result import RetryExhausted

THREE = Retry(3, 100, 1_000)
BUSY = ToolResult.retryable("external", "busy", "later")
LOST = ToolResult.failure("external", "connection_lost", "gone", source="runtime")
LATE = ToolResult.failure("timeout", "tool_timeout", "late", source="runtime")
BROKEN = ToolResult.err("broken")


def test_a_declared_retryable_failure_backs_off_exponentially() -> None:
    policy = AttemptPolicy("safe", Retry(6, 100, 1_000))

    assert [next_attempt(BUSY, policy, n) for n in range(1, 7)] == [100, 200, 400, 800, 1_000, None]


def test_the_failure_may_name_its_own_wait_up_to_the_cap() -> None:
    policy = AttemptPolicy("safe", THREE)

    assert next_attempt(ToolResult.retryable("external", "busy", "x", 7), policy, 1) == 7
    assert next_attempt(ToolResult.retryable("external", "busy", "x", 7_000), policy, 1) == 1_000


@pytest.mark.parametrize("output", [ToolResult.ok(1), BROKEN, ToolResult.cancelled("x")])
def test_what_nobody_declared_retryable_stands(output: ToolResult) -> None:
    assert next_attempt(output, AttemptPolicy("idempotent", THREE), 1) is None


def test_an_unknown_outcome_is_tried_again_only_when_idempotent() -> None:
    for output in (LOST, LATE):
        assert next_attempt(output, AttemptPolicy("idempotent", THREE), 1) == 100
        assert next_attempt(output, AttemptPolicy("safe", THREE), 1) is None
        assert next_attempt(output, AttemptPolicy("never", THREE), 1) is None


def test_a_result_that_ends_the_turn_stands() -> None:
    assert next_attempt(BUSY.with_control(FinishTurn(1)), AttemptPolicy("safe", THREE), 1) is None


def test_the_last_failure_is_marked_exhausted() -> None:
    policy = AttemptPolicy("safe", THREE)

    assert settled(BUSY, policy, 2) == BUSY
    last = settled(BUSY, policy, 3)
    assert last.error is not None
    assert last.error.retry == RetryExhausted(3)
    assert settled(BROKEN, policy, 3) == BROKEN
    assert settled(BUSY, AttemptPolicy(), 1) == BUSY


def test_without_a_call_id_an_idempotent_tool_has_one_attempt() -> None:
    assert allowed_attempts(AttemptPolicy("idempotent", THREE), None) == 1
    assert allowed_attempts(AttemptPolicy("idempotent", THREE), "c") == 3
    assert allowed_attempts(AttemptPolicy("safe", THREE), None) == 3


@given(st.integers(1, 1_000), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, 1_000))
def test_a_wait_is_never_above_the_cap_nor_negative(attempts: int, base: int, more: int, attempt: int) -> None:
    wait = next_attempt(BUSY, AttemptPolicy("safe", Retry(attempts, base, base + more)), attempt)

    assert (wait is None) == (attempt >= attempts)
    assert wait is None or 0 <= wait <= base + more


@pytest.mark.parametrize("values", [(0, 1, 1), (1, -1, 1), (1, 2, 1)])
def test_a_policy_that_makes_no_sense_is_refused(values: tuple[int, int, int]) -> None:
    with pytest.raises(InvalidArgument, match="attempts is at least 1"):
        Retry(*values)


def test_parallel_calls_run_together_and_serial_ones_alone_after_them() -> None:
    assert waves(["serial", "parallel", "serial", "parallel"]) == [[1, 3], [0], [2]]
    assert waves(["parallel", "parallel"]) == [[0, 1]]
    assert waves(["serial"]) == [[0]]
    assert waves([]) == []
