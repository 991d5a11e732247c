"""A slow evaluator that walks the tree: the meaning the generated code must have.

It copies every container it hands out, so no aliasing is possible, and knows
nothing of ownership, kinds, ticks or budgets. Effects are in `oracle_effects.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

from lash.lashlang.errors import RuntimeFailure
from lash.lashlang.syntax import ast
from lash.lashlang.values import access, operators
from lash.lashlang.values.builtins import BUILTINS, all_arities, arity_error, contains, range_
from lash.lashlang.values.coercion import truthy
from lash.lashlang.values.kinds import Resource, Value
from lash.lashlang.values.meter import Limits, Meter
from lash.lashlang.values.more_builtins import MORE_BUILTINS


class Returned(Exception):
    def __init__(self, value: Value) -> None:
        self.value = value


class Broken(Exception):
    pass


class Continued(Exception):
    pass


class PureOracle:
    """Evaluates statements and expressions of `program` against `variables`."""

    def __init__(self, program: ast.Program, variables: dict[str, Value]) -> None:
        self.program = program
        self.variables = variables
        self.meter = Meter(Limits())

    def inner(self, variables: dict[str, Value]) -> PureOracle:
        """An evaluator of the same run with other variables."""
        return PureOracle(self.program, variables)

    def effect(self, node: ast.Expr) -> Value:
        """What an expression gives that only an effect can give."""
        raise AssertionError(f"the oracle does not know {type(node).__name__}")

    def block(self, node: ast.Expr) -> None:
        for item in node.items if isinstance(node, ast.Block) else (node,):
            self.statement(item)

    def statement(self, node: ast.Expr) -> None:
        match node:
            case ast.Assign():
                self.assign(node)
            case ast.If() if isinstance(node.then, ast.Block):
                self.block(node.then if truthy(self.value(node.condition)) else node.otherwise)
            case ast.For():
                self.loop(node)
            case ast.While(condition=condition, body=body):
                while truthy(self.value(condition)):
                    try:
                        self.block(body)
                    except Continued:
                        continue
                    except Broken:
                        break
            case ast.Break():
                raise Broken
            case ast.Continue():
                raise Continued
            case ast.Return(operand=operand):
                raise Returned(self.value(operand))
            case _:
                self.value(node)

    def loop(self, node: ast.For) -> None:
        items = self.value(node.iterable)
        if type(items) is not list:
            raise RuntimeFailure("`for` expects a list")
        had, before = node.binding in self.variables, self.variables.get(node.binding)
        try:
            for item in items:
                self.variables[node.binding] = deepcopy(item)
                try:
                    self.block(node.body)
                except Continued:
                    continue
                except Broken:
                    break
        finally:
            if had:
                self.variables[node.binding] = before
            else:
                self.variables.pop(node.binding, None)

    def assign(self, node: ast.Assign) -> None:
        keys: list[Value] = [
            step.name if isinstance(step, ast.FieldStep) else self.value(step.index) for step in node.steps
        ]
        appends = isinstance(node.value, ast.Binary) and node.value.op == "add" and not node.steps
        if appends and isinstance(node.value, ast.Binary) and node.value.left.__class__ is ast.Variable:
            right = self.value(node.value.right)
            left = self.value(node.value.left)
            value = operators.add(self.meter, left, right)
        else:
            value = self.value(node.value)
        if not node.steps:
            self.variables[node.root] = deepcopy(value)
            return
        if node.root not in self.variables:
            raise RuntimeFailure(f"unknown name `{node.root}`")
        root = deepcopy(self.variables[node.root])
        container = root
        for step, key in zip(node.steps[:-1], keys[:-1], strict=True):
            if isinstance(step, ast.FieldStep):
                container = access.step_field(container, step.name)
            else:
                _, container = access.step_index(container, key)
        last = node.steps[-1]
        if isinstance(last, ast.FieldStep):
            access.store_field(self.meter, container, last.name, deepcopy(value))
        else:
            access.store_index(self.meter, container, keys[-1], deepcopy(value))
        self.variables[node.root] = root

    def value(self, node: ast.Expr) -> Value:
        return deepcopy(self._value(node))

    def _value(self, node: ast.Expr) -> Value:
        match node:
            case ast.Null():
                return None
            case ast.Bool(value=flag):
                return flag
            case ast.Number(value=number):
                return number
            case ast.String(value=text):
                return text
            case ast.Variable(name=name):
                if name not in self.variables:
                    raise RuntimeFailure(f"unknown name `{name}`")
                return self.variables[name]
            case ast.List(items=items):
                return [self.value(item) for item in items]
            case ast.Record(entries=entries):
                return {key: self.value(value) for key, value in entries}
            case ast.Unary(op=op, operand=operand):
                value = self.value(operand)
                return not truthy(value) if op == "not" else operators.negate(value)
            case ast.Binary():
                return self.binary(node)
            case ast.If(condition=condition, then=then, otherwise=otherwise):
                return self.value(then if truthy(self.value(condition)) else otherwise)
            case ast.Field(target=target, name=name):
                return access.field(self.value(target), name)
            case ast.Index(target=target, index=index):
                whole = self.value(target)
                return access.index(whole, self.value(index))
            case ast.BuiltinCall(name=name, args=args):
                return self.builtin(name, [self.value(arg) for arg in args])
            case ast.Comprehension():
                return self.comprehension(node)
            case ast.ResourceRef(type=type_, alias=alias):
                return Resource(type_, alias)
            case ast.ResultUnwrap(operand=operand) if not called_in(operand):
                return operators.unwrap(self.value(operand))
            case ast.FunctionCall(name=name, args=args):
                return self.function(name, [self.value(arg) for arg in args])
            case _:
                return self.effect(node)

    def function(self, name: str, args: list[Value]) -> Value:
        declaration = next(item for item in self.program.functions() if item.name == name)
        names = [param.name for param in declaration.params]
        try:
            PureOracle(self.program, dict(zip(names, args, strict=True))).block(declaration.body)
        except Returned as returned:
            return returned.value
        return None

    def builtin(self, name: str, args: list[Value]) -> Value:
        low, high, _ = all_arities()[name]
        if not low <= len(args) <= high:
            return arity_error(name, len(args))
        if name == "range":
            return range_(self.meter, *args, count=len(args))
        return {**BUILTINS, **MORE_BUILTINS}[name](self.meter, *args)

    def comprehension(self, node: ast.Comprehension) -> Value:
        items = self.value(node.iterable)
        if type(items) is not list:
            raise RuntimeFailure("`for` expects a list")
        inner = self.inner(dict(self.variables))
        made: list[Value] = []
        for item in items:
            inner.variables[node.binding] = item
            if node.condition is None or truthy(inner.value(node.condition)):
                made.append(inner.value(node.item))
        return made

    def binary(self, node: ast.Binary) -> Value:
        if node.op in {"and", "or"}:
            left = truthy(self.value(node.left))
            decided = left is (node.op == "or")
            return left if decided else truthy(self.value(node.right))
        left_value, right_value = self.value(node.left), self.value(node.right)
        if node.op == "add":
            return operators.add(self.meter, left_value, right_value)
        if node.op == "in":
            return contains(self.meter, right_value, left_value)
        functions: dict[str, Callable[[Value, Value], Value]] = {
            "subtract": operators.subtract,
            "multiply": operators.multiply,
            "divide": operators.divide,
            "modulo": operators.remainder,
            "equal": operators.equal,
            "not-equal": operators.unequal,
            "less": operators.less,
            "less-equal": operators.less_equal,
            "greater": operators.greater,
            "greater-equal": operators.greater_equal,
        }
        return functions[node.op](left_value, right_value)


def called_in(node: ast.Expr) -> ast.ReceiverCall | None:
    """The receiver call that `node` is, awaited or not."""
    if isinstance(node, ast.Await):
        node = node.operand
    return node if isinstance(node, ast.ReceiverCall) else None
