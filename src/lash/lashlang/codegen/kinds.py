"""Which kinds a variable may hold, so that generated code can skip its checks.

A kind set is a bit mask; joining is `|`. One forward pass follows a body in flow
order; a loop is walked until its entry state no longer grows. `NUMBER` means
exactly a Python float, so arithmetic on proved numbers needs no guard. `LAZY` is a
lazy value that nobody has read yet: variables that are assigned never hold one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from lash.lashlang.syntax import ast
from lash.lashlang.syntax.traversal import nested_statements, spine

NUMBER: Final = 1
TEXT: Final = 2
BOOL: Final = 4
NULL: Final = 8
LIST: Final = 16
RECORD: Final = 32
OTHER: Final = 64
LAZY: Final = 128
UNSET: Final = 256
ANY: Final = 255
CONTAINER: Final = LIST | RECORD

Kinds = dict[str, int]

_LOOP_PASSES: Final = 3
# Loops nested deeper than this start from "anything" instead of being followed:
# following costs a factor per level.
_FOLLOWED_DEPTH: Final = 3

BUILTIN_KINDS: Final[dict[str, int]] = {
    "len": NUMBER,
    "empty": BOOL,
    "keys": LIST,
    "values": LIST,
    "contains": BOOL,
    "starts_with": BOOL,
    "ends_with": BOOL,
    "trim": TEXT,
    "split": LIST,
    "join": TEXT,
    "find": NUMBER | NULL,
    "grep_text": LIST,
    "slice": TEXT | LIST,
    "push": LIST,
    "range": LIST,
    "ceil_div": NUMBER,
    "floor_div": NUMBER,
    "to_string": TEXT,
    "to_int": NUMBER,
    "to_float": NUMBER,
    "format": TEXT,
    "sort": LIST,
    "sort_by": LIST,
    "sum": NUMBER,
    "replace": TEXT,
    "lower": TEXT,
    "upper": TEXT,
    "unique": LIST,
    "reverse": TEXT | LIST,
}


_FIXED: Final[dict[type[ast.Node], int]] = {
    ast.Number: NUMBER,
    ast.String: TEXT,
    ast.Bool: BOOL,
    **dict.fromkeys((ast.Null, ast.SleepFor, ast.SleepUntil, ast.SignalRun, ast.Print), NULL),
    **dict.fromkeys((ast.List, ast.Comprehension), LIST),
    **dict.fromkeys(
        (ast.Record, ast.TypeLiteral, ast.ProcessRef, ast.HostDescriptorConstructor, ast.ReceiverCall), RECORD
    ),
    ast.ResourceRef: OTHER,
}


def kind_of(node: ast.Expr, kinds: Kinds) -> int:
    """What `node` may evaluate to."""
    kind = type(node)
    fixed = _FIXED.get(kind)
    if fixed is not None:
        return fixed
    found = _FOUND.get(kind)
    return ANY if found is None else found(node, kinds)


def _variable(node: ast.Variable, kinds: Kinds) -> int:
    return kinds.get(node.name, ANY | UNSET) & ANY or ANY


def _index(node: ast.Index, kinds: Kinds) -> int:
    return TEXT | NULL if kind_of(node.target, kinds) == TEXT else ANY


def _builtin(node: ast.BuiltinCall, kinds: Kinds) -> int:
    if node.name == "slice" and node.args:
        return kind_of(node.args[0], kinds) & (TEXT | LIST) or TEXT | LIST
    return BUILTIN_KINDS.get(node.name, ANY)


def function_key(name: str) -> str:
    """Where the kinds of a body keep what a declared function returns; no variable is spelled so."""
    return f"fn {name}"


def _binary(node: ast.Binary, kinds: Kinds) -> int:
    if node.op in {"subtract", "multiply", "divide", "modulo"}:
        return NUMBER
    if node.op != "add":
        return BOOL
    first, operators = spine(node)
    left = kind_of(first, kinds)
    for operator in operators:
        left = added(left, kind_of(operator.right, kinds)) if operator.op == "add" else _plain(operator.op)
    return left


_FOUND: Final[dict[type[ast.Node], Callable[..., int]]] = {
    ast.Variable: _variable,
    ast.Binary: _binary,
    ast.Unary: lambda node, _: BOOL if node.op == "not" else NUMBER,
    ast.If: lambda node, kinds: kind_of(node.then, kinds) | kind_of(node.otherwise, kinds),
    ast.Index: _index,
    ast.BuiltinCall: _builtin,
    ast.FunctionCall: lambda node, kinds: kinds.get(function_key(node.name), ANY),
    ast.LabelAnnotated: lambda node, kinds: kind_of(node.inner, kinds),
}


def _plain(op: str) -> int:
    return NUMBER if op in {"subtract", "multiply", "divide", "modulo"} else BOOL


def added(left: int, right: int) -> int:
    """What `+` gives for operands of these kinds."""
    if TEXT in (left, right):
        return TEXT
    result = 0
    if (left | right) & TEXT:
        result |= TEXT
    if left & right & LIST:
        result |= LIST
    if (left & ~(TEXT | LIST)) and (right & ~(TEXT | LIST)):
        result |= NUMBER
    return result or NUMBER


def join(into: Kinds, *arms: Kinds) -> None:
    """Replaces `into` by what holds after any of the arms."""
    if arms[0] == arms[-1] and len(arms) == 2:
        into.update(arms[0])
        return
    names = set().union(*arms)
    for name in names:
        total = 0
        for arm in arms:
            total |= arm.get(name, into.get(name, ANY | UNSET))
        into[name] = total


def follow(node: ast.Expr, kinds: Kinds, seen: Kinds | None = None, depth: int = 0) -> None:
    """Updates `kinds` by what the statement `node` assigns; `seen` collects every assigned kind."""
    followed = _FOLLOWED.get(type(node))
    if followed is not None:
        followed(node, kinds, seen, depth)


def _follow_block(node: ast.Block, kinds: Kinds, seen: Kinds | None, depth: int) -> None:
    for item in node.items:
        follow(item, kinds, seen, depth)


def _follow_assign(node: ast.Assign, kinds: Kinds, seen: Kinds | None, _depth: int) -> None:
    if not node.steps:
        root = node.root
        kinds[root] = kind = kind_of(node.value, kinds) & ~LAZY
        if seen is not None:
            seen[root] = seen.get(root, 0) | kind


def _follow_if(node: ast.If, kinds: Kinds, seen: Kinds | None, depth: int) -> None:
    arms = dict(kinds), dict(kinds)
    follow(node.then, arms[0], seen, depth)
    follow(node.otherwise, arms[1], seen, depth)
    join(kinds, *arms)


def _follow_loop(node: ast.For | ast.While, kinds: Kinds, seen: Kinds | None, depth: int) -> None:
    head = loop_entry(node, kinds, depth)
    if seen is not None:
        for name in assigned_names(node.body):
            seen[name] = seen.get(name, 0) | head[name]
    kinds.clear()
    kinds.update(head)


_FOLLOWED: Final[dict[type[ast.Node], Callable[..., None]]] = {
    ast.Block: _follow_block,
    ast.LabelAnnotated: lambda node, kinds, seen, depth: follow(node.inner, kinds, seen, depth),
    ast.Assign: _follow_assign,
    ast.If: _follow_if,
    ast.For: _follow_loop,
    ast.While: _follow_loop,
}


def loop_entry(node: ast.For | ast.While, kinds: Kinds, depth: int = 0) -> Kinds:
    """What holds whenever the loop's condition or next item is reached, and after the loop.

    `break` and `continue` may leave from anywhere, so every kind assigned inside
    counts, not only those at the body's end.
    """
    changed = assigned_names(node.body)
    if isinstance(node, ast.For):
        changed.discard(node.binding)
    head = dict(kinds)
    for name in changed:
        head.setdefault(name, ANY | UNSET)
    if depth < _FOLLOWED_DEPTH:
        for _ in range(_LOOP_PASSES):
            end, seen = dict(head), Kinds()
            bind_loop(node, end)
            follow(node.body, end, seen, depth + 1)
            grown = {name: kind | (seen.get(name, 0) if name in changed else 0) for name, kind in head.items()}
            if grown == head:
                return head
            head = grown
    for name in changed:
        head[name] = ANY | (head[name] & UNSET)
    return head


def bind_loop(node: ast.For | ast.While, kinds: Kinds) -> None:
    """Binds the loop variable for the body."""
    if isinstance(node, ast.For):
        kinds[node.binding] = item_kind(node.iterable)


def item_kind(iterable: ast.Expr) -> int:
    """What the items of an iterable may be."""
    if isinstance(iterable, ast.BuiltinCall):
        if iterable.name == "range":
            return NUMBER
        if iterable.name in {"split", "keys"}:
            return TEXT
    return ANY


def assigned_names(body: ast.Expr) -> set[str]:
    """The variables that `body` assigns as a whole (loop variables are their loop's own)."""
    found: set[str] = set()
    stack: list[tuple[ast.Expr, frozenset[str]]] = [(body, frozenset())]
    while stack:
        node, own = stack.pop()
        if type(node) is ast.Assign:
            if node.root not in own:
                found.add(node.root)
            continue
        inner = own | {node.binding} if type(node) is ast.For else own
        stack.extend([(child, inner) for child in nested_statements(node)])
    return found
