"""JSON Schema as the short type text that models and people read.

`name({ a: str, b?: int = 3 }) -> list[str]`: one line says what a page of schema
says, for prompts, tool search and error messages.
"""

from __future__ import annotations

from collections.abc import Sequence

from lash.base.canonical import canonical_json
from lash.base.json import Json, JsonObject

_NAMES = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "null"}

# Deeper than this nobody reads, and a recursive schema would not end.
_DEPTH = 6

# Types shown in one text. Schemas from elsewhere may fan out through references
# without bound; a page of type text helps neither a model nor a person.
_NODES = 200


def signature_text(name: str, input_schema: JsonObject, output_schema: Json) -> str:
    """`name({ a: str, b?: int = 3 }) -> T`."""
    return f"{name}({type_text(input_schema)}) -> {type_text(output_schema)}"


def type_text(schema: Json, *, root: JsonObject | None = None) -> str:
    """The short text of a schema. References are looked up in `root` (the schema itself by default)."""
    if root is None:
        root = schema if isinstance(schema, dict) else {}
    return _Writer(root).text(schema, _DEPTH)


class _Writer:
    """Writes one type; what exceeds its budget is `any`."""

    __slots__ = ("_left", "_root")

    def __init__(self, root: JsonObject) -> None:
        self._root = root
        self._left = _NODES

    def text(self, schema: Json, depth: int) -> str:
        self._left -= 1
        if not isinstance(schema, dict) or depth == 0 or self._left < 0:
            return "any"
        if isinstance(reference := schema.get("$ref"), str):
            return self.text(self._resolve(reference), depth - 1)
        if "const" in schema:
            return canonical_json(schema["const"])
        if isinstance(values := schema.get("enum"), list):
            return " | ".join(canonical_json(value) for value in values[:_NODES]) or "any"
        for keyword in ("anyOf", "oneOf"):
            if isinstance(options := schema.get(keyword), list):
                return self._union(options, depth - 1)
        kind = schema.get("type")
        if isinstance(kind, list):
            return self._union([{**schema, "type": one} for one in kind if isinstance(one, str)], depth)
        match kind:
            case "array":
                return self._array(schema, depth)
            case "object":
                return self._object(schema, depth)
            case str():
                return _NAMES.get(kind, "any")
            case _:
                return self._object(schema, depth) if "properties" in schema else "any"

    def _union(self, options: Sequence[Json], depth: int) -> str:
        return " | ".join(dict.fromkeys(self.text(option, depth) for option in options)) or "any"

    def _array(self, schema: JsonObject, depth: int) -> str:
        items = schema.get("prefixItems")
        if isinstance(items, list):
            return f"[{', '.join(self.text(item, depth - 1) for item in items)}]"
        return f"list[{self.text(schema.get('items'), depth - 1)}]"

    def _object(self, schema: JsonObject, depth: int) -> str:
        properties = schema.get("properties")
        if not isinstance(properties, dict):
            values = schema.get("additionalProperties")
            return f"dict[str, {self.text(values, depth - 1)}]" if isinstance(values, dict) else "dict"
        if not properties:
            return "{}"
        required = schema.get("required")
        fields: list[str] = []
        for name, field in properties.items():
            if self._left <= 0:
                fields.append("…")
                break
            is_required = isinstance(required, list) and name in required
            text = f"{name}{'' if is_required else '?'}: {self.text(field, depth - 1)}"
            if isinstance(field, dict) and "default" in field:
                text += f" = {canonical_json(field['default'])}"
            fields.append(text)
        return f"{{ {', '.join(fields)} }}"

    def _resolve(self, reference: str) -> Json:
        target: Json = self._root
        for step in reference.removeprefix("#/").split("/"):
            target = target.get(step) if isinstance(target, dict) else None
        return target
