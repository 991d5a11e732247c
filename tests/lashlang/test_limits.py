"""No program can hold more than its budget, crash the host, or stop the loop."""

from __future__ import annotations

import asyncio

import pytest

from lash.lashlang import (
    IMPROVED,
    Answer,
    Answered,
    BudgetExceeded,
    Budgets,
    Continued,
    Execution,
    Faulted,
    Finished,
    Limits,
    ParseError,
    Request,
    Spent,
    compile_body,
    parse,
    run_body,
)
from lash.lashlang.values import room
from lashlang.running import drive, error_of, linked, run, submitted

# No test here depends on how fast the machine is: what must end, ends by a count.
_SMALL = Budgets(active_ms=None, limits=Limits(memory_bytes=48 * 1024 * 1024))
_UNBOUNDED = Budgets(active_ms=None)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ('s = "ab"\nwhile true { s = s + s }', "text of"),
        ('s = "ab"\nwhile true { s = format("{}{}", s, s) }', "text of"),
        ('s = "ab"\nwhile true { s = join([s, s, s], "-") }', "text of"),
        ('s = "ab"\nwhile true { s = replace(s, "a", "aaaa") }', "text of"),
        ("xs = [1]\nwhile true { xs = xs + xs }", "memory budget"),
        ("xs = []\nwhile true { xs = push(xs, range(1000)) }", "memory budget"),
        ("xs = []\nwhile true { xs = xs + [range(1000)] }", "memory budget"),
        ('d = {}\ni = 0\nwhile true { i = i + 1\n d["k" + i] = range(1000) }', "memory budget"),
        ("d = { a: [] }\nwhile true { d.a = push(d.a, range(1000)) }", "memory budget"),
        ('s = join(range(200000), ",")\nxs = []\nwhile true { xs = push(xs, split(s, ",")) }', "memory budget"),
        ('s = join(range(200000), ",")\nsubmit split(s + s + s + s + s + s, ",")', "a value of"),
        (
            's = "[" + join(range(200000), ",") + "]"\nxs = []\nwhile true { xs = push(xs, json_parse(s)) }',
            "memory budget",
        ),
        ("submit range(1000001)", "`range` would create more than 1000000 items"),
        ("xs = range(1000000)\nys = [xs, [x for x in xs], [x + 1 for x in xs]]", "memory budget"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_memory_bomb_ends_in_a_typed_error(source: str, text: str) -> None:
    assert text in error_of(source, budgets=_SMALL)


class _Hurried:
    """A clock that is always past every breath, so that every measuring is interrupted."""

    def __init__(self) -> None:
        self.now = 0.0

    def now_ms(self) -> int:
        return int(self.now * 1000)

    def monotonic(self) -> float:
        self.now += 0.01
        return self.now

    async def sleep(self, ms: int) -> None:
        del ms


def test_measuring_that_is_interrupted_is_not_lost() -> None:
    source = "xs = []\nwhile true { xs = push(xs, { a: [1] }) }"
    budgets = Budgets(instructions=3_000_000, active_ms=None, limits=Limits(memory_bytes=16 * 1024 * 1024))
    body = compile_body(linked(source).artifact, None, IMPROVED)

    outcome = drive(Execution(body, budgets=budgets, clock=_Hurried()))

    assert isinstance(outcome, Faulted)
    assert "memory budget" in str(outcome.error)


def test_garbage_does_not_count_against_the_memory_budget() -> None:
    source = "n = 0\nfor i in range(3000) { xs = range(1000)\n n = n + len(xs) }\nsubmit n"

    assert run(source, budgets=_SMALL) == Finished(3_000_000)


def test_straight_line_garbage_does_not_count_either() -> None:
    source = "\n".join(["xs = range(200000)"] * 12) + "\nsubmit len(xs)"

    assert run(source, budgets=_SMALL) == Finished(200_000)


def test_an_endless_loop_meets_its_instruction_budget() -> None:
    outcome = run("while true {}", budgets=Budgets(instructions=100_000))

    assert isinstance(outcome, Faulted)
    assert isinstance(outcome.error, BudgetExceeded)
    assert outcome.error.budget == "instructions"
    assert outcome.error.span is not None


def test_an_endless_loop_meets_its_time_budget() -> None:
    body = compile_body(linked("while true {}").artifact, None, IMPROVED)

    outcome = drive(Execution(body, budgets=Budgets(active_ms=50), clock=_Hurried()))

    assert isinstance(outcome, Faulted)
    assert isinstance(outcome.error, BudgetExceeded)
    assert outcome.error.budget == "active_time"


def test_budgets_are_cumulative_over_replays() -> None:
    body = compile_body(linked("for i in range(50000) {}").artifact, None, IMPROVED)
    spent = Spent()
    budgets = Budgets(instructions=80_000)

    first = drive(Execution(body, budgets=budgets, spent=spent))
    second = drive(Execution(body, budgets=budgets, spent=spent))

    assert isinstance(first, Continued)
    assert isinstance(second, Faulted)


def test_started_children_are_limited() -> None:
    source = "process p() { finish 1 }\nfor i in range(10) { start p() }"

    outcome = run(source, budgets=Budgets(started_children=5))

    assert isinstance(outcome, Faulted)
    assert "more than 5 processes started" in str(outcome.error)


def test_endless_recursion_ends_in_a_typed_error() -> None:
    assert "nested deeper than" in error_of("fn f(n) { return f(n + 1) }\nsubmit f(1)")


def test_a_long_pure_call_gives_way_and_finishes() -> None:
    source = "fn fib(n: int) -> int { if n < 2 { return n } return fib(n - 1) + fib(n - 2) }\nsubmit fib(25)"

    assert submitted(source) == 75025


class _Silent:
    async def perform(self, request: Request) -> Answer:
        return Answered(None)


async def _until_others_had_turns(source: str, turns: int) -> None:
    """Runs a program beside another task, and stops it once that has had its turns."""
    body = compile_body(linked(source).artifact, None, IMPROVED)
    running = asyncio.create_task(run_body(Execution(body, budgets=_UNBOUNDED), _Silent()))
    for _ in range(turns):
        await asyncio.sleep(0)
    assert not running.done(), running.result()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


@pytest.mark.parametrize(
    "source",
    [
        "while true {}",
        "xs = range(1000)\nwhile true { ys = [x * 2 for x in xs] }",
        "fn f(n) { while true { n = n + 1 }\n return n }\nx = f(1)",
        "fn fib(n: int) -> int { if n < 2 { return n } return fib(n - 1) + fib(n - 2) }\nsubmit fib(60)",
        's = join(range(20000), ",")\nwhile true { n = len(split(s, ",")) }',
        "xs = reverse(range(400000))\nwhile true { n = len(sort(xs)) }",
        "xs = [to_string(x) for x in range(100000)] + [1]\nwhile true { n = len(sort(xs)) }",
        's = "[" + join(range(300000), ",") + "]"\nwhile true { n = len(json_parse(s)) }',
        'fn f(s) { while true { n = len(reverse(s)) }\n return n }\nt = join(range(200000), ",")\nx = f(t)',
        "fn f(xs) { while true { n = len(sort(xs)) }\n return n }\nx = f(reverse(range(100000)))",
        "fn f(n) { while true { xs = range(300000) }\n return n }\nx = f(1)",
        'fn f(t) { while true { n = len(json_parse(t)) }\n return n }\nx = f("[" + join(range(60000), ",") + "]")',
    ],
)
async def test_other_tasks_run_beside_an_endless_program(source: str) -> None:
    # Without turns for others this never returns.
    await _until_others_had_turns(source, turns=8)


async def test_a_cancelled_cell_keeps_what_it_assigned() -> None:
    variables = {"n": 1.0}
    body = compile_body(linked("n = 2\nwhile true {}").artifact, None, IMPROVED)
    execution = Execution(body, variables=variables, budgets=Budgets(active_ms=None))  # type: ignore[arg-type]
    task = asyncio.create_task(run_body(execution, _Silent()))
    await asyncio.sleep(0)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert variables["n"] == 2.0


@pytest.mark.parametrize(
    "source",
    [
        "submit " + "(" * 5000 + "1" + ")" * 5000,
        "submit " + "[" * 5000 + "]" * 5000,
        "submit " + "- " * 5000 + "1",
        "submit " + "not " * 5000 + "1",
        "submit a" + ".b" * 5000,
        "submit a" + "[0]" * 5000,
        "submit a" + "?" * 5000,
        "submit " + "1 + " * 5000 + "1",
        "x " + ".k" * 5000 + " = 1",
        "if a {}" + " else if a {}" * 5000,
        "{" * 5000,
        "type T = " + "list[" * 5000,
        "submit " + "a ? " * 500 + "1" + " : 2" * 500,
        "submit " + "await " * 5000 + "1",
        "submit " + "{ a: " * 5000,
    ],
    ids=range(15),
)
def test_absurd_nesting_is_a_parse_error(source: str) -> None:
    with pytest.raises(ParseError):
        parse(source)


@pytest.mark.parametrize("operator", ["+", "and", "==", "*"])
def test_a_chain_of_two_thousand_operators_runs(operator: str) -> None:
    source = "x = 1\nsubmit " + f"x {operator} " * 1999 + "1"

    outcome = run(source)

    assert isinstance(outcome, Finished)


def test_the_deepest_program_that_parses_also_runs() -> None:
    prefix = "- " * 90
    source = "x = " + "[" * 60 + prefix + "1" + "]" * 60 + "\nfor i in [1] { " * 0 + "\nsubmit 1"

    assert submitted(source) == 1


def test_a_value_nested_too_deep_is_an_error_where_it_is_walked() -> None:
    source = "x = []\nfor i in range(100000) { x = [x] }\nsubmit x"

    assert error_of(source) == "value is nested too deep (limit 200)"


@pytest.mark.parametrize(
    "use",
    [
        "submit x",
        "print x",
        "submit to_string(x)",
        'submit "" + x',
        "submit x == y",
        "submit contains([x, x], y)",
        "submit await x",
        "submit len(unique([x, y]))",
        "submit await tools.echo({ value: x })",
        'submit validate(x, { "$lash_type": t })',
        'submit format("{}", x)',
    ],
)
def test_a_value_that_is_endless_to_walk_is_an_error(use: str, monkeypatch: pytest.MonkeyPatch) -> None:
    build = (
        'x = [1]\ny = [1]\nt = { type: "string" }\n'
        "for i in range(60) { x = [x, x]\n y = [y, y]\n t = { anyOf: [t, t] } }\n"
    )

    # Far more than a slice, and far less than the 2⁶⁰ parts of the value.
    monkeypatch.setattr(room, "WALK_LIMIT", 100_000)
    outcome = run(build + use, budgets=_UNBOUNDED, perform=lambda _request: Answered(None))

    assert isinstance(outcome, Faulted)
    assert "too large to walk" in str(outcome.error)


@pytest.mark.parametrize(
    "source",
    [
        "submit range(100000000000000000000000000)",
        "submit range(0, 100000000000000000000000000, 7)",
        "for i in range(0, -100000000000000000000000000, -1) { x = i }",
    ],
)
def test_a_range_of_any_bounds_is_refused(source: str) -> None:
    assert error_of(source) == "`range` would create more than 1000000 items"


def test_a_text_of_many_lines_is_searched_line_by_line() -> None:
    source = 's = "a\\n"\nfor i in range(18) { s = s + s }\nsubmit len(grep_text(s + "b", "b"))'

    assert submitted(source) == 1


@pytest.mark.parametrize(
    ("source", "value"),
    [
        (
            "xs = sort(reverse(range(120000)))\nsubmit [xs[0], xs[60000], xs[119999], len(xs)]",
            [0, 60000, 119999, 120000],
        ),
        ('xs = sort([x % 7 for x in range(70000)] + ["3"])\nsubmit [xs[0], xs[70000], xs[40000]]', [0, 6, "3"]),
        (
            'xs = sort_by([{ n: x % 2, at: x } for x in range(60000)], "n")\nsubmit [xs[0].at, xs[1].at, xs[30000].at]',
            [0, 2, 1],
        ),
        (
            's = "[[" + join(range(100000), ",") + "],{\\"a\\":[1]}]"\nx = json_parse(s)\nsubmit [len(x[0]), x[1].a]',
            [100000, [1]],
        ),
    ],
    ids=range(4),
)
def test_work_in_slices_gives_what_work_in_one_piece_gives(source: str, value: object) -> None:
    assert submitted(source) == value


@pytest.mark.parametrize("size", [10**4, 10**5])
def test_in_place_updates_do_not_copy_per_step(size: int) -> None:
    source = (
        f'xs = []\nd = {{}}\nm = [[0]]\nfor i in range({size}) {{ xs = push(xs, i)\n d["k" + i] = i\n'
        " m[0][0] = i\n xs[i] = xs[i] + 1 }\nsubmit [len(xs), len(d), m[0][0]]"
    )

    outcome = run(source, budgets=_UNBOUNDED)

    assert outcome == Finished([size, size, size - 1])
