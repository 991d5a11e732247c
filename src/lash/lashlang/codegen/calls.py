"""Functions, comprehensions and type literals.

A declared `fn` is written twice: a fast plain function, and a slow generator
that gives other tasks their turn. Functions are pure, so a fast call that runs
out of fuel is simply run again slowly; the calls inside it are tried fast again,
so that nearly all the work of a long call is done by short fast ones.
"""

from __future__ import annotations

import ast as py

from lash.lashlang.codegen import nodes
from lash.lashlang.codegen.costs import allocated_by
from lash.lashlang.codegen.expressions import ExpressionEmitter
from lash.lashlang.codegen.kinds import ANY, LIST, NUMBER, UNSET
from lash.lashlang.codegen.whole import FINITE, wholeness
from lash.lashlang.syntax import ast
from lash.lashlang.syntax.traversal import descendants
from lash.lashlang.syntax.types import ANY as ANY_TYPE
from lash.lashlang.syntax.types import (
    FLOAT,
    INT,
    ListType,
    ObjectType,
    RefType,
    TypeExpr,
    UnionType,
)
from lash.lashlang.values.schema import Schema, schema_of


class CallEmitter(ExpressionEmitter):
    """The part of the emitter that writes calls out of the current function."""

    def call_function(self, name: str, args: tuple[ast.Expr, ...]) -> py.expr:
        """A call of a declared `fn`."""
        build = self.build
        values = [self.entire(arg) for arg in args]
        if self.mode != "fast" and (self.mode != "slow" or self.counts_itself):
            found = self.sure(name)
            if found is not None:
                taken, is_heavy = found
                self.uncounted += taken
                self.heavy |= is_heavy
                self.additions += is_heavy
                return build.call(self.write_sure(name, bare=self._fits(name, args)), build.name("m"), *values)
            self.refuse_sure()
        self.heavy = True
        # A call from a body is the first one; deeper ones count.
        one_more = build.binop(build.name("d"), nodes.ADD, build.const(1))
        depth = build.const(1) if self.mode == "body" else one_more
        fixed = [build.name("m"), build.name("c"), depth]
        if self.mode == "fast":
            self.uncounted += self.function_weight(name)
            if self._fits(name, args):
                self.unit.called_raw.add(name)
                return build.call(f"raw_{name}", *fixed, *values)
            self.unit.called_fast.add(name)
            return build.call(f"fn_{name}", *fixed, *values)
        self.unit.called.add(name)
        held = [self.temp() for _ in values]
        steps = [build.bind(item, value) for item, value in zip(held, values, strict=True)]
        names = [build.name(item) for item in held]
        result = self.temp()
        quick = build.bind(result, build.call(f"try_{name}", *fixed, *names))
        slow = build.delegate(build.call(f"gen_{name}", *fixed, *names))
        unfinished = build.compare(quick, nodes.IS, build.name("UNFINISHED"))
        return build.last_of(*steps, build.choose(unfinished, slow, build.name(result)))

    def sure(self, name: str) -> tuple[int, bool] | None:
        """The steps of a call that its function's text bounds, and whether it may make large texts."""
        raise NotImplementedError

    def write_sure(self, name: str, *, bare: bool) -> str:
        """Writes a sure function, once; its Python name. `bare` leaves out the checks of its arguments."""
        raise NotImplementedError

    def function_weight(self, name: str) -> int:
        """What one call of a function counts for, the calls in it apart."""
        raise NotImplementedError

    def wholeness(self, node: ast.Expr) -> int:
        """Whether `node` is proved to be a whole number."""
        return wholeness(node, self.whole, self.unit.whole_functions)

    def _fits(self, name: str, args: tuple[ast.Expr, ...]) -> bool:
        """Whether the arguments are proved to be of the declared types."""
        function = next(item for item in self.unit.program.functions() if item.name == name)
        return len(args) == len(function.params) and all(
            param.type == ANY_TYPE
            or (param.type == FLOAT and self.kind_now(arg) == NUMBER)
            or (param.type == INT and self.kind_now(arg) == NUMBER and self.wholeness(arg) == FINITE)
            for param, arg in zip(function.params, args, strict=True)
        )

    def comprehension(self, node: ast.Comprehension) -> py.expr:
        """A comprehension, as a function of the variables it reads."""
        self.refuse_sure()
        build = self.build
        iterable = self._iterable(node.iterable)
        inner: list[ast.Expr] = [node.item] + ([] if node.condition is None else [node.condition])
        used = {item.name for part in inner for item in descendants(part) if isinstance(item, ast.Variable)}
        used -= {node.binding}
        names = sorted(used)
        values = []
        for name in names:
            # An unset name fails only where it is read, so it may travel unset.
            self.used.add(name) if name not in self.places else None
            flag = self.own_flag(name)
            if self.kind(name) & UNSET:
                self.unset_reads.add(name)
            local = build.name(self.place(name))
            values.append(local if flag is None else build.either(build.bind(flag, build.const(None)), local))
        mode = "fast" if self.mode == "fast" else "slow"
        counts_itself = self.mode == "body"
        function = self.unit.fresh("comp")
        frame = type(self)(self.unit, mode, ast.Block(()), {name: self.kind(name) for name in names})
        frame.statement = self.statement
        frame.counts_itself = counts_itself
        frame.meets_lazy = self.meets_lazy
        frame.places = {name: f"v_{name}" for name in names}
        frame.whole = self.whole - {node.binding}
        frame.write_comprehension(function, node, names)
        self.heavy = True
        args = [build.name("m"), build.name("c"), build.name("d") if self.mode != "body" else build.const(1)]
        call = build.call(function, *args, iterable, *values)
        return call if mode == "fast" else build.delegate(call)

    def write_comprehension(self, function: str, node: ast.Comprehension, names: list[str]) -> None:
        """Writes the function of a comprehension into the unit."""
        build = self.build
        with self.at(node):
            result, item = self.unit.fresh("r"), self.unit.fresh("f")
            outer = self.places.get(node.binding)
            self.places[node.binding] = item
            from lash.lashlang.codegen.kinds import item_kind

            self.kinds[node.binding] = item_kind(node.iterable)
            test = None if node.condition is None else self.truth(node.condition)
            value = self.part(node.item)
            body = [build.expr(build.call("append", build.name(result), value))]
            if test is not None:
                body = [build.when(test, body)]
            loop = build.loop(
                item, build.name("items"), [*self.tick(2 + self.uncounted, 16 + allocated_by(node.item)), *body]
            )
            done = build.call("counted", build.name("m"), build.name(result))
            statements = [*self.prologue(), build.assign(result, build.list_of()), loop, build.give(done)]
            if self.mode == "slow":
                # An unreachable request makes this a generator whatever its body is.
                statements.append(build.expr(build.request(build.const("never"))))
            params = ["m", "c", "d", "items", *(f"v_{name}" for name in names)]
            self.unit.functions.append(build.function(function, params, statements))
            if outer is not None:
                self.places[node.binding] = outer

    def _iterable(self, node: ast.Expr) -> py.expr:
        build = self.build
        if isinstance(node, ast.BuiltinCall) and node.name == "range" and 1 <= len(node.args) <= 3:
            with self.at(node):
                args = [self.expr(arg, borrow=True) for arg in node.args]
                return build.call(f"each_{len(args)}", *args)
        value = self.expr(node)
        return value if self.kind_now(node) == LIST else build.call("as_list", value)

    def type_literal(self, type_: TypeExpr) -> py.expr:
        """A type value; references are declared types first, then variables."""
        build = self.build
        known: dict[str, Schema] = {}
        variables: list[str] = []
        for name in _references(type_):
            schema = self._declared_schema(name, frozenset())
            if schema is not None:
                known[name] = schema
            elif name not in variables:
                variables.append(name)
        if not variables:
            return build.name(self.unit.constant({"$lash_type": schema_of(type_, known)}))
        pairs = []
        for name in variables:
            if "." in name:
                return build.call("unknown_name", build.const(name))
            pairs.append(build.tuple(build.const(name), self.entire(ast.Variable(name))))
        shape, schemas = self.unit.constant(type_), self.unit.constant(known)
        return build.call("type_value", build.name(shape), build.name(schemas), *pairs)

    def _declared_schema(self, name: str, seen: frozenset[str]) -> Schema | None:
        if not self.unit.dialect.declared_types_in_literals:
            return None
        definition = self.unit.named_types.get(name)
        if definition is None:
            return None
        if name in seen:
            return {}
        inner: dict[str, Schema] = {}
        for reference in _references(definition):  # type: ignore[arg-type]
            inner[reference] = self._declared_schema(reference, seen | {name}) or {}
        return schema_of(definition, inner)  # type: ignore[arg-type]

    def tick(self, weight: int, allocates: int = 0) -> list[py.stmt]:
        """Statements at a loop's head that count it against the budget."""
        raise NotImplementedError

    def prologue(self) -> list[py.stmt]:
        """Statements that set up the counters of a function."""
        raise NotImplementedError


def _references(type_: TypeExpr) -> list[str]:
    match type_:
        case RefType(name):
            return [name]
        case ListType(item):
            return _references(item)
        case ObjectType(fields):
            return [name for field in fields for name in _references(field.type)]
        case UnionType(members):
            return [name for member in members for name in _references(member)]
        case _:
            return []


__all__ = ["ANY", "CallEmitter"]
