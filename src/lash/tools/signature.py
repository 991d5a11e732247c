"""A function's signature as a tool contract.

The type hints are the schema, the docstring describes it, and the same hints decode
the model's arguments into what the function expects. Everything that could go wrong
goes wrong here, when the module is imported, with the name of the parameter.
"""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

from lash.base.canonical import canonical_json
from lash.base.errors import NotCanonical
from lash.base.json import Json, JsonObject
from lash.base.messages import AttachmentRef
from lash.tools.context import ToolContext
from lash.tools.docstring import Docstring, parse_docstring
from lash.tools.errors import ToolDefinitionError
from lash.tools.result import ToolCallOutput
from lash.tools.typecodec import Mismatch, TypeCodec, UnsupportedType, type_codec

_SUPPORTED = (
    "use JSON's own types, list, dict, tuple, set, Literal, Optional, enums, datetime, Path, "
    "dataclasses, msgspec structs, TypedDicts or pydantic models"
)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument the model gives."""

    name: str
    codec: TypeCodec
    description: str
    is_required: bool
    is_positional: bool
    default: object


@dataclass(frozen=True, slots=True)
class ToolSignature:
    """What a function takes and gives."""

    function: str
    description: str
    parameters: tuple[Parameter, ...]
    wants_context: bool
    context_name: str | None
    output: TypeCodec | None

    def input_schema(self) -> JsonObject:
        """The schema of the argument object."""
        properties: JsonObject = {}
        required: list[Json] = []
        definitions: JsonObject = {}
        for parameter in self.parameters:
            properties[parameter.name] = _property(parameter)
            definitions |= parameter.codec.definitions
            if parameter.is_required:
                required.append(parameter.name)
        schema: JsonObject = {"type": "object", "properties": properties, "required": required}
        schema["additionalProperties"] = False
        if definitions:
            schema["$defs"] = definitions
        return schema

    def output_schema(self) -> JsonObject | None:
        """The schema of the result, if the return type has one."""
        if self.output is None:
            return None
        definitions: JsonObject = dict(self.output.definitions)
        return {**self.output.schema, "$defs": definitions} if definitions else self.output.schema

    def bind(self, args: Mapping[str, Json], context: ToolContext) -> tuple[list[object], dict[str, object]]:
        """Decoded arguments for the call. Raises `Mismatch` with every problem found."""
        positional: list[object] = []
        named: dict[str, object] = {}
        problems: list[str] = []
        if self.wants_context and self.context_name is None:
            positional.append(context)
        elif self.context_name is not None:
            named[self.context_name] = context
        for parameter in self.parameters:
            if parameter.name in args:
                try:
                    value = parameter.codec.decode(args[parameter.name])
                except Mismatch as error:
                    problems += [f"$.{parameter.name}{problem.removeprefix('$')}" for problem in error.problems]
                    continue
            elif parameter.is_positional:
                value = parameter.default
            else:
                continue
            if parameter.is_positional:
                positional.append(value)
            else:
                named[parameter.name] = value
        if problems:
            raise Mismatch(problems)
        return positional, named


def read_signature(function: Callable[..., object], namespace: Mapping[str, object]) -> ToolSignature:
    """Reads a function; names its hints do not find in its module are looked up in `namespace`.

    Raises `ToolDefinitionError`.
    """
    name = str(getattr(function, "__name__", type(function).__name__))
    doc = parse_docstring(function.__doc__)
    hints = _Hints(function, name, namespace)
    parameters: list[Parameter] = []
    wants_context = False
    context_name: str | None = None
    for index, parameter in enumerate(inspect.signature(function).parameters.values()):
        annotation = hints.of_parameter(parameter)
        if _is_context(annotation):
            if index != 0:
                raise ToolDefinitionError(
                    name, "ToolContext must come first", "make it the first parameter", parameter=parameter.name
                )
            wants_context = True
            context_name = parameter.name if parameter.kind is parameter.KEYWORD_ONLY else None
            continue
        parameters.append(_read_parameter(name, parameter, annotation, doc))
    return ToolSignature(
        name, doc.description, tuple(parameters), wants_context, context_name, _read_output(name, hints.of_return())
    )


class _Hints:
    """Resolves annotations one by one, so that the one that fails can be named."""

    __slots__ = ("_function", "_globals", "_locals", "_name", "_raw")

    def __init__(self, function: Callable[..., object], name: str, namespace: Mapping[str, object]) -> None:
        target: Any = inspect.unwrap(function)
        while isinstance(target, functools.partial):
            target = target.func
        target = getattr(target, "__func__", target)
        if not inspect.isfunction(target):
            target = type(target).__call__
        self._function = function
        self._name = name
        self._raw: Mapping[str, Any] = getattr(target, "__annotations__", {})
        self._globals: dict[str, Any] = getattr(target, "__globals__", {})
        self._locals = dict(namespace)

    def of_parameter(self, parameter: inspect.Parameter) -> Any:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            star = "*" if parameter.kind is parameter.VAR_POSITIONAL else "**"
            raise ToolDefinitionError(
                self._name,
                f"{star}{parameter.name} has no schema",
                "name each argument, or take one dict[str, …] parameter",
                parameter=parameter.name,
            )
        if parameter.annotation is parameter.empty:
            is_method = parameter.name in ("self", "cls")
            raise ToolDefinitionError(
                self._name,
                "it has no type hint",
                "make a tool of the bound method: lash.tool(instance.method)"
                if is_method
                else "annotate it: the hint becomes the schema that the model sees",
                parameter=parameter.name,
            )
        return self._resolve(self._raw.get(parameter.name, parameter.annotation), parameter.name)

    def of_return(self) -> Any:
        if "return" not in self._raw:
            return Any
        return self._resolve(self._raw["return"], "return")

    def _resolve(self, annotation: Any, name: str) -> Any:
        holder = types.SimpleNamespace(__annotations__={name: annotation})
        try:
            return typing.get_type_hints(holder, self._globals, self._locals, include_extras=True)[name]
        except (NameError, AttributeError) as error:
            missing = getattr(error, "name", None) or str(error)
            raise ToolDefinitionError(
                self._name,
                f"the type hint names {missing!r}, which is not defined where the function is",
                "import it at run time (not under TYPE_CHECKING), before the function",
                parameter=name,
            ) from error
        except (SyntaxError, TypeError) as error:
            raise ToolDefinitionError(
                self._name, f"the type hint is wrong: {error}", _SUPPORTED, parameter=name
            ) from error


def _read_parameter(function: str, parameter: inspect.Parameter, annotation: Any, doc: Docstring) -> Parameter:
    codec = _codec(function, parameter.name, annotation)
    is_required = parameter.default is parameter.empty
    if not is_required:
        _check_default(function, parameter, codec)
    return Parameter(
        name=parameter.name,
        codec=codec,
        description=_described(annotation) or doc.parameters.get(parameter.name, ""),
        is_required=is_required,
        is_positional=parameter.kind is parameter.POSITIONAL_ONLY,
        default=None if is_required else parameter.default,
    )


def _codec(function: str, name: str, annotation: Any) -> TypeCodec:
    try:
        codec = type_codec(annotation)
        canonical_json([codec.schema, dict(codec.definitions)])
        return codec
    except (UnsupportedType, NotCanonical) as error:
        shown = getattr(annotation, "__qualname__", None) or str(annotation)
        raise ToolDefinitionError(
            function, f"type {shown} has no JSON form ({error})", _SUPPORTED, parameter=name
        ) from error


def _check_default(function: str, parameter: inspect.Parameter, codec: TypeCodec) -> None:
    try:
        canonical_json(codec.encode(parameter.default))
    except Exception as error:
        raise ToolDefinitionError(
            function,
            f"the default {parameter.default!r} has no JSON form",
            "use a JSON default, or Optional with None",
            parameter=parameter.name,
        ) from error


def _read_output(function: str, annotation: Any) -> TypeCodec | None:
    """None where the type says nothing about the JSON: any value, a ready result, attachments."""
    if annotation is Any or annotation is object:
        return None
    if any(part in (ToolCallOutput, AttachmentRef) for part in _flat(annotation)):
        return None
    return _codec(function, "return", annotation)


def _property(parameter: Parameter) -> JsonObject:
    schema = dict(parameter.codec.schema)
    if parameter.description and "description" not in schema:
        schema["description"] = parameter.description
    if not parameter.is_required:
        schema["default"] = parameter.codec.encode(parameter.default)
    return schema


def _described(annotation: Any) -> str:
    if get_origin(annotation) is Annotated:
        for note in get_args(annotation)[1:]:
            text = note if isinstance(note, str) else getattr(note, "description", None)
            if isinstance(text, str):
                return text
    return ""


def _is_context(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, ToolContext)


def _flat(annotation: Any) -> list[Any]:
    found = [annotation]
    for argument in get_args(annotation):
        found += _flat(argument)
    return found
