"""When a lazy value is read (§3.11).

A lazy value travels unread into lists and records, and out of them again; it is
read where it is used: by an operator, a builtin, an assignment, a call or an
effect. A body that can meet no lazy value pays nothing for this: every test
written here is left out of it, and so it is where the kind of an operand is
known.
"""

from __future__ import annotations

import ast as py
from collections.abc import Callable

from lash.lashlang.codegen import nodes
from lash.lashlang.codegen.frame import Frame
from lash.lashlang.codegen.kinds import CONTAINER, LAZY, UNSET, kind_of
from lash.lashlang.syntax import ast

# What may give a lazy value: names, and places in a container that keeps it.
_SOURCES = (ast.Variable, ast.Field, ast.Index)
_LITERALS = frozenset((ast.Number, ast.String, ast.Bool, ast.Null))


class ReadingEmitter(Frame):
    """The part of the emitter that reads lazy values."""

    def emit(self, node: ast.Expr, *, borrow: bool) -> py.expr:
        """The Python expression of `node`, which may give a lazy value unread."""
        raise NotImplementedError

    def kind_now(self, node: ast.Expr) -> int:
        """What `node` may evaluate to here."""
        return kind_of(node, self.kinds)

    def expr(self, node: ast.Expr, *, borrow: bool = False) -> py.expr:
        """The Python expression of `node`, read; `borrow` promises not to keep its value."""
        if not self.meets_lazy:
            # What cannot fail needs no place.
            if type(node) is ast.Variable and not self.kind(node.name) & UNSET:
                return self.variable(node.name, borrow=borrow)
            if type(node) in _LITERALS:
                return self.emit(node, borrow=borrow)
            outer = self.mark(node)
            made = self.emit(node, borrow=borrow)
            self.build.line = outer
            return made
        with self.at(node):
            if self.lazy_root(node):
                return self.build.delegate(self.build.call("materialize", self.lazy_chain(node)))
            value = self.emit(node, borrow=borrow)
            return self.read_now(value) if self.may_be_lazy(node) else value

    def part(self, node: ast.Expr, *, borrow: bool = False) -> py.expr:
        """`node` as a part of a literal: what is lazy stays so."""
        if not self.meets_lazy:
            return self.expr(node, borrow=borrow)
        with self.at(node):
            if isinstance(node, ast.If):
                return self.ternary(node, self.part)
            return self.lazy_chain(node) if self.lazy_root(node) else self.emit(node, borrow=borrow)

    def entire(self, node: ast.Expr, *, borrow: bool = False) -> py.expr:
        """`node` with nothing lazy left in it, for what looks at all of a value."""
        if not self.meets_lazy or not self._may_hold_lazy(node):
            return self.expr(node, borrow=borrow)
        with self.at(node):
            return self.entire_value(self.part(node, borrow=borrow))

    def entire_besides(self, node: ast.Expr, field: py.expr) -> py.expr:
        """`entire`, with references at the roots of the field that `field` gives (None: of none)."""
        if not self.meets_lazy or not self._may_hold_lazy(node):
            return self.expr(node)
        build, held = self.build, self.temp()
        with self.at(node):
            kind = build.call("type", build.bind(held, self.part(node)))
            read = build.delegate(build.call("read_besides", build.name(held), field))
            return build.choose(build.compare(kind, nodes.IN, build.name("HOLDERS")), read, build.name(held))

    def _may_hold_lazy(self, node: ast.Expr) -> bool:
        if isinstance(node, ast.List):
            return any(map(self._may_hold_lazy, node.items))
        if isinstance(node, ast.Record):
            return any(self._may_hold_lazy(value) for _, value in node.entries)
        return bool(self.kind_now(node) & (CONTAINER | LAZY))

    def entire_value(self, value: py.expr) -> py.expr:
        """The value of a Python expression with nothing lazy left in it."""
        build, held = self.build, self.temp()
        kind = build.call("type", build.bind(held, value))
        read = build.delegate(build.call("read_whole", build.name(held)))
        return build.choose(build.compare(kind, nodes.IN, build.name("HOLDERS")), read, build.name(held))

    def read_now(self, value: py.expr) -> py.expr:
        """The value of a Python expression that may be lazy, read."""
        build, held = self.build, self.temp()
        read = build.delegate(build.call("materialize", build.name(held)))
        return build.choose(build.is_type(build.bind(held, value), "LazyValue"), read, build.name(held))

    def may_be_lazy(self, node: ast.Expr) -> bool:
        """Whether evaluating `node` may give a lazy value."""
        return self.meets_lazy and isinstance(node, _SOURCES) and bool(self.kind_now(node) & LAZY)

    def lazy_root(self, node: ast.Expr) -> bool:
        """Whether `node` is a lazy binding, or a field or item of one."""
        while isinstance(node, ast.Field | ast.Index):
            node = node.target
        if not self.meets_lazy or not isinstance(node, ast.Variable) or node.name not in self.unit.lazy:
            return False
        return self.places.get(node.name, f"v_{node.name}") == f"v_{node.name}"

    def lazy_chain(self, node: ast.Expr) -> py.expr:
        """The lazy value that `node` names, unread."""
        with self.at(node):
            if isinstance(node, ast.Field):
                return self.build.call("lazy_field", self.lazy_chain(node.target), self.build.const(node.name))
            if isinstance(node, ast.Index):
                return self.build.call("lazy_index", self.lazy_chain(node.target), self.expr(node.index))
            assert isinstance(node, ast.Variable)
            return self.variable(node.name)

    def ternary(self, node: ast.If, arm: Callable[[ast.Expr], py.expr]) -> py.expr:
        """`c ? a : b`, with its arms written by `arm`."""
        raise NotImplementedError

    def variable(self, name: str, *, borrow: bool = False) -> py.expr:
        """Reads a variable, ending its ownership unless the value is only borrowed."""
        raise NotImplementedError
