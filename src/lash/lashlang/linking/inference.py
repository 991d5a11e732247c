"""What type an expression has, as far as one forward pass can tell (§5.4).

Inference sees both source trees and lowered ones. Under gradual typing integral
literals are integers, `+` with a text is text, and builtins have precise types;
what cannot be known is `any`, which fits everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from lash.lashlang.errors import LinkError
from lash.lashlang.host.catalog import TRIGGERS_TYPE, Catalog
from lash.lashlang.linking.assignability import TypeRules
from lash.lashlang.linking.scope import Scope
from lash.lashlang.syntax import ast
from lash.lashlang.syntax.traversal import children, dotted_path, peel_labels, spine
from lash.lashlang.syntax.types import (
    ANY,
    BOOL,
    DICT,
    FLOAT,
    INT,
    NEVER,
    NULL,
    STR,
    ListType,
    LiteralType,
    ObjectField,
    ObjectType,
    ProcessType,
    RefType,
    TriggerHandleType,
    TypeExpr,
    UnionType,
    union_of,
)

_LIST_OF_ANY: Final = ListType(ANY)
_LIST_OF_NULL: Final = ListType(NULL)
_EMPTY_LIST: Final = ListType(NEVER)
BUILTIN_TYPES: Final[dict[str, TypeExpr]] = {
    "len": INT,
    "empty": BOOL,
    "keys": _LIST_OF_ANY,
    "values": _LIST_OF_ANY,
    "contains": BOOL,
    "starts_with": BOOL,
    "ends_with": BOOL,
    "trim": STR,
    "split": _LIST_OF_ANY,
    "join": STR,
    "find": INT,
    "grep_text": _LIST_OF_ANY,
    "slice": ANY,
    "push": _LIST_OF_ANY,
    "range": _LIST_OF_ANY,
    "ceil_div": INT,
    "floor_div": INT,
    "to_string": STR,
    "to_int": INT,
    "to_float": FLOAT,
    "json_parse": ANY,
    "format": ANY,
    "validate": ANY,
}
MORE_BUILTIN_TYPES: Final[dict[str, TypeExpr]] = {
    "sort": _LIST_OF_ANY,
    "sort_by": _LIST_OF_ANY,
    "sum": FLOAT,
    "min": ANY,
    "max": ANY,
    "replace": STR,
    "lower": STR,
    "upper": STR,
    "unique": _LIST_OF_ANY,
    "reverse": ANY,
}
_PRECISE: Final[dict[str, TypeExpr]] = {
    "keys": ListType(STR),
    "split": ListType(STR),
    "range": ListType(INT),
    "format": STR,
}
_SAME_AS_FIRST: Final = frozenset(("slice", "sort", "sort_by", "unique", "reverse"))
_COMPARISONS: Final = frozenset(
    ("equal", "not-equal", "less", "less-equal", "greater", "greater-equal", "and", "or", "in")
)


class Inference:
    """Types of expressions in one program."""

    def __init__(self, program: ast.Program, rules: TypeRules, catalog: Catalog) -> None:
        self.rules = rules
        self.catalog = catalog
        self.gradual = rules.gradual
        self.processes = {item.name: item for item in program.processes()}
        self.functions = {item.name: item for item in program.functions()}
        self.outputs: dict[str, TypeExpr] = dict.fromkeys(self.processes, ANY)

    def module_of(self, node: ast.Expr, scope: Scope) -> tuple[str, ...] | None:
        """The module path that `node` spells, unless a local shadows its root."""
        if type(node) is ast.ResourceRef:
            return node.path
        path = dotted_path(node)
        if path is None or path[0] in scope.names or ".".join(path) not in self.catalog.module_instances:
            return None
        return path

    def process_type(self, name: str) -> ProcessType:
        """The type of a bare process name."""
        params = self.processes[name].params
        if len(params) == 1:
            given: TypeExpr = params[0].type
        elif params:
            given = ObjectType(tuple(ObjectField(item.name, item.type) for item in params))
        else:
            given = NULL
        return ProcessType(given, self.outputs[name], len(params))

    def type_of(self, node: ast.Expr, scope: Scope) -> TypeExpr:
        """The type of `node`. Raises `LinkError` for names a process does not know."""
        typed = _TYPED.get(type(node))
        return ANY if typed is None else typed(self, node, scope)

    def _number(self, node: ast.Number, _scope: Scope) -> TypeExpr:
        return INT if self.gradual and node.value.is_integer() else FLOAT

    def _string(self, node: ast.String, _scope: Scope) -> TypeExpr:
        return LiteralType(node.value) if self.gradual else STR

    def _list(self, node: ast.List, scope: Scope) -> TypeExpr:
        if not node.items:
            return _EMPTY_LIST if self.gradual else _LIST_OF_NULL
        return ListType(union_of(*[self.type_of(item, scope) for item in node.items]))

    def _record(self, node: ast.Record, scope: Scope) -> TypeExpr:
        found = {key: self.type_of(value, scope) for key, value in node.entries}
        return ObjectType(tuple([ObjectField(key, type_) for key, type_ in found.items()]))

    def _if(self, node: ast.If, scope: Scope) -> TypeExpr:
        self.type_of(node.condition, scope)
        return union_of(self.type_of(node.then, scope), self.type_of(node.otherwise, scope))

    def _operand_of(self, node: ast.Await | ast.ResultUnwrap, scope: Scope) -> TypeExpr:
        return self.type_of(node.operand, scope)

    def _labelled(self, node: ast.LabelAnnotated, scope: Scope) -> TypeExpr:
        return self.type_of(node.inner, scope)

    def _named(self, node: ast.HostDescriptorConstructor | ast.ResourceRef, _scope: Scope) -> TypeExpr:
        return RefType(node.type)

    def _process_ref(self, node: ast.ProcessRef, _scope: Scope) -> TypeExpr:
        return self.process_type(node.name) if node.name in self.processes else ANY

    def _called(self, node: ast.FunctionCall, _scope: Scope) -> TypeExpr:
        return self.functions[node.name].return_type or ANY

    def _comprehension(self, node: ast.Comprehension, scope: Scope) -> TypeExpr:
        inner = scope.fork()
        inner.bind(node.binding, ANY)
        return ListType(self.type_of(node.item, inner))

    def _variable(self, node: ast.Variable, scope: Scope) -> TypeExpr:
        name = node.name
        if name in scope.names:
            return scope.names[name]
        if (path := self.module_of(node, scope)) is not None:
            return RefType(self.catalog.module_instances[".".join(path)].resource_type)
        if name in self.processes:
            return self.process_type(name)
        if scope.kind == "cell":
            return ANY
        raise LinkError(f"unknown name `{name}`", at=node.span)

    def _binary(self, node: ast.Binary, scope: Scope) -> TypeExpr:
        if node.op in _COMPARISONS:
            return BOOL
        if not self.gradual:
            return FLOAT
        first, operators = spine(node)
        left = self._operand(first, scope)
        for operator in operators:
            left = _arithmetic(operator.op, left, self._operand(operator.right, scope))
        return left

    def _operand(self, node: ast.Expr, scope: Scope) -> TypeExpr:
        # Names in operands surface when the body is lowered, not here.
        try:
            return self.type_of(node, scope)
        except LinkError:
            return ANY

    def _unary(self, node: ast.Unary, scope: Scope) -> TypeExpr:
        if node.op == "not":
            return BOOL
        return INT if self.gradual and self._operand(node.operand, scope) == INT else FLOAT

    def _access(self, node: ast.Field | ast.Index, scope: Scope) -> TypeExpr:
        if type(node) is ast.Field and (path := self.module_of(node, scope)) is not None:
            return RefType(self.catalog.module_instances[".".join(path)].resource_type)
        target = self.type_of(node.target, scope)
        if type(node) is ast.Field:
            return self.field_type(target, node.name)
        plain = self.rules.resolved(target)
        return plain.item if isinstance(plain, ListType) and plain.item != NEVER else ANY

    def field_type(self, target: TypeExpr, name: str) -> TypeExpr:
        """The type of `.name` on a value of type `target`."""
        plain = self.rules.resolved(target)
        if isinstance(plain, ObjectType):
            found = plain.field(name)
            return found.type if found else ANY
        if isinstance(plain, UnionType):
            return union_of(*(self.field_type(member, name) for member in plain.members))
        return ANY

    def _operation(self, node: ast.ReceiverCall, scope: Scope) -> TypeExpr:
        path = dotted_path(node)
        if path is None and isinstance(node.receiver, ast.Field | ast.Variable):
            prefix = dotted_path(node.receiver)
            if prefix is not None and prefix[0] not in scope.names:
                made = self.catalog.value_constructors.get(".".join((*prefix, node.operation)))
                if made is not None:
                    return made.output
        try:
            resource = self.rules.resource_type(self.type_of(node.receiver, scope))
        except LinkError:
            resource = None
        if resource is None:
            return ANY
        if resource == TRIGGERS_TYPE and node.operation == "register":
            return self._registration(node, scope)
        type_ = self.catalog.resource_types[resource].get(node.operation)
        return type_.output if type_ else ANY

    def _registration(self, node: ast.ReceiverCall, scope: Scope) -> TypeExpr:
        entries = dict(node.args[0].entries) if len(node.args) == 1 and isinstance(node.args[0], ast.Record) else {}
        source = entries.get("source")
        event = self.rules.opaque(self.type_of(source, scope)) if source is not None else None
        data = self.catalog.trigger_sources.get(event or "")
        return TriggerHandleType(RefType(data.name) if data else ANY)

    def _builtin(self, node: ast.BuiltinCall, scope: Scope) -> TypeExpr:
        name = node.name
        if name in self.functions:
            return self.functions[name].return_type or ANY
        plain = BUILTIN_TYPES.get(name) or MORE_BUILTIN_TYPES.get(name, ANY)
        if not self.gradual:
            return plain
        if name in _PRECISE:
            return _PRECISE[name]
        if not node.args:
            return plain
        if name in _SAME_AS_FIRST:
            first = self._operand(node.args[0], scope)
            if isinstance(first, LiteralType) or first == STR:
                return STR
            return first if isinstance(first, ListType) else ANY
        if name == "push" and len(node.args) == 2:
            items, added = (self._operand(arg, scope) for arg in node.args)
            known = items.item if isinstance(items, ListType) else ANY
            return ListType(union_of(added) if known == NEVER else _widest(known, added))
        return plain

    def process_output(self, process: ast.ProcessDeclaration, scope: Scope) -> TypeExpr:
        """The union of what a process may finish with."""
        finished: list[TypeExpr] = []
        if self.flow(process.body, scope, finished):
            finished.append(NULL)
        return union_of(*finished)

    def flow(self, node: ast.Expr, scope: Scope, finished: list[TypeExpr]) -> bool:
        """Walks a statement in flow order; whether it can fall through."""
        node = peel_labels(node)
        match node:
            case ast.Block(items=items):
                return all(self.flow(item, scope, finished) for item in items)
            case ast.Assign(root=root, steps=steps, value=value):
                type_ = self.type_of(value, scope)
                if not steps:
                    scope.bind(root, type_)
                elif self.gradual and root in scope.names:
                    scope.bind(root, path_assigned(scope.names[root]))
            case ast.If(condition=condition, then=then, otherwise=otherwise):
                self.type_of(condition, scope)
                arms = scope.fork(), scope.fork()
                ends = [self.flow(arm, inner, finished) for arm, inner in zip((then, otherwise), arms, strict=True)]
                scope.merge(*arms)
                return any(ends)
            case ast.For(binding=binding, iterable=iterable, body=body):
                self.type_of(iterable, scope)
                inner = scope.fork()
                inner.bind(binding, ANY)
                self.flow(body, inner, finished)
                if binding not in scope.names:
                    inner.names.pop(binding)
                scope.merge(inner)
            case ast.While(condition=condition, body=body):
                self.type_of(condition, scope)
                inner = scope.fork()
                self.flow(body, inner, finished)
                scope.merge(inner)
            case ast.Finish(operand=operand):
                finished.append(NULL if operand is None else self.type_of(operand, scope))
                return False
            case ast.Fail():
                return False
            case ast.Break() | ast.Continue() | ast.Return():
                return True
            case _:
                self._visit(node, scope)
        return True

    def _visit(self, node: ast.Expr, scope: Scope) -> None:
        if isinstance(node, ast.Print | ast.Cancel | ast.Yield | ast.Wake | ast.Submit):
            return
        if not any(True for _ in children(node)):
            return
        self._operand(node, scope)


def path_assigned(type_: TypeExpr) -> TypeExpr:
    """What remains known of a record or list after a part of it was assigned."""
    if isinstance(type_, ListType):
        return ListType(ANY)
    return ANY if isinstance(type_, ObjectType) else (DICT if type_ == DICT else type_)


def _widest(known: TypeExpr, added: TypeExpr) -> TypeExpr:
    return ANY if ANY in (known, added) else union_of(known, added)


def _arithmetic(op: str, left: TypeExpr, right: TypeExpr) -> TypeExpr:
    textual = (STR, LiteralType)
    is_text = [side == STR or isinstance(side, textual[1]) for side in (left, right)]
    if op == "add":
        if any(is_text):
            return STR
        if isinstance(left, ListType) and isinstance(right, ListType):
            parts = [side.item for side in (left, right) if side.item != NEVER]
            return ListType(_widest(*parts) if len(parts) == 2 else parts[0] if parts else NEVER)
    if ANY in (left, right) and op != "divide":
        return ANY
    if left == INT and right == INT and op != "divide":
        return INT
    if op == "add" and any(isinstance(side, UnionType | RefType) for side in (left, right)):
        return ANY
    return FLOAT


_TYPED: Final[dict[type[ast.Node], Callable[..., TypeExpr]]] = {
    ast.Number: Inference._number,
    ast.String: Inference._string,
    ast.Bool: lambda *_: BOOL,
    **dict.fromkeys((ast.Null, ast.Block, ast.Assign, ast.For, ast.While), lambda *_: NULL),
    ast.Variable: Inference._variable,
    ast.List: Inference._list,
    ast.Record: Inference._record,
    ast.If: Inference._if,
    ast.Binary: Inference._binary,
    ast.Unary: Inference._unary,
    **dict.fromkeys((ast.Field, ast.Index), Inference._access),
    **dict.fromkeys((ast.Await, ast.ResultUnwrap), Inference._operand_of),
    ast.LabelAnnotated: Inference._labelled,
    ast.ReceiverCall: Inference._operation,
    **dict.fromkeys((ast.HostDescriptorConstructor, ast.ResourceRef), Inference._named),
    ast.ProcessRef: Inference._process_ref,
    ast.BuiltinCall: Inference._builtin,
    ast.FunctionCall: Inference._called,
    ast.Comprehension: Inference._comprehension,
}
