"""Which expressions are proved to be whole numbers, so that `int` needs no check.

`FINITE` is an integral finite number; `OVERFLOWING` is integral if it is finite
(a sum of large integers may be infinite); `UNKNOWN` is anything else.
"""

from __future__ import annotations

from typing import Final

from lash.lashlang.syntax import ast
from lash.lashlang.syntax.types import INT

UNKNOWN: Final = 0
OVERFLOWING: Final = 1
FINITE: Final = 2
# Adding this much to any finite double never makes it infinite.
_SMALL: Final = 2.0**53


def whole_functions(program: ast.Program) -> frozenset[str]:
    """The functions whose result is checked to be an `int`."""
    return frozenset(item.name for item in program.functions() if item.return_type == INT)


def wholeness(node: ast.Expr, names: frozenset[str], functions: frozenset[str]) -> int:
    """How whole `node` is, where `names` hold finite integers and `functions` give them."""
    match node:
        case ast.Number(value=value):
            return FINITE if value.is_integer() else UNKNOWN
        case ast.Variable(name=name):
            return FINITE if name in names else UNKNOWN
        case ast.FunctionCall(name=name):
            return FINITE if name in functions else UNKNOWN
        case ast.Binary(op="add" | "subtract" | "multiply" as op, left=left, right=right):
            # Long chains are not worth a deep walk.
            if isinstance(left, ast.Binary) and isinstance(left.left, ast.Binary):
                return UNKNOWN
            both = min(wholeness(left, names, functions), wholeness(right, names, functions))
            if both == FINITE and op != "multiply" and (_is_small(left) or _is_small(right)):
                return FINITE
            return min(both, OVERFLOWING)
        case ast.Unary(op="negate", operand=operand) if not isinstance(operand, ast.Unary):
            return wholeness(operand, names, functions)
        case _:
            return UNKNOWN


def _is_small(node: ast.Expr) -> bool:
    return isinstance(node, ast.Number) and abs(node.value) <= _SMALL
