"""The tools of one turn: the session's, what context transforms put in their place, and what of them is shown.

The catalog is what may be called; it is settled with the first sync of the turn and
stays. What the model is shown of it may change from one model call to the next: tools
that were found are shown from then on.
"""

from __future__ import annotations

from collections.abc import Sequence

from lash.machine.llm import ToolSpec
from lash.plugins.errors import PluginInvokeError
from lash.plugins.host import PluginSession
from lash.plugins.transforms import ShownTools
from lash.sessions.frames import ToolAccess
from lash.tools.catalog import CatalogEntry, ToolCatalog, ToolSource
from lash.tools.errors import DuplicateTool

# One object for all sessions: environments are compared by identity first.
_NO_SPECS: list[ToolSpec] = []


class TurnTools:
    """One turn's tools, in one drive of it."""

    def __init__(
        self,
        base: ToolCatalog,
        plugins: PluginSession,
        access: ToolAccess,
        *,
        session_id: str,
        turn_id: str,
        offers_tools: bool,
    ) -> None:
        self.catalog = base
        self._base = base
        self._plugins = plugins
        self._access = access
        self._session_id = session_id
        self._turn_id = turn_id
        self._offers_tools = offers_tools
        self._shown: list[ToolSpec] = []

    def choose(self, sources: Sequence[str], *, includes_base: bool) -> None:
        """Settles the catalog as transforms said, live or in a replay.

        A source that an application does not have any more offers nothing. Raises `PluginInvokeError`.
        """
        if not sources and includes_base:
            return
        if not self._offers_tools:
            raise PluginInvokeError(
                "a context transform chose tools, and the mode of this session runs programs over the session's "
                "own; add the tools to the session"
            )
        registered = self._plugins.registrations.turn_sources
        added = [
            CatalogEntry(manifest, ToolSource(source_id, item.value))
            for source_id in sources
            if (item := registered.get(source_id)) is not None
            for manifest in item.value.tool_manifests()
        ]
        try:
            self.catalog = ToolCatalog(
                [*(self._base.entries if includes_base else ()), *(entry for entry in added if self._may_have(entry))]
            )
        except DuplicateTool as error:
            raise PluginInvokeError(f"a context transform chose tools that clash: {error.message}") from error

    def specs(self) -> list[ToolSpec]:
        """What the next model call is shown; the same object while it stays the same. Raises `PluginInvokeError`."""
        if not self._offers_tools:
            return _NO_SPECS
        specs = self.catalog.specs()
        if not self._plugins.registrations.conceal.items:
            return specs
        shown_now = ShownTools(self._session_id, self._turn_id, [spec.name for spec in specs])
        concealed = concealed_by(self._plugins, shown_now)
        if not concealed:
            return specs
        shown = [spec for spec in specs if spec.name not in concealed]
        if shown != self._shown:
            self._shown = shown
        return self._shown

    def _may_have(self, entry: CatalogEntry) -> bool:
        names = {entry.manifest.name, entry.manifest.id}
        if self._access.tools and names.isdisjoint(self._access.tools):
            return False
        return names.isdisjoint(self._access.hidden_tools)


def concealed_by(plugins: PluginSession, shown: ShownTools) -> frozenset[str]:
    """The tools that plugins do not show yet. Raises `PluginInvokeError`."""
    concealed: set[str] = set()
    for hook in plugins.registrations.conceal.items:
        try:
            concealed.update(hook.value(shown))
        except Exception as error:
            raise PluginInvokeError(f"plugin {hook.plugin_id!r}: hook conceal raised {error!r}") from error
    return frozenset(concealed)
