"""Which variables may change their container in place.

Values have copy semantics. A container is changed in place only through the one
variable that owns it: the variable made a private copy (or a fresh literal) and
nothing else can have seen it since. Ownership is decided here statically (which
variables are ever changed through a path) and tracked at run time with one flag
per such variable:

* `SHALLOW`: only its own items change (`xs[i] = v`, `xs = push(xs, v)`,
  `xs = xs + [v]`). The flag is a boolean.
* `DEEP`: containers inside it change too (`m[i][j] = v`). The flag is `None` or
  a dict of the inner containers that are owned, by identity.

Reading such a variable where the value may be kept ends its ownership; the next
change copies once. Loops that only change stay O(1) per step.
"""

from __future__ import annotations

from typing import Final

from lash.lashlang.syntax import ast
from lash.lashlang.syntax.traversal import assignments

SHALLOW: Final = 1
DEEP: Final = 2

# Builtins whose results never contain their arguments, nor anything inside them.
READS_ONLY: Final = frozenset(
    (
        "len",
        "empty",
        "contains",
        "starts_with",
        "ends_with",
        "trim",
        "split",
        "join",
        "find",
        "grep_text",
        "range",
        "ceil_div",
        "floor_div",
        "to_string",
        "to_int",
        "to_float",
        "json_parse",
        "format",
        "keys",
        "sum",
        "replace",
        "lower",
        "upper",
    )
)
# Builtins that copy the outer container but keep what is inside it.
COPIES_OUTER: Final = READS_ONLY | {"slice", "values", "push", "sort", "sort_by", "unique", "reverse", "min", "max"}


def changed_in_place(body: ast.Expr) -> dict[str, int]:
    """How deep each variable of `body` is changed through a path."""
    found: dict[str, int] = {}
    for node in assignments(body):
        depth = len(node.steps) + (self_push(node) is not None or self_append(node) is not None)
        if depth:
            found[node.root] = max(found.get(node.root, 0), min(depth, DEEP))
    return found


def self_push(node: ast.Assign) -> ast.Expr | None:
    """The item of `P = push(P, item)`, where P is a variable or a simple path."""
    value = node.value
    if type(value) is not ast.BuiltinCall or value.name != "push" or len(value.args) != 2:
        return None
    items, item = value.args
    return item if same_place(node, items) else None


def self_append(node: ast.Assign) -> ast.Expr | None:
    """The right side of `x = x + right` for a plain variable and a list literal."""
    value = node.value
    if type(value) is not ast.Binary or value.op != "add" or node.steps:
        return None
    left, right = value.left, value.right
    if type(left) is not ast.Variable or type(right) is not ast.List:
        return None
    return right if left.name == node.root else None


def same_place(node: ast.Assign, read: ast.Expr) -> bool:
    """Whether `read` reads exactly the place that `node` assigns, with keys that cannot differ."""
    for step in reversed(node.steps):
        match step, read:
            case ast.FieldStep(name=name), ast.Field(target=target, name=other) if name == other:
                read = target
            case ast.IndexStep(index=index), ast.Index(target=target, index=other_index):
                if not _same_key(index, other_index):
                    return False
                read = target
            case _:
                return False
    return type(read) is ast.Variable and read.name == node.root


def _same_key(one: ast.Expr, other: ast.Expr) -> bool:
    match one, other:
        case ast.Variable(name=name), ast.Variable(name=same):
            return name == same
        case ast.String(value=text), ast.String(value=same_text):
            return text == same_text
        case ast.Number(value=number), ast.Number(value=same_number):
            return number == same_number
        case ast.Field(target=target, name=name), ast.Field(target=other_target, name=same):
            return name == same and _same_key(target, other_target)
        case _:
            return False
