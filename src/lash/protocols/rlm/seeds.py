"""Seeds: variables that a frame begins with (docs/spec/runtime.md §5.6).

A seed is a record of the mode in the session's graph. It fills in variables that are not
set; what a program has made of them since stays. Names that the host has bound are refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lash.base.errors import InvalidArgument
from lash.base.json import Json, JsonObject
from lash.lashlang.errors import LanguageError
from lash.lashlang.syntax.lexer import RESERVED
from lash.lashlang.syntax.types import is_identifier
from lash.lashlang.values.json_form import from_json, to_json
from lash.lashlang.values.kinds import Value

SEED = "rlm_seed"


class InvalidSeed(InvalidArgument):
    """A seed's name is no variable, or is taken by the host, or its value is none that variables can hold."""

    code = "invalid_seed"


def seed_record(variables: Mapping[str, Json], reserved: Iterable[str]) -> JsonObject:
    """The record of a seed. Raises `InvalidSeed`."""
    taken = frozenset(reserved)
    for name, value in variables.items():
        if not is_variable_name(name):
            raise InvalidSeed(
                f"seed {name!r} is no variable name; use letters, digits and _, and no word of the language"
            )
        if name in taken:
            raise InvalidSeed(f"seed {name!r} is bound by the host; choose another name")
        try:
            to_json(from_json(value))
        except LanguageError as error:
            raise InvalidSeed(f"seed {name!r} cannot be a variable: {error}") from error
    return {"type": SEED, "globals": dict(variables)}


def is_variable_name(name: str) -> bool:
    """Whether programs can read a variable of this name."""
    return is_identifier(name) and name not in RESERVED


def planted(committed: Mapping[str, Value], records: Iterable[Json], reserved: frozenset[str]) -> dict[str, Value]:
    """The variables with whatever seeds fill in."""
    variables = dict(committed)
    for record in records:
        if not isinstance(record, dict) or record.get("type") != SEED:
            continue
        seeded = record.get("globals")
        for name, value in seeded.items() if isinstance(seeded, dict) else ():
            if name not in variables and name not in reserved:
                variables[name] = from_json(value)
    return variables
