"""Expressions to Python expressions.

Evaluation order is left to right everywhere, and Python's is too. Operators are
in `operators.py`; here are names, literals, access and builtins.
"""

from __future__ import annotations

import ast as py
from collections.abc import Callable
from typing import Final

from lash.lashlang.codegen.kinds import ANY, CONTAINER, LIST, NUMBER, RECORD, TEXT, UNSET
from lash.lashlang.codegen.operators import OperatorEmitter
from lash.lashlang.codegen.ownership import COPIES_OUTER, READS_ONLY
from lash.lashlang.syntax import ast
from lash.lashlang.syntax.types import TypeExpr
from lash.lashlang.values.builtins import all_arities
from lash.lashlang.values.kinds import Resource
from lash.lashlang.values.lazy import OUTER_ONLY, READS
from lash.lashlang.values.operators import SMALL_TEXT
from lash.lashlang.values.quick import QUICK
from lash.lashlang.values.templates import plain_slots

# Builtins that give way on large values, where the function being written can.
SLICED: Final = frozenset(("sort", "sort_by", "json_parse"))
# Builtins whose cost does not grow with their input.
_LIGHT: Final = frozenset(("len", "empty", "to_int", "to_float", "ceil_div", "floor_div"))


class ExpressionEmitter(OperatorEmitter):
    """The part of the emitter that writes expressions."""

    def emit(self, node: ast.Expr, *, borrow: bool) -> py.expr:
        """The Python expression of `node`, which may give a lazy value unread."""
        build = self.build
        if isinstance(node, ast.Variable):
            return self.variable(node.name, borrow=borrow)
        if isinstance(node, ast.Number):
            return self.number(node.value)
        if isinstance(node, ast.Null):
            return build.const(None)
        if isinstance(node, ast.String | ast.Bool):
            return build.const(node.value)
        match node:
            case ast.List(items=items):
                return build.list_of(*(self.part(item) for item in items))
            case ast.Record(entries=entries):
                return self._record(entries)
            case ast.Binary():
                return self._binary(node)
            case ast.Unary(op=op, operand=operand):
                return self._unary(op, operand)
            case ast.If():
                return self.ternary(node, self.expr)
            case ast.Field() | ast.Index():
                return self._access(node, borrow)
            case ast.BuiltinCall(name=name, args=args):
                return self._builtin(name, args)
            case ast.FunctionCall(name=name, args=args):
                return self.call_function(name, args)
            case ast.Comprehension():
                return self.comprehension(node)
            case ast.ResourceRef(type=type_, alias=alias):
                return build.name(self.unit.constant(Resource(type_, alias)))
            case ast.ProcessRef(name=name):
                return build.name(self.unit.constant(self.unit.process_values[name]))
            case ast.HostDescriptorConstructor(type=type_, input=value):
                keys = ["$lash_host_descriptor_type", "$lash_host_descriptor_value"]
                return build.record(keys, [build.const(type_), self.part(value)])
            case ast.TypeLiteral(type=type_expr):
                return self.type_literal(type_expr)
            case _:
                return self.effect(node)

    def number(self, value: float) -> py.expr:
        """A number constant; Python has no literal for infinity."""
        if value == float("inf"):
            return self.build.name("inf")
        return self.build.const(float(value))

    def variable(self, name: str, *, borrow: bool = False) -> py.expr:
        """Reads a variable, ending its ownership unless the value is only borrowed."""
        build, kind = self.build, self.kind(name)
        local = build.name(self.place(name))
        if kind & UNSET:
            self.unset_reads.add(name)
            unknown = build.call("unknown_name", build.const(name))
            local = build.choose(build.compare(local, py.IsNot(), build.name("UNSET")), local, unknown)
            self.kinds[name] = kind & ANY or ANY
        flag = self.own_flag(name)
        if flag is None or borrow or not kind & (LIST | RECORD):
            return local
        return build.either(build.bind(flag, build.const(None)), local)

    def _record(self, entries: tuple[tuple[str, ast.Expr], ...]) -> py.expr:
        return self.build.record([key for key, _ in entries], [self.part(value) for _, value in entries])

    def ternary(self, node: ast.If, arm: Callable[[ast.Expr], py.expr]) -> py.expr:
        """`c ? a : b`, with its arms written by `arm`."""
        build = self.build
        test = self.truth(node.condition)
        before = dict(self.kinds)
        arms = [self.branch_arm(node, "then", arm(node.then))]
        self.kinds.clear()
        self.kinds.update(before)
        arms.append(self.branch_arm(node, "else", arm(node.otherwise)))
        self.kinds.clear()
        self.kinds.update(before)
        return build.choose(test, *arms)

    # Access and calls

    def _access(self, node: ast.Field | ast.Index, borrow: bool) -> py.expr:
        build = self.build
        root = _root(node)
        kind = self.kind_now(node.target)
        if self.may_be_lazy(node.target):
            return self._lazy_access(node, root)
        target = self.expr(node.target, borrow=True)
        if isinstance(node, ast.Field):
            value = build.call("field", target, build.const(node.name))
            if self.simple(node.target) and kind & RECORD:
                found = build.call("record_get", target, build.const(node.name))
                value = found if kind == RECORD else build.choose(build.is_type(target, "dict"), found, value)
        else:
            key_kind = self.kind_now(node.index)
            key = self.expr(node.index, borrow=True)
            value = build.call("index_number" if key_kind == NUMBER else "index", target, key)
            if key_kind == TEXT and kind & RECORD and self.simple(node.target):
                found = build.call("record_get", target, key)
                if kind == RECORD:
                    value = found
                elif self.simple(node.index):
                    value = build.choose(build.is_type(target, "dict"), found, value)
        return value if borrow else self._released(root, value)

    def _lazy_access(self, node: ast.Field | ast.Index, root: str | None) -> py.expr:
        build = self.build
        target = self.part(node.target, borrow=True)
        if isinstance(node, ast.Field):
            return self._released(root, build.call("field_of", target, build.const(node.name)))
        return self._released(root, build.call("item_of", target, self.expr(node.index, borrow=True)))

    def _released(self, root: str | None, value: py.expr) -> py.expr:
        if root is None or not self.is_deep(root):
            return value
        flag = self.own_flag(root)
        return value if flag is None else self.build.call("release", self.build.name(flag), value)

    def _builtin(self, name: str, args: tuple[ast.Expr, ...]) -> py.expr:
        build = self.build
        low, high, _ = all_arities()[name]
        if not low <= len(args) <= high:
            values = [self.expr(arg) for arg in args]
            return build.call("arity_error", build.const(name), build.const(len(args)), *values)
        if args and name in READS and self.may_be_lazy(args[0]):
            return self._asked(name, args)
        return self._call_builtin(name, args, [self._argument(name, at, arg) for at, arg in enumerate(args)])

    def _argument(self, name: str, at: int, arg: ast.Expr) -> py.expr:
        borrow = self._only_reads(name, at, arg)
        if name == "push" and at == 1:
            return self.part(arg, borrow=borrow)
        return (self.expr if name in OUTER_ONLY else self.entire)(arg, borrow=borrow)

    def _asked(self, name: str, args: tuple[ast.Expr, ...]) -> py.expr:
        """A builtin whose first argument may be lazy: then the host is asked, if it knows an answer."""
        build = self.build
        held = [self.temp() for _ in args]
        steps = [build.bind(held[0], self.part(args[0], borrow=self._only_reads(name, 0, args[0])))]
        steps += [
            build.bind(to, self._argument(name, at, arg))
            for at, (to, arg) in enumerate(zip(held, args, strict=True))
            if at
        ]
        names = [build.name(to) for to in held]
        operation, function = build.const(READS[name]), build.name(f"b_{name}")
        asked = build.delegate(build.call("read_lazy", build.name("m"), operation, function, *names))
        values = [build.name(to) for to in held]
        if name not in OUTER_ONLY:
            values[0] = self.entire_value(values[0])
        plain = self._call_builtin(name, args, values)
        return build.last_of(*steps, build.choose(build.is_type(build.name(held[0]), "LazyValue"), asked, plain))

    def _call_builtin(self, name: str, args: tuple[ast.Expr, ...], values: list[py.expr]) -> py.expr:
        build = self.build
        if name not in _LIGHT:
            self.refuse_sure()
            self.heavy = True
        if name == "format" and (joined := self._joined(args, values)) is not None:
            return joined
        if name == "range":
            return build.call(f"range_{len(values)}", build.name("m"), *values)
        if name in SLICED and self.mode == "fast":
            return build.call(f"quick_{name}", build.name("m"), *values)
        if name in SLICED:
            return build.delegate(build.call(f"sliced_{name}", build.name("m"), *values))
        if name in QUICK and self._may_be_large(name, args):
            return self.quickly(name, build.name("m"), *values)
        return build.call(f"b_{name}", build.name("m"), *values)

    def _may_be_large(self, name: str, args: tuple[ast.Expr, ...]) -> bool:
        if name in {"to_string", "format", "contains"}:
            return any(self.kind_now(arg) & CONTAINER for arg in args)
        return True

    def _joined(self, args: tuple[ast.Expr, ...], values: list[py.expr]) -> py.expr | None:
        """`format` of a constant template and proved numbers, without looking at the template again."""
        template = args[0]
        if not isinstance(template, ast.String) or not self.unit.dialect.exact_integers:
            return None
        if len(template.value) > SMALL_TEXT or any(self.kind_now(arg) != NUMBER for arg in args[1:]):
            return None
        slots = plain_slots(template.value, len(args) - 1)
        if slots is None:
            return None
        build = self.build
        parts: list[py.expr] = []
        for slot in slots:
            if isinstance(slot, str):
                parts.append(build.const(slot))
            else:
                parts.append(py.FormattedValue(build.call("show_number", values[slot + 1]), -1, None, **build.at()))
        return py.JoinedStr(parts, **build.at())

    def _only_reads(self, name: str, at: int, arg: ast.Expr) -> bool:
        if name in READS_ONLY:
            return True
        if name == "push" and at == 1:
            return False
        return name in COPIES_OUTER and isinstance(arg, ast.Variable) and not self.is_deep(arg.name)

    def branch_arm(self, node: ast.If, arm: str, value: py.expr) -> py.expr:
        """An arm of a ternary, observed where observation is on."""
        raise NotImplementedError

    def call_function(self, name: str, args: tuple[ast.Expr, ...]) -> py.expr:
        """A call of a declared function."""
        raise NotImplementedError

    def comprehension(self, node: ast.Comprehension) -> py.expr:
        """A list comprehension."""
        raise NotImplementedError

    def type_literal(self, type_: TypeExpr) -> py.expr:
        """A type value."""
        raise NotImplementedError

    def effect(self, node: ast.Expr) -> py.expr:
        """An expression that reaches the host."""
        raise NotImplementedError


def _root(node: ast.Expr) -> str | None:
    while isinstance(node, ast.Field | ast.Index):
        node = node.target
    return node.name if isinstance(node, ast.Variable) else None
