"""Random programs, as source text."""

from __future__ import annotations

from hypothesis import strategies as st

NAMES = ("a", "b", "c", "d")
_names = st.sampled_from(NAMES)
# `e` holds a run handle until a program says otherwise; the others now and then.
_handles = st.sampled_from(("e", "e", "e", "a", "d"))
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


def _pure(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
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
        st.tuples(inner, _names, inner).map(lambda t: f"[{t[0]} for {t[1]} in {t[2]}]"),
    )


def _compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        _pure(inner),
        _pure(inner),
        inner.map(lambda x: f"(await tools.echo({{ value: {x} }})?)"),
        inner.map(lambda x: f"(await tools.fail({{ reason: {x} }}))"),
        st.tuples(inner, inner).map(lambda t: f"g({t[0]}, {t[1]})"),
        _effects(inner),
    )


def _effects(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Batches, started processes, awaits of anything, waits: all that both bodies may do."""
    leaf = st.one_of(
        inner.map(lambda x: f"tools.echo({{ value: {x} }})?"),
        inner.map(lambda x: f"tools.echo({{ value: {x} }})"),
        inner.map(lambda x: f"tools.fail({{ reason: {x} }})"),
        inner.map(lambda x: f"tools.fail({{ reason: {x} }})?"),
        inner.map(lambda x: f"start child(x: {x})"),
        inner.map(lambda x: f"start child(x: {x})?"),
        inner,
        st.lists(inner, max_size=2).map(lambda xs: f"[tools.echo({{ value: 1 }}), {', '.join(xs)}]"),
    )
    return st.one_of(
        st.lists(leaf, min_size=1, max_size=4).map(lambda xs: f"(await [{', '.join(xs)}])"),
        st.lists(st.tuples(_keys, leaf), min_size=1, max_size=3, unique_by=lambda t: t[0]).map(
            lambda xs: "(await { " + ", ".join(f"{k}: {v}" for k, v in xs) + " })"
        ),
        inner.map(lambda x: f"(start child(x: {x}))"),
        st.sampled_from(("1", "c", "len(a)", '"x"')).map(lambda x: f"(start narrow(n: {x}))"),
        inner.map(lambda x: f"(await {x})"),
        st.sampled_from(("(await e)?", "(await [e, [e, 1]])", "(await { k: e })", "(await start child(x: 1)?)")),
        inner.map(lambda x: f"(await [start child(x: {x}), {x}])"),
        inner.map(lambda x: f"(await {x})?"),
        st.tuples(_handles, st.sampled_from(("go", "stop")), inner).map(
            lambda t: f'signal_run({t[0]}, "{t[1]}", {t[2]})'
        ),
    )


pure_expressions = st.recursive(st.one_of(_literals, _names), _pure, max_leaves=5)
expressions = st.recursive(st.one_of(_literals, _names), _compound, max_leaves=6)
_durations = st.sampled_from(("0", "250", '"2s"', '"1.5m"', "c", "c", "a", '"soon"'))
_deadlines = st.sampled_from(("0", "1900000000000", '"2030-01-01T00:00:00Z"', "c", "d"))
# What only one kind of body may say.
_cell_effects = st.one_of(
    expressions.map(lambda x: f"print {x}"),
    st.tuples(_names, expressions).map(lambda t: f"{t[0]} = start child(x: {t[1]})"),
    st.tuples(_names, _handles).map(lambda t: f"{t[0]} = await {t[1]}"),
    expressions.map(lambda x: f"submit {x}"),
    _handles.map(lambda x: f"cancel {x}"),
)
_process_effects = st.one_of(
    st.tuples(st.sampled_from(("finish", "fail")), expressions).map(" ".join),
    st.tuples(st.sampled_from(("yield", "wake")), expressions).map(" ".join),
    _durations.map(lambda x: f"sleep for {x}"),
    _deadlines.map(lambda x: f"sleep until {x}"),
    st.tuples(_names, st.sampled_from(("go", "stop"))).map(lambda t: f'{t[0]} = wait_signal("{t[1]}")'),
    st.tuples(_names, expressions).map(lambda t: f"{t[0]} = start child(x: {t[1]})"),
    st.tuples(_names, _handles).map(lambda t: f"{t[0]} = await {t[1]}"),
    _names.map(lambda x: f"{x} = input"),
    _handles.map(lambda x: f"cancel {x}"),
)
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


# Statements that seldom fail, so that programs come to their end.
_calm = st.one_of(
    st.tuples(_names, st.lists(st.one_of(_names, _literals), max_size=3)).map(
        lambda t: f"{t[0]} = [{', '.join(t[1])}]"
    ),
    st.tuples(_names, _keys, _names).map(lambda t: f"{t[0]} = {{ {t[1]}: {t[2]} }}"),
    st.tuples(_names, _names).map(lambda t: f"{t[0]} = g({t[1]}, {t[1]})"),
    st.tuples(_names, _effects(st.one_of(_names, _literals))).map(lambda t: f"{t[0]} = {t[1]}"),
)


def _blocks(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    body = st.lists(inner, min_size=1, max_size=3).map("\n".join)
    jumps = st.sampled_from(("break", "continue"))
    loop_body = st.lists(st.one_of(inner, jumps), min_size=1, max_size=3).map("\n".join)
    return st.one_of(
        st.tuples(expressions, body).map(lambda t: f"if {t[0]} {{ {t[1]} }}"),
        st.tuples(expressions, body, body).map(lambda t: f"if {t[0]} {{ {t[1]} }} else {{ {t[2]} }}"),
        st.tuples(_names, _names, loop_body).map(lambda t: f"for {t[0]} in [{t[1]}, {t[0]}] {{ {t[2]} }}"),
        st.tuples(_names, loop_body).map(lambda t: f"for {t[0]} in range(3) {{ {t[1]} }}"),
        st.tuples(_names, expressions, loop_body).map(lambda t: f"for {t[0]} in {t[1]} {{ {t[2]} }}"),
    )


def _function(parts: tuple[bool, str, str]) -> str:
    is_short, test, result = parts
    if is_short:
        # Short enough to be called without being counted.
        lines = f"c = a\n d = b\n if {test} {{ d = a }} else {{ c = b }}"
    else:
        lines = f"c = [a, b]\n d = a\n if {test} {{ d = push(c, a) }} else {{ c[0] = b }}"
    return f"fn g(a, b) {{ {lines}\n return {result} }}\n"


def _cell(parts: tuple[str, str]) -> str:
    function, lines = parts
    calls = "h = [g(i, c) for i in [a, c]]\n"
    return f"{_PROCESSES}{function}{PRELUDE}{calls}{lines}\nsubmit [a, b, c, d, e, h, g(b, d)]"


_functions = st.tuples(st.booleans(), pure_expressions, pure_expressions).map(_function)
_PROCESSES = "process child(x: any) { finish x }\nprocess narrow(n: float) { finish n }\n"
PRELUDE = 'a = [1, [2, 3]]\nb = { k: 1, j: { k: [5] } }\nc = 3\nd = "text"\ne = start child(x: c)\n'


def _lines(effects: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    simple = st.one_of(_assignments, _calm, _calm, effects, effects)
    statements = st.one_of(simple, st.recursive(simple, _blocks, max_leaves=4))
    return st.lists(statements, min_size=1, max_size=8).map("\n".join)


cells = st.tuples(_functions, _lines(_cell_effects)).map(_cell)
processes = st.tuples(_functions, _lines(_process_effects)).map(
    lambda t: (
        f"{_PROCESSES}{t[0]}process main_one(a: any, b: any, c: any, d: any, e: any) {{\n{t[1]}\n"
        "finish [a, b, c, d, e]\n}\n"
    )
)
programs = st.one_of(cells, processes)
