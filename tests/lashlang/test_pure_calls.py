"""Pure functions: calls that take long give other tasks their turn, and count the same in every run."""

from __future__ import annotations

import ast as py
from dataclasses import dataclass

import pytest

from lash.lashlang import IMPROVED, Answered, Breath, Budgets, Execution, Faulted, Finished, Submit, compile_body
from lash.lashlang.execution.budgets import Spent
from lashlang.running import error_of, linked, submitted

_FIB = "fn fib(n: int) -> int { if n < 2 { return n } return fib(n - 1) + fib(n - 2) }\n"
_LOOP = "fn f(n: int) -> int { t = 0\n for i in range(n) { t = t + i } return t }\n"
_DEEP = "fn f(n: int) -> int { if n == 0 { for i in range(5000) { t = i } return 7 } return f(n - 1) }\n"
_MAPPED = "fn g(x: any) { return x * 2 }\nfn f(n: int) { return sum([g(i) for i in range(n)]) }\n"
_ODD = (
    "fn even(n: int) -> bool { if n == 0 { return true } return odd(n - 1) }\n"
    "fn odd(n: int) -> bool { if n == 0 { return false } return even(n - 1) }\n"
)


@dataclass
class _Hasty:
    """A clock that finds every look late."""

    now: float = 0.0

    def monotonic(self) -> float:
        self.now += 1.0
        return self.now


def _breaths(source: str) -> tuple[int, Spent, object]:
    execution = Execution(
        compile_body(linked(source).artifact, None, IMPROVED),
        variables={},
        budgets=Budgets(active_ms=None),
        clock=_Hasty(),  # type: ignore[arg-type]
    )
    count, step = 0, execution.start()
    while not isinstance(step, Finished | Faulted):
        count += isinstance(step, Breath)
        step = execution.resume(Answered(step.value)) if isinstance(step, Submit) else execution.resume()
    return count, execution.spent, step.value if isinstance(step, Finished) else step


@pytest.mark.parametrize(
    ("source", "value", "steps"),
    [
        (_FIB + "submit fib(20)", 6765, 20_000),
        (_LOOP + "submit f(100000)", 4999950000, 100_000),
        (_DEEP + "submit f(390)", 7, 5_000),
        (_MAPPED + "submit f(30000)", 899970000, 60_000),
        (_ODD + "t = 0\nfor i in range(300) { if even(i) { t = t + 1 } }\nsubmit t", 150, 40_000),
        (_LOOP + "t = 0\nfor i in range(2000) { t = t + f(40) }\nsubmit t", 1560000, 80_000),
    ],
)
def test_a_long_pure_call_looks_around_every_few_thousand_steps(source: str, value: float, steps: int) -> None:
    breaths, spent, result = _breaths(source)

    assert result == value
    assert spent.instructions >= steps
    assert breaths >= spent.instructions // 16_000


def test_every_run_takes_the_same_steps() -> None:
    spent = {_breaths(_FIB + "submit fib(18)")[1].instructions for _ in range(3)}

    assert len(spent) == 1


_SHORT = "fn a(x: float) -> float { return x + 1 }\nfn b(x: float) -> float { return a(x) * 2 }\n"


@pytest.mark.parametrize(
    "calls",
    [
        "t = 0\nfor i in range(60000) { t = t + b(i) }\nsubmit t",
        "i = 0\nwhile b(i) < 120000 { i = i + 1 }\nsubmit i",
        "submit sum([b(i) for i in range(60000)])",
    ],
)
def test_calls_that_are_not_counted_themselves_are_counted_by_their_loop(calls: str) -> None:
    breaths, spent, _ = _breaths(_SHORT + calls)

    assert spent.instructions >= 120_000
    assert breaths >= 100


def test_only_what_its_text_bounds_is_called_without_being_counted() -> None:
    doubling = "fn f0(x) { return x + 1 }\n"
    doubling += "".join(f"fn f{at}(x) {{ return f{at - 1}(f{at - 1}(x)) }}\n" for at in range(1, 16))
    trees: list[py.Module] = []
    for source in (_SHORT + "submit b(1)", doubling + "submit f15(0)", _FIB + "submit fib(9)", _LOOP + "submit f(9)"):
        compile_body(linked(source).artifact, None, IMPROVED, inspect=trees.append)
    names = [{node.name for node in py.walk(tree) if isinstance(node, py.FunctionDef)} for tree in trees]

    assert names[0] == {"body", "bare_a", "bare_b"}
    assert "try_f15" in names[1]
    assert {"try_fib", "gen_fib"} <= names[2]
    assert {"try_f", "gen_f"} <= names[3]
    assert submitted(doubling + "submit f12(0)") == 4096


def test_many_short_calls_count_against_the_instruction_budget() -> None:
    source = _LOOP + "for i in range(1000) { x = f(900) }\nsubmit x"

    assert "instruction budget" in error_of(source, budgets=Budgets(instructions=500_000))


def test_a_call_that_is_long_only_sometimes_gives_the_same_values() -> None:
    source = _LOOP + "xs = []\nfor i in range(60) { xs = push(xs, f(i % 7 == 0 ? 3000 : 3)) }\nsubmit xs"

    assert submitted(source) == [4498500 if at % 7 == 0 else 3 for at in range(60)]


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("return n + 0.5", "function `f` result: expected int, got number"),
        (f"return n * {10**300} * {10**300}", "function `f` result: expected int"),
        ("n = n + 0.5\n return n", "function `f` result: expected int"),
        ("for n in [0.5] { return n } return 1", "function `f` result: expected int"),
        ('return g(json_parse("0.5"))', "function `g` argument `x`: expected int"),
        ("return g(-n - 1)", None),
        ('return g(json_parse("[1]"))', "function `g` argument `x`: expected int, got list"),
    ],
)
def test_whole_numbers_are_checked_where_they_are_not_proved(body: str, wanted: str | None) -> None:
    source = f"fn g(x: int) -> int {{ return x }}\nfn f(n: int) -> int {{ {body} }}\nsubmit f(2)"

    if wanted is None:
        assert submitted(source) == -3
    else:
        assert wanted in error_of(source)
