"""Which types fit where (specification §5.5).

The reference never lets `any` into anything but `any`, which rejects most
dynamic data. Under gradual typing `any` is consistent with every type in both
directions, at any depth, and the check happens at run time instead.
"""

from __future__ import annotations

from lash.lashlang.dialect import Dialect
from lash.lashlang.host.catalog import Catalog
from lash.lashlang.syntax.types import (
    ANY,
    DICT,
    FLOAT,
    INT,
    STR,
    EnumType,
    ListType,
    LiteralType,
    ObjectType,
    ProcessType,
    RefType,
    TriggerHandleType,
    TypeExpr,
    UnionType,
)


class TypeRules:
    """Resolution of names and assignability, for one program in one host."""

    def __init__(self, declared: dict[str, TypeExpr], catalog: Catalog, dialect: Dialect) -> None:
        self.declared = declared
        self.catalog = catalog
        self.dialect = dialect
        self.gradual = dialect.gradual_types

    def definition(self, name: str) -> TypeExpr | None:
        """What an alias or a host data type stands for."""
        if name in self.declared:
            return self.declared[name]
        data = self.catalog.named_data_types.get(name)
        return data.type if data else None

    def resolved(self, type_: TypeExpr) -> TypeExpr:
        """`type_` with an alias at its head replaced; aliases of aliases too."""
        seen: set[str] = set()
        while isinstance(type_, RefType) and type_.name not in seen:
            seen.add(type_.name)
            found = self.definition(type_.name)
            if found is None:
                break
            type_ = found
        return type_

    def resource_type(self, type_: TypeExpr) -> str | None:
        """The resource type that `type_` is, if it is one."""
        if not isinstance(type_, RefType) or self.definition(type_.name) is not None:
            return None
        return type_.name if type_.name in self.catalog.resource_types else None

    def opaque(self, type_: TypeExpr) -> str | None:
        """The name of a host descriptor type, if `type_` is one."""
        if isinstance(type_, RefType) and self.definition(type_.name) is None and self.catalog.is_opaque(type_.name):
            return type_.name
        return None

    def assignable(self, source: TypeExpr, target: TypeExpr) -> bool:
        """Whether a value of `source` may go where `target` is wanted."""
        return self._fits(source, target, frozenset())

    def _fits(self, source: TypeExpr, target: TypeExpr, seen: frozenset[tuple[TypeExpr, TypeExpr]]) -> bool:
        if target == ANY or source == target:
            return True
        if source == ANY:
            return self.gradual and self.resource_type(target) is None
        pair = (source, target)
        if pair in seen:
            return True
        seen |= {pair}
        plain_source, plain_target = self.resolved(source), self.resolved(target)
        if (plain_source, plain_target) != pair:
            return self._fits(plain_source, plain_target, seen)
        if isinstance(source, UnionType):
            return all(self._fits(member, target, seen) for member in source.members)
        if isinstance(target, UnionType):
            return any(self._fits(source, member, seen) for member in target.members)
        return self._fits_shape(source, target, seen)

    def _fits_shape(self, source: TypeExpr, target: TypeExpr, seen: frozenset[tuple[TypeExpr, TypeExpr]]) -> bool:
        match source, target:
            case (_, _) if source == INT and target == FLOAT:
                return True
            case EnumType() | LiteralType(), _ if target == STR:
                return True
            case LiteralType(value), EnumType(wider):
                return value in wider
            case EnumType(values), EnumType(wider):
                return set(values) <= set(wider)
            case ListType(item), ListType(wanted):
                return self._fits(item, wanted, seen)
            case ObjectType(), _ if target == DICT:
                return True
            case ObjectType(), ObjectType(fields):
                return all(self._fits_field(source, item.name, item.type, item.optional, seen) for item in fields)
            case ProcessType(given, out, count), ProcessType(wanted, wanted_out, wanted_count):
                return count == wanted_count and self._fits(given, wanted, seen) and self._fits(out, wanted_out, seen)
            case TriggerHandleType(event), TriggerHandleType(wanted):
                return self._fits(event, wanted, seen)
            case _:
                return False

    def _fits_field(
        self,
        source: ObjectType,
        name: str,
        wanted: TypeExpr,
        optional: bool,
        seen: frozenset[tuple[TypeExpr, TypeExpr]],
    ) -> bool:
        found = source.field(name)
        if found is None:
            return optional
        if found.optional and not optional:
            return False
        return self._fits(found.type, wanted, seen)
