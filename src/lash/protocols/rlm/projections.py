"""Projections: host values that programs read by name and cannot change (docs/spec/runtime.md §5.6).

A value may be given as it is, or as a reference that is resolved when a program reads it. What
a reference stands for is fetched once per cell, and only by cells that read it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from lash.base.errors import LashError
from lash.base.json import Json
from lash.tools.projected import ProjectedPlace


class ProjectionUnresolved(LashError):
    """Nobody knows what a reference stands for; the program reads the message."""

    code = "projection_unresolved"


class ProjectionRef(msgspec.Struct, frozen=True):
    """A value by reference. Added in 0.1.

    What `is_immutable` is read again by every drive; anything else is recorded when it is first
    read, so that a replay reads the same.
    """

    kind: str
    key: str
    is_immutable: bool = True


class ProjectionResolver(Protocol):
    """Who fetches what references stand for."""

    async def resolve(self, ref: ProjectionRef) -> Json:
        """The value. Raises `ProjectionUnresolved`."""
        ...


class ProjectionRegistry:
    """Values in memory, by kind and key."""

    def __init__(self, values: Mapping[tuple[str, str], Json] | None = None) -> None:
        self._values = dict(values or {})

    def add(self, kind: str, key: str, value: Json) -> ProjectionRef:
        """Adds a value and gives its reference."""
        self._values[kind, key] = value
        return ProjectionRef(kind, key)

    async def resolve(self, ref: ProjectionRef) -> Json:
        """The value. Raises `ProjectionUnresolved`."""
        if (ref.kind, ref.key) not in self._values:
            raise ProjectionUnresolved(f"projection {ref.kind}:{ref.key} is not known; add it to the registry")
        return self._values[ref.kind, ref.key]


class ProjectedRefs:
    """The references that a host has bound, by name: what programs read, and what tools get of them unread."""

    def __init__(self, refs: Mapping[str, ProjectionRef], resolver: ProjectionResolver) -> None:
        self.by_name = dict(refs)
        self._resolver = resolver
        self._by_place = {(ref.kind, ref.key): ref for ref in refs.values()}

    def reference(self, name: str, path: Sequence[str | int]) -> Json:
        """The record that stands for a part of what `name` is bound to; None if it is bound to no reference."""
        ref = self.by_name.get(name)
        return None if ref is None else ProjectedPlace(ref.kind, ref.key, tuple(path)).as_json()

    async def resolve(self, ref: ProjectionRef) -> Json:
        """The whole value. Raises `ProjectionUnresolved`."""
        return await self._resolver.resolve(ref)

    async def value_at(self, place: ProjectedPlace) -> Json:
        """What a tool was given a reference to. Raises `ProjectionUnresolved`.

        Programs can write such records themselves, so nothing is resolved that they could not have read.
        """
        ref = self._by_place.get((place.kind, place.key))
        if ref is None:
            raise ProjectionUnresolved(f"{place.kind}:{place.key} is not projected here; call the tool with a value")
        return part_of(await self._resolver.resolve(ref), place.path)


def part_of(value: Json, path: Sequence[str | int]) -> Json:
    """What a path of fields and items leads to; None where it leads nowhere."""
    for step in path:
        if isinstance(value, dict) and isinstance(step, str):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and -len(value) <= step < len(value):
            value = value[step]
        else:
            return None
    return value
