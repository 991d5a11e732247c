"""The tools of one session at one moment: sources merged, authority applied.

Building is pure. A name that two sources offer is refused, naming both, because the
model could not tell them apart. Authority works on ids and names: hidden tools are
not there at all, and a non-empty replacement set is all there is
(docs/spec/runtime.md §6.7).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

import msgspec

from lash.machine.llm import ToolSpec
from lash.tools.definition import Availability, ToolContract, ToolDefinition, ToolManifest
from lash.tools.errors import DuplicateTool, UnknownTool
from lash.tools.provider import ToolProvider


class ToolSource(msgspec.Struct, frozen=True):
    """A provider and the name it goes by in errors and stored state."""

    id: str
    provider: ToolProvider


class ToolKeywords(msgspec.Struct, frozen=True):
    """What else a tool may be found under. Added in 0.1."""

    namespace: str = ""
    aliases: list[str] = []


NO_KEYWORDS = ToolKeywords()


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """One tool: its manifest as this session sees it, where it comes from, and what it is found under."""

    manifest: ToolManifest
    source: ToolSource
    keywords: ToolKeywords = NO_KEYWORDS

    def contract(self) -> ToolContract | None:
        """What the source says of its input and output now."""
        return self.source.provider.resolve_contract(self.manifest.name)


class ToolCatalog:
    """Immutable. Entries keep the order of their sources."""

    __slots__ = ("__weakref__", "_by_id", "_by_name", "_specs")

    def __init__(self, entries: Iterable[CatalogEntry] = ()) -> None:
        """Raises `DuplicateTool`."""
        self._by_name: dict[str, CatalogEntry] = {}
        self._by_id: dict[str, CatalogEntry] = {}
        self._specs: list[ToolSpec] | None = None
        for entry in entries:
            name, tool_id = entry.manifest.name, entry.manifest.id
            for what, index in ((name, self._by_name), (tool_id, self._by_id)):
                if what in index:
                    raise DuplicateTool(what, index[what].source.id, entry.source.id)
            self._by_name[name] = entry
            self._by_id[tool_id] = entry

    @property
    def entries(self) -> list[CatalogEntry]:
        """Everything, callable or not."""
        return list(self._by_name.values())

    @property
    def callable_entries(self) -> list[CatalogEntry]:
        """What the model may call."""
        return [entry for entry in self._by_name.values() if entry.manifest.is_callable]

    @property
    def callable_names(self) -> frozenset[str]:
        """Names the model may call: what prompt gates ask for."""
        return frozenset(entry.manifest.name for entry in self.callable_entries)

    def resolve(self, name: str) -> CatalogEntry | None:
        """The callable tool of that name."""
        entry = self._by_name.get(name)
        return entry if entry is not None and entry.manifest.is_callable else None

    def resolve_id(self, tool_id: str) -> CatalogEntry | None:
        """The callable tool of that id."""
        entry = self._by_id.get(tool_id)
        return entry if entry is not None and entry.manifest.is_callable else None

    def definitions(self) -> list[ToolDefinition]:
        """Callable tools whose contract resolves and that are not internal."""
        found: list[ToolDefinition] = []
        for entry in self.callable_entries:
            contract = entry.contract() if entry.manifest.activation == "always" else None
            if contract is not None:
                found.append(ToolDefinition(entry.manifest, contract))
        return found

    def specs(self) -> list[ToolSpec]:
        """What a model request carries."""
        if self._specs is None:
            self._specs = [definition.to_spec() for definition in self.definitions()]
        return self._specs

    def with_access(self, tools: Collection[str] = (), hidden_tools: Collection[str] = ()) -> ToolCatalog:
        """The catalog under an authority; both lists hold names or ids.

        Raises `UnknownTool` when a replacement set names something that no source offers:
        a child session must not silently get less than it was given.
        """
        known = self._by_name.keys() | self._by_id.keys()
        if missing := sorted(set(tools) - known):
            raise UnknownTool(missing, sorted(self._by_name))
        return ToolCatalog(
            entry
            for entry in self._by_name.values()
            if (not tools or _is_named(entry, tools)) and not _is_named(entry, hidden_tools)
        )

    def with_availability(self, overrides: Mapping[str, Availability]) -> ToolCatalog:
        """The catalog with the session's overrides, by name or id; unknown names change nothing."""
        if not overrides:
            return self
        return ToolCatalog(
            entry if wanted is None else replace(entry, manifest=_overridden(entry.manifest, wanted))
            for entry in self._by_name.values()
            for wanted in (overrides.get(entry.manifest.name, overrides.get(entry.manifest.id)),)
        )

    def with_keywords(self, keywords: Mapping[str, ToolKeywords]) -> ToolCatalog:
        """The catalog with what tools are found under, by name or id; unknown names change nothing."""
        if not keywords:
            return self
        return ToolCatalog(
            replace(entry, keywords=keywords.get(entry.manifest.name, keywords.get(entry.manifest.id, entry.keywords)))
            for entry in self._by_name.values()
        )


class CatalogCache:
    """Builds catalogs and keeps the last one of each set of sources while their tools stay the same.

    Sources are still asked for their manifests and contracts every time: what they offer may change.
    """

    # A core has one set of sources per shape of session.
    CAPACITY = 32

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[int, ...], tuple[list[ToolSource], list[object], ToolCatalog]] = OrderedDict()
        self.hits = 0

    def build(self, sources: list[ToolSource]) -> ToolCatalog:
        """The catalog of these sources as they are now. Raises `DuplicateTool`."""
        providers = [source.provider for source in sources]
        key = tuple(map(id, providers))
        offered: list[object] = []
        for provider in providers:
            for manifest in provider.tool_manifests():
                offered += (manifest, provider.resolve_contract(manifest.name))
        known = self._known.get(key)
        if known is not None and known[1] == offered:
            self.hits += 1
            return known[2]
        catalog = build_catalog(sources)
        self._known[key] = (sources, offered, catalog)
        if len(self._known) > self.CAPACITY:
            self._known.popitem(last=False)
        return catalog


def build_catalog(sources: Iterable[ToolSource]) -> ToolCatalog:
    """The tools of all sources, in order. Raises `DuplicateTool` naming both sources."""
    return ToolCatalog(
        CatalogEntry(manifest, source) for source in sources for manifest in source.provider.tool_manifests()
    )


def _is_named(entry: CatalogEntry, names: Collection[str]) -> bool:
    return entry.manifest.name in names or entry.manifest.id in names


def _overridden(manifest: ToolManifest, wanted: Availability) -> ToolManifest:
    return msgspec.structs.replace(manifest, availability_override=wanted)
