"""Type expressions: their shapes and their canonical text.

Used in signatures, `type` declarations, `Type { … }` literals and host catalogs.
The text of a type appears in messages and inside hashes of nothing: identity
uses atoms (modules/identity.py), never this text.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

from msgspec import Struct

from lash.lashlang.syntax.lexer import quote

_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


class Simple(Struct, frozen=True):
    """A type without parts; `name` is `any str int float bool dict null`."""

    name: str


class EnumType(Struct, frozen=True):
    """One of some strings."""

    values: tuple[str, ...]


class ListType(Struct, frozen=True):
    item: TypeExpr


class ObjectField(Struct, frozen=True):
    """`optional` means the field may be absent; null is not thereby allowed."""

    name: str
    type: TypeExpr
    optional: bool = False


class ObjectType(Struct, frozen=True):
    fields: tuple[ObjectField, ...]

    def field(self, name: str) -> ObjectField | None:
        """The field called `name`."""
        return next((field for field in self.fields if field.name == name), None)


class UnionType(Struct, frozen=True):
    members: tuple[TypeExpr, ...]


class RefType(Struct, frozen=True):
    """A name: a declared type, a host data type, a resource type or a descriptor."""

    name: str


class ProcessType(Struct, frozen=True):
    """`Process<input, output>`; `input_count` is how many parameters `input` stands for."""

    input: TypeExpr
    output: TypeExpr
    input_count: int


class TriggerHandleType(Struct, frozen=True):
    event: TypeExpr


class LiteralType(Struct, frozen=True):
    """A string known by its text. Only inference makes it; it reads `str`."""

    value: str


TypeExpr: TypeAlias = (
    Simple | EnumType | ListType | ObjectType | UnionType | RefType | ProcessType | TriggerHandleType | LiteralType
)

ANY: Final = Simple("any")
STR: Final = Simple("str")
INT: Final = Simple("int")
FLOAT: Final = Simple("float")
BOOL: Final = Simple("bool")
DICT: Final = Simple("dict")
NULL: Final = Simple("null")
NEVER: Final = UnionType(())
"""The type of no value: what an empty list holds under gradual typing."""

SPELLINGS: Final = {
    "any": ANY,
    "str": STR,
    "string": STR,
    "int": INT,
    "integer": INT,
    "float": FLOAT,
    "number": FLOAT,
    "bool": BOOL,
    "boolean": BOOL,
    "dict": DICT,
    "object": DICT,
    "null": NULL,
}


def is_identifier(text: str) -> bool:
    """Whether `text` can be written as a bare name."""
    return _IDENTIFIER.match(text) is not None


def key_text(key: str) -> str:
    """A record or type key as source: bare when it is an identifier."""
    return key if is_identifier(key) else quote(key)


def type_text(type_: TypeExpr) -> str:
    """The canonical text of a type, as every message prints it."""
    match type_:
        case Simple(name) | RefType(name):
            return name
        case EnumType(values):
            return f"enum[{', '.join(quote(value) for value in values)}]"
        case ListType(item):
            return f"list[{type_text(item)}]"
        case ObjectType(fields):
            inner = ", ".join(
                f"{key_text(field.name)}: {type_text(field.type)}{'?' if field.optional else ''}" for field in fields
            )
            return f"{{ {inner} }}"
        case ProcessType(input_type, output, _):
            return f"Process<{type_text(input_type)}, {type_text(output)}>"
        case TriggerHandleType(event):
            return f"TriggerHandle<{type_text(event)}>"
        case LiteralType():
            return "str"
        case UnionType(members):
            return " | ".join(_member_texts(members)) if members else "never"


def _member_texts(members: tuple[TypeExpr, ...]) -> list[str]:
    """The texts of a union's members; of different members with the same text, the first."""
    shown: dict[str, TypeExpr] = {}
    texts: list[str] = []
    for member in members:
        text = type_text(member)
        if shown.setdefault(text, member) == member:
            texts.append(text)
    return texts


def union_of(*types: TypeExpr) -> TypeExpr:
    """The flattened union without duplicates; one member is itself, none is null."""
    members: list[TypeExpr] = []
    if len(types) > 1:
        types = tuple(STR if isinstance(type_, LiteralType) else type_ for type_ in types)
    for type_ in types:
        for member in type_.members if isinstance(type_, UnionType) else (type_,):
            if member not in members:
                members.append(member)
    if not members:
        return NULL
    return members[0] if len(members) == 1 else UnionType(tuple(members))
