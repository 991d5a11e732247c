"""Rewriting source trees into linked ones (specification §6.3).

Names become authorities, process values and constructors; calls are checked
against the catalog. Locals shadow modules. A dotted chain is a module only as a
whole. The result keeps every span.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NoReturn

from lash.lashlang.errors import LinkError
from lash.lashlang.host.catalog import TRIGGERS_PATH, TRIGGERS_TYPE
from lash.lashlang.host.environment import HostEnvironment
from lash.lashlang.linking import suggestions, triggers
from lash.lashlang.linking.inference import BUILTIN_TYPES, MORE_BUILTIN_TYPES, Inference, path_assigned
from lash.lashlang.linking.scope import Scope
from lash.lashlang.syntax import ast
from lash.lashlang.syntax.traversal import dotted_path, spine
from lash.lashlang.syntax.types import ANY, NULL, ListType, RefType, TypeExpr, type_text, union_of

_EFFECTS: Final = frozenset(
    (
        ast.Await,
        ast.SleepFor,
        ast.SleepUntil,
        ast.WaitSignal,
        ast.SignalRun,
        ast.Cancel,
        ast.Print,
        ast.Yield,
        ast.Wake,
        ast.Fail,
        ast.Submit,
        ast.Finish,
        ast.StartProcess,
    )
)
_UNCHANGED: Final = frozenset(
    (ast.Number, ast.String, ast.Null, ast.Bool, ast.Break, ast.Continue, ast.TypeLiteral, ast.ProcessRef)
)


class Lowering:
    """Lowers the bodies of one program."""

    def __init__(self, program: ast.Program, environment: HostEnvironment, inference: Inference) -> None:
        self.environment = environment
        self.catalog = environment.resources
        self.inference = inference
        self.rules = inference.rules
        self.processes = inference.processes
        self.functions = inference.functions

    def require(self, ability: str, node: ast.Node) -> None:
        """Fails if the host does not offer `ability`."""
        if not getattr(self.environment.abilities, ability):
            disabled(ability.replace("process_signals", "process signals"), node)

    def block(self, node: ast.Block, scope: Scope) -> ast.Block:
        """A lowered block; names it binds are in `scope` afterwards."""
        return ast.Block(tuple(self.lower(item, scope) for item in node.items), span=node.span)

    def lower(self, node: ast.Expr, scope: Scope) -> ast.Expr:
        """The linked form of `node`."""
        kind = type(node)
        lowered = _LOWERED.get(kind)
        if lowered is None:
            if kind in _UNCHANGED:
                return node
            raise TypeError(f"{kind.__name__} is not an expression")
        if scope.kind == "fn" and kind in _EFFECTS:
            raise LinkError("a `fn` is pure: it cannot perform effects", at=node.span)
        return lowered(self, node, scope)

    def _index(self, node: ast.Index, scope: Scope) -> ast.Expr:
        target = self.lower(node.target, scope)
        self._refuse_opaque(node.target, scope, "[]", node)
        return ast.Index(target, self.lower(node.index, scope), span=node.span)

    def _called(self, node: ast.FunctionCall, scope: Scope) -> ast.Expr:
        return ast.FunctionCall(node.name, self._all(node.args, scope), span=node.span)

    def _list(self, node: ast.List, scope: Scope) -> ast.Expr:
        return ast.List(self._all(node.items, scope), span=node.span)

    def _labelled(self, node: ast.LabelAnnotated, scope: Scope) -> ast.Expr:
        return ast.LabelAnnotated(node.label, self.lower(node.inner, scope), span=node.span)

    def _ending(self, node: ast.Submit | ast.Finish, scope: Scope) -> ast.Expr:
        value = None if node.operand is None else self.lower(node.operand, scope)
        return type(node)(value, span=node.span)

    def _sleep(self, node: ast.SleepFor | ast.SleepUntil, scope: Scope) -> ast.Expr:
        self.require("sleep", node)
        return self._over(node, scope)

    def _known_resource(self, node: ast.ResourceRef, _scope: Scope) -> ast.Expr:
        if ".".join(node.path) not in self.catalog.module_instances:
            raise LinkError(f"unknown module `{'.'.join(node.path)}`", at=node.span)
        return node

    def _constructor(self, node: ast.HostDescriptorConstructor, scope: Scope) -> ast.Expr:
        return ast.HostDescriptorConstructor(node.type, self.lower(node.input, scope), span=node.span)

    def _unary(self, node: ast.Unary, scope: Scope) -> ast.Expr:
        return ast.Unary(node.op, self.lower(node.operand, scope), span=node.span)

    def _over(self, node: ast.Await | ast.SleepFor | ast.SleepUntil, scope: Scope) -> ast.Expr:
        """A node with one operand and nothing else."""
        return type(node)(self.lower(node.operand, scope), span=node.span)

    def _record(self, node: ast.Record, scope: Scope) -> ast.Expr:
        if triggers.is_event_placeholder(node):
            raise LinkError(triggers.EVENT_MISPLACED, at=node.span)
        return ast.Record(self._pairs(node.entries, scope), span=node.span)

    def _all(self, nodes: tuple[ast.Expr, ...], scope: Scope) -> tuple[ast.Expr, ...]:
        return tuple([self.lower(node, scope) for node in nodes])

    def _pairs(self, pairs: tuple[tuple[str, ast.Expr], ...], scope: Scope) -> tuple[tuple[str, ast.Expr], ...]:
        return tuple([(key, self.lower(value, scope)) for key, value in pairs])

    def _resource(self, path: tuple[str, ...], node: ast.Node) -> ast.ResourceRef:
        module = self.catalog.module_instances[".".join(path)]
        return ast.ResourceRef(module.path, module.resource_type, module.alias, span=node.span)

    def _variable(self, node: ast.Variable, scope: Scope) -> ast.Expr:
        if node.name in scope.names:
            return node
        if (path := self.inference.module_of(node, scope)) is not None:
            return self._resource(path, node)
        if node.name in self.processes:
            return ast.ProcessRef(node.name, span=node.span)
        if scope.kind != "cell":
            raise LinkError(f"unknown name `{node.name}`", at=node.span)
        return node

    def _field(self, node: ast.Field, scope: Scope) -> ast.Expr:
        triggers.refuse_event(node)
        if (path := self.inference.module_of(node, scope)) is not None:
            return self._resource(path, node)
        target = self.lower(node.target, scope)
        self._refuse_opaque(node.target, scope, f".{node.name}", node)
        return ast.Field(target, node.name, span=node.span)

    def _refuse_opaque(self, target: ast.Expr, scope: Scope, access: str, node: ast.Node) -> None:
        name = self.rules.opaque(self.inference.type_of(target, scope))
        if name is not None:
            raise LinkError(f"cannot access `{access}` on opaque host descriptor `{name}`", at=node.span)

    def _binary(self, node: ast.Binary, scope: Scope) -> ast.Expr:
        first, operators = spine(node)
        left = self.lower(first, scope)
        for operator in operators:
            left = ast.Binary(operator.op, left, self.lower(operator.right, scope), span=operator.span)
        return left

    def _if(self, node: ast.If, scope: Scope) -> ast.Expr:
        condition = self.lower(node.condition, scope)
        arms = scope.fork(), scope.fork()
        then, otherwise = self.lower(node.then, arms[0]), self.lower(node.otherwise, arms[1])
        result = ast.If(condition, then, otherwise, span=node.span)
        scope.merge(*arms)
        return result

    def _assign(self, node: ast.Assign, scope: Scope) -> ast.Expr:
        for step in node.steps:
            if isinstance(step, ast.IndexStep):
                self.lower(step.index, scope)
        value = self.lower(node.value, scope)
        if not node.steps:
            scope.bind(node.root, self.inference.type_of(node.value, scope))
        elif node.root not in scope.names and scope.kind != "cell":
            raise LinkError(f"unknown name `{node.root}`", at=node.span)
        elif self.rules.gradual and node.root in scope.names:
            scope.bind(node.root, path_assigned(scope.names[node.root]))
        return ast.Assign(node.root, node.steps, value, span=node.span)

    def _loop(self, node: ast.For | ast.While, scope: Scope) -> ast.Expr:
        if isinstance(node, ast.While):
            condition = self.lower(node.condition, scope)
            inner = scope.fork()
            result: ast.Expr = ast.While(condition, self.lower(node.body, inner), span=node.span)
        else:
            iterable = self.lower(node.iterable, scope)
            inner = scope.fork()
            inner.bind(node.binding, ANY)
            result = ast.For(node.binding, iterable, self.lower(node.body, inner), span=node.span)
            if node.binding not in scope.names:
                inner.names.pop(node.binding, None)
        scope.merge(inner)
        return result

    def _comprehension(self, node: ast.Comprehension, scope: Scope) -> ast.Expr:
        iterable = self.lower(node.iterable, scope)
        inner = scope.fork()
        inner.bind(node.binding, ANY)
        condition = None if node.condition is None else self.lower(node.condition, inner)
        return ast.Comprehension(node.binding, iterable, condition, self.lower(node.item, inner), span=node.span)

    def _start(self, node: ast.StartProcess, scope: Scope) -> ast.Expr:
        self.require("processes", node)
        process = self.processes.get(node.process)
        if process is None:
            raise LinkError(f"unknown process `{node.process}`", at=node.span)
        params = {item.name: item.type for item in process.params}
        seen: set[str] = set()
        for name, value in node.args:
            if name in seen:
                raise LinkError(f"duplicate process argument `{name}`", at=node.span)
            seen.add(name)
            if name not in params:
                raise LinkError(f"process `{node.process}` does not accept argument `{name}`", at=value.span)
        for name in params:
            if name not in seen:
                raise LinkError(f"process `{node.process}` is missing argument `{name}`", at=node.span)
        args = self._pairs(node.args, scope)
        for name, value in node.args:
            wanted = self.rules.resource_type(params[name])
            got = self.authority(value, scope)
            if wanted is not None and got != wanted:
                raise LinkError(
                    f"process `{node.process}` argument `{name}` has incompatible authority type: "
                    f"expected {wanted}, got {got}",
                    at=value.span,
                )
        return ast.StartProcess(node.process, args, span=node.span)

    def authority(self, node: ast.Expr, scope: Scope) -> str:
        """The resource type of an argument, or `value`."""
        return self.rules.resource_type(self.inference.type_of(node, scope)) or "value"

    def _wait_signal(self, node: ast.WaitSignal, scope: Scope) -> ast.Expr:
        self.require("process_signals", node)
        if scope.kind != "process":
            word = "wait_signal" if node.name else "wait signal"
            raise LinkError(f"`{word}` can only be used inside a process body", at=node.span)
        return node

    def _signal_run(self, node: ast.SignalRun, scope: Scope) -> ast.Expr:
        self.require("process_signals", node)
        if scope.kind != "process" and not node.name:
            raise LinkError("`signal run` can only be used inside a process body", at=node.span)
        return ast.SignalRun(node.name, self.lower(node.run, scope), self.lower(node.payload, scope), span=node.span)

    def _builtin_call(self, node: ast.BuiltinCall, scope: Scope) -> ast.Expr:
        name = node.name
        if name in self.functions:
            return self._function_call(node, scope)
        known = name in BUILTIN_TYPES or (
            name in MORE_BUILTIN_TYPES and self.environment.language_features.more_builtins
        )
        if not known:
            path = suggestions.path_of_tool(self.catalog, name, named=self.rules.dialect.expression_spans)
            if path is not None:
                raise LinkError(f"tools must be called through module paths, e.g. `{path}`", at=node.span)
            raise LinkError(f"unknown builtin `{name}`", at=node.span)
        return ast.BuiltinCall(name, self._all(node.args, scope), span=node.span)

    def _function_call(self, node: ast.BuiltinCall, scope: Scope) -> ast.Expr:
        params = self.functions[node.name].params
        if len(node.args) != len(params):
            raise LinkError(f"`{node.name}` takes {len(params)} arg(s), got {len(node.args)}", at=node.span)
        for param, arg in zip(params, node.args, strict=True):
            given = self.inference.type_of(arg, scope)
            if not self.rules.assignable(given, param.type):
                wanted = type_text(self.rules.resolved(param.type))
                raise LinkError(
                    f"function `{node.name}` argument `{param.name}` expects {wanted}, got {type_text(given)}",
                    at=arg.span,
                )
        return ast.FunctionCall(node.name, self._all(node.args, scope), span=node.span)

    def _receiver_call(self, node: ast.ReceiverCall, scope: Scope) -> ast.Expr:
        if scope.kind == "fn":
            raise LinkError("a `fn` is pure: it cannot perform effects", at=node.span)
        prefix = dotted_path(node.receiver)
        shadowed = prefix is not None and prefix[0] in scope.names
        if prefix is not None and not shadowed:
            made = self.catalog.value_constructors.get(".".join((*prefix, node.operation)))
            if made is not None:
                return self._construct(node, made.type_name, made.input, scope)
        if triggers.is_trigger_operation(node, shadowed, TRIGGERS_PATH):
            self.require("triggers", node)
        resource, module = self._receiver(node, prefix, shadowed, scope)
        types = self.catalog.resource_types[resource]
        if resource == TRIGGERS_TYPE and node.operation in types:
            self.require("triggers", node)
            lowered = self.lower(node.receiver, scope)
            return triggers.lower_operation(self, node, lowered, scope)
        if node.operation not in types or (module is not None and node.operation not in module):
            raise LinkError(f"resource type `{resource}` does not expose operation `{node.operation}`", at=node.span)
        receiver = self.lower(node.receiver, scope)
        args = self._all(node.args, scope)
        self.check_input(node, self.argument_type(node.args, scope), types[node.operation].input)
        return ast.ReceiverCall(receiver, node.operation, args, span=node.span)

    def _receiver(
        self, node: ast.ReceiverCall, prefix: tuple[str, ...] | None, shadowed: bool, scope: Scope
    ) -> tuple[str, dict[str, str] | None]:
        path = self.inference.module_of(node.receiver, scope)
        if path is not None:
            module = self.catalog.module_instances[".".join(path)]
            return module.resource_type, module.operations
        if prefix is not None and not shadowed:
            suggestions.refuse_partial_path(self.catalog, node, prefix)
        if isinstance(node.receiver, ast.Variable) and shadowed:
            resource = self.rules.resource_type(scope.names[node.receiver.name])
            if resource is not None:
                return resource, None
        if not isinstance(node.receiver, ast.Variable | ast.Field):
            self.lower(node.receiver, scope)
        raise LinkError(f"receiver for operation `{node.operation}` is not a module authority", at=node.span)

    def argument_type(self, args: tuple[ast.Expr, ...], scope: Scope) -> TypeExpr:
        """What an argument list is to the type of an operation."""
        if not args:
            return NULL
        types = [self.inference.type_of(arg, scope) for arg in args]
        return types[0] if len(types) == 1 else ListType(union_of(*types))

    def check_input(self, node: ast.ReceiverCall, given: TypeExpr, wanted: TypeExpr) -> None:
        """Fails unless `given` fits the operation's input."""
        if not self.rules.assignable(given, wanted):
            raise LinkError(
                f"operation `{node.operation}` expects {type_text(wanted)}, got {type_text(given)}", at=node.span
            )

    def _construct(self, node: ast.ReceiverCall, type_name: str, wanted: TypeExpr, scope: Scope) -> ast.Expr:
        path = f"{'.'.join(dotted_path(node.receiver) or ())}.{node.operation}"
        expects = f"constructor `{path}` expects {type_text(wanted)}, got"
        if len(node.args) != 1:
            raise LinkError(f"{expects} {len(node.args)} arguments", at=node.span)
        value = self.lower(node.args[0], scope)
        given = self.inference.type_of(node.args[0], scope)
        if not self.rules.assignable(given, wanted):
            raise LinkError(f"{expects} {type_text(given)}", at=node.span)
        return ast.HostDescriptorConstructor(type_name, value, span=node.span)


_LOWERED: Final[dict[type[ast.Node], Callable[..., ast.Expr]]] = {
    ast.Variable: Lowering._variable,
    ast.Field: Lowering._field,
    ast.Index: Lowering._index,
    ast.BuiltinCall: Lowering._builtin_call,
    ast.FunctionCall: Lowering._called,
    ast.ReceiverCall: Lowering._receiver_call,
    ast.Binary: Lowering._binary,
    ast.Unary: Lowering._unary,
    ast.List: Lowering._list,
    ast.Record: Lowering._record,
    ast.Assign: Lowering._assign,
    ast.Block: Lowering.block,
    ast.If: Lowering._if,
    ast.For: Lowering._loop,
    ast.While: Lowering._loop,
    ast.Comprehension: Lowering._comprehension,
    ast.StartProcess: Lowering._start,
    ast.LabelAnnotated: Lowering._labelled,
    ast.Submit: Lowering._ending,
    ast.Finish: Lowering._ending,
    ast.SleepFor: Lowering._sleep,
    ast.SleepUntil: Lowering._sleep,
    ast.WaitSignal: Lowering._wait_signal,
    ast.SignalRun: Lowering._signal_run,
    ast.ResourceRef: Lowering._known_resource,
    ast.HostDescriptorConstructor: Lowering._constructor,
    **dict.fromkeys(
        (ast.ResultUnwrap, ast.Await, ast.Cancel, ast.Print, ast.Yield, ast.Wake, ast.Fail, ast.Return),
        Lowering._over,
    ),
}


def disabled(feature: str, node: ast.Node) -> NoReturn:
    """Fails because the host switched a feature off."""
    raise LinkError(f"lashlang feature `{feature}` is disabled by this host", at=node.span)


__all__ = ["Lowering", "RefType", "disabled"]
