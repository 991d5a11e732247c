"""Values to JSON and back, by the wire rules of the specs.

A struct becomes an object: optional fields that are `None` are left out,
everything else is written, defaults included. JSON that a user put into a field
is carried as it is, its nulls too (docs/spec/durability.md §0).

Encoding is on the path of every effect, so each struct class gets a function of
its own, written once from its field types: what is plain is copied, what is a
struct is encoded, nothing is looked at twice.
"""

from __future__ import annotations

import threading
import types
from collections.abc import Callable
from enum import Enum
from typing import Any, Final, Literal, TypeVar, Union, get_args, get_origin

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
    json: Json = _encoders[type(value)](value)
    return json


def struct_to_json(value: msgspec.Struct) -> JsonObject:
    """The JSON object of one struct."""
    json = to_json(value)
    assert isinstance(json, dict)
    return json


def from_json(json: Json, shape: type[T]) -> T:
    """Builds a value of `shape`. Raises `DecodeError` with the path of the mismatch. Any thread may call it."""
    if shape not in _learned:
        learn(shape)
        _learned.add(shape)
    try:
        return msgspec.convert(json, shape)
    except msgspec.ValidationError as error:
        raise DecodeError(f"{_name(shape)}: {error}") from error


def learn(shape: object) -> None:
    """Has msgspec look at a shape, and at all that is in it, while no other thread does.

    It looks when a shape is first converted and shows what it has found so far to every thread. Two threads
    that meet a shape for the first time at one moment end the whole process with a segmentation fault.
    """
    with _learning:
        msgspec.json.Decoder(shape)


# Shapes of ours that were looked at to their end.
_learned: set[object] = set()
_learning: Final = threading.RLock()


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


class _Encoders(dict[type, Callable[[Any], Any]]):
    """The encoder of each type, made when the type is first met."""

    def __missing__(self, kind: type) -> Callable[[Any], Any]:
        encoder = self[kind] = _encoder_of(kind)
        return encoder


_encoders = _Encoders()


def _encoder_of(kind: type) -> Callable[[Any], Any]:
    if issubclass(kind, msgspec.Struct):
        return _struct_encoder(kind)
    if issubclass(kind, list | tuple):
        return lambda items: [_encoders[type(item)](item) for item in items]
    if issubclass(kind, dict):
        return lambda items: {key: _encoders[type(item)](item) for key, item in items.items()}
    if issubclass(kind, Enum):
        return lambda member: member.value
    return lambda value: value


def _struct_encoder(kind: type[msgspec.Struct]) -> Callable[[Any], Any]:
    """A function that reads every field of `kind` by name and never looks anything up."""
    config = kind.__struct_config__
    always: list[str] = []
    optional: list[str] = []
    if config.tag_field is not None:
        always.append(f"{config.tag_field!r}: {config.tag!r}")
    for field in msgspec.structs.fields(kind):
        read = f"value.{field.name}"
        if field.default is None:
            optional.append(f"    item = {read}\n    if item is not None:\n")
            optional.append(f"        json[{field.encode_name!r}] = {_expression(field.type, 'item')}\n")
        elif field.default is msgspec.UNSET:  # JSON whose null means something
            optional.append(f"    item = {read}\n    if item is not UNSET:\n")
            optional.append(f"        json[{field.encode_name!r}] = {_expression(field.type, 'item')}\n")
        else:
            always.append(f"{field.encode_name!r}: {_expression(field.type, read)}")
    source = f"def encode(value):\n    json = {{{', '.join(always)}}}\n{''.join(optional)}    return json\n"
    namespace: dict[str, Any] = {"encoders": _encoders, "UNSET": msgspec.UNSET}
    exec(compile(source, f"<encoder of {kind.__name__}>", "exec"), namespace)
    encoder: Callable[[Any], Any] = namespace["encode"]
    return encoder


def _expression(annotation: Any, read: str) -> str:
    item = annotation
    while get_origin(item) is list:
        item = get_args(item)[0]
    if _is_plain(item):
        return read
    return f"encoders[type({read})]({read})"


def _is_plain(annotation: Any) -> bool:
    """Whether values of this type are JSON as they are. `Any` is what `Json` is at run time."""
    if annotation in (str, int, float, bool, type(None), Any):
        return True
    origin = get_origin(annotation)
    if origin is Literal:
        return True
    if origin in (Union, types.UnionType):
        return all(_is_plain(part) for part in get_args(annotation))
    return origin is dict and _is_plain(get_args(annotation)[1])
