"""Reading what a server sent without trusting its shape. Pure.

Gateways leave fields out, send null for them or rename them. A value of the wrong
type counts as absent; what must be there is demanded where it is needed.
"""

from __future__ import annotations

from lash.base.canonical import parse_json
from lash.base.json import Json, JsonObject
from lash.base.usage import TokenUsage


def object_at(value: Json, key: str) -> JsonObject:
    """The object under `key`; an empty one when there is none."""
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def objects_at(value: Json, key: str) -> list[JsonObject]:
    """The objects of the list under `key`."""
    found = value.get(key) if isinstance(value, dict) else None
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def text_at(value: Json, *keys: str) -> str:
    """The first non-empty text under one of `keys`, else an empty one."""
    if isinstance(value, dict):
        for key in keys:
            found = value.get(key)
            if isinstance(found, str) and found:
                return found
    return ""


def count_at(value: Json, *keys: str) -> int:
    """The first positive whole number under one of `keys`, else 0."""
    if isinstance(value, dict):
        for key in keys:
            found = value.get(key)
            if isinstance(found, int) and not isinstance(found, bool) and found > 0:
                return found
    return 0


def usage_of(usage: JsonObject) -> TokenUsage:
    """Token counts under the names of both dialects and of common gateways.

    These servers count reasoning as output; a `TokenUsage` counts it once, beside the output.
    """
    asked = object_at(usage, "prompt_tokens_details") or object_at(usage, "input_tokens_details")
    said = object_at(usage, "completion_tokens_details") or object_at(usage, "output_tokens_details")
    output = count_at(usage, "completion_tokens", "output_tokens")
    reasoning = min(count_at(said, "reasoning_tokens") or count_at(usage, "reasoning_tokens"), output)
    return TokenUsage(
        input_tokens=count_at(usage, "prompt_tokens", "input_tokens"),
        output_tokens=output - reasoning,
        cached_input_tokens=count_at(asked, "cached_tokens")
        or count_at(usage, "prompt_cache_hit_tokens", "cached_tokens", "cache_read_input_tokens"),
        reasoning_tokens=reasoning,
    )


def arguments_text(text: str) -> str:
    """The arguments of a call as servers accept them back: always the text of a JSON object.

    A model may have written anything; what was no object is shown to it as it was.
    """
    if not text.strip():
        return "{}"
    try:
        is_object = isinstance(parse_json(text), dict)
    except (ValueError, RecursionError):
        is_object = False
    if is_object:
        return text
    import json

    return json.dumps({"invalid_arguments": text})
