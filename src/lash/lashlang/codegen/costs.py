"""What one turn of a loop costs, estimated from its text.

Small values are made inline, without a word to the meter; a loop that makes
some says at each of its turns how much that may have been, so that the driver
measures live memory in time, and loops that only compute are never measured.
"""

from __future__ import annotations

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
    total = 0
    for node in descendants(body):
        match node:
            case ast.List(items=items):
                total += _ENTRY * (1 + len(items))
            case ast.Record(entries=entries):
                total += _RECORD + _ENTRY * len(entries)
            case ast.Assign(steps=steps) if steps:
                total += _ENTRY
            case ast.BuiltinCall() | ast.FunctionCall() | ast.Comprehension():
                total += _SMALL_RESULT
            case ast.Binary(op="add", left=left, right=right) if ast.Number not in (type(left), type(right)):
                total += _SMALL_RESULT
            case _:
                pass
    return total
