"""Seeds: variables that a frame begins with (docs/spec/runtime.md §5.6).

A seed is a record of the mode in the session's graph. It fills in variables that are not
set; what a program has made of them since stays. Names that the host has bound are refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lash.base.errors import InvalidArgument
from lash.base.json import Json, JsonObject
from lash.lashlang.syntax.types import is_identifier
from lash.lashlang.values.json_form import from_json
from lash.lashlang.values.kinds import Value

SEED = "rlm_seed"


class InvalidSeed(InvalidArgument):
    """A seed's name is no variable, or is taken by the host."""

    code = "invalid_seed"


def seed_record(variables: Mapping[str, Json], reserved: Iterable[str]) -> JsonObject:
    """The record of a seed. Raises `InvalidSeed`."""
    taken = frozenset(reserved)
    for name in variables:
        if not is_identifier(name):
            raise InvalidSeed(f"seed {name!r} is no variable name; use letters, digits and _")
        if name in taken:
            raise InvalidSeed(f"seed {name!r} is bound by the host; choose another name")
    return {"type": SEED, "globals": dict(variables)}


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
