"""Canonical source: parsing and linking it gives the same module."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from lash.lashlang import (
    ALL_FEATURES,
    LanguageError,
    LinkError,
    ParseError,
    Program,
    SourceError,
    canonical_process,
    canonical_source,
    link,
    parse,
)
from lash.lashlang.cases.document import Case
from lash.lashlang.syntax import ast
from lash.lashlang.syntax.ast import block_program
from lash.lashlang.syntax.tree_json import program_to_json
from lash.lashlang.syntax.tree_reading import program_from_json
from lashlang.programs import programs
from lashlang.running import ENVIRONMENT, linked
from lashlang.test_cases import CASES

_SETTINGS = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
)


def _round_trip(source: str) -> None:
    first = linked(source)
    text = canonical_source(first.program, ENVIRONMENT.resources)

    again = linked(text)

    assert again.module_ref == first.module_ref, text
    assert canonical_source(again.program, ENVIRONMENT.resources) == text


def _links(source: str) -> bool:
    try:
        linked(source)
    except LanguageError:
        return False
    return True


_LINKABLE = [case for case in CASES if _links(case.source)]


def test_most_cases_link() -> None:
    assert len(_LINKABLE) > 250


@pytest.mark.parametrize("case", _LINKABLE, ids=lambda case: case.id)
def test_a_case_keeps_its_reference(case: Case) -> None:
    _round_trip(case.source)


@_SETTINGS
@given(programs)
def test_random_programs_keep_their_reference(source: str) -> None:
    try:
        linked(source)
    except LinkError:
        return

    _round_trip(source)


@pytest.mark.parametrize(
    "source",
    [
        "(sleep for 1) + 2",
        "x = 1\n-x",
        "x = 1\n(x ? 1 : 2)",
        "x = [1]\n[x]",
        "x = 5\n(1).k",
        '@label(title: "a")\nlet type = 1',
        '@label(title: "a")\nif true { x = 1 }',
        "if true { submit }\nx = 1",
        "x = y\na + b * (c + d)",
        "x = y\na ? b : c",
        "submit " + "(" * 40 + "1 + (2 * 3)" + " + 1)" * 40,
        "x = " + "[" * 50 + "1 + 2" + "]" * 50,
        "x = (await start p())?\nprocess p() { finish }",
        "process p() { finish }\nx = p",
        'submit { "a b": 1, if: 2, "": 3 }',
        "submit 1 + 2 * 3 - -4 / (5 % 6) == 7 and not true or false",
        "submit [x * 2 for x in range(3) if x in [1, 2]]",
        "fn f(a, b: int) -> int { if a { return b }\n return 1 }\nsubmit f(1, 2)",
        'submit "' + "+".join(["x"] * 300) + '"',
        "submit " + " + ".join(["1"] * 1500),
        "submit - - - not - 1",
        "submit ((((((((((1))))))))))",
        "x = 1 ? 2 : 3 ? 4 : 5\nsubmit (x ? 1 : 2).k",
        "x = wait\nsubmit x",
        "process p(a: any) { signal run a with { n: 1 }\n x = wait signal\n finish x }",
        'process p(h: any) { signal_run(h, "go", 1)\n x = wait_signal("go")?\n finish x }',
        'x = { a: { b: [1] } }\nx.a.b[0] = 2\nx["a"].b = 3',
        "submit 123456789012345678901234567890",
        "submit 0.1",
        'submit "\\\\ \\" \\n \\t \\r é 👍"',
        "cancel 1\nprint [1]\nsubmit",
    ],
)
def test_awkward_programs_keep_their_reference(source: str) -> None:
    _round_trip(source)


def test_one_process_is_printed_alone() -> None:
    module = linked("process p(a: str) { finish a }\nprocess q() { finish 1 }")

    assert canonical_process(module.program, "q") == "process q() {\n  finish 1\n}\n"


@pytest.mark.parametrize(
    ("program", "text"),
    [
        (block_program(ast.Variable("if")), "invalid variable identifier `if`"),
        (block_program(ast.Assign("a b", (), ast.Null())), "invalid variable identifier `a b`"),
        (block_program(ast.Number(float("nan"))), "cannot render number literal `nan` as canonical Lashlang source"),
        (block_program(ast.HostDescriptorConstructor("x.Y", ast.Null())), "without an unambiguous constructor path"),
        (block_program(ast.ResourceRef(("a b",), "T", "a b")), "invalid module path `a b`"),
    ],
)
def test_a_tree_without_source_form_is_refused(program: Program, text: str) -> None:
    with pytest.raises(SourceError, match=text):
        canonical_source(program)


@_SETTINGS
@given(programs)
def test_programs_survive_the_way_through_json(source: str) -> None:
    program = parse(source, features=ALL_FEATURES)

    again = program_from_json(program_to_json(program))

    assert program_to_json(again) == program_to_json(program)


_TOKENS = st.sampled_from(
    [
        "x",
        "1",
        "2.5",
        '"s"',
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "?",
        ".",
        "=",
        "==",
        "+",
        "-",
        "*",
        "/",
        "%",
        "!",
        "and",
        "or",
        "not",
        "await",
        "if",
        "else",
        "for",
        "in",
        "while",
        "break",
        "submit",
        "print",
        "finish",
        "process",
        "type",
        "start",
        "sleep",
        "until",
        "@",
        "label",
        "Type",
        "signals",
        "wait_signal",
        "\n",
        ";",
        "#c\n",
        "|",
        "<",
        ">",
        "fn",
        "return",
        "enum",
        "list",
        "let",
        "trigger",
        "call",
        "yield",
        "é",
        "&",
    ]
)


@_SETTINGS
@given(st.one_of(st.text(max_size=200), st.lists(_TOKENS, max_size=60).map(" ".join)))
def test_any_text_parses_or_fails_cleanly(source: str) -> None:
    offset = 0
    try:
        link(parse(source, features=ALL_FEATURES), ENVIRONMENT)
    except ParseError as error:
        offset = error.offset
    except LinkError:
        pass

    assert 0 <= offset <= len(source.encode("utf-8", "surrogatepass"))
