"""Projections: host values that programs read by name and cannot change (docs/spec/runtime.md §5.6).

A value may be given as it is, or as a reference that is resolved when a program reads it. What
a reference stands for is fetched once per cell, and only by cells that read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from lash.base.errors import LashError
from lash.base.json import Json


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
