"""Walking trees: children in the order that identity and tracking ids rest on.

A long operator chain is a deep left spine; `spine` gives it as a flat list, so
that no walker recurses once per operator.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Final

from lash.lashlang.syntax import ast


def children(node: ast.Expr) -> tuple[ast.Expr, ...]:
    """The direct children of `node`, in order (specification §2.8)."""
    reader = _CHILDREN.get(type(node))
    return () if reader is None else reader(node)


def _maybe(node: ast.Submit | ast.Finish) -> tuple[ast.Expr, ...]:
    return () if node.operand is None else (node.operand,)


def _assigned(node: ast.Assign) -> tuple[ast.Expr, ...]:
    if not node.steps:
        return (node.value,)
    return (*(step.index for step in node.steps if isinstance(step, ast.IndexStep)), node.value)


def _comprehended(node: ast.Comprehension) -> tuple[ast.Expr, ...]:
    if node.condition is None:
        return (node.iterable, node.item)
    return (node.iterable, node.condition, node.item)


# A table, because every walker asks this once per node.
_CHILDREN: Final[dict[type[ast.Node], Callable[..., tuple[ast.Expr, ...]]]] = {
    ast.Block: attrgetter("items"),
    ast.List: attrgetter("items"),
    ast.Record: lambda node: tuple([value for _, value in node.entries]),
    ast.Assign: _assigned,
    ast.Binary: attrgetter("left", "right"),
    ast.If: attrgetter("condition", "then", "otherwise"),
    ast.For: attrgetter("iterable", "body"),
    ast.While: attrgetter("condition", "body"),
    ast.StartProcess: lambda node: tuple([value for _, value in node.args]),
    ast.HostDescriptorConstructor: lambda node: (node.input,),
    ast.ReceiverCall: lambda node: (node.receiver, *node.args),
    ast.BuiltinCall: attrgetter("args"),
    ast.FunctionCall: attrgetter("args"),
    ast.SignalRun: attrgetter("run", "payload"),
    ast.Field: lambda node: (node.target,),
    ast.Index: attrgetter("target", "index"),
    ast.LabelAnnotated: lambda node: (node.inner,),
    ast.Comprehension: _comprehended,
    ast.Submit: _maybe,
    ast.Finish: _maybe,
    **dict.fromkeys(
        (
            ast.Unary,
            ast.ResultUnwrap,
            ast.Await,
            ast.SleepFor,
            ast.SleepUntil,
            ast.Cancel,
            ast.Print,
            ast.Yield,
            ast.Wake,
            ast.Fail,
            ast.Return,
        ),
        lambda node: (node.operand,),
    ),
}


def descendants(root: ast.Expr) -> list[ast.Expr]:
    """`root` and everything below it, in pre-order, without recursion."""
    found: list[ast.Expr] = []
    stack = [root]
    # Every pass over a tree walks here.
    readers, pop, push, add = _CHILDREN.get, stack.pop, stack.extend, found.append
    while stack:
        node = pop()
        add(node)
        reader = readers(type(node))
        if reader is not None:
            push(reader(node)[::-1])
    return found


_NESTING: Final[dict[type[ast.Node], Callable[..., tuple[ast.Expr, ...]]]] = {
    ast.Block: attrgetter("items"),
    ast.If: attrgetter("then", "otherwise"),
    ast.For: lambda node: (node.body,),
    ast.While: lambda node: (node.body,),
    ast.LabelAnnotated: lambda node: (node.inner,),
}


def nested_statements(node: ast.Expr) -> tuple[ast.Expr, ...]:
    """The children of `node` that may be statements, or hold some: no expression does."""
    reader = _NESTING.get(type(node))
    return () if reader is None else reader(node)


def assignments(root: ast.Expr) -> list[ast.Assign]:
    """The assignments in a statement, in no order."""
    found: list[ast.Assign] = []
    stack = [root]
    while stack:
        node = stack.pop()
        if type(node) is ast.Assign:
            found.append(node)
        else:
            stack.extend(nested_statements(node))
    return found


def spine(node: ast.Binary) -> tuple[ast.Expr, list[ast.Binary]]:
    """The leftmost operand of an operator chain, and its operators from left to right."""
    operators: list[ast.Binary] = []
    current: ast.Expr = node
    while type(current) is ast.Binary:
        operators.append(current)
        current = current.left
    operators.reverse()
    return current, operators


def peel_labels(node: ast.Expr) -> ast.Expr:
    """`node` without label wrappers."""
    while isinstance(node, ast.LabelAnnotated):
        node = node.inner
    return node


def dotted_path(node: ast.Expr) -> tuple[str, ...] | None:
    """`a.b.c` as its names, if `node` is a variable or a field chain on one."""
    names: list[str] = []
    while type(node) is ast.Field:
        names.append(node.name)
        node = node.target
    if type(node) is not ast.Variable:
        return None
    names.append(node.name)
    return tuple(reversed(names))
