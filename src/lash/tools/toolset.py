"""Decorated functions as a tool provider."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from lash.tools.calls import ToolExecution
from lash.tools.decorator import Tool
from lash.tools.definition import ToolContract, ToolDefinition, ToolManifest
from lash.tools.errors import DuplicateTool, ToolDefinitionError
from lash.tools.provider import ToolProvider
from lash.tools.result import ToolCallOutput


class ToolSet(ToolProvider):
    """A group of tools, optionally under a common prefix. Added in 0.1."""

    __slots__ = ("_by_id", "_definitions", "_tools")

    def __init__(self, tools: Iterable[Tool[..., Any]], *, prefix: str = "") -> None:
        """`prefix` is put before each name with an underscore: `notes` makes `notes_add`.

        Raises `DuplicateTool`, and `ToolDefinitionError` for what is not a tool.
        """
        self._tools: dict[str, Tool[..., Any]] = {}
        self._by_id: dict[str, Tool[..., Any]] = {}
        self._definitions: dict[str, ToolDefinition] = {}
        for tool in tools:
            _check_decorated(tool)
            definition = _prefixed(tool.definition, prefix) if prefix else tool.definition
            if definition.name in self._tools:
                raise DuplicateTool(definition.name, _origin(self._tools[definition.name]), _origin(tool))
            self._tools[definition.name] = tool
            self._by_id[definition.id] = tool
            self._definitions[definition.name] = definition

    def tool_manifests(self) -> Sequence[ToolManifest]:
        """In the order given."""
        return [definition.manifest for definition in self._definitions.values()]

    def resolve_contract(self, name: str) -> ToolContract | None:
        """The contract of one of them."""
        definition = self._definitions.get(name)
        return None if definition is None else definition.contract

    async def needs_approval(self, call: ToolExecution) -> bool:
        """What the tool's own predicate says; a tool that is gone is better approved than not."""
        tool = self._by_id.get(call.call.tool_id)
        return True if tool is None else await tool.needs_approval(call)

    async def cancel_call(self, call: ToolExecution) -> None:
        """What the tool's own `cancel=` does."""
        tool = self._by_id.get(call.call.tool_id)
        if tool is not None:
            await tool.cancel_call(call)

    async def execute(self, call: ToolExecution) -> object:
        """Runs one of them, by its id."""
        tool = self._by_id.get(call.call.tool_id)
        if tool is None:
            return ToolCallOutput.failure(
                "unavailable", "tool_unavailable", f"there is no tool {call.name!r} in this set", source="runtime"
            )
        return await tool.execute(call)

    def __repr__(self) -> str:
        return f"ToolSet({', '.join(self._tools)})"


def _check_decorated(tool: object) -> None:
    if not isinstance(tool, Tool):
        shown = getattr(tool, "__name__", repr(tool))
        raise ToolDefinitionError(shown, "it is not a tool", "decorate it with @lash.tool")


def _prefixed(definition: ToolDefinition, prefix: str) -> ToolDefinition:
    name = f"{prefix}_{definition.name}"
    if len(name) > 64 or not prefix.isidentifier() or not prefix.isascii():
        raise ToolDefinitionError(
            definition.name, f"prefix {prefix!r} makes the name {name!r}", "use a short prefix of letters and digits"
        )
    manifest = msgspec.structs.replace(definition.manifest, id=f"tool:{name}", name=name)
    return ToolDefinition(manifest, definition.contract)


def _origin(tool: Tool[..., Any]) -> str:
    function = tool.__wrapped__
    return f"{getattr(function, '__module__', '?')}.{getattr(function, '__qualname__', tool.name)}"
