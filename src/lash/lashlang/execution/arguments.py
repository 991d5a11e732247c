"""Checking arguments where a process starts."""

from __future__ import annotations

from lash.lashlang.modules.artifact import ModuleArtifact
from lash.lashlang.syntax.types import (
    ListType,
    ObjectType,
    RefType,
    TypeExpr,
    UnionType,
    type_text,
)
from lash.lashlang.values.kinds import Resource, Value, kind_name
from lash.lashlang.values.schema import Schema, find_problem, schema_of


def argument_problem(artifact: ModuleArtifact, process: str, args: dict[str, Value]) -> str | None:
    """What is wrong with the arguments of a start, or None.

    Types the program cannot spell out (host descriptors, handles) accept anything.
    """
    declaration = next(item for item in artifact.canonical_ir.processes() if item.name == process)
    for name in args:
        if all(param.name != name for param in declaration.params):
            return f"process `{process}` does not accept argument `{name}`"
    named = _definitions(artifact)
    for param in declaration.params:
        if param.name not in args:
            return f"process `{process}` is missing argument `{param.name}`"
        value = args[param.name]
        resources = artifact.host_requirements.resources.resource_types
        if isinstance(param.type, RefType) and param.type.name not in named and param.type.name in resources:
            fits = isinstance(value, Resource) and value.type == param.type.name
        else:
            schema = _schema(param.type, named, frozenset())
            fits = find_problem(value, schema, "$", 0) is None
        if not fits:
            wanted = named.get(param.type.name, param.type) if isinstance(param.type, RefType) else param.type
            return f"process `{process}` argument `{param.name}`: expected {type_text(wanted)}, got {kind_name(value)}"
    return None


def _definitions(artifact: ModuleArtifact) -> dict[str, TypeExpr]:
    named: dict[str, TypeExpr] = {
        name: data.type for name, data in artifact.host_requirements.resources.named_data_types.items()
    }
    named.update((item.name, item.type) for item in artifact.canonical_ir.types())
    return named


def _schema(type_: TypeExpr, named: dict[str, TypeExpr], seen: frozenset[str]) -> Schema:
    inner: dict[str, Schema] = {}
    for name in references(type_):
        if name in named and name not in seen:
            inner[name] = _schema(named[name], named, seen | {name})
    return schema_of(type_, inner)


def references(type_: TypeExpr) -> list[str]:
    """The names that a type refers to."""
    match type_:
        case RefType(name):
            return [name]
        case ListType(item):
            return references(item)
        case ObjectType(fields):
            return [name for item in fields for name in references(item.type)]
        case UnionType(members):
            return [name for member in members for name in references(member)]
        case _:
            return []
