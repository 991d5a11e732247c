"""Operators to Python expressions.

Where both operands are proved numbers the Python operator is used; where a
check at run time is cheap it stands inline; everything else calls a runtime
function.
"""

from __future__ import annotations

import ast as py
from typing import Final

from lash.lashlang.codegen import nodes
from lash.lashlang.codegen.kinds import BOOL, CONTAINER, LAZY, NULL, NUMBER, TEXT, UNSET, added
from lash.lashlang.codegen.reading import ReadingEmitter
from lash.lashlang.syntax import ast
from lash.lashlang.syntax.traversal import spine

_ARITHMETIC: Final[dict[str, tuple[py.operator, str]]] = {
    "subtract": (nodes.SUBTRACT, "subtract"),
    "multiply": (nodes.MULTIPLY, "multiply"),
}
_ORDER: Final[dict[str, tuple[py.cmpop, str]]] = {
    "less": (nodes.LESS, "less"),
    "less-equal": (nodes.AT_MOST, "less_equal"),
    "greater": (nodes.MORE, "greater"),
    "greater-equal": (nodes.AT_LEAST, "greater_equal"),
}
# Chains longer than this are evaluated through a temporary, so that the Python
# tree stays shallow.
_FLAT_CHAIN: Final = 12


class OperatorEmitter(ReadingEmitter):
    """The part of the emitter that writes operators and truth."""

    def simple(self, node: ast.Expr) -> bool:
        """Whether evaluating `node` twice costs nothing and changes nothing."""
        if isinstance(node, ast.Variable):
            return not self.kind(node.name) & (UNSET | LAZY if self.meets_lazy else UNSET)
        return isinstance(node, ast.Number | ast.String | ast.Bool | ast.Null)

    def quickly(self, name: str, *args: py.expr) -> py.expr:
        """An operation that is quick on small operands, and gives way while it works on large ones."""
        self.refuse_sure()
        build = self.build
        held = [self.temp() for _ in args]
        result = self.temp()
        bound = [arg if isinstance(arg, py.Name) else build.bind(to, arg) for to, arg in zip(held, args, strict=True)]
        quick = build.bind(result, build.call(f"quick_{name}", *bound))
        again = [
            build.name(arg.id) if isinstance(arg, py.Name) else build.name(to)
            for to, arg in zip(held, args, strict=True)
        ]
        slowly = (
            build.call("out_of_fuel") if self.mode == "fast" else build.delegate(build.call(f"sliced_{name}", *again))
        )
        return build.choose(build.compare(quick, nodes.IS_NOT, build.name("UNFINISHED")), build.name(result), slowly)

    def _binary(self, node: ast.Binary) -> py.expr:
        if node.op in {"and", "or"}:
            return self._logic(node)
        first, operators = spine(node)
        kind = self.kind_now(first)
        if len(operators) > _FLAT_CHAIN:
            return self._long_chain(first, operators)
        value = self._operand(first, operators[0].op, operators[0].right)
        simple = self.simple(first)
        for operator in operators:
            outer = self.mark(operator)
            value, kind = self._apply(value, kind, operator, simple_left=simple)
            self.build.line = outer
            simple = False
        return value

    def _operand(self, node: ast.Expr, op: str, other: ast.Expr) -> py.expr:
        # `+` on lists keeps their items, so a list operand is not merely read.
        keeps = op == "add" and self.kind_now(other) not in (NUMBER, TEXT)
        return self.entire(node, borrow=not keeps)

    def _long_chain(self, first: ast.Expr, operators: list[ast.Binary]) -> py.expr:
        build, held = self.build, self.temp()
        kind = self.kind_now(first)
        steps = [build.bind(held, self.entire(first))]
        for operator in operators:
            if operator.op in {"and", "or"}:
                left = self._truth_of(build.name(held), kind)
                right = self._maybe_truth(operator.right)
                joined = build.both(left, right) if operator.op == "and" else build.either(left, right)
                steps.append(build.bind(held, joined))
                kind = BOOL
                continue
            with self.at(operator):
                value, kind = self._apply(build.name(held), kind, operator, simple_left=True)
                steps.append(build.bind(held, value))
        return build.last_of(*steps)

    def _apply(self, left: py.expr, kind: int, node: ast.Binary, *, simple_left: bool) -> tuple[py.expr, int]:
        build, op = self.build, node.op
        if op in {"and", "or"}:
            test = self._truth_of(left, kind)
            other = self._maybe_truth(node.right)
            return (build.both(test, other) if op == "and" else build.either(test, other)), BOOL
        other_kind = self.kind_now(node.right)
        simple = simple_left and self.simple(node.right)
        keeps = op == "add" and kind not in (NUMBER, TEXT)
        right = self.entire(node.right, borrow=not keeps)
        if op == "add":
            return self._add(left, right, kind, other_kind, simple, node.right), added(kind, other_kind)
        if op in _ARITHMETIC:
            operator, function = _ARITHMETIC[op]
            return self._numeric(left, right, kind, other_kind, simple, operator, function, node.right), NUMBER
        if op == "divide":
            if kind == other_kind == NUMBER and isinstance(node.right, ast.Number) and node.right.value:
                return build.binop(left, nodes.DIVIDE, right), NUMBER
            return build.call("divide", left, right), NUMBER
        if op == "modulo":
            return self._modulo(left, right, kind, node.right, simple_left), NUMBER
        if op in _ORDER:
            comparison, function = _ORDER[op]
            if kind == other_kind and kind in (NUMBER, TEXT):
                return build.compare(left, comparison, right), BOOL
            left, guard = self._guard(left, right, kind, other_kind, simple, node.right)
            plain = build.call(function, left, right)
            if guard is None:
                return plain, BOOL
            return build.choose(guard, build.compare(left, comparison, right), plain), BOOL
        if op == "in":
            self.heavy = True
            return self.quickly("is_in", build.name("m"), left, right), BOOL
        return self._equality(op, left, right, kind, other_kind), BOOL

    def _guard(
        self, left: py.expr, right: py.expr, kind: int, other: int, simple: bool, node: ast.Expr
    ) -> tuple[py.expr, py.expr | None]:
        """A test that both operands are numbers, where it is worth having.

        A left operand that is not simple is held in a temporary by the test; the
        returned operand reads it.
        """
        build = self.build
        if not (kind & NUMBER and other & NUMBER) or kind == other == NUMBER:
            return left, None
        if not simple:
            if not self.simple(node) or other != NUMBER:
                return left, None
            held = self.temp()
            return build.name(held), build.is_type(build.bind(held, left), "float")
        tests = [build.is_type(value, "float") for value, known in ((left, kind), (right, other)) if known != NUMBER]
        return left, build.both(*tests)

    def _add(self, left: py.expr, right: py.expr, kind: int, other: int, simple: bool, node: ast.Expr) -> py.expr:
        build = self.build
        if kind == other == NUMBER:
            return build.binop(left, nodes.ADD, right)
        self.heavy = True
        self.additions += 1
        if kind == other == TEXT:
            return build.call("concat", build.name("m"), left, right)
        if kind == TEXT and other == NUMBER:
            return build.call("concat_number", build.name("m"), left, right)
        left, guard = self._guard(left, right, kind, other, simple, node)
        # A text and a container show the container, which may be large.
        shows = (kind & TEXT and other & CONTAINER) or (other & TEXT and kind & CONTAINER)
        meter = build.name("m")
        plain = self.quickly("add", meter, left, right) if shows else build.call("add", meter, left, right)
        return plain if guard is None else build.choose(guard, build.binop(left, nodes.ADD, right), plain)

    def _numeric(
        self,
        left: py.expr,
        right: py.expr,
        kind: int,
        other: int,
        simple: bool,
        operator: py.operator,
        function: str,
        node: ast.Expr,
    ) -> py.expr:
        if kind == other == NUMBER:
            return self.build.binop(left, operator, right)
        left, guard = self._guard(left, right, kind, other, simple, node)
        plain = self.build.call(function, left, right)
        return plain if guard is None else self.build.choose(guard, self.build.binop(left, operator, right), plain)

    def _modulo(self, left: py.expr, right: py.expr, kind: int, node: ast.Expr, simple: bool) -> py.expr:
        build = self.build
        plain = build.call("remainder", left, right)
        # For positive operands Python's `%` and the truncated remainder agree.
        if kind == NUMBER and simple and isinstance(node, ast.Number) and 0 < node.value < 1e300:
            bounds = py.Compare(build.const(0.0), [nodes.LESS, nodes.LESS], [left, build.const(1e300)], **build.at())
            return build.choose(bounds, build.binop(left, nodes.MODULO, right), plain)
        return plain

    def _equality(self, op: str, left: py.expr, right: py.expr, kind: int, other: int) -> py.expr:
        build = self.build
        same = op == "equal"
        if NULL in (kind, other):
            value = left if other == NULL else right
            discarded = right if other == NULL else left
            # Anything that Python may fold to a literal would be warned about.
            if isinstance(discarded, py.Constant) and isinstance(value, py.Name | py.Subscript | py.Call):
                return build.compare(value, nodes.IS if same else nodes.IS_NOT, build.const(None))
        # Text equals only text, and a proved pair of numbers compares as Python does.
        if TEXT in (kind, other) or kind == other == NUMBER:
            return build.compare(left, nodes.EQUAL if same else nodes.NOT_EQUAL, right)
        if kind & other & CONTAINER:
            equal = self.quickly("equality", left, right)
            return equal if same else build.negated(equal)
        return build.call("equal" if same else "unequal", left, right)

    def _logic(self, node: ast.Binary) -> py.expr:
        # A chain of one operator is flat in Python too, and short-circuits alike.
        first, operators = spine(node)
        tail = len(operators)
        while tail and operators[tail - 1].op == node.op:
            tail -= 1
        head = operators[tail - 1] if tail else first
        tests = [self.truth(head), *(self._maybe_truth(operator.right) for operator in operators[tail:])]
        return self.build.both(*tests) if node.op == "and" else self.build.either(*tests)

    def _unary(self, op: str, operand: ast.Expr) -> py.expr:
        build = self.build
        if op == "not":
            return build.negated(self.truth(operand))
        value = self.expr(operand, borrow=True)
        if self.kind_now(operand) == NUMBER:
            return py.UnaryOp(nodes.NEGATE, value, **build.at())
        return build.call("negate", value)

    def truth(self, node: ast.Expr) -> py.expr:
        """A Python boolean expression of the truth of `node`."""
        if self.may_be_lazy(node):
            build, held = self.build, self.temp()
            asked = build.delegate(build.call("lazy_truth", build.name("truthy"), build.name(held)))
            lazy = build.is_type(build.bind(held, self.part(node, borrow=True)), "LazyValue")
            return build.choose(lazy, asked, build.call("truthy", build.name(held)))
        kind = self.kind_now(node)
        value = self.expr(node, borrow=True)
        return self._truth_of(value, kind)

    def _maybe_truth(self, node: ast.Expr) -> py.expr:
        """`truth` of an operand that may not run, so it teaches nothing about what is set."""
        before = dict(self.kinds)
        value = self.truth(node)
        self.kinds.clear()
        self.kinds.update(before)
        return value

    def _truth_of(self, value: py.expr, kind: int) -> py.expr:
        build = self.build
        if kind == BOOL:
            return value
        if kind == TEXT:
            return build.compare(value, nodes.NOT_EQUAL, build.const(""))
        return build.call("truthy", value)
