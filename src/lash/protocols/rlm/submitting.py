"""`submit=`: what a turn's value must be, as a JSON Schema or a Python type.

The schema is stored with the turn, so that whoever drives it asks for the same value. The type
itself is the caller's: the submitted value is decoded into it when the turn is back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lash.base.codec import to_json
from lash.base.errors import InvalidArgument, LashError
from lash.base.json import Json, JsonObject
from lash.base.schema import InvalidSchema, compile_schema
from lash.protocols.rlm.options import ProseOrSubmit, RlmTurnOptions, SubmitRequired, Termination
from lash.tools.typecodec import Mismatch, TypeCodec, UnsupportedType, type_codec


class SubmittedValueMismatch(LashError):
    """A submitted value matches the schema of its type and is refused by the type itself."""

    code = "submitted_value_mismatch"


@dataclass(frozen=True, slots=True)
class SubmitShape:
    """What a turn may submit."""

    termination: Termination
    codec: TypeCodec | None = None

    def turn_options(self) -> JsonObject:
        """The options that are stored with the turn."""
        json = to_json(RlmTurnOptions(termination=self.termination))
        assert isinstance(json, dict)
        return json

    def decoded(self, value: Json) -> object:
        """The value as its type. Raises `SubmittedValueMismatch`."""
        if self.codec is None:
            return value
        try:
            return self.codec.decode(value)
        except Mismatch as error:
            raise SubmittedValueMismatch(
                f"the submitted value {value!r:.200} is refused by its type: {error}"
            ) from error


def submit_shape(submit: Any) -> SubmitShape:
    """The shape that `submit=` names: a JSON Schema, a type, or how the turn ends. Raises `InvalidArgument`."""
    if isinstance(submit, SubmitRequired | ProseOrSubmit):
        return SubmitShape(submit)
    if isinstance(submit, dict):
        try:
            compile_schema(submit)
        except InvalidSchema as error:
            raise InvalidArgument(f"submit= is no JSON Schema: {error}") from error
        return SubmitShape(SubmitRequired(submit))
    try:
        codec = type_codec(submit)
    except UnsupportedType as error:
        raise InvalidArgument(f"submit={submit!r} has no JSON form: {error}") from error
    schema: JsonObject = dict(codec.schema)
    if codec.definitions:
        schema["$defs"] = dict(codec.definitions)
    return SubmitShape(SubmitRequired(schema), codec)
