"""What people and models write out of the habit of other languages, and what to write here."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_ONE_RECORD: Final = "an operation takes one record: write `module.operation({ name: value })`"
_BLOCK: Final = "a block stands between `{` and `}`"
_LOOP: Final = "functions are no values: write a `for` loop, and grow a list with `xs = push(xs, v)`"
_NO_FUNCTION: Final = "there is no such declaration: write the steps where they are needed, or in a loop"
_RESULTS: Final = "nothing is thrown: look at `.ok` and `.error` of what an operation answers"
_ONE_VALUE: Final = "this takes one value: put several into a list"
_CALLED: Final = "an operation is no value: call it where it stands, `module.operation({ name: value })`"

# Any message that the parser may give at a word that it does not know.
_PARSED: Final = ("unexpected ", "expected ", "unknown name ")
_TEXTS: Final = re.compile(r'"[^"]*"')
# The beginning of a message, what the line where it points holds, and the hint; the first that fits.
_HABITS: Final = tuple(
    (start, re.compile(line), hint)
    for start, line, hint in (
        (_PARSED, r"(^|[\s}])elif\b", "write `else if`"),
        (_PARSED, r"^\s*(async\s+)?(def|function|class)\b", _NO_FUNCTION),
        (_PARSED, r"(^|[\s}])(try|catch|except|finally)\b", _RESULTS),
        (_PARSED, r"=>|\blambda\b", _LOOP),
        (_PARSED, r"^\s*(const|var)\s", "write `x = 1`"),
        (_PARSED, r"^\s*(switch|match)\b", "write `if … { } else if … { } else { }`"),
        ("expected `{`, found `else`", "", "write `cond ? yes : no`"),
        ("expected `{`, found `=`", "", "`==` compares, `=` assigns"),
        ("expected `{`, found ", "", _BLOCK),
        ("expected `[`, found ", r"\blist\b", "write `list[any]`"),
        ("expected `]`, found `:`", "", "a part of a list or text is `slice(x, from, to)`"),
        ("expected `]`, found `for`", "", "`for` is a statement: grow a list with `xs = push(xs, v)`"),
        ("expected `in`, found `,`", "", "`for` has one name: `for key in keys(r) { value = r[key] }`"),
        ("expected identifier, found `(`", r"\bfor\s*\(", "write `for i in range(n) { }`"),
        ("`for` expects a list", "", "`keys(r)` and `values(r)` are lists, `split(text, sep)` and `range(n)` give one"),
        ("expected `)`, found `:`", r"\.\w+\(", _ONE_RECORD),
        ("expected `)`, found `=`", r"\.\w+\(", _ONE_RECORD),
        ("expected `)`, found `,`", r"^\s*print\b", _ONE_VALUE),
        ("unexpected `,`", r"^\s*(print|submit|finish)\b", _ONE_VALUE),
        ("expected identifier, string key", r"\d\.\.", "write `range(a, b)`; `b` is not part of it"),
        (
            "expected identifier, string key",
            r"\bstart\s+\w+\(",
            "arguments of a process have names: `start name(a: 1)`",
        ),
        ("expected identifier, string key", r"\{", 'keys of a record are names or texts: `{ a: 1, "2": 2 }`'),
        ("expected `for` or `until`", "", 'write `sleep for "2s"`'),
        ("expected `:`, found", r"\bprocess\s+\w+\(", "parameters have types: `process name(a: any)`"),
        ("unexpected `/`", r"/\*", "comments start with `#`"),
        ("unexpected `*`", r"\*\*", "there is no power: multiply"),
        ("unexpected `=`", r"===|!==", "write `==` or `!=`"),
        ("unexpected `=`", r"=\s*[A-Za-z_]\w*\s*=[^=]", "an assignment is a statement of its own"),
        ("`print` can't be used inside a `process`", "", "`yield value` tells whoever watches"),
        ("`submit` can't be used inside a `process`", "", "a process ends with `finish value`"),
        ("can't read `.length`", "", "write `len(x)`"),
        ("can't read `.len`", "", "write `len(x)`"),
        ("can't read `.size`", "", "write `len(x)`"),
        ("can't index resource", "", _CALLED),
    )
)
_OPERATION_AS_VALUE: Final = re.compile(r"can't read `[^`]*` from resource")
_NO_BUILTIN: Final = re.compile(r"unknown builtin `([^`]*)`")
_NAMES: Final = {
    "nil": "write `null`",
    "undefined": "write `null`",
    "from": "there are no imports; call the host through module paths",
    "is": "write `==`",
    "pass": "leave the block empty: `{ }`",
}
_NO_NAME: Final = re.compile(r"unknown name `([^`]*)`")
_BUILTINS: Final = {
    "str": "write `to_string(x)`",
    "int": "write `to_int(x)`",
    "float": "write `to_float(x)`",
    "append": "write `xs = push(xs, v)`",
    "json_dumps": "write `to_string(x)`",
    "map": _LOOP,
    "filter": _LOOP,
    "reduce": _LOOP,
    "enumerate": "write `for i in range(len(xs)) { x = xs[i] }`",
    "sleep": 'write `sleep for "2s"`',
}
_METHODS: Final = {
    "append": "push",
    "add": "push",
    "length": "len",
    "size": "len",
    "strip": "trim",
    "substring": "slice",
    "indexOf": "find",
    "index": "find",
    "includes": "contains",
    "startswith": "starts_with",
    "startsWith": "starts_with",
    "endswith": "ends_with",
    "endsWith": "ends_with",
    "toString": "to_string",
    "items": "keys",
}

_UNARY: Final = (
    "len",
    "keys",
    "values",
    "trim",
    "to_string",
    "to_int",
    "to_float",
    "lower",
    "upper",
    "sort",
    "reverse",
)


def habit_hint(text: str, source: str, line: str) -> str | None:
    """What to write here, by the message and the line that it points to."""
    if found := _NO_BUILTIN.match(text):
        if re.search(rf"\bprocess\s+{re.escape(found[1])}\b", source):
            return f"a process is started: `start {found[1]}(name: value)`"
        return _BUILTINS.get(found[1])
    if found := _NO_NAME.match(text):
        if found[1] in _NAMES:
            return _NAMES[found[1]]
    elif _OPERATION_AS_VALUE.match(text):
        return _CALLED
    code = _TEXTS.sub('""', line)
    return next((hint for start, has, hint in _HABITS if text.startswith(start) and has.search(code)), None)


def method_hint(operation: str, builtins: Iterable[str]) -> str | None:
    """`x.push(v)`: the builtin that does it."""
    name = _METHODS.get(operation, operation)
    if name not in builtins:
        return None
    return f"values have no methods: write `{name}(x{'' if name in _UNARY else ', …'})`"
