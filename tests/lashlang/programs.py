"""Random programs, as source text."""

from __future__ import annotations

from hypothesis import strategies as st

NAMES = ("a", "b", "c", "d")
_names = st.sampled_from(NAMES)
_literals = st.sampled_from(
    (
        "null",
        "true",
        "false",
        "0",
        "1",
        "2.5",
        "7",
        '""',
        '"x"',
        '"12"',
        "[]",
        "[1, 2]",
        '["a", [3]]',
        "{}",
        "{ k: 1, j: [2] }",
        "-0.0",
    )
)
_keys = st.sampled_from(("k", "j", "n"))
_indexes = st.sampled_from(("0", "1", "-1", '"k"', '"j"', "9", "0.5", "a", "b"))


def _compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operators = st.sampled_from(("+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "and", "or", "in"))
    one = st.sampled_from(
        (
            "len",
            "empty",
            "keys",
            "values",
            "to_string",
            "to_int",
            "trim",
            "sort",
            "sum",
            "unique",
            "reverse",
            "min",
            "upper",
        )
    )
    two = st.sampled_from(("contains", "push", "split", "join", "starts_with"))
    return st.one_of(
        st.tuples(inner, operators, inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        st.tuples(inner, inner, inner).map(lambda t: f"({t[0]} ? {t[1]} : {t[2]})"),
        inner.map(lambda x: f"(not {x})"),
        inner.map(lambda x: f"(-{x})"),
        st.tuples(_names, _keys).map(lambda t: f"{t[0]}.{t[1]}"),
        st.tuples(_names, _indexes).map(lambda t: f"{t[0]}[{t[1]}]"),
        st.tuples(_names, _keys, _indexes).map(lambda t: f"{t[0]}.{t[1]}[{t[2]}]"),
        st.lists(inner, max_size=3).map(lambda xs: f"[{', '.join(xs)}]"),
        st.lists(st.tuples(_keys, inner), max_size=2).map(
            lambda xs: "{ " + ", ".join(f"{k}: {v}" for k, v in xs) + " }"
        ),
        st.tuples(one, inner).map(lambda t: f"{t[0]}({t[1]})"),
        st.tuples(two, inner, inner).map(lambda t: f"{t[0]}({t[1]}, {t[2]})"),
        st.tuples(inner, _indexes, _indexes).map(lambda t: f"slice({t[0]}, {t[1]}, {t[2]})"),
        inner.map(lambda x: f"(await tools.echo({{ value: {x} }})?)"),
        inner.map(lambda x: f"(await tools.fail({{ reason: {x} }}))"),
        st.tuples(inner, _names, inner).map(lambda t: f"[{t[0]} for {t[1]} in {t[2]}]"),
    )


expressions = st.recursive(st.one_of(_literals, _names), _compound, max_leaves=6)
_targets = st.one_of(
    _names,
    st.tuples(_names, _keys).map(lambda t: f"{t[0]}.{t[1]}"),
    st.tuples(_names, _indexes).map(lambda t: f"{t[0]}[{t[1]}]"),
    st.tuples(_names, _indexes, _indexes).map(lambda t: f"{t[0]}[{t[1]}][{t[2]}]"),
    st.tuples(_names, _keys, _keys).map(lambda t: f"{t[0]}.{t[1]}.{t[2]}"),
)
_assignments = st.one_of(
    st.tuples(_targets, expressions).map(lambda t: f"{t[0]} = {t[1]}"),
    st.tuples(_names, expressions).map(lambda t: f"{t[0]} = push({t[0]}, {t[1]})"),
    st.tuples(_names, expressions).map(lambda t: f"{t[0]} = {t[0]} + {t[1]}"),
    st.tuples(_names, expressions).map(lambda t: f"{t[0]} = {t[0]} + [{t[1]}]"),
    st.tuples(_targets, expressions).map(lambda t: f"{t[0]} = push({t[0]}, {t[1]})"),
    st.tuples(_names, _names).map(lambda t: f"{t[0]} = {t[1]}"),
    st.tuples(_names, _names, _indexes).map(lambda t: f"{t[0]} = {t[1]}[{t[2]}]"),
    st.tuples(_targets, _names).map(lambda t: f"{t[0]} = [{t[1]}, {t[1]}]"),
)


def _blocks(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    body = st.lists(inner, min_size=1, max_size=3).map("\n".join)
    jumps = st.sampled_from(("break", "continue"))
    loop_body = st.lists(st.one_of(inner, jumps), min_size=1, max_size=3).map("\n".join)
    return st.one_of(
        st.tuples(expressions, body).map(lambda t: f"if {t[0]} {{ {t[1]} }}"),
        st.tuples(expressions, body, body).map(lambda t: f"if {t[0]} {{ {t[1]} }} else {{ {t[2]} }}"),
        st.tuples(_names, loop_body).map(lambda t: f"for {t[0]} in range(3) {{ {t[1]} }}"),
        st.tuples(_names, expressions, loop_body).map(lambda t: f"for {t[0]} in {t[1]} {{ {t[2]} }}"),
    )


statements = st.recursive(_assignments, _blocks, max_leaves=4)
programs = st.lists(statements, min_size=1, max_size=8).map(
    lambda lines: (
        'a = [1, [2, 3]]\nb = { k: 1, j: { k: [5] } }\nc = 3\nd = "text"\n' + "\n".join(lines) + "\nsubmit [a, b, c, d]"
    )
)
