"""Python's syntax nodes with quick constructors.

`ast`'s own constructors take four positions by keyword and cost several times
what the node does. These keep a line and nothing else: columns and contexts are
the class's.
"""

from __future__ import annotations

import ast as py
from typing import Final

LOAD: Final = py.Load()
STORE: Final = py.Store()
# Operators have no place in the text, so one of each is enough.
LESS: Final = py.Lt()
IS: Final = py.Is()
IS_NOT: Final = py.IsNot()
AT_MOST: Final = py.LtE()
MORE: Final = py.Gt()
IN: Final = py.In()
EQUAL: Final = py.Eq()
NOT_EQUAL: Final = py.NotEq()
ADD: Final = py.Add()
SUBTRACT: Final = py.Sub()
MULTIPLY: Final = py.Mult()
DIVIDE: Final = py.Div()
MODULO: Final = py.Mod()
AND: Final = py.And()
OR: Final = py.Or()
NOT: Final = py.Not()
NEGATE: Final = py.USub()
AT_LEAST: Final = py.GtE()


class Name(py.Name):
    __slots__ = ("ctx", "end_lineno", "id", "lineno")
    col_offset = end_col_offset = 0

    def __init__(self, text: str, ctx: py.expr_context, line: int) -> None:
        self.id = text
        self.ctx = ctx
        self.lineno = self.end_lineno = line


class Constant(py.Constant):
    __slots__ = ("end_lineno", "lineno", "value")
    col_offset = end_col_offset = 0

    def __init__(self, value: bool | float | int | str | None, line: int) -> None:
        self.value = value
        self.lineno = self.end_lineno = line


class Call(py.Call):
    __slots__ = ("args", "end_lineno", "func", "lineno")
    col_offset = end_col_offset = 0
    keywords: list[py.keyword] = []  # noqa: RUF012 - nobody adds to it

    def __init__(self, function: py.expr, args: list[py.expr], line: int) -> None:
        self.func = function
        self.args = args
        self.lineno = self.end_lineno = line


class Tuple(py.Tuple):
    __slots__ = ("ctx", "elts", "end_lineno", "lineno")
    col_offset = end_col_offset = 0

    def __init__(self, items: list[py.expr], ctx: py.expr_context, line: int) -> None:
        self.elts = items
        self.ctx = ctx
        self.lineno = self.end_lineno = line


class Subscript(py.Subscript):
    __slots__ = ("ctx", "end_lineno", "lineno", "slice", "value")
    col_offset = end_col_offset = 0

    def __init__(self, value: py.expr, key: py.expr, ctx: py.expr_context, line: int) -> None:
        self.value = value
        self.slice = key
        self.ctx = ctx
        self.lineno = self.end_lineno = line


class NamedExpr(py.NamedExpr):
    __slots__ = ("end_lineno", "lineno", "target", "value")
    col_offset = end_col_offset = 0

    def __init__(self, target: py.Name, value: py.expr, line: int) -> None:
        self.target = target
        self.value = value
        self.lineno = self.end_lineno = line


class BinOp(py.BinOp):
    __slots__ = ("end_lineno", "left", "lineno", "op", "right")
    col_offset = end_col_offset = 0

    def __init__(self, left: py.expr, op: py.operator, right: py.expr, line: int) -> None:
        self.left = left
        self.op = op
        self.right = right
        self.lineno = self.end_lineno = line


class Compare(py.Compare):
    __slots__ = ("comparators", "end_lineno", "left", "lineno", "ops")
    col_offset = end_col_offset = 0

    def __init__(self, left: py.expr, ops: list[py.cmpop], others: list[py.expr], line: int) -> None:
        self.left = left
        self.ops = ops
        self.comparators = others
        self.lineno = self.end_lineno = line


class BoolOp(py.BoolOp):
    __slots__ = ("end_lineno", "lineno", "op", "values")
    col_offset = end_col_offset = 0

    def __init__(self, op: py.boolop, values: list[py.expr], line: int) -> None:
        self.op = op
        self.values = values
        self.lineno = self.end_lineno = line


class IfExp(py.IfExp):
    __slots__ = ("body", "end_lineno", "lineno", "orelse", "test")
    col_offset = end_col_offset = 0

    def __init__(self, test: py.expr, then: py.expr, otherwise: py.expr, line: int) -> None:
        self.test = test
        self.body = then
        self.orelse = otherwise
        self.lineno = self.end_lineno = line


class Assign(py.Assign):
    __slots__ = ("end_lineno", "lineno", "targets", "value")
    col_offset = end_col_offset = 0

    def __init__(self, target: py.expr, value: py.expr, line: int) -> None:
        self.targets = [target]
        self.value = value
        self.lineno = self.end_lineno = line


class Expr(py.Expr):
    __slots__ = ("end_lineno", "lineno", "value")
    col_offset = end_col_offset = 0

    def __init__(self, value: py.expr, line: int) -> None:
        self.value = value
        self.lineno = self.end_lineno = line


class If(py.If):
    __slots__ = ("body", "end_lineno", "lineno", "orelse", "test")
    col_offset = end_col_offset = 0

    def __init__(self, test: py.expr, then: list[py.stmt], otherwise: list[py.stmt], line: int) -> None:
        self.test = test
        self.body = then
        self.orelse = otherwise
        self.lineno = self.end_lineno = line


class List(py.List):
    __slots__ = ("ctx", "elts", "end_lineno", "lineno")
    col_offset = end_col_offset = 0

    def __init__(self, items: list[py.expr], line: int) -> None:
        self.elts = items
        self.ctx = LOAD
        self.lineno = self.end_lineno = line


class Dict(py.Dict):
    __slots__ = ("end_lineno", "keys", "lineno", "values")
    col_offset = end_col_offset = 0

    def __init__(self, keys: list[py.expr | None], values: list[py.expr], line: int) -> None:
        self.keys = keys
        self.values = values
        self.lineno = self.end_lineno = line


class Yield(py.Yield):
    __slots__ = ("end_lineno", "lineno", "value")
    col_offset = end_col_offset = 0

    def __init__(self, value: py.expr, line: int) -> None:
        self.value = value
        self.lineno = self.end_lineno = line


class AugAssign(py.AugAssign):
    __slots__ = ("end_lineno", "lineno", "op", "target", "value")
    col_offset = end_col_offset = 0

    def __init__(self, target: py.Name | py.Subscript, op: py.operator, value: py.expr, line: int) -> None:
        self.target = target
        self.op = op
        self.value = value
        self.lineno = self.end_lineno = line


class For(py.For):
    __slots__ = ("body", "end_lineno", "iter", "lineno", "target")
    col_offset = end_col_offset = 0
    orelse: list[py.stmt] = []  # noqa: RUF012 - nobody adds to it

    def __init__(self, target: py.expr, items: py.expr, body: list[py.stmt], line: int) -> None:
        self.target = target
        self.iter = items
        self.body = body
        self.lineno = self.end_lineno = line
