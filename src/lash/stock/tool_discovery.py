"""Tool discovery: `search_tools` finds tools by what they do (docs/spec/runtime.md §7.5, R-084).

With `conceal` a session may have hundreds of tools while the model is shown a few: the
others may be called as ever, and are shown from the moment they are found. What was found
is remembered with the session, over crashes and restarts.
"""

from __future__ import annotations

from collections.abc import Collection
from fnmatch import fnmatchcase
from typing import Annotated, Final

import msgspec

from lash.base.json import JsonObject
from lash.machine.prompt import PromptContribution, PromptGate
from lash.plugins.hooks import AfterToolCall, PromptContext
from lash.plugins.plugin import hook
from lash.plugins.snapshots import StatefulPlugin
from lash.plugins.transforms import ShownTools
from lash.stock.tool_search import Searchable, search
from lash.tools.catalog import ToolCatalog
from lash.tools.context import ToolContext
from lash.tools.decorator import tool
from lash.tools.definition import CompactContract, ToolDefinition, ToolManifest
from lash.tools.result import ToolRetry

PLUGIN_ID: Final = "tool_discovery"
TOOL: Final = "search_tools"
DEFAULT_LIMIT: Final = 8
MAX_LIMIT: Final = 25

NOTE = (
    "You are shown some of your tools only: {count} more can be found with `search_tools`. "
    "What it finds you may call from then on."
)


class ToolFound(CompactContract, frozen=True):
    """A tool that was found; `in_programs` is its path where programs may call it."""

    in_programs: str | msgspec.UnsetType = msgspec.UNSET


class ToolsFound(msgspec.Struct, frozen=True):
    """What a search found, best first; `total` counts what `limit` cut off as well."""

    tools: list[ToolFound]
    total: int


@tool(name=TOOL, module="tools", operation="search")
async def search_tools(
    ctx: ToolContext, query: str, limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT
) -> ToolsFound:
    """Finds tools by what they do, and says how to call them.

    Args:
        query: What you want to do, in a few words, or a tool's name.
        limit: How many to show at most.
    """
    if not query.strip():
        raise ToolRetry("the query is empty; say in a few words what you want to do")
    known = [] if ctx.catalog is None else searchable(ctx.catalog)
    found = search(known, query)
    has_paths = any(_binding(one.definition.manifest) for one in known)
    return ToolsFound([_found(hit.definition, has_paths) for hit in found[:limit]], len(found))


def _found(definition: ToolDefinition, has_path: bool) -> ToolFound:
    shown = msgspec.structs.asdict(definition.compact)
    return ToolFound(**shown, in_programs=_path(definition.manifest) if has_path else msgspec.UNSET)


def _path(manifest: ToolManifest) -> str:
    binding = _binding(manifest)
    operation = str(binding.get("operation", manifest.name))
    if not operation.isidentifier():
        operation = f'"{operation}"'
    return f"{binding.get('module_path', binding.get('module', 'tools'))}.{operation}"


def _binding(manifest: ToolManifest) -> JsonObject:
    given = manifest.bindings.get("lashlang.tool", manifest.bindings.get("lashlang"))
    return given if isinstance(given, dict) else {}


def searchable(catalog: ToolCatalog) -> list[Searchable]:
    """What may be found in a catalog: everything the model may call but the search itself."""
    keywords = {entry.manifest.id: entry.keywords for entry in catalog.entries}
    return [
        Searchable(definition, keywords[definition.id])
        for definition in catalog.definitions()
        if definition.name != TOOL
    ]


class ToolDiscovery(StatefulPlugin):
    """The tool, and what it found. `conceal` are names of tools that are shown once found; `*` stands for anything.

    Added in 0.1.
    """

    id = PLUGIN_ID

    def __init__(self, *, conceal: Collection[str] = ()) -> None:
        super().__init__()
        self._patterns = tuple(conceal)
        self.tool(search_tools)

    @property
    def found(self) -> list[str]:
        """The tools that were found so far, in order."""
        return [name for name in self.state if isinstance(name, str)] if isinstance(self.state, list) else []

    def _concealed(self, names: Collection[str]) -> list[str]:
        # Nobody finds anything without the search.
        if not self._patterns or TOOL not in names:
            return []
        found = set(self.found)
        return [
            name
            for name in names
            if name != TOOL and name not in found and any(fnmatchcase(name, pattern) for pattern in self._patterns)
        ]

    @hook.conceal
    def conceal_unfound(self, shown: ShownTools) -> list[str]:
        """What the model is not shown yet."""
        return self._concealed(shown.tool_names)

    @hook.prompt
    def note(self, context: PromptContext) -> PromptContribution | None:
        """That there is more than is shown."""
        count = len(self._concealed(context.tool_names))
        return PromptContribution("guidance", NOTE.format(count=count), gate=PromptGate([TOOL])) if count else None

    @hook.after_tool_call
    def remember(self, call: AfterToolCall) -> None:
        """What was found is shown from now on."""
        value = call.output.value
        if call.manifest.name != TOOL or not self._patterns or not isinstance(value, dict):
            return
        hits = value["tools"]
        names = [hit["name"] for hit in hits if isinstance(hit, dict)] if isinstance(hits, list) else []
        new = [name for name in names if isinstance(name, str) and name not in self.found]
        if new:
            self.update([*self.found, *new])
