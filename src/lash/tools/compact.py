"""JSON Schema as the short type text that models and people read.

`name({ a: str, b?: int = 3 }) -> list[str]`: one line says what a page of schema
says, for prompts, tool search and error messages.
"""

from __future__ import annotations

from lash.base.canonical import canonical_json
from lash.base.json import Json, JsonObject

_NAMES = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "null"}

# A type nested deeper than this is shown as `any`: nobody reads it, and a
# recursive schema would not end.
_DEPTH = 6


def signature_text(name: str, input_schema: JsonObject, output_schema: Json) -> str:
    """`name({ a: str, b?: int = 3 }) -> T`."""
    return f"{name}({type_text(input_schema)}) -> {type_text(output_schema)}"


def type_text(schema: Json, *, root: JsonObject | None = None) -> str:
    """The short text of a schema. References are looked up in `root` (the schema itself by default)."""
    if root is None:
        root = schema if isinstance(schema, dict) else {}
    return _text(schema, root, _DEPTH)


def _text(schema: Json, root: JsonObject, depth: int) -> str:
    if not isinstance(schema, dict) or depth == 0:
        return "any"
    if isinstance(reference := schema.get("$ref"), str):
        return _text(_resolve(reference, root), root, depth - 1)
    if "const" in schema:
        return canonical_json(schema["const"])
    if isinstance(values := schema.get("enum"), list):
        return " | ".join(canonical_json(value) for value in values)
    for keyword in ("anyOf", "oneOf"):
        if isinstance(options := schema.get(keyword), list):
            return " | ".join(dict.fromkeys(_text(option, root, depth - 1) for option in options))
    kind = schema.get("type")
    if isinstance(kind, list):
        return " | ".join(_text({**schema, "type": one}, root, depth) for one in kind)
    match kind:
        case "array":
            return _array(schema, root, depth)
        case "object":
            return _object(schema, root, depth)
        case str():
            return _NAMES.get(kind, "any")
        case _:
            return _object(schema, root, depth) if "properties" in schema else "any"


def _array(schema: JsonObject, root: JsonObject, depth: int) -> str:
    items = schema.get("prefixItems")
    if isinstance(items, list):
        return f"[{', '.join(_text(item, root, depth - 1) for item in items)}]"
    return f"list[{_text(schema.get('items'), root, depth - 1)}]"


def _object(schema: JsonObject, root: JsonObject, depth: int) -> str:
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        values = schema.get("additionalProperties")
        return f"dict[str, {_text(values, root, depth - 1)}]" if isinstance(values, dict) else "dict"
    if not properties:
        return "{}"
    required = schema.get("required")
    fields: list[str] = []
    for name, field in properties.items():
        is_required = isinstance(required, list) and name in required
        text = f"{name}{'' if is_required else '?'}: {_text(field, root, depth - 1)}"
        if isinstance(field, dict) and "default" in field:
            text += f" = {canonical_json(field['default'])}"
        fields.append(text)
    return f"{{ {', '.join(fields)} }}"


def _resolve(reference: str, root: JsonObject) -> Json:
    target: Json = root
    for step in reference.removeprefix("#/").split("/"):
        target = target.get(step) if isinstance(target, dict) else None
    return target
