"""What one turn of a loop costs, estimated from its text.

Small values are made inline, without a word to the meter; a loop that makes
some says at each of its turns how much that may have been, so that the driver
measures live memory in time, and loops that only compute are never measured.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from lash.lashlang.syntax import ast
from lash.lashlang.syntax.traversal import descendants

_ENTRY: Final = 64
_RECORD: Final = 192
_SMALL_RESULT: Final = 64
_STEPS: Final = frozenset((ast.Assign, ast.If, ast.BuiltinCall))


def weight_of(body: ast.Expr) -> int:
    """How many steps one turn of a loop, or one call, counts for: roughly its statements."""
    return 1 + sum([type(item) in _STEPS for item in descendants(body)]) // 4


def allocated_by(body: ast.Expr) -> int:
    """About how many bytes one turn of `body` may make and keep."""
    return _allocated(descendants(body))


def turn_of(body: ast.Expr) -> tuple[int, int]:
    """The weight of a turn and what it may allocate, in one walk."""
    nodes = descendants(body)
    return 1 + sum([type(item) in _STEPS for item in nodes]) // 4, _allocated(nodes)


def _allocated(nodes: list[ast.Expr]) -> int:
    total = 0
    for node in nodes:
        made = _MADE.get(type(node))
        if made is not None:
            total += made(node)
    return total


def _added(node: ast.Binary) -> int:
    if node.op != "add" or type(node.left) is ast.Number or type(node.right) is ast.Number:
        return 0
    return _SMALL_RESULT


_MADE: Final[dict[type[ast.Node], Callable[..., int]]] = {
    ast.List: lambda node: _ENTRY * (1 + len(node.items)),
    ast.Record: lambda node: _RECORD + _ENTRY * len(node.entries),
    ast.Assign: lambda node: _ENTRY if node.steps else 0,
    **dict.fromkeys((ast.BuiltinCall, ast.FunctionCall, ast.Comprehension), lambda _: _SMALL_RESULT),
    ast.Binary: _added,
}
