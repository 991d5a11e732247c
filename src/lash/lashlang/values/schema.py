"""Type values and `validate`: types as JSON Schema, checked structurally (§5.2, §5.3)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lash.lashlang.errors import RuntimeFailure
from lash.lashlang.syntax.types import (
    EnumType,
    ListType,
    LiteralType,
    ObjectType,
    ProcessType,
    RefType,
    Simple,
    TriggerHandleType,
    TypeExpr,
    UnionType,
)
from lash.lashlang.values.kinds import Image, Value
from lash.lashlang.values.room import Room
from lash.lashlang.values.text import display

_NAMES: Final = {"str": "string", "int": "integer", "float": "number", "bool": "boolean", "null": "null"}
TYPE_KEY: Final = "$lash_type"
Schema = dict[str, Value]


def schema_of(type_: TypeExpr, named: dict[str, Schema]) -> Schema:
    """The schema of a type literal; references come from `named`."""
    match type_:
        case Simple("any") | ProcessType() | TriggerHandleType():
            return {}
        case Simple("dict"):
            return {"type": "object"}
        case Simple(name):
            return {"type": _NAMES[name]}
        case EnumType(values):
            return {"type": "string", "enum": list(values)}
        case ListType(item):
            return {"type": "array", "items": schema_of(item, named)}
        case UnionType(members):
            return {"anyOf": [schema_of(member, named) for member in members]}
        case LiteralType():
            return {"type": "string"}
        case RefType(name):
            return named.get(name, {})
        case ObjectType(fields):
            return {
                "type": "object",
                "properties": {item.name: schema_of(item.type, named) for item in fields},
                "required": [item.name for item in fields if not item.optional],
                "additionalProperties": False,
            }


def signal_schema(type_: TypeExpr) -> Schema:
    """The looser schema of a process's signal payload."""
    match type_:
        case EnumType(values):
            return {"enum": list(values)}
        case ListType(item):
            return {"type": "array", "items": signal_schema(item)}
        case UnionType(members):
            return {"anyOf": [signal_schema(member) for member in members]}
        case ObjectType(fields):
            required: list[Value] = [item.name for item in fields if not item.optional]
            schema: Schema = {
                "type": "object",
                "properties": {item.name: signal_schema(item.type) for item in fields},
                "additionalProperties": True,
            }
            return schema | {"required": required} if required else schema
        case Simple(name) if name in _NAMES:
            return {"type": _NAMES[name]}
        case _:
            return {}


def type_value_schema(value: Value, name: str) -> Schema:
    """The schema inside the type value that the variable `name` holds."""
    if type(value) is dict and type(schema := value.get(TYPE_KEY)) is dict:
        return schema
    raise RuntimeFailure(f"`{name}` is not a Type value (missing `$lash_type`)")


def validate(value: Value, type_value: Value) -> Value:
    """`value` untouched, or the first way in which it does not fit."""
    return valid(value, find_problem(value, validated_schema(type_value), "$", 0))


def validated_schema(type_value: Value) -> Schema:
    """The schema in the second argument of `validate`."""
    schema = type_value.get(TYPE_KEY) if type(type_value) is dict else None
    if type(schema) is not dict:
        raise RuntimeFailure("`validate` requires a Type literal as the second argument")
    return schema


def valid(value: Value, problem: str | None) -> Value:
    """`value`, unless there is a problem."""
    if problem is not None:
        raise RuntimeFailure(f"validation failed: {problem}")
    return value


def find_problem(value: Value, schema: Value, path: str, depth: int, room: Room | None = None) -> str | None:
    """`PATH: what is wrong`, or None."""
    room = Room() if room is None else room
    room.enter(1, depth)
    if type(schema) is not dict:
        return None
    arms = schema.get("anyOf")
    if type(arms) is list:
        if any(find_problem(value, arm, path, depth + 1, room) is None for arm in arms):
            return None
        return union_problem(value, arms, path)
    allowed = schema.get("enum")
    if type(allowed) is list:
        if type(value) is str and value in allowed:
            return None
        got = value if type(value) is str else schema_kind(value)
        return f"{path}: expected one of [{', '.join(map(display, allowed))}], got {got}"
    if (problem := shape_problem(value, schema, path)) is not None:
        return problem
    for part, inner, place in parts_of(value, schema, path):
        if (problem := find_problem(part, inner, place, depth + 1, room)) is not None:
            return problem
    return None


def union_problem(value: Value, arms: list[Value], path: str) -> str:
    """What to say of a value that fits no arm."""
    return f"{path}: expected one of [{', '.join(map(_describe, arms))}], got {schema_kind(value)}"


def shape_problem(value: Value, schema: Schema, path: str) -> str | None:
    """What is wrong with a value itself: its kind, or a field that is missing."""
    expected = schema.get("type")
    if type(expected) is str and not _is_kind(value, expected):
        return f"{path}: expected {expected}, got {schema_kind(value)}"
    required = schema.get("required")
    if expected == "object" and type(value) is dict and type(required) is list:
        for name in required:
            if type(name) is str and name not in value:
                return f"{path}: missing required field `{name}`"
    return None


def parts_of(value: Value, schema: Schema, path: str) -> Iterator[tuple[Value, Value, str]]:
    """The items or fields to check, each with its schema and path."""
    expected = schema.get("type")
    if expected == "array" and type(value) is list and "items" in schema:
        items = schema["items"]
        for at, item in enumerate(value):
            yield item, items, f"{path}[{at}]"
    elif expected == "object" and type(value) is dict and type(properties := schema.get("properties")) is dict:
        for name, inner in properties.items():
            if name in value:
                yield value[name], inner, f"{path}.{name}"


def schema_kind(value: Value) -> str:
    """A value's kind in the words of JSON Schema."""
    if value is None:
        return "null"
    kinds: dict[type, str] = {
        bool: "boolean",
        float: "number",
        int: "number",
        str: "string",
        list: "array",
        Image: "image",
    }
    return kinds.get(type(value), "object")


def _is_kind(value: Value, expected: str) -> bool:
    if expected == "integer":
        return type(value) is int or (type(value) is float and value.is_integer())
    return schema_kind(value) == expected


def _describe(schema: Value) -> str:
    if type(schema) is not dict:
        return "any"
    if type(allowed := schema.get("enum")) is list:
        return f"enum[{', '.join(map(display, allowed))}]"
    if "anyOf" in schema:
        return "union"
    kind = schema.get("type")
    return kind if type(kind) is str else "any"
