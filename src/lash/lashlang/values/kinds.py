"""What a value is, in memory.

| kind | Python |
|---|---|
| null, bool, string | `None`, `bool`, `str` |
| number | `float`; an integer from JSON beyond ±2⁵³ stays an exact `int` until arithmetic touches it |
| list, record | plain `list` and `dict` |
| image, resource | `Image`, `Resource` |

Lists and records are never changed once a second reference can see them: the
generated code owns the containers that it changes in place (codegen/ownership.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from lash.base.json import Json

# Equality, text and JSON of values recurse per level; this is far above any data
# a program builds on purpose and far below Python's stack.
DEPTH_LIMIT: Final = 200
TOO_DEEP: Final = f"value is nested too deep (limit {DEPTH_LIMIT})"


@dataclass(frozen=True, slots=True)
class Image:
    """A handle to an attachment; immutable."""

    id: str
    label: str
    size: float | int
    width: float | int | None = None
    height: float | int | None = None


@dataclass(frozen=True, slots=True)
class Resource:
    """A module authority: resource type and alias (the dotted module path)."""

    type: str
    alias: str


class LazyValue:
    """A read-only value that the host answers for, read by read (§3.11).

    `name` is the binding's path, such as `history[0].text`; `descriptor` is the
    host's own key for it, never shown to the program.
    """

    __slots__ = ("descriptor", "name", "path", "type_name")

    def __init__(self, name: str, type_name: str, descriptor: Json, path: tuple[str | int, ...] = ()) -> None:
        self.name = name
        self.type_name = type_name
        self.descriptor = descriptor
        self.path = path


Value: TypeAlias = "bool | float | int | str | list[Value] | dict[str, Value] | Image | Resource | LazyValue | None"

_KINDS: Final[dict[type, str]] = {
    type(None): "null",
    bool: "bool",
    float: "number",
    int: "number",
    str: "string",
    list: "list",
    dict: "record",
    Image: "image",
    Resource: "resource",
}


def kind_name(value: Value) -> str:
    """The name of a value's kind in messages."""
    if isinstance(value, LazyValue):
        return value.type_name
    return _KINDS[type(value)]
