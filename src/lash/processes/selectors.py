"""Selectors: how an event type says which part of a payload means something.

In JSON: `"payload"`, `{"pointer": "/a/b"}`, `{"const": json}`, `{"present": "/a"}`,
`{"template": {"template": str, "fields": {name: selector}}}`. Pointers are RFC 6901.
"""

from __future__ import annotations

import re
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from lash.base.canonical import canonical_json
from lash.base.json import Json
from lash.processes.errors import PointerMissed

_FIELD: Final = re.compile(r"\{(\w+)\}")
_INDEX: Final = re.compile(r"0|[1-9][0-9]*")


class Template(msgspec.Struct, frozen=True):
    """Text with `{name}` places, each filled from a selector."""

    template: str
    fields: dict[str, Selector]


class Choice(msgspec.Struct, frozen=True):
    """A selector other than the whole payload; exactly one field is set."""

    pointer: str | None = None
    const: Json | UnsetType = UNSET
    template: Template | None = None
    present: str | None = None

    def __post_init__(self) -> None:
        given = (self.pointer is not None, self.const is not UNSET, self.template is not None, self.present is not None)
        if sum(given) != 1:
            raise ValueError("a selector is one of pointer, const, template, present")


Selector: TypeAlias = Literal["payload"] | Choice

PAYLOAD: Final[Selector] = "payload"


def pointer(path: str) -> Selector:
    """The value at a pointer; it must be there."""
    return Choice(pointer=path)


def const(value: Json) -> Selector:
    """Always this value."""
    return Choice(const=value)


def present(path: str) -> Selector:
    """Whether there is a value at a pointer."""
    return Choice(present=path)


def template(text: str, fields: dict[str, Selector]) -> Selector:
    """Text with places for the rendered fields; replaced text is not scanned again."""
    return Choice(template=Template(text, fields))


def select(selector: Selector, payload: Json) -> Json:
    """What a selector finds. Raises `PointerMissed`."""
    if isinstance(selector, str):
        return payload
    if selector.pointer is not None:
        found = _find(payload, selector.pointer)
        if isinstance(found, UnsetType):
            raise PointerMissed(selector.pointer)
        return found
    if selector.present is not None:
        return not isinstance(_find(payload, selector.present), UnsetType)
    if selector.template is not None:
        fields = selector.template.fields
        return _FIELD.sub(
            lambda place: rendered(select(fields[place[1]], payload)) if place[1] in fields else place[0],
            selector.template.template,
        )
    assert not isinstance(selector.const, UnsetType)
    return selector.const


def rendered(value: Json) -> str:
    """A value as text: a string as it is, anything else as compact JSON."""
    return value if isinstance(value, str) else canonical_json(value)


def is_true(value: Json) -> bool:
    """Whether a condition holds: null, false and empty things do not, every number does."""
    if value is None or isinstance(value, bool):
        return bool(value)
    if isinstance(value, str | list | dict):
        return len(value) > 0
    return True


def _find(value: Json, path: str) -> Json | UnsetType:
    if path == "":
        return value
    if not path.startswith("/"):
        return UNSET
    for token in path[1:].split("/"):
        name = token.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            if name not in value:
                return UNSET
            value = value[name]
        elif isinstance(value, list):
            if not _INDEX.fullmatch(name) or int(name) >= len(value):
                return UNSET
            value = value[int(name)]
        else:
            return UNSET
    return value
