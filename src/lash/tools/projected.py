"""References to projected values in the arguments of tools (docs/spec/runtime.md §5.6).

A tool that says `preserve_projected_refs_in_field` gets, at the roots of that field, a record
`{"__projection_ref__": {"kind", "key"[, "path"]}}` for what a program never read. The roots are
the field itself, or what is directly in it if it is a list or a record. `path` leads from what
the host projects to the part that the program named, such as `docs.pages[1]`.
"""

from __future__ import annotations

from typing import Final, Protocol

import msgspec

from lash.base.codec import DecodeError, from_json
from lash.base.errors import LashError
from lash.base.json import Json, JsonObject

TAG: Final = "__projection_ref__"


class NoProjectedValues(LashError):
    """The tool was given a reference where nobody projects values: outside a turn of a mode that does."""

    code = "projected_values_unavailable"


class ProjectedPlace(msgspec.Struct, frozen=True):
    """What a reference names: a projection, and the way to a part of it."""

    kind: str
    key: str
    path: tuple[str | int, ...] = ()

    def as_json(self) -> JsonObject:
        """The record that a tool gets."""
        place: JsonObject = {"kind": self.kind, "key": self.key}
        if self.path:
            place["path"] = list(self.path)
        return {TAG: place}


class ProjectedValues(Protocol):
    """Who fetches what a program could have read."""

    async def value_at(self, place: ProjectedPlace) -> Json:
        """The value. Raises a `LashError` for what is not projected here."""
        ...


def place_of(value: Json) -> ProjectedPlace | None:
    """What a reference names; None for any other value."""
    if not isinstance(value, dict) or value.keys() != {TAG}:
        return None
    try:
        return from_json(value[TAG], ProjectedPlace)
    except DecodeError:
        return None


async def resolved(value: Json, values: ProjectedValues | None, tool_name: str) -> Json:
    """`value` with what the references at its roots stand for, in order. Raises `NoProjectedValues`."""

    async def of(item: Json) -> Json:
        place = place_of(item)
        if place is None:
            return item
        if values is None:
            raise NoProjectedValues(
                f"tool {tool_name} was given a reference to {place.kind}:{place.key} and nothing is projected here; "
                "call it from a program of lash.RlmCore(projected=…)"
            )
        return await values.value_at(place)

    if place_of(value) is not None:
        return await of(value)
    if isinstance(value, dict):
        return {key: await of(item) for key, item in value.items()}
    if isinstance(value, list):
        return [await of(item) for item in value]
    return value
