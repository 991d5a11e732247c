"""A diagnostic says what to write instead."""

from __future__ import annotations

import pytest

from lash.lashlang import COMPAT, Catalog, HostEnvironment, LanguageError, ParseError, link, parse, render
from lash.lashlang.errors import RuntimeFailure
from lash.lashlang.host.environment import ALL_ABILITIES
from lash.lashlang.syntax.features import ALL_FEATURES

CATALOG = Catalog().add_operation("orders", "Orders", "total", "t").add_operation("orders", "Orders", "list", "l")
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
        ("await order.total({})", "modules are `orders`"),
        ("print pushh([], 1)", "did you mean `push`?"),
        ("x = = 1", None),
    ],
)
def test_a_mistake_is_answered_with_what_there_is(source: str, hint: str | None) -> None:
    assert hint_of(source) == hint


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("unknown name `customer`", "did you mean `customers`?"),
        ("unknown name `zzz`", None),
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
