"""Expressions to Python expressions.

Evaluation order is left to right everywhere, and Python's is too. Operators are
in `operators.py`; here are names, literals, access and builtins.
"""

from __future__ import annotations

import ast as py
from collections.abc import Callable
from math import inf
from typing import Final

from lash.lashlang.codegen import nodes
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
        written = _WRITTEN.get(type(node))
        return self.effect(node) if written is None else written(self, node, borrow)

    def _name(self, node: ast.Variable, borrow: bool) -> py.expr:
        return self.variable(node.name, borrow=borrow)

    def _number(self, node: ast.Number, _borrow: bool) -> py.expr:
        return self.number(node.value)

    def _null(self, _node: ast.Null, _borrow: bool) -> py.expr:
        return self.build.const(None)

    def _constant(self, node: ast.String | ast.Bool, _borrow: bool) -> py.expr:
        return self.build.const(node.value)

    def _list(self, node: ast.List, _borrow: bool) -> py.expr:
        return self.build.list_of(*[self.part(item) for item in node.items])

    def _record(self, node: ast.Record, _borrow: bool) -> py.expr:
        return self.build.record([key for key, _ in node.entries], [self.part(value) for _, value in node.entries])

    def _operators(self, node: ast.Binary, _borrow: bool) -> py.expr:
        return self._binary(node)

    def _prefixed(self, node: ast.Unary, _borrow: bool) -> py.expr:
        return self._unary(node.op, node.operand)

    def _chosen(self, node: ast.If, _borrow: bool) -> py.expr:
        return self.ternary(node, self.expr)

    def _call(self, node: ast.BuiltinCall, _borrow: bool) -> py.expr:
        return self._builtin(node.name, node.args)

    def _function_call(self, node: ast.FunctionCall, _borrow: bool) -> py.expr:
        return self.call_function(node.name, node.args)

    def _comprehended(self, node: ast.Comprehension, _borrow: bool) -> py.expr:
        return self.comprehension(node)

    def _resource(self, node: ast.ResourceRef, _borrow: bool) -> py.expr:
        return self.build.name(self.unit.constant(Resource(node.type, node.alias)))

    def _process(self, node: ast.ProcessRef, _borrow: bool) -> py.expr:
        return self.build.name(self.unit.constant(self.unit.process_values[node.name]))

    def _descriptor(self, node: ast.HostDescriptorConstructor, _borrow: bool) -> py.expr:
        keys = ["$lash_host_descriptor_type", "$lash_host_descriptor_value"]
        return self.build.record(keys, [self.build.const(node.type), self.part(node.input)])

    def _type(self, node: ast.TypeLiteral, _borrow: bool) -> py.expr:
        return self.type_literal(node.type)

    def number(self, value: float) -> py.expr:
        """A number constant; Python has no literal for infinity."""
        if value == inf:
            return self.build.name("inf")
        return self.build.const(float(value))

    def variable(self, name: str, *, borrow: bool = False) -> py.expr:
        """Reads a variable, ending its ownership unless the value is only borrowed."""
        build, kind = self.build, self.kind(name)
        local = build.name(self.place(name))
        if kind & UNSET:
            self.unset_reads.add(name)
            unknown = build.call("unknown_name", build.const(name))
            local = build.choose(build.compare(local, nodes.IS_NOT, build.name("UNSET")), local, unknown)
            self.kinds[name] = kind & ANY or ANY
        flag = self.own_flag(name)
        if flag is None or borrow or not kind & (LIST | RECORD):
            return local
        return build.either(build.bind(flag, build.const(None)), local)

    def ternary(self, node: ast.If, arm: Callable[[ast.Expr], py.expr]) -> py.expr:
        """`c ? a : b`, with its arms written by `arm`."""
        build = self.build
        test = self.observed(node, self.truth(node.condition))
        before = dict(self.kinds)
        arms = [arm(node.then)]
        self.kinds.clear()
        self.kinds.update(before)
        arms.append(arm(node.otherwise))
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

    def observed(self, node: ast.If, test: py.expr) -> py.expr:
        """The test of a branch, which tells its arm where observation is on."""
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


_WRITTEN: Final[dict[type[ast.Node], Callable[..., py.expr]]] = {
    ast.Variable: ExpressionEmitter._name,
    ast.Number: ExpressionEmitter._number,
    ast.Null: ExpressionEmitter._null,
    ast.String: ExpressionEmitter._constant,
    ast.Bool: ExpressionEmitter._constant,
    ast.List: ExpressionEmitter._list,
    ast.Record: ExpressionEmitter._record,
    ast.Binary: ExpressionEmitter._operators,
    ast.Unary: ExpressionEmitter._prefixed,
    ast.If: ExpressionEmitter._chosen,
    ast.Field: ExpressionEmitter._access,
    ast.Index: ExpressionEmitter._access,
    ast.BuiltinCall: ExpressionEmitter._call,
    ast.FunctionCall: ExpressionEmitter._function_call,
    ast.Comprehension: ExpressionEmitter._comprehended,
    ast.ResourceRef: ExpressionEmitter._resource,
    ast.ProcessRef: ExpressionEmitter._process,
    ast.HostDescriptorConstructor: ExpressionEmitter._descriptor,
    ast.TypeLiteral: ExpressionEmitter._type,
}
