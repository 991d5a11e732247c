"""What a linked program needs of a host: only what it uses (specification §7.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from lash.lashlang.host.catalog import Catalog, ModuleInstance, OperationType, ValueConstructor
from lash.lashlang.host.environment import Abilities, HostEnvironment, HostRequirements
from lash.lashlang.linking.inference import MORE_BUILTIN_TYPES
from lash.lashlang.syntax import ast
from lash.lashlang.syntax.features import LanguageFeatures
from lash.lashlang.syntax.traversal import descendants
from lash.lashlang.syntax.types import (
    ListType,
    ObjectType,
    ProcessType,
    RefType,
    TriggerHandleType,
    TypeExpr,
    UnionType,
)


def collect_requirements(program: ast.Program, catalog: Catalog | None = None) -> HostRequirements:
    """The requirements of a linked program.

    Without a catalog (stored programs) module bindings and declared types are
    unknown, so an operation is recorded on its resource type only.
    """
    collector = _Collector(catalog or Catalog(), known=catalog is not None)
    for declaration in program.declarations:
        collector.declaration(declaration)
    collector.body(program.main, {})
    features = LanguageFeatures(
        label_annotations=collector.labels,
        functions=bool(program.functions()),
        comprehensions=collector.comprehensions,
        membership=collector.membership,
        more_builtins=collector.more_builtins,
    )
    abilities = Abilities(
        processes=bool(program.processes()) or collector.processes,
        sleep=collector.sleeps,
        process_signals=collector.signals,
    )
    return HostEnvironment(collector.found, abilities, features)


class _Collector:
    def __init__(self, catalog: Catalog, *, known: bool) -> None:
        self.catalog = catalog
        self.known = known
        self.found = Catalog()
        self.labels = self.processes = self.sleeps = self.signals = False
        self.comprehensions = self.membership = self.more_builtins = False

    def declaration(self, item: ast.Declaration) -> None:
        if isinstance(item, ast.TypeDeclaration):
            self._type(item.type)
            return
        locals_: dict[str, str] = {}
        for param in item.params:
            self._type(param.type)
            if isinstance(param.type, RefType) and param.type.name in self.catalog.resource_types:
                locals_[param.name] = param.type.name
                self.found.resource_types.setdefault(param.type.name, {})
        if isinstance(item, ast.ProcessDeclaration):
            self.labels |= item.label is not None
            for signal in item.signals:
                self._type(signal.type)
        if item.return_type is not None:
            self._type(item.return_type)
        self.body(item.body, locals_)
        self._sort()

    def body(self, body: ast.Expr, locals_: dict[str, str]) -> None:
        for node in descendants(body):
            noted = _NOTED.get(type(node))
            if noted is not None:
                noted(self, node, locals_)
        self._sort()

    def _label(self, _node: ast.LabelAnnotated, _locals: dict[str, str]) -> None:
        self.labels = True

    def _sleep(self, _node: ast.SleepFor | ast.SleepUntil, _locals: dict[str, str]) -> None:
        self.sleeps = True

    def _signal(self, _node: ast.WaitSignal | ast.SignalRun, _locals: dict[str, str]) -> None:
        self.signals = True

    def _process(self, _node: ast.StartProcess | ast.ProcessRef, _locals: dict[str, str]) -> None:
        self.processes = True

    def _comprehension(self, _node: ast.Comprehension, _locals: dict[str, str]) -> None:
        self.comprehensions = True

    def _binary(self, node: ast.Binary, _locals: dict[str, str]) -> None:
        self.membership |= node.op == "in"

    def _builtin(self, node: ast.BuiltinCall, _locals: dict[str, str]) -> None:
        self.more_builtins |= node.name in MORE_BUILTIN_TYPES

    def _assign(self, node: ast.Assign, locals_: dict[str, str]) -> None:
        if node.steps:
            return
        value = node.value
        if type(value) is ast.ResourceRef:
            locals_[node.root] = value.type
        elif type(value) is ast.Variable and value.name in locals_:
            locals_[node.root] = locals_[value.name]

    def _resource(self, node: ast.ResourceRef, _locals: dict[str, str]) -> None:
        self._module(node)

    def _made(self, node: ast.HostDescriptorConstructor, _locals: dict[str, str]) -> None:
        self._constructor(node.type)

    def _literal(self, node: ast.TypeLiteral, _locals: dict[str, str]) -> None:
        self._data_types(node.type)

    def _module(self, node: ast.ResourceRef) -> None:
        if self.known and node.alias not in self.found.module_instances:
            self.found.module_instances[node.alias] = ModuleInstance(node.path, node.type, {})
        self.found.resource_types.setdefault(node.type, {})

    def _operation(self, node: ast.ReceiverCall, locals_: dict[str, str]) -> None:
        resource: str | None = None
        if isinstance(node.receiver, ast.ResourceRef):
            resource = node.receiver.type
            self._module(node.receiver)
            module = self.catalog.module_instances.get(node.receiver.alias)
            if module is not None and node.operation in module.operations:
                host = module.operations[node.operation]
                self.found.add_operation(node.receiver.alias, resource, node.operation, host)
        elif isinstance(node.receiver, ast.Variable):
            resource = locals_.get(node.receiver.name)
        if resource is not None:
            type_ = self.catalog.resource_types.get(resource, {}).get(node.operation, OperationType())
            self.found.resource_types.setdefault(resource, {})[node.operation] = type_
            if resource == "Triggers":
                return

    def _constructor(self, type_name: str) -> None:
        for path, made in self._constructors(type_name):
            self.found.value_constructors[path] = made
        event = self.catalog.trigger_sources.get(type_name)
        if event is not None:
            self.found.trigger_sources[type_name] = event
            self.found.named_data_types[event.name] = event

    def _constructors(self, type_name: str) -> Iterator[tuple[str, ValueConstructor]]:
        return ((path, made) for path, made in self.catalog.value_constructors.items() if made.type_name == type_name)

    def _data_types(self, type_: TypeExpr) -> None:
        match type_:
            case RefType(name):
                if name in self.catalog.named_data_types:
                    self.found.named_data_types[name] = self.catalog.named_data_types[name]
            case ListType(item) | TriggerHandleType(item):
                self._data_types(item)
            case ObjectType(fields):
                for field in fields:
                    self._data_types(field.type)
            case UnionType(members):
                for member in members:
                    self._data_types(member)
            case ProcessType(given, output, _):
                self._data_types(given)
                self._data_types(output)
            case _:
                pass

    def _type(self, type_: TypeExpr) -> None:
        self._data_types(type_)

    def _sort(self) -> None:
        found = self.found
        found.module_instances = dict(sorted(found.module_instances.items()))
        found.resource_types = {
            name: dict(sorted(operations.items())) for name, operations in sorted(found.resource_types.items())
        }
        found.named_data_types = dict(sorted(found.named_data_types.items()))
        found.value_constructors = dict(sorted(found.value_constructors.items()))
        found.trigger_sources = dict(sorted(found.trigger_sources.items()))


# What a kind of node asks of a host; every node of every body is looked up here.
_NOTED: Final[dict[type[ast.Node], Callable[..., None]]] = {
    ast.LabelAnnotated: _Collector._label,
    **dict.fromkeys((ast.SleepFor, ast.SleepUntil), _Collector._sleep),
    **dict.fromkeys((ast.WaitSignal, ast.SignalRun), _Collector._signal),
    **dict.fromkeys((ast.StartProcess, ast.ProcessRef), _Collector._process),
    ast.Comprehension: _Collector._comprehension,
    ast.Binary: _Collector._binary,
    ast.BuiltinCall: _Collector._builtin,
    ast.Assign: _Collector._assign,
    ast.ResourceRef: _Collector._resource,
    ast.ReceiverCall: _Collector._operation,
    ast.HostDescriptorConstructor: _Collector._made,
    ast.TypeLiteral: _Collector._literal,
}
