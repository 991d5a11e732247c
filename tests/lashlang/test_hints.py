"""A diagnostic says what to write instead."""

from __future__ import annotations

import pytest

from lash.lashlang import COMPAT, Catalog, HostEnvironment, LanguageError, ParseError, link, parse, render
from lash.lashlang.errors import RuntimeFailure
from lash.lashlang.host.environment import ALL_ABILITIES
from lash.lashlang.syntax.features import ALL_FEATURES

CATALOG = Catalog().add_operation("orders", "Orders", "total", "t").add_operation("orders", "Orders", "list", "l")
LOOP = "functions are no values: write a `for` loop, and grow a list with `xs = push(xs, v)`"
RECORD = "an operation takes one record: write `module.operation({ name: value })`"
REFUSED = "`?` unwrapped failed module operation: invalid arguments for total:"
HOST = HostEnvironment(CATALOG, ALL_ABILITIES, ALL_FEATURES)


def hint_of(source: str) -> str | None:
    try:
        link(parse(source, features=ALL_FEATURES), HOST, source=source)
    except LanguageError as error:
        text = render(error, source, environment=HOST)
        return text.rpartition("hint: ")[2] if "hint: " in text else None
    raise AssertionError(f"nothing is wrong with {source!r}")


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("x += 1", "there is no `+=`: write `x = x + 1`"),
        ("x++", "there is no `++`: write `x = x + 1`"),
        ('print(f"{x}")', 'text is put together with `+`, or with `format("{} items", count)`'),
        ("if x { print 1", "a `{` is not closed"),
        ('x = "abc', 'no `"` closes this string; write \\" for a quote inside it, or put the text between """'),
        ("await orders.totl({})", "`orders` has `total`, `list`"),
        ("await order.find_all({})", "modules are `orders`"),
        ("await tools.total({})", "it is `orders.total`"),
        ("await tools.orders_total({})", "it is `orders.total`"),
        ("print pushh([], 1)", "did you mean `push`?"),
        ("x = = 1", None),
        ("x = y = 1", "an assignment is a statement of its own"),
        ("if x { print 1 }\nelif y > 2 { print 2 }", "write `else if`"),
        ("def f(x):\n  finish x", "there is no such declaration: write the steps where they are needed, or in a loop"),
        ("try { x = 1 } catch e { }", "nothing is thrown: look at `.ok` and `.error` of what an operation answers"),
        ('x = "elif" y: 1', None),
        ("x = [1, 2].map(a => a)", LOOP),
        ("x = map([1], 2)", LOOP),
        ("x = [1][0:1]", "a part of a list or text is `slice(x, from, to)`"),
        ("x = 1 if y else 2", "write `cond ? yes : no`"),
        ("if x == 1: print x", "a block stands between `{` and `}`"),
        ("if x = 1 { print x }", "`==` compares, `=` assigns"),
        ("for k, v in r { print k }", "`for` has one name: `for key in keys(r) { value = r[key] }`"),
        ("for i in 1..3 { print i }", "write `range(a, b)`; `b` is not part of it"),
        ("x = []\nx.push(1)", "values have no methods: write `push(x, …)`"),
        ("x = []\nprint x.length()", "values have no methods: write `len(x)`"),
        ("await orders.total(id: 1)", RECORD),
        ("process p(a: int) { finish a }\nh = start p(1)", "arguments of a process have names: `start name(a: 1)`"),
        ("process p(a) { finish a }", "parameters have types: `process name(a: any)`"),
        ("process p() { finish 1 }\nprint p()", "a process is started: `start p(name: value)`"),
        ("process p() { submit 1 }", "a process ends with `finish value`"),
        ('print "a", "b"', "this takes one value: put several into a list"),
        ("/* no */ print 1", "comments start with `#`"),
    ],
)
def test_a_mistake_is_answered_with_what_there_is(source: str, hint: str | None) -> None:
    assert hint_of(source) == hint


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("unknown name `customer`", "did you mean `customers`?"),
        ("unknown name `zzz`", None),
        ("unknown name `customers`", "a process sees its parameters only: give it `customers` as one"),
        ("`for` expects a list", "`keys(r)` and `values(r)` are lists, `split(text, sep)` and `range(n)` give one"),
        ("can't read `.length` from string", "write `len(x)`"),
        (
            "can't read `.total` from resource",
            "an operation is no value: call it where it stands, `module.operation({ name: value })`",
        ),
        ("unknown name `throw`", "nothing is thrown: look at `.ok` and `.error` of what an operation answers"),
        (
            f"{REFUSED}\n- $: {{}} ('args' was unexpected)",
            "an operation takes one record: write `module.operation({ name: value })`",
        ),
        (f"{REFUSED}\n- $.id: 1 is too small", None),
    ],
)
def test_what_fails_at_run_time_has_hints_too(text: str, hint: str | None) -> None:
    shown = render(RuntimeFailure(text), "x", environment=HOST, variables=["customers"])

    assert shown == (text if hint is None else f"{text}\nhint: {hint}")


def test_the_reference_dialect_has_no_hints_of_ours() -> None:
    with pytest.raises(ParseError) as failed:
        parse("x += 1", dialect=COMPAT)

    assert "hint" not in render(failed.value, "x += 1", dialect=COMPAT, environment=HOST)
