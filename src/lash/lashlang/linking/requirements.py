"""What a linked program needs of a host: only what it uses (specification §7.2)."""

from __future__ import annotations

from collections.abc import Iterator

from lash.lashlang.host.catalog import Catalog, OperationType, ValueConstructor
from lash.lashlang.host.environment import Abilities, HostEnvironment, HostRequirements
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

_IRRELEVANT = frozenset(
    (
        ast.Number,
        ast.String,
        ast.Variable,
        ast.Null,
        ast.Bool,
        ast.Block,
        ast.List,
        ast.Record,
        ast.Field,
        ast.Index,
        ast.Unary,
        ast.If,
        ast.For,
        ast.While,
    )
)
_SLEEPS = (ast.SleepFor, ast.SleepUntil)
_SIGNALS = (ast.WaitSignal, ast.SignalRun)


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
        from lash.lashlang.linking.inference import MORE_BUILTIN_TYPES

        for node in descendants(body):
            if type(node) in _IRRELEVANT:
                continue
            self.labels |= isinstance(node, ast.LabelAnnotated)
            self.sleeps |= isinstance(node, _SLEEPS)
            self.signals |= isinstance(node, _SIGNALS)
            self.processes |= isinstance(node, ast.StartProcess | ast.ProcessRef)
            self.comprehensions |= isinstance(node, ast.Comprehension)
            self.membership |= isinstance(node, ast.Binary) and node.op == "in"
            self.more_builtins |= isinstance(node, ast.BuiltinCall) and node.name in MORE_BUILTIN_TYPES
            if isinstance(node, ast.Assign) and not node.steps:
                self._track(node, locals_)
            elif isinstance(node, ast.ResourceRef):
                self._module(node)
            elif isinstance(node, ast.ReceiverCall):
                self._operation(node, locals_)
            elif isinstance(node, ast.HostDescriptorConstructor):
                self._constructor(node.type)
            elif isinstance(node, ast.TypeLiteral):
                self._data_types(node.type)
        self._sort()

    def _track(self, node: ast.Assign, locals_: dict[str, str]) -> None:
        if isinstance(node.value, ast.ResourceRef):
            locals_[node.root] = node.value.type
        elif isinstance(node.value, ast.Variable) and node.value.name in locals_:
            locals_[node.root] = locals_[node.value.name]

    def _module(self, node: ast.ResourceRef) -> None:
        if self.known and node.alias not in self.found.module_instances:
            from lash.lashlang.host.catalog import ModuleInstance

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
