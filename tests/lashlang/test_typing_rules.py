"""Gradual types by default; the reference's strict ones under `COMPAT`."""

from __future__ import annotations

import pytest

from lash.lashlang import COMPAT, LinkError
from lashlang.running import linked


@pytest.mark.parametrize(
    "source",
    [
        "process p(x: any) -> str { finish x }",
        "process p() -> list[str] { finish [] }",
        'process p() -> list[str] { finish push(["a"], "b") }',
        "process p(n: int) -> int { finish n + 1 }",
        "process p() -> float { finish 1 }",
        'process p() -> str { finish "n=" + 1 }',
        'process p() -> enum["a", "b"] { finish "a" }',
        "process p() -> list[int] { finish range(3) }",
        'process p(s: str) -> int { finish find(s, "a") }',
        'process p() -> str { finish format("{}", 1) }',
        'x = null\nif true { x = "a" }\nsubmit await tools.upper({ text: x })',
        'x = { text: 1 }\nx.text = "a"\nsubmit await tools.upper(x)',
        'xs = [{ text: 1 }]\nxs[0] = { text: "a" }\nsubmit await tools.upper(xs[0])',
        'for t in ["a"] { x = await tools.upper({ text: t }) }',
        "fn f(n: float) -> float { return n }\nsubmit f(1)",
    ],
)
def test_dynamic_data_links_by_default(source: str) -> None:
    assert linked(source).module_ref


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("process p() -> str { finish 1 }", "expected str, got int"),
        ("process p() -> int { finish 1 / 2 }", "expected int, got float"),
        ('process p() -> enum["a"] { finish "b" }', 'expected enum["a"], got str'),
        ("submit await tools.upper({ text: 5 })", "operation `upper` expects { text: str }, got { text: int }"),
        ('process p() -> int { finish [{ a: "x" }, { a: "y" }] }', "expected int, got list[{ a: str }]"),
        ("process p(x: str | int | str) -> bool { finish [x] }", "expected bool, got list[str | int]"),
        ('submit read("a.txt")', "unknown builtin `read`"),
        ('submit read_file("a.txt")', "tools must be called through module paths, e.g. `files.read`"),
        ("fn f(n: str) { return n }\nsubmit f(1)", "function `f` argument `n` expects str, got int"),
        ("fn f(n) { return n }\nsubmit f()", "`f` takes 1 arg(s), got 0"),
        ("fn f() { return await tools.echo({}) }", "a `fn` is pure: it cannot perform effects"),
        ("fn f() { return outside }", "unknown name `outside`"),
        ('process p(m: Mail) { finish 1 }\nx = json_parse("1")\nstart p(m: x)', "expected Mail, got value"),
    ],
)
def test_what_cannot_work_is_still_refused(source: str, text: str) -> None:
    with pytest.raises(LinkError) as caught:
        linked(source)

    assert text in str(caught.value)


@pytest.mark.parametrize(
    "source",
    [
        "process p(x: any) -> str { finish x }",
        "process p() -> list[str] { finish [] }",
        "process p() -> int { finish 1 }",
        'for t in ["a"] { x = await tools.upper({ text: t }) }',
    ],
)
def test_the_reference_refuses_them(source: str) -> None:
    with pytest.raises(LinkError):
        linked(source, dialect=COMPAT)


def test_a_link_error_points_at_the_expression() -> None:
    source = "x = 1\nsubmit await tools.upper({ text: 5 })"

    with pytest.raises(LinkError) as caught:
        linked(source)

    assert caught.value.at is not None
    start, end = caught.value.at
    assert source[start:end] == "tools.upper({ text: 5 })"
    assert caught.value.span is None
