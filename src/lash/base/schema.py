"""JSON Schema checks with messages that name the place.

Draft 2020-12, format assertions off, remote references refused: a schema that
could make the runtime fetch something is not a contract.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import islice
from typing import Final

import jsonschema_rs

from lash.base.canonical import canonical_json, parse_json
from lash.base.errors import InvalidArgument
from lash.base.json import Json

# Enough to mend a call by; the rest shows up once these are mended.
MAX_PROBLEMS: Final = 20

# The checker quotes the offending value whole, a mebibyte of it as well.
_MAX_REASON_CHARS: Final = 400


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
        """What is wrong with `value`, each as `path: reason`; empty when it is valid.

        Bounded, whatever the size of `value`: a model reads these lines.
        """
        try:
            if self._validator.is_valid(value):  # a third of the price, and most are
                return []
            errors = list(islice(self._validator.iter_errors(value), MAX_PROBLEMS))
        except ValueError as error:  # not JSON at all, or nested too deeply for the checker
            return [f"$: the value cannot be checked: {_first_line(error)}"]
        return [f"{_path(error.instance_path)}: {_first_line(error)}" for error in errors]


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
    line = str(getattr(error, "message", None) or error).partition("\n")[0]
    if len(line) <= _MAX_REASON_CHARS:
        return line
    half = _MAX_REASON_CHARS // 2
    return f"{line[:half]} … {line[-half:]}"  # what was expected stands at the end
