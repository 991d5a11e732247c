"""Input templates: how an occurrence becomes the arguments of a run.

```python
render({"order": EventInput(), "mode": FixedInput("fast")}, {"id": 7})
# {"order": {"id": 7}, "mode": "fast"}
```
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from lash.base.json import Json, JsonObject
from lash.triggers.errors import InvalidDelivery, InvalidTrigger


class EventInput(msgspec.Struct, frozen=True, tag="event", tag_field="kind"):
    """The parameter gets the occurrence's payload."""


class FixedInput(msgspec.Struct, frozen=True, tag="fixed", tag_field="kind"):
    """The parameter gets the same value at every run."""

    value: Json


InputBinding: TypeAlias = EventInput | FixedInput
InputTemplate: TypeAlias = dict[str, InputBinding]


def template_of(inputs: Mapping[str, Json]) -> InputTemplate:
    """A template from its written form: per parameter `"event"` (or `{"event": null}`) or `{"fixed": value}`."""
    return {name: _binding(name, written) for name, written in inputs.items()}


def _binding(name: str, written: Json) -> InputBinding:
    match written:
        case "event":
            return EventInput()
        case {"event": None, **rest} if not rest:
            return EventInput()
        case {"fixed": value, **rest} if not rest:
            return FixedInput(value)
        case _:
            raise InvalidTrigger(f'input `{name}` must be "event" or {{"fixed": value}}, got {written!r}')


def render(template: Mapping[str, InputBinding], payload: Json) -> JsonObject:
    """The arguments of one run."""
    return {name: payload if isinstance(binding, EventInput) else binding.value for name, binding in template.items()}


def with_arguments(target: JsonObject, arguments: JsonObject) -> JsonObject:
    """The process input that starts: `target` with its arguments filled in.

    A target that takes no arguments starts as it stands. Raises `InvalidDelivery` for one
    that has no place for them.
    """
    if not arguments:
        return target
    kind = target.get("type")
    if kind == "lashlang_process":
        fixed = target.get("args")
        return {**target, "args": {**(fixed if isinstance(fixed, dict) else {}), **arguments}}
    if kind == "tool_call":
        call = target.get("call")
        if isinstance(call, dict):
            given = call.get("args")
            return {**target, "call": {**call, "args": {**(given if isinstance(given, dict) else {}), **arguments}}}
    if kind == "engine":
        payload = target.get("payload")
        if isinstance(payload, dict):
            return {**target, "payload": {**payload, "args": arguments}}
        return {**target, "payload": {"args": arguments}}
    raise InvalidDelivery(f"trigger target must be an engine process, got {kind}")
