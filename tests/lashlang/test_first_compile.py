"""What makes the first compilation of a program short, and what it must not change."""

from __future__ import annotations

import ast as py
import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash.lashlang import (
    ALL_ABILITIES,
    IMPROVED,
    Execution,
    HostEnvironment,
    LinkError,
    ParseError,
    compile_body,
    link,
    parse,
)
from lash.lashlang.cases.host import case_catalog
from lash.lashlang.syntax import ast
from lash.lashlang.syntax.lexer import END, tokenize
from lash.lashlang.syntax.traversal import descendants
from lashlang.running import drive, linked

# Every kind of token, its beginnings and ends, and what stands between tokens.
_QUOTES = ('"', '"""', "'''", 'r"""', "r'''", "r", "\\", '\\"', "\\n")
_WORDS = ("a", "for", "null", "x1", "1", "1.", ".5", "==", "=", "!", "&", "&&", "|", "$", "{", "]", "@", "/")
_BETWEEN = (" ", "\n", ";", "#", "//", "é", "\u2003", "\x85", "\ud800")
_PIECES = st.sampled_from((*_QUOTES, *_WORDS, *_BETWEEN))


@given(st.lists(_PIECES, max_size=14).map("".join))
def test_a_token_read_alone_is_the_same_token(source: str) -> None:
    data = source.encode("utf-8", "surrogatepass")
    try:
        tokens = tokenize(source)
    except ParseError as error:
        tokens = tokenize(data[: error.offset].decode("utf-8", "surrogatepass"))
    assert tokens.kinds[-1] == END
    assert tokens.starts == sorted(tokens.starts)
    for kind, text, start, end in zip(tokens.kinds, tokens.texts, tokens.starts, tokens.ends, strict=True):
        alone = tokenize(data[start:end].decode("utf-8", "surrogatepass"))
        assert (alone.kinds[0], alone.texts[0]) == (kind, text)
        assert len(alone.kinds) == 1 + (kind != END)


@pytest.mark.parametrize(
    ("source", "text", "offset"),
    [
        ('x = "é" $ 1 $', "unexpected `$`", 9),
        ('é"', "unexpected `é`", 0),
        ('x = "' + '\\"' * 20_000, "unterminated string", 4),
        ('x = r"""a', "unterminated string", 4),
        ("x = '''a", "unexpected `'`", 4),
    ],
)
def test_the_first_bad_character_is_told_and_nothing_after_it_is_read(source: str, text: str, offset: int) -> None:
    with pytest.raises(ParseError) as caught:
        tokenize(source)

    assert (str(caught.value), caught.value.offset) == (text, offset)


def test_nodes_are_known_to_the_collector_so_that_deep_trees_are_freed_in_steps() -> None:
    nodes = descendants(parse("x = a.b + [1, { k: -f }]").main)

    assert all(map(gc.is_tracked, nodes))
    assert len({type(node) for node in nodes}) == 9


def test_a_label_where_none_is_allowed_is_told_before_any_other_misfit() -> None:
    program = parse('x = nobody.knows()\n@label(title: "later")\ny = 1')

    with pytest.raises(LinkError, match="lashlang feature `label annotations` is disabled by this host"):
        link(program, HostEnvironment(case_catalog(), ALL_ABILITIES))


@pytest.mark.parametrize(
    ("source", "asked"),
    [
        ("x = 1\ny = x\nsubmit y", []),
        ("submit x", ["x"]),
        ("if z { x = 1 }\nsubmit x", ["x", "z"]),
        ("for i in [1] { x = i }\nx = push(x, 1)", ["x"]),
        ("x = [y for y in [1]]\nsubmit [x for w in x]", []),
        ("x = 1\nfor x in [x] { y = x }\nprint x", []),
        ("x[0] = 1", ["x"]),
    ],
)
def test_only_what_may_be_read_before_it_is_set_is_looked_up(source: str, asked: list[str]) -> None:
    trees: list[py.Module] = []
    compile_body(linked(source).artifact, None, IMPROVED, inspect=trees.append)

    calls = [node for node in py.walk(trees[0]) if isinstance(node, py.Call)]
    found = [
        py.literal_eval(call.args[1]) for call in calls if isinstance(call.func, py.Name) and call.func.id == "get"
    ]
    assert found == asked


def test_a_variable_that_a_failing_cell_would_have_set_later_keeps_its_value() -> None:
    body = compile_body(linked('y = 2\nz = y - "a"\nx = z').artifact, None, IMPROVED)
    variables: dict[str, object] = {"x": "before"}

    drive(Execution(body, variables=variables))  # type: ignore[arg-type]

    assert variables == {"x": "before", "y": 2}


@pytest.mark.parametrize(
    ("source", "chosen"),
    [
        ("x = a ? b ? 1 : 2 : 3", 2),
        ("x = f(a ? (b) : [c ? 1 : 2])", 2),
        ("x = { k: a?, j: b ? 1 : 2 }", 1),
        ("x = a?\ny = b ? 1 : 2", 1),
        ("x = " + "a ? " * 30 + "1" + " : 2" * 30, 30),
    ],
)
def test_a_question_mark_is_a_ternary_where_a_colon_closes_it(source: str, chosen: int) -> None:
    nodes = descendants(parse(source).main)

    assert sum(isinstance(node, ast.If) for node in nodes) == chosen
