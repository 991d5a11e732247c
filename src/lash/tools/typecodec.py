"""A Python type as a JSON Schema and as a decoder.

Three ways, chosen by what the type is made of: `msgspec` for the standard library's
own types, dataclasses, structs and TypedDicts; pydantic's own adapter where a
pydantic class occurs (so pydantic is imported by whoever uses it, never by lash);
and one alternative after another for unions that cannot be told apart by shape.
"""

from __future__ import annotations

import datetime
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass, is_dataclass
from pathlib import PurePath
from typing import Annotated, Any, Literal, Protocol, Union, cast, get_args, get_origin, get_type_hints, is_typeddict

import msgspec

from lash.base.canonical import canonical_json_bytes
from lash.base.codec import learn
from lash.base.json import Json, JsonObject
from lash.tools.value import encode_tool_value

_REF = "#/$defs/{name}"
_TEXT_DATE = Annotated[datetime.datetime, msgspec.Meta(extra_json_schema={"format": "date-time"})]
_DRESSED = {
    object: Any,
    datetime.datetime: _TEXT_DATE,
    datetime.date: Annotated[datetime.date, msgspec.Meta(extra_json_schema={"format": "date"})],
}


class UnsupportedType(TypeError):
    """A type that cannot be described as JSON."""


class Mismatch(ValueError):
    """A JSON value does not decode; each problem is `path: reason`, relative to the value."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class TypeCodec(Protocol):
    """One type."""

    @property
    def schema(self) -> JsonObject:
        """Its JSON Schema; definitions it refers to are in `definitions`."""
        ...

    @property
    def definitions(self) -> dict[str, JsonObject]:
        """Schemas by name, for `$defs` of the document that holds `schema`."""
        ...

    def decode(self, value: Json) -> object:
        """The typed value. Raises `Mismatch`."""
        ...

    def encode(self, value: object) -> Json:
        """Plain JSON of a typed value, for defaults. Raises `TypeError` when it has none."""
        ...


def type_codec(annotation: Any) -> TypeCodec:
    """The codec of a resolved annotation. Raises `UnsupportedType`."""
    if _mentions_pydantic(annotation):
        return _pydantic_codec(annotation)
    dressed = _dress(annotation)
    try:
        return _plain_codec(dressed)
    except UnsupportedType:
        members = _union_members(annotation)
        if not members:
            raise
        return _union_codec(members)


@dataclass(frozen=True, slots=True)
class _PlainCodec:
    kind: Any
    schema: JsonObject
    definitions: dict[str, JsonObject]

    def decode(self, value: Json) -> object:
        try:
            return self._convert(value)
        except msgspec.ValidationError as error:
            # JSON has one kind of number: 3.0 is an integer to JSON Schema, and to models.
            narrowed = _narrow(value)
            if narrowed is value:
                raise _mismatch(error) from error
            try:
                return self._convert(narrowed)
            except msgspec.ValidationError:
                raise _mismatch(error) from error

    def encode(self, value: object) -> Json:
        return encode_tool_value(value)

    def _convert(self, value: Json) -> object:
        return msgspec.convert(value, self.kind, str_keys=True, dec_hook=_decode_special)


def _plain_codec(annotation: Any) -> _PlainCodec:
    try:
        (schema,), definitions = msgspec.json.schema_components(
            [annotation], ref_template=_REF, schema_hook=_schema_of_special
        )
        learn(annotation)
    except (TypeError, ValueError, NameError, RecursionError) as error:
        raise UnsupportedType(_first_line(error)) from error
    # Defaults inside classes may be tuples, enums or dates.
    plain_schema, plain_definitions = encode_tool_value(schema), encode_tool_value(definitions)
    return _PlainCodec(annotation, cast("JsonObject", plain_schema), cast("dict[str, JsonObject]", plain_definitions))


@dataclass(frozen=True, slots=True)
class _UnionCodec:
    members: list[TypeCodec]
    schema: JsonObject
    definitions: dict[str, JsonObject]

    def decode(self, value: Json) -> object:
        problems: list[str] = []
        for member in self.members:
            try:
                return member.decode(value)
            except Mismatch as error:
                problems += error.problems
        raise Mismatch(list(dict.fromkeys(problems)))

    def encode(self, value: object) -> Json:
        return encode_tool_value(value)


def _union_codec(members: list[Any]) -> _UnionCodec:
    codecs = [type_codec(member) for member in members]
    definitions: dict[str, JsonObject] = {}
    for codec in codecs:
        definitions |= codec.definitions
    options: list[Json] = [codec.schema for codec in codecs]
    return _UnionCodec(codecs, {"anyOf": options}, definitions)


@dataclass(frozen=True, slots=True)
class _PydanticCodec:
    adapter: Any
    errors: tuple[type[Exception], ...]
    schema: JsonObject
    definitions: dict[str, JsonObject]

    def decode(self, value: Json) -> object:
        try:
            # From JSON, so that strict models still take dates and enums as text.
            return self.adapter.validate_json(canonical_json_bytes(value))
        except self.errors as error:
            raise Mismatch(
                [
                    f"{_path(problem['loc'])}: {problem['msg']}"
                    for problem in error.errors(include_url=False)  # type: ignore[attr-defined]
                ]
            ) from error

    def encode(self, value: object) -> Json:
        plain: Json = self.adapter.dump_python(value, mode="json")
        return plain


def _pydantic_codec(annotation: Any) -> _PydanticCodec:
    pydantic: Any = sys.modules["pydantic"]
    try:
        adapter = pydantic.TypeAdapter(annotation)
        schema: JsonObject = adapter.json_schema(ref_template="#/$defs/{model}")
    except (pydantic.errors.PydanticUserError, TypeError, NameError) as error:
        raise UnsupportedType(_first_line(error)) from error
    definitions = cast("dict[str, JsonObject]", schema.pop("$defs", {}))
    return _PydanticCodec(adapter, (pydantic.ValidationError,), schema, definitions)


def _dress(annotation: Any) -> Any:
    """The annotation with texts in `Annotated` as descriptions, `object` as any JSON, dates with a format."""
    if get_origin(annotation) is Annotated:
        inner, *notes = get_args(annotation)
        texts = [note for note in notes if isinstance(note, str)]
        metas = [note for note in notes if isinstance(note, msgspec.Meta)]
        if texts:
            metas.append(msgspec.Meta(description=texts[0]))
        dressed = _dress(inner)
        return Annotated[(dressed, *metas)] if metas else dressed
    members = _union_members(annotation)
    if members:
        return Union[tuple(_dress(member) for member in members)]  # noqa: UP007  # known at run time only
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is not None and origin is not Literal and args and not isinstance(annotation, types.UnionType):
        dressed_args = tuple(argument if argument is Ellipsis else _dress(argument) for argument in args)
        if dressed_args != args:
            return origin[dressed_args]
        return annotation
    try:
        return _DRESSED.get(annotation, annotation)
    except TypeError:
        return annotation


def _union_members(annotation: Any) -> list[Any]:
    if get_origin(annotation) in (Union, types.UnionType):
        return list(get_args(annotation))
    return []


def _schema_of_special(kind: type) -> JsonObject:
    if issubclass(kind, PurePath):
        return {"type": "string", "format": "path"}
    raise NotImplementedError


def _decode_special(kind: type, value: Any) -> Any:
    """Types that msgspec does not know; a wrong value is its `ValidationError`."""
    if issubclass(kind, PurePath) and isinstance(value, str):
        return kind(value)
    raise ValueError(f"Expected `{kind.__name__}`, got `{type(value).__name__}`")


def _mentions_pydantic(annotation: Any) -> bool:
    """Whether a pydantic class, or a constraint from `pydantic.Field`, occurs in it."""
    return any(
        hasattr(part, "__pydantic_validator__") or type(part).__module__.startswith("pydantic.")
        for part in _parts(annotation, [])
    )


def _parts(annotation: Any, seen: list[Any]) -> Iterator[Any]:
    """The annotation, its arguments, and the fields of dataclasses and TypedDicts in it."""
    if any(annotation is one for one in seen):
        return
    seen.append(annotation)
    yield annotation
    for argument in (*get_args(annotation), *_field_types(annotation)):
        yield from _parts(argument, seen)


def _field_types(annotation: Any) -> list[Any]:
    if not (is_dataclass(annotation) or is_typeddict(annotation)):
        return []
    try:
        return list(get_type_hints(annotation, include_extras=True).values())
    except (NameError, TypeError):
        # Left to the codec, which reports it with the name of the parameter.
        return []


def _narrow(value: Json) -> Json:
    """The value with integral floats as integers; the same object when there are none."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        items = [_narrow(item) for item in value]
        return value if all(new is old for new, old in zip(items, value, strict=True)) else items
    if isinstance(value, dict):
        entries = {key: _narrow(item) for key, item in value.items()}
        return value if all(entries[key] is item for key, item in value.items()) else entries
    return value


def _mismatch(error: msgspec.ValidationError) -> Mismatch:
    reason, _, path = str(error).partition(" - at `")
    return Mismatch([f"{path.removesuffix('`') or '$'}: {reason}"])


def _path(steps: tuple[str | int, ...]) -> str:
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)


def _first_line(error: BaseException) -> str:
    text = str(error)
    found = [line for line in text.splitlines() if line.startswith("type ")] or text.splitlines()
    return found[0] if found else type(error).__name__
