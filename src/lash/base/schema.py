"""JSON Schema checks with messages that name the place.

Draft 2020-12, format assertions off, remote references refused: a schema that
could make the runtime fetch something is not a contract.
"""

from __future__ import annotations

from functools import lru_cache

import jsonschema_rs

from lash.base.canonical import canonical_json, parse_json
from lash.base.errors import InvalidArgument
from lash.base.json import Json


class InvalidSchema(InvalidArgument):
    """A JSON Schema does not compile."""

    code = "invalid_schema"


class Schema:
    """A compiled JSON Schema."""

    __slots__ = ("_validator", "document")

    def __init__(self, document: Json) -> None:
        """Compiles `document`; raises `InvalidSchema`."""
        self.document = document
        try:
            self._validator = jsonschema_rs.validator_for(
                document,  # type: ignore[arg-type]  # any JSON is accepted, non-schemas raise
                validate_formats=False,
                retriever=_refuse_remote,
            )
        except (
            jsonschema_rs.ValidationError,
            jsonschema_rs.ReferencingError,
            ValueError,
            TypeError,
        ) as error:
            raise InvalidSchema(f"the schema does not compile: {_first_line(error)}") from error

    def problems(self, value: Json) -> list[str]:
        """What is wrong with `value`, each as `path: reason`; empty when it is valid."""
        return [f"{_path(error.instance_path)}: {_first_line(error)}" for error in self._validator.iter_errors(value)]


@lru_cache(maxsize=1024)
def _compiled(canonical: str) -> Schema:
    return Schema(parse_json(canonical))


def compile_schema(document: Json) -> Schema:
    """The compiled schema of a document; equal documents share one compilation."""
    return _compiled(canonical_json(document))


def _refuse_remote(uri: str) -> Json:
    raise ValueError(f"remote reference {uri} is not followed; inline the schema it names")


def _path(parts: list[str | int]) -> str:
    text = "$"
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text


def _first_line(error: Exception) -> str:
    message = getattr(error, "message", None) or str(error)
    return str(message).partition("\n")[0]
