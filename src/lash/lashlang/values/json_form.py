"""Values from JSON and back (specification §3.9).

In: numbers become doubles, objects with the right markers become images and
resources. Out: integral doubles become integers, non-finite ones null. Both
copy, so neither side can change what the other holds.
"""

from __future__ import annotations

from math import isfinite
from typing import Final

from lash.base.json import Json
from lash.lashlang.errors import RuntimeFailure
from lash.lashlang.values.coercion import exact_to_float
from lash.lashlang.values.kinds import Image, LazyValue, Resource, Value
from lash.lashlang.values.room import ENDLESS, LONG_TEXT, Room
from lash.lashlang.values.text import image_record

_EXACT: Final = 2**53
_PLAIN: Final = 2.0**53
_LEAST: Final = -_PLAIN
_IMAGE_KEYS: Final = frozenset(("type", "id", "label", "size", "width", "height"))


def from_json(data: Json, *, sort_keys: bool = False, depth: int = 0, room: Room | None = None) -> Value:
    """The value that `data` stands for, `depth` levels down in another; in all of it `room` may be spent."""
    return _decode(data, sort_keys, depth, Room(ENDLESS) if room is None else room)


def record_from_json(fields: dict[str, Value]) -> Value:
    """The value of an object whose fields are values already: an image, a resource or a record."""
    if "type" in fields or "__resource__" in fields:
        special = _image(fields) if fields.get("type") == "image" else _resource(fields)  # type: ignore[arg-type]
        if special is not None:
            return special
    return fields


def _decode(data: Json, sort_keys: bool, depth: int, room: Room) -> Value:
    kind = type(data)
    if kind is str or kind is float or data is None or kind is bool:
        return data
    if kind is int:
        return float(data) if -_EXACT <= data <= _EXACT else data  # type: ignore[arg-type,operator]
    if isinstance(data, list | tuple):
        room.enter(len(data), depth)
        return [_decode(item, sort_keys, depth + 1, room) for item in data]
    if isinstance(data, dict):
        room.enter(len(data), depth)
        if "type" in data or "__resource__" in data:
            special = _image(data) if data.get("type") == "image" else _resource(data)
            if special is not None:
                return special
        keys = sorted(data) if sort_keys else data
        return {str(key): _decode(data[key], sort_keys, depth + 1, room) for key in keys}
    if isinstance(data, int | float):
        return exact_to_float(int(data)) if isinstance(data, int) else float(data)
    if isinstance(data, str):
        return str(data)
    raise RuntimeFailure(f"host value of type {kind.__name__} is not JSON")


def _image(data: dict[str, Json]) -> Image | None:
    if not data.keys() >= _IMAGE_KEYS:
        return None
    size, width, height = data["size"], data["width"], data["height"]
    if not (isinstance(data["id"], str) and isinstance(data["label"], str) and _is_count(size)):
        return None
    if not all(item is None or _is_count(item) for item in (width, height)):
        return None
    numbers = [None if item is None else float(item) for item in (size, width, height)]  # type: ignore[arg-type]
    return Image(data["id"], data["label"], numbers[0] or 0.0, numbers[1], numbers[2])


def _is_count(data: Json) -> bool:
    return type(data) in {int, float}


def _resource(data: dict[str, Json]) -> Resource | None:
    type_, alias = data.get("type"), data.get("alias")
    if data.get("__resource__") is True and isinstance(type_, str) and isinstance(alias, str):
        return Resource(type_, alias)
    return None


def to_json(value: Value) -> Json:
    """The JSON that stands for `value`."""
    return _encode(value, 0, Room())


def json_within(value: Value, room: Room, depth: int = 0) -> Json:
    """`to_json` of a value `depth` levels down, as long as `room` lasts."""
    return _encode(value, depth, room)


def _encode(value: Value, depth: int, room: Room) -> Json:
    if type(value) is dict:
        return _record(value, depth, room)
    if type(value) is list:
        return _list(value, depth, room)
    if isinstance(value, float):
        return number_json(value)
    if isinstance(value, str):
        if len(value) > LONG_TEXT:
            room.text(len(value))
        return value
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, Image):
        return _encode(image_record(value), depth, room)
    if isinstance(value, Resource):
        return {"__resource__": True, "type": value.type, "alias": value.alias}
    if isinstance(value, LazyValue):
        return _lazy_record(value)
    raise TypeError(f"not a lashlang value: {value!r}")


# Most parts are short texts and whole numbers. A container is copied as it is, and
# only what reads otherwise is replaced.


def _record(value: dict[str, Value], depth: int, room: Room) -> Json:
    room.enter(len(value), depth)
    made: dict[str, Json] = value.copy()
    for key, item in value.items():
        if isinstance(item, str) and len(item) <= LONG_TEXT:
            continue
        if isinstance(item, float) and _LEAST < item < _PLAIN and item.is_integer():
            made[key] = int(item)
        elif type(item) is dict:
            made[key] = _record(item, depth + 1, room)
        elif type(item) is list:
            made[key] = _list(item, depth + 1, room)
        else:
            made[key] = _encode(item, depth + 1, room)
    return made


def _list(value: list[Value], depth: int, room: Room) -> Json:
    room.enter(len(value), depth)
    made: list[Json] = value.copy()
    for at, item in enumerate(value):
        if isinstance(item, str) and len(item) <= LONG_TEXT:
            continue
        if isinstance(item, float) and _LEAST < item < _PLAIN and item.is_integer():
            made[at] = int(item)
        elif type(item) is dict:
            made[at] = _record(item, depth + 1, room)
        elif type(item) is list:
            made[at] = _list(item, depth + 1, room)
        else:
            made[at] = _encode(item, depth + 1, room)
    return made


def _lazy_record(value: LazyValue) -> Json:
    """How a snapshot keeps a lazy value: `{marker, name, type_name[, projection_ref][, path]}`."""
    record: dict[str, Json] = {
        "__lashlang_snapshot_projected__": True,
        "name": value.name,
        "type_name": value.type_name,
    }
    if value.descriptor is not None:
        record["projection_ref"] = value.descriptor
    if value.path:
        record["path"] = list(value.path)
    return record


def number_json(number: float) -> Json:
    """A number for JSON: integers where integral and exactly representable there."""
    if number.is_integer() and -(2.0**63) <= number < 2.0**64:
        return int(number)
    return number if isfinite(number) else None
