"""The tools of one session: sources, authority, overrides and what plugins say, as one catalog.

Asked once a drive. As long as nothing changed the same catalog comes back, so a plain
turn pays for a few comparisons of identity.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from lash.plugins.errors import PluginInvokeError
from lash.plugins.host import PluginSession
from lash.plugins.transforms import CatalogContext, CatalogContribution
from lash.sessions.frames import ToolAccess
from lash.tools.catalog import CatalogEntry, ToolCatalog, ToolKeywords
from lash.tools.definition import Availability
from lash.tools.state import NO_TOOL_STATE, ToolState, overrides, rebind

if TYPE_CHECKING:
    from lash.runtime.memory import SessionMemory


class SessionTools:
    """Puts the catalog of a session together, and knows the tool state that its next commit carries."""

    def __init__(
        self, memory: SessionMemory, plugins: PluginSession, build: Callable[[PluginSession], ToolCatalog]
    ) -> None:
        self._memory = memory
        self._plugins = plugins
        self._build = build
        self._offered: ToolCatalog | None = None
        self._bound_from: ToolState | None = None
        self._state = NO_TOOL_STATE
        self._key: tuple[ToolState, ToolAccess, list[CatalogContribution], dict[str, ToolKeywords]] | None = None
        self._catalog = ToolCatalog()

    @property
    def state(self) -> ToolState:
        """The stored state, bound to today's sources when they were last asked."""
        return self._state if self._bound_from is self._memory.tool_state else self._memory.tool_state

    def catalog(self) -> ToolCatalog:
        """The tools of the next turn. Raises `DuplicateTool`, `UnknownTool`, `PluginInvokeError`."""
        offered, stored = self._build(self._plugins), self._memory.tool_state
        if offered is not self._offered or stored is not self._bound_from:
            self._state = rebind(stored, offered)
            self._offered, self._bound_from, self._key = offered, stored, None
        context = CatalogContext(self._memory.session_id, sorted(offered.callable_names)) if self._is_asked else None
        key = (
            self._state,
            self._memory.assignment.tool_access,
            [] if context is None else self._contributions(context),
            {} if context is None else self._keywords(context),
        )
        if self._key is None or self._key[0] is not key[0] or self._key[1:] != key[1:]:
            self._catalog = _effective(offered, *key)
            self._key = key
        return self._catalog

    @property
    def _is_asked(self) -> bool:
        registered = self._plugins.registrations
        return bool(registered.tool_catalog.items or registered.discovery.items)

    def _keywords(self, context: CatalogContext) -> dict[str, ToolKeywords]:
        found: dict[str, ToolKeywords] = {}
        for hook in self._plugins.registrations.discovery.items:
            try:
                said = hook.value(context)
                found |= {name: _more(found.get(name), keywords) for name, keywords in (said or {}).items()}
            except Exception as error:
                raise PluginInvokeError(f"plugin {hook.plugin_id!r}: hook discovery raised {error!r}") from error
        return found

    def _contributions(self, context: CatalogContext) -> list[CatalogContribution]:
        found: list[CatalogContribution] = []
        for hook in self._plugins.registrations.tool_catalog.items:
            try:
                said = hook.value(context)
            except Exception as error:
                raise PluginInvokeError(f"plugin {hook.plugin_id!r}: hook tool_catalog raised {error!r}") from error
            if said is not None and not isinstance(said, CatalogContribution):
                raise PluginInvokeError(
                    f"plugin {hook.plugin_id!r}: hook tool_catalog returned {type(said).__name__}; "
                    "return CatalogContribution or None"
                )
            found += [said] if said is not None else []
        return found


def _effective(
    offered: ToolCatalog,
    state: ToolState,
    access: ToolAccess,
    contributions: list[CatalogContribution],
    keywords: dict[str, ToolKeywords],
) -> ToolCatalog:
    catalog = offered
    if access.tools or access.hidden_tools:
        catalog = catalog.with_access(access.tools, access.hidden_tools)
    availability = overrides(state)
    for contribution in contributions:
        availability = _restricted(availability, catalog, contribution.availability)
    catalog = catalog.with_availability(availability)
    for contribution in contributions:
        catalog = _noted(catalog, contribution.notes)
    return catalog.with_keywords(keywords)


def _more(known: ToolKeywords | None, said: ToolKeywords) -> ToolKeywords:
    """What two plugins say of one tool: the later namespace, if it gives one, and all the names."""
    if known is None:
        return said
    return ToolKeywords(said.namespace or known.namespace, [*known.aliases, *said.aliases])


def _restricted(
    known: dict[str, Availability], catalog: ToolCatalog, said: Mapping[str, Availability]
) -> dict[str, Availability]:
    """What is off stays off, whoever said it."""
    result = dict(known)
    for entry in catalog.entries:
        tool_id = entry.manifest.id
        wanted = said.get(entry.manifest.name, said.get(tool_id))
        if wanted is not None and result.get(tool_id) != "off":
            result[tool_id] = wanted
    return result


def _noted(catalog: ToolCatalog, notes: Mapping[str, str]) -> ToolCatalog:
    if not notes:
        return catalog
    entries: list[CatalogEntry] = []
    for entry in catalog.entries:
        note = notes.get(entry.manifest.name, notes.get(entry.manifest.id))
        if note:
            description = f"{entry.manifest.description}\n\n{note}".strip()
            manifest = msgspec.structs.replace(entry.manifest, description=description)
            entries.append(replace(entry, manifest=manifest))
        else:
            entries.append(entry)
    return ToolCatalog(entries)
