"""Building Python syntax trees.

Every node carries a line number that is really the number of a lashlang
expression: that is how a run-time error finds its span at no cost while running.
"""

from __future__ import annotations

import ast as py
from typing import Any, TypeAlias

from lash.lashlang.codegen import nodes
from lash.lashlang.codegen.nodes import LOAD, STORE

Stmts: TypeAlias = list[py.stmt]


class Builder:
    """Makes Python nodes at the current `line`."""

    def __init__(self) -> None:
        self.line = 1
        # Reading a local or a constant cannot fail, so their lines do not matter and they are shared.
        self._names: dict[str, py.expr] = {}
        self._texts: dict[str | None, py.expr] = {}
        self._numbers: dict[float | str, py.expr] = {}
        self._targets: dict[str, py.Name] = {}

    def at(self) -> dict[str, Any]:
        """The position attributes of a new node."""
        return {"lineno": self.line, "end_lineno": self.line, "col_offset": 0, "end_col_offset": 0}

    def name(self, text: str) -> py.expr:
        """Reads a Python name."""
        found = self._names.get(text)
        if found is None:
            found = self._names[text] = nodes.Name(text, LOAD, self.line)
        return found

    def target(self, text: str) -> py.Name:
        """A Python name as an assignment target."""
        found = self._targets.get(text)
        if found is None:
            found = self._targets[text] = nodes.Name(text, STORE, self.line)
        return found

    def const(self, value: bool | float | int | str | None) -> py.expr:
        """A constant."""
        if type(value) is float:
            # Both zeros are one key.
            key = value or repr(value)
            number = self._numbers.get(key)
            if number is None:
                number = self._numbers[key] = nodes.Constant(value, self.line)
            return number
        if value is not None and type(value) is not str:
            return nodes.Constant(value, self.line)
        found = self._texts.get(value)
        if found is None:
            found = self._texts[value] = nodes.Constant(value, self.line)
        return found

    def call(self, function: str, *args: py.expr) -> py.expr:
        """A call of a runtime function by name."""
        return nodes.Call(self.name(function), list(args), self.line)

    def tuple(self, *items: py.expr) -> py.expr:
        """A tuple display."""
        return nodes.Tuple(list(items), LOAD, self.line)

    def pick(self, items: py.expr, index: int) -> py.expr:
        """`items[index]` with a constant index."""
        return nodes.Subscript(items, self.const(index), LOAD, self.line)

    def last_of(self, *items: py.expr) -> py.expr:
        """Evaluates all items in order; the value is the last one's."""
        return self.pick(self.tuple(*items), -1) if len(items) > 1 else items[0]

    def bind(self, name: str, value: py.expr) -> py.expr:
        """`(name := value)`."""
        return nodes.NamedExpr(self.target(name), value, self.line)

    def binop(self, left: py.expr, op: py.operator, right: py.expr) -> py.expr:
        """A Python operator on proved operands."""
        return nodes.BinOp(left, op, right, self.line)

    def compare(self, left: py.expr, op: py.cmpop, right: py.expr) -> py.expr:
        """A Python comparison on proved operands."""
        return nodes.Compare(left, [op], [right], self.line)

    def is_type(self, value: py.expr, kind: str) -> py.expr:
        """`type(value) is kind`."""
        return self.compare(self.call("type", value), nodes.IS, self.name(kind))

    def both(self, *tests: py.expr) -> py.expr:
        """`a and b and …`."""
        return tests[0] if len(tests) == 1 else nodes.BoolOp(nodes.AND, list(tests), self.line)

    def either(self, *tests: py.expr) -> py.expr:
        """`a or b or …`."""
        return tests[0] if len(tests) == 1 else nodes.BoolOp(nodes.OR, list(tests), self.line)

    def negated(self, test: py.expr) -> py.expr:
        """`not test`."""
        return py.UnaryOp(nodes.NOT, test, **self.at())

    def choose(self, test: py.expr, then: py.expr, otherwise: py.expr) -> py.expr:
        """`then if test else otherwise`."""
        return nodes.IfExp(test, then, otherwise, self.line)

    def list_of(self, *items: py.expr) -> py.expr:
        """A list display."""
        return nodes.List(list(items), self.line)

    def record(self, keys: list[str], values: list[py.expr]) -> py.expr:
        """A dict display."""
        return nodes.Dict([self.const(key) for key in keys], values, self.line)

    def request(self, *parts: py.expr) -> py.expr:
        """`(yield (…))`: one effect request to the driver."""
        return nodes.Yield(self.tuple(*parts), self.line)

    def delegate(self, value: py.expr) -> py.expr:
        """`(yield from value)`."""
        return py.YieldFrom(value, **self.at())

    def assign(self, name: str, value: py.expr) -> py.stmt:
        """`name = value`."""
        return nodes.Assign(self.target(name), value, self.line)

    def assign_all(self, names: list[str], value: py.expr) -> Stmts:
        """`a = b = … = value`, of as many names as there are."""
        targets: list[py.expr] = [self.target(name) for name in names]
        return [py.Assign(targets, value, **self.at())] if targets else []

    def assign_pair(self, first: str, second: str, value: py.expr) -> py.stmt:
        """`first, second = value`."""
        names: list[py.expr] = [self.target(first), self.target(second)]
        return nodes.Assign(nodes.Tuple(names, STORE, self.line), value, self.line)

    def subtract_from(self, name: str, amount: int) -> py.stmt:
        """`name -= amount`."""
        return nodes.AugAssign(self.target(name), nodes.SUBTRACT, self.const(amount), self.line)

    def subtract_first(self, name: str, amount: int) -> py.stmt:
        """`name[0] -= amount`."""
        place = nodes.Subscript(self.name(name), self.const(0), STORE, self.line)
        return nodes.AugAssign(place, nodes.SUBTRACT, self.const(amount), self.line)

    def store_item(self, container: py.expr, key: py.expr, value: py.expr) -> py.stmt:
        """`container[key] = value` on a proved container."""
        return nodes.Assign(nodes.Subscript(container, key, STORE, self.line), value, self.line)

    def expr(self, value: py.expr) -> py.stmt:
        """An expression statement."""
        return nodes.Expr(value, self.line)

    def when(self, test: py.expr, then: Stmts, otherwise: Stmts | None = None) -> py.stmt:
        """An `if` statement."""
        return nodes.If(test, then or [py.Pass(**self.at())], otherwise or [], self.line)

    def loop(self, name: str, items: py.expr, body: Stmts) -> py.stmt:
        """A `for` statement."""
        return nodes.For(self.target(name), items, body, self.line)

    def repeat(self, test: py.expr, body: Stmts) -> py.stmt:
        """A `while` statement."""
        return py.While(test, body, [], **self.at())

    def give(self, value: py.expr) -> py.stmt:
        """`return value`."""
        return py.Return(value, **self.at())

    def function(self, name: str, params: list[str], body: Stmts) -> py.stmt:
        """A `def`."""
        args = py.arguments([], [py.arg(item, None, None, **self.at()) for item in params], None, [], [], None, [])
        return py.FunctionDef(name, args, body or [py.Pass(**self.at())], [], None, None, **self.at())

    def guarded(self, body: Stmts, finally_: Stmts) -> py.stmt:
        """`try: … finally: …`."""
        return py.Try(body, [], [], finally_, **self.at())
