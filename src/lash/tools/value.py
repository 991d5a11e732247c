"""Tool values: JSON with attachments in it, and how they are written down.

A tool may return anything that has one obvious JSON form, and stored attachments
anywhere inside. On the wire an attachment is `{"$lash_tool_value": "attachment",
"ref": {…}}`; an object of the user that happens to have that key is escaped as
`{"$lash_tool_value": "object", "entries": {…}}`, so that reading back is exact
(docs/spec/runtime.md §6.2).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import PurePath
from typing import Any, TypeAlias

import msgspec

from lash.base.codec import DecodeError, from_json, to_json
from lash.base.errors import LashError
from lash.base.json import Json, JsonObject
from lash.base.messages import AttachmentRef

MARKER = "$lash_tool_value"

# What reading back gives: plain JSON with AttachmentRef leaves.
ToolValue: TypeAlias = Any


class NotAToolValue(LashError, TypeError):
    """A value has no JSON form; return dicts, lists, dataclasses, models or text."""

    code = "tool_result_invalid"


def encode_tool_value(value: object) -> Json:
    """The wire form of a value. Raises `NotAToolValue` when something in it has none."""
    match value:
        case None | bool() | int() | float() if not isinstance(value, Enum):
            return value
        case str() if not isinstance(value, Enum):
            # A plain copy: subclasses of str may carry more than their text.
            return value if type(value) is str else str.__str__(value)
        case PurePath():
            return str(value)
        case AttachmentRef():
            return {MARKER: "attachment", "ref": to_json(value)}
        case Mapping():
            return _encode_entries((_key(key), item) for key, item in value.items())
        case list() | tuple() | set() | frozenset():
            return [encode_tool_value(item) for item in value]
        case msgspec.Struct():
            return _encode_struct(value)
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return _encode_entries((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
        case _ if hasattr(type(value), "__pydantic_serializer__"):
            # pydantic, recognised by its mark and not imported
            return encode_tool_value(value.model_dump(mode="json"))  # type: ignore[attr-defined]
        case _:
            return _encode_leaf(value)


def decode_tool_value(json: Json) -> ToolValue:
    """The value of a wire form."""
    if isinstance(json, list):
        return [decode_tool_value(item) for item in json]
    if not isinstance(json, dict):
        return json
    part = unmarked(json)
    return part if isinstance(part, AttachmentRef) else {key: decode_tool_value(item) for key, item in part.items()}


def attachments_of(json: Json) -> list[AttachmentRef]:
    """The attachments of a wire form, in order."""
    return list(_attachments(json))


def is_marked(json: Json) -> bool:
    """Whether a wire form says anything in another way than its author did."""
    if isinstance(json, list):
        return any(map(is_marked, json))
    return isinstance(json, dict) and (MARKER in json or any(map(is_marked, json.values())))


def unmarked(json: JsonObject) -> AttachmentRef | JsonObject:
    """One level of a wire object: the attachment, or the entries as their author wrote them.

    A marker that says nothing known is data: it was put there by hand, and a result
    that cannot be shown would be worse.
    """
    match json:
        case {"$lash_tool_value": "attachment", "ref": dict() as ref, **rest} if not rest:
            try:
                return from_json(ref, AttachmentRef)
            except DecodeError:
                return json
        case {"$lash_tool_value": "object", "entries": dict() as entries, **rest} if not rest:
            return entries
        case _:
            return json


def _attachments(json: Json) -> Iterator[AttachmentRef]:
    if isinstance(json, list):
        for item in json:
            yield from _attachments(item)
    elif isinstance(json, dict):
        part = unmarked(json)
        if isinstance(part, AttachmentRef):
            yield part
        else:
            for item in part.values():
                yield from _attachments(item)


def _encode_entries(items: Iterator[tuple[str, object]]) -> JsonObject:
    entries: JsonObject = {key: encode_tool_value(item) for key, item in items}
    return {MARKER: "object", "entries": entries} if MARKER in entries else entries


def _encode_struct(value: msgspec.Struct) -> Json:
    config = value.__struct_config__
    if config.array_like:
        return _encode_leaf(value)
    head: list[tuple[str, object]] = [] if config.tag_field is None else [(config.tag_field, config.tag)]
    fields = ((field.encode_name, getattr(value, field.name)) for field in msgspec.structs.fields(value))
    return _encode_entries(iter([*head, *(pair for pair in fields if pair[1] is not msgspec.UNSET)]))


def _encode_leaf(value: object) -> Json:
    try:
        plain: Json = msgspec.to_builtins(value, str_keys=True)
    except (TypeError, ValueError) as error:
        raise NotAToolValue(
            f"a value of type {type(value).__qualname__} has no JSON form; "
            "return dicts, lists, dataclasses, structs, models or text"
        ) from error
    # What it made may still hold tuples.
    return encode_tool_value(plain) if isinstance(plain, dict | list | tuple) else plain


def _key(key: object) -> str:
    if type(key) is str:
        return key
    plain = _encode_leaf(key)
    if isinstance(plain, str):
        return plain
    if isinstance(plain, int) and not isinstance(plain, bool):
        return str(plain)
    raise NotAToolValue(f"a mapping key of type {type(key).__qualname__} has no JSON form; use text keys")
