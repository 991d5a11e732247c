"""The JSON form of type expressions (specification §2.8)."""

from __future__ import annotations

from typing import Final

from lash.base.json import Json
from lash.lashlang.errors import ArtifactCodecError
from lash.lashlang.syntax.types import (
    EnumType,
    ListType,
    LiteralType,
    ObjectField,
    ObjectType,
    ProcessType,
    RefType,
    Simple,
    TriggerHandleType,
    TypeExpr,
    UnionType,
)

_SIMPLE: Final = {
    "any": "Any",
    "str": "Str",
    "int": "Int",
    "float": "Float",
    "bool": "Bool",
    "dict": "Dict",
    "null": "Null",
}
_BY_TAG: Final = {tag: Simple(name) for name, tag in _SIMPLE.items()}


def type_to_json(type_: TypeExpr) -> Json:
    """`type_` as externally tagged JSON."""
    match type_:
        case Simple(name):
            return _SIMPLE[name]
        case EnumType(values):
            return {"Enum": list(values)}
        case ListType(item):
            return {"List": type_to_json(item)}
        case ObjectType(fields):
            return {
                "Object": [
                    {"name": item.name, "ty": type_to_json(item.type), "optional": item.optional} for item in fields
                ]
            }
        case UnionType(members):
            return {"Union": [type_to_json(member) for member in members]}
        case RefType(name):
            return {"Ref": name}
        case ProcessType(input_type, output, count):
            return {
                "Process": {"input": type_to_json(input_type), "output": type_to_json(output), "input_count": count}
            }
        case TriggerHandleType(event):
            return {"TriggerHandle": type_to_json(event)}
        case LiteralType():
            return "Str"


def type_from_json(data: Json) -> TypeExpr:
    """The type that `data` spells. Raises `ArtifactError`."""
    match data:
        case str() if data in _BY_TAG:
            return _BY_TAG[data]
        case {"Enum": list(values)}:
            return EnumType(tuple(_text(value) for value in values))
        case {"List": item}:
            return ListType(type_from_json(item))
        case {"Object": list(fields)}:
            return ObjectType(tuple(_field(item) for item in fields))
        case {"Union": list(members)}:
            return UnionType(tuple(type_from_json(member) for member in members))
        case {"Ref": str(name)}:
            return RefType(name)
        case {"Process": {"input": input_type, "output": output, "input_count": int(count)}}:
            return ProcessType(type_from_json(input_type), type_from_json(output), count)
        case {"TriggerHandle": event}:
            return TriggerHandleType(type_from_json(event))
        case _:
            raise ArtifactCodecError("failed to encode module artifact: invalid type expression")


def _field(data: Json) -> ObjectField:
    match data:
        case {"name": str(name), "ty": type_, "optional": bool(optional)}:
            return ObjectField(name, type_from_json(type_), optional)
        case _:
            raise ArtifactCodecError("failed to encode module artifact: invalid object field")


def _text(data: Json) -> str:
    if not isinstance(data, str):
        raise ArtifactCodecError("failed to encode module artifact: expected a string")
    return data
