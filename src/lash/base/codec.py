"""Values to JSON and back, by the wire rules of the specs.

A struct becomes an object: optional fields that are `None` are left out,
everything else is written, defaults included. JSON that a user put into a field
is carried as it is, its nulls too (docs/spec/durability.md §0).
"""

from __future__ import annotations

from enum import Enum
from functools import cache
from typing import Any, TypeVar

import msgspec

from lash.base.canonical import canonical_json, parse_json
from lash.base.errors import LashError
from lash.base.json import Json, JsonObject

T = TypeVar("T")


class DecodeError(LashError):
    """Stored or received JSON does not have the expected shape."""

    code = "decode_error"


def to_json(value: object) -> Json:
    """Plain JSON of a struct, or of a list or dict of structs.

    Anything that is not a struct, list, tuple, dict or enum is passed through;
    the canonical encoder refuses what is not JSON, with its path.
    """
    if isinstance(value, msgspec.Struct):
        return struct_to_json(value)
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    if isinstance(value, dict):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, Enum):
        plain: Json = value.value
        return plain
    return value  # type: ignore[return-value]  # the encoder checks leaves


def struct_to_json(value: msgspec.Struct) -> JsonObject:
    """The JSON object of one struct."""
    tag_field, tag, fields = _plan(type(value))
    result: JsonObject = {} if tag_field is None else {tag_field: tag}
    for name, wire_name, is_optional in fields:
        item = getattr(value, name)
        kind = type(item)
        if kind is str or kind is int or kind is bool:
            result[wire_name] = item
        elif item is None:
            if not is_optional:
                result[wire_name] = None
        else:
            result[wire_name] = to_json(item)
    return result


def from_json(json: Json, shape: type[T]) -> T:
    """Builds a value of `shape`. Raises `DecodeError` with the path of the mismatch."""
    try:
        return msgspec.convert(json, shape)
    except msgspec.ValidationError as error:
        raise DecodeError(f"{_name(shape)}: {error}") from error


def encode(value: object) -> str:
    """Canonical JSON text of a value, as stored."""
    return canonical_json(to_json(value))


def decode(text: str | bytes, shape: type[T]) -> T:
    """The value of stored text. Raises `DecodeError`."""
    try:
        return from_json(parse_json(text), shape)
    except ValueError as error:
        raise DecodeError(f"{_name(shape)}: {error}") from error


def _name(shape: object) -> str:
    return getattr(shape, "__name__", str(shape))


@cache
def _plan(kind: type[msgspec.Struct]) -> tuple[str | None, Any, tuple[tuple[str, str, bool], ...]]:
    config = kind.__struct_config__
    return (
        config.tag_field,
        config.tag,
        tuple((field.name, field.encode_name, field.default is None) for field in msgspec.structs.fields(kind)),
    )
