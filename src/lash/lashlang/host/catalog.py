"""What a host offers to programs: modules, types, constructors, trigger sources.

Two modules may share a resource type (two accounts of one service): operation
*types* belong to the resource type, the *host operation* to the module. Every
map is kept sorted by key, because requirement hashes walk them in that order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from lash.base.json import JsonObject
from lash.lashlang.errors import CatalogError
from lash.lashlang.syntax.type_json import type_to_json
from lash.lashlang.syntax.types import (
    ANY,
    BOOL,
    DICT,
    STR,
    EnumType,
    ListType,
    ObjectField,
    ObjectType,
    ProcessType,
    RefType,
    TriggerHandleType,
    TypeExpr,
    UnionType,
    is_identifier,
    type_text,
)

TRIGGERS_PATH: Final = "triggers"
TRIGGERS_TYPE: Final = "Triggers"


@dataclass(frozen=True, slots=True)
class OperationType:
    """Input and output of an operation."""

    input: TypeExpr = ANY
    output: TypeExpr = ANY


@dataclass(frozen=True, slots=True)
class ModuleInstance:
    """One module: its dotted path, resource type, and host operation per operation."""

    path: tuple[str, ...]
    resource_type: str
    operations: dict[str, str]

    @property
    def alias(self) -> str:
        """The dotted path."""
        return ".".join(self.path)


@dataclass(frozen=True, slots=True)
class ValueConstructor:
    """A pure constructor of an opaque host descriptor."""

    path: tuple[str, ...]
    input: TypeExpr
    output: TypeExpr

    @property
    def type_name(self) -> str:
        """The text of the output type."""
        return type_text(self.output)


@dataclass(frozen=True, slots=True)
class NamedDataType:
    name: str
    type: ObjectType


@dataclass(slots=True)
class Catalog:
    """Everything programs may reach by name. Build with the `add_*` methods, which replace the maps they change."""

    module_instances: dict[str, ModuleInstance] = field(default_factory=dict)
    resource_types: dict[str, dict[str, OperationType]] = field(default_factory=dict)
    named_data_types: dict[str, NamedDataType] = field(default_factory=dict)
    value_constructors: dict[str, ValueConstructor] = field(default_factory=dict)
    trigger_sources: dict[str, NamedDataType] = field(default_factory=dict)

    def maps(self) -> tuple[object, ...]:
        """The maps themselves: while they are the same objects, nothing was added."""
        return (
            self.module_instances,
            self.resource_types,
            self.named_data_types,
            self.value_constructors,
            self.trigger_sources,
        )

    def add_operation(
        self, path: str, resource_type: str, operation: str, host_operation: str, type_: OperationType | None = None
    ) -> Catalog:
        """Adds one operation of one module; without `type_` it is any → any."""
        module = self.module_instances.get(path)
        if module is None:
            module = ModuleInstance(tuple(path.split(".")), resource_type, {})
        elif module.resource_type != resource_type:
            raise CatalogError(
                f"module `{path}` already has resource type `{module.resource_type}`, "
                f"cannot change it to `{resource_type}`"
            )
        operations = dict(sorted({**module.operations, operation: host_operation}.items()))
        self.module_instances[path] = ModuleInstance(module.path, resource_type, operations)
        self.module_instances = dict(sorted(self.module_instances.items()))
        types = self.resource_types.setdefault(resource_type, {})
        types[operation] = type_ or types.get(operation) or OperationType()
        self.resource_types[resource_type] = dict(sorted(types.items()))
        self.resource_types = dict(sorted(self.resource_types.items()))
        return self

    def add_data_type(self, name: str, type_: TypeExpr) -> NamedDataType:
        """Adds a host data type under a qualified name."""
        segments = name.split(".")
        if len(segments) < 2 or not all(map(is_identifier, segments)):
            raise CatalogError(f"host data type name `{name}` must be qualified")
        if not isinstance(type_, ObjectType):
            raise CatalogError(f"host data type `{name}` must be an object type")
        _check_data_shape(type_)
        known = self.named_data_types.get(name)
        if known is not None and known.type != type_:
            raise CatalogError(f"conflicting host data type definition `{name}`")
        found = NamedDataType(name, type_)
        self.named_data_types = dict(sorted({**self.named_data_types, name: found}.items()))
        return found

    def add_constructor(self, path: str, input_type: TypeExpr, output: TypeExpr | None = None) -> ValueConstructor:
        """Adds a value constructor; its type is opaque and named like its path by default."""
        made = ValueConstructor(tuple(path.split(".")), input_type, output or RefType(path))
        self.value_constructors = dict(sorted({**self.value_constructors, path: made}.items()))
        return made

    def add_trigger_source(self, path: str, input_type: TypeExpr, event: NamedDataType) -> ValueConstructor:
        """Adds a constructor whose values emit `event`."""
        made = self.add_constructor(path, input_type)
        known = self.trigger_sources.get(made.type_name)
        if known is not None and known != event:
            raise CatalogError(
                f"trigger source `{made.type_name}` already emits `{known.name}`, cannot change it to `{event.name}`"
            )
        self.add_data_type(event.name, event.type)
        self.trigger_sources = dict(sorted({**self.trigger_sources, made.type_name: event}.items()))
        return made

    def add_triggers(self) -> Catalog:
        """Adds the trigger registry module."""
        for name, type_ in TRIGGER_OPERATIONS.items():
            self.add_operation(TRIGGERS_PATH, TRIGGERS_TYPE, name, f"triggers.{name}", type_)
        return self

    def is_opaque(self, name: str) -> bool:
        """Whether `name` is the type of host descriptors, which cannot be looked into."""
        return any(made.output == RefType(name) for made in self.value_constructors.values())

    def knows_type(self, name: str) -> bool:
        """Whether declarations may refer to `name`."""
        return name in self.resource_types or name in self.named_data_types or self.is_opaque(name)

    def as_json(self) -> JsonObject:
        """The JSON form: empty maps are left out."""
        parts: JsonObject = {
            "module_instances": {
                name: {
                    "path": list(module.path),
                    "resource_type": module.resource_type,
                    "alias": module.alias,
                    "operations": {op: {"host_operation": host} for op, host in module.operations.items()},
                }
                for name, module in self.module_instances.items()
            },
            "resource_types": {
                name: {
                    "operations": {
                        op: {"input_ty": type_to_json(type_.input), "output_ty": type_to_json(type_.output)}
                        for op, type_ in operations.items()
                    }
                }
                for name, operations in self.resource_types.items()
            },
            "named_data_types": {name: _named(item) for name, item in self.named_data_types.items()},
            "value_constructors": {
                name: {
                    "path": list(made.path),
                    "type_name": made.type_name,
                    "input_ty": type_to_json(made.input),
                    "output_ty": type_to_json(made.output),
                }
                for name, made in self.value_constructors.items()
            },
            "trigger_sources": {name: {"event_type": _named(item)} for name, item in self.trigger_sources.items()},
        }
        return {name: part for name, part in parts.items() if part}


TRIGGER_OPERATIONS: Final = {
    "register": OperationType(
        ObjectType(
            (
                ObjectField("source", DICT),
                ObjectField("target", ProcessType(ANY, ANY, 1)),
                ObjectField("inputs", DICT),
                ObjectField("name", STR, optional=True),
            )
        ),
        TriggerHandleType(ANY),
    ),
    "list": OperationType(
        ObjectType(
            (
                ObjectField("target", ProcessType(ANY, ANY, 1), optional=True),
                ObjectField("name", STR, optional=True),
                ObjectField("source_type", STR, optional=True),
                ObjectField("enabled", BOOL, optional=True),
            )
        ),
        ListType(RefType("TriggerRegistration")),
    ),
    "cancel": OperationType(ObjectType((ObjectField("handle", TriggerHandleType(ANY)),)), BOOL),
}


def _named(item: NamedDataType) -> JsonObject:
    return {"name": item.name, "ty": type_to_json(item.type)}


def _check_data_shape(type_: TypeExpr) -> None:
    match type_:
        case ObjectType(fields):
            seen: set[str] = set()
            for item in fields:
                if item.name in seen:
                    raise CatalogError(f"host data type object has duplicate field `{item.name}`")
                seen.add(item.name)
                _check_data_shape(item.type)
        case EnumType(values):
            for at, value in enumerate(values):
                if value in values[:at]:
                    raise CatalogError(f"host data type enum has duplicate value `{value}`")
        case ListType(item):
            _check_data_shape(item)
        case UnionType(members):
            for member in members:
                _check_data_shape(member)
        case RefType(name):
            raise CatalogError(f"host data type shape cannot contain nested type ref `{name}`")
        case ProcessType():
            raise CatalogError("host data type shape cannot contain process")
        case TriggerHandleType():
            raise CatalogError("host data type shape cannot contain trigger handle")
        case _:
            pass
