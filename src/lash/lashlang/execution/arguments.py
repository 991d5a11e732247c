"""Checking arguments where a process starts."""

from __future__ import annotations

from msgspec import Struct

from lash.lashlang.modules.artifact import ModuleArtifact
from lash.lashlang.syntax.types import (
    ANY,
    ListType,
    ObjectType,
    RefType,
    TypeExpr,
    UnionType,
    type_text,
)
from lash.lashlang.values.kinds import Resource, Value, kind_name
from lash.lashlang.values.room import Room
from lash.lashlang.values.schema import Schema, find_problem, schema_of
from lash.lashlang.values.walks import Walk, problem_walk


def argument_problem(
    artifact: ModuleArtifact, process: str, args: dict[str, Value], room: Room | None = None
) -> str | None:
    """What is wrong with the arguments of a start, or None; in all of them `room` may be spent.

    Types the program cannot spell out (host descriptors, handles) accept anything.
    """
    checks = _checks(artifact, process, args)
    if isinstance(checks, str):
        return checks
    for check in checks:
        # Without a room of its own every argument has the whole one.
        if not check.fits or find_problem(args[check.name], check.schema, "$", 0, room) is not None:
            return check.told(process, args)
    return None


def argument_walk(artifact: ModuleArtifact, process: str, args: dict[str, Value]) -> Walk[str | None]:
    """What `argument_problem` gives, in slices."""
    checks = _checks(artifact, process, args)
    if isinstance(checks, str):
        return checks
    for check in checks:
        if not check.fits or (yield from problem_walk(args[check.name], check.schema)) is not None:
            return check.told(process, args)
    return None


class _Check(Struct, frozen=True):
    """One argument, and what it has to be: an authority is checked already, as `fits` says."""

    name: str
    schema: Schema
    wanted: TypeExpr
    fits: bool = True

    def told(self, process: str, args: dict[str, Value]) -> str:
        """The message of an argument that is missing or does not fit."""
        if self.name not in args:
            return f"process `{process}` is missing argument `{self.name}`"
        got = kind_name(args[self.name])
        return f"process `{process}` argument `{self.name}`: expected {type_text(self.wanted)}, got {got}"


def _checks(artifact: ModuleArtifact, process: str, args: dict[str, Value]) -> list[_Check] | str:
    """The checks in the order of the parameters, or what is wrong with the names."""
    declaration = next(item for item in artifact.canonical_ir.processes() if item.name == process)
    for name in args:
        if all(param.name != name for param in declaration.params):
            return f"process `{process}` does not accept argument `{name}`"
    named = _definitions(artifact)
    resources = artifact.host_requirements.resources.resource_types
    checks: list[_Check] = []
    for param in declaration.params:
        if param.name not in args:
            checks.append(_Check(param.name, {}, ANY, fits=False))
            break
        value, type_ = args[param.name], param.type
        if isinstance(type_, RefType) and type_.name not in named and type_.name in resources:
            checks.append(_Check(param.name, {}, type_, isinstance(value, Resource) and value.type == type_.name))
        else:
            wanted = named.get(type_.name, type_) if isinstance(type_, RefType) else type_
            checks.append(_Check(param.name, _schema(type_, named, frozenset()), wanted))
    return checks


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
