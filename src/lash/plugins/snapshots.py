"""What plugins remember: snapshots with revisions.

A stateful plugin has a revision that grows with every change of its state. The session's
commit keeps its snapshot, and so does every recorded effect that changed it: a turn that
goes on after a crash goes on with what its hooks had remembered, without running them
again (docs/spec/runtime.md §7.4).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Protocol, Self, runtime_checkable

import msgspec

from lash.base.canonical import tagged_hash
from lash.base.json import Json
from lash.plugins.errors import PluginError, PluginSnapshotError
from lash.plugins.hooks import PluginSessionContext
from lash.plugins.plugin import Plugin


class PluginSnapshot(msgspec.Struct, frozen=True):
    """The state of one plugin at one revision. `state` is None when it never stored any."""

    version: str = "1"
    revision: int = 0
    state: Json = None


class SessionSnapshot(msgspec.Struct, frozen=True):
    """The plugins of a session, by id. Entries of plugins that are missing today are kept."""

    plugins: dict[str, PluginSnapshot] = {}

    @property
    def fingerprint(self) -> int:
        """A number that changes with any id, version or revision."""
        versions: list[Json] = [[key, kept.version, kept.revision] for key, kept in sorted(self.plugins.items())]
        return int(tagged_hash("lash.plugin.snapshot/v1", versions)[:12], 16)


@runtime_checkable
class Stateful(Protocol):
    """A session plugin whose state is kept. Added in 0.1."""

    def snapshot_revision(self) -> int:
        """Grows with every change of the state."""
        ...

    def snapshot(self) -> Json:
        """The state as JSON."""
        ...

    def restore(self, snapshot: PluginSnapshot) -> None:
        """Takes over a stored state and its revision; an empty snapshot means the initial state."""
        ...


class StatefulPlugin(Plugin):
    """A plugin with a state of its own in each session: JSON, changed by `update` alone.

    ```python
    class Counter(lash.StatefulPlugin):
        id = "counter"
        initial: Json = {"turns": 0}

        @lash.hook.before_turn
        def count(self, context: BeforeTurn) -> None:
            self.update({"turns": self.state["turns"] + 1})
    ```

    Added in 0.1.
    """

    version = "1"
    initial: Json = None

    def __init__(self, plugin_id: str | None = None) -> None:
        super().__init__(plugin_id)
        self.state: Json = copy.deepcopy(self.initial)
        self._revision = 0

    def build(self, context: PluginSessionContext) -> Self:
        """A copy for the session, with the initial state."""
        made = copy.copy(self)
        made.state = copy.deepcopy(self.initial)
        return made

    def update(self, state: Json) -> None:
        """Replaces the state."""
        self.state = state
        self._revision += 1

    def snapshot_revision(self) -> int:
        """How often the state was replaced."""
        return self._revision

    def snapshot(self) -> Json:
        """The state."""
        return self.state

    def restore(self, snapshot: PluginSnapshot) -> None:
        """The stored state, or the initial one."""
        self._revision = snapshot.revision
        self.state = copy.deepcopy(self.initial if snapshot.revision == 0 else snapshot.state)


class PluginStates:
    """The stateful plugins of one session."""

    def __init__(self, plugins: Sequence[tuple[str, Stateful]]) -> None:
        self._plugins = list(plugins)

    def __bool__(self) -> bool:
        return bool(self._plugins)

    def revisions(self) -> dict[str, int]:
        """Where each plugin stands. Raises `PluginSnapshotError`."""
        found: dict[str, int] = {}
        for plugin_id, plugin in self._plugins:
            try:
                found[plugin_id] = plugin.snapshot_revision()
            except Exception as error:
                raise _failed(plugin_id, "has no revision", error) from error
        return found

    def changed(self, since: dict[str, int]) -> dict[str, PluginSnapshot]:
        """Snapshots of the plugins that moved on since. Raises `PluginSnapshotError`."""
        changed: dict[str, PluginSnapshot] = {}
        for plugin_id, plugin in self._plugins:
            try:
                revision = plugin.snapshot_revision()
                if revision != since.get(plugin_id, 0):
                    changed[plugin_id] = PluginSnapshot(
                        getattr(plugin, "version", "1"), revision, copy.deepcopy(plugin.snapshot())
                    )
            except Exception as error:
                raise _failed(plugin_id, "cannot be stored", error) from error
        return changed

    def onto(self, stored: SessionSnapshot) -> SessionSnapshot:
        """The stored snapshot brought up to date; the same object when nothing changed."""
        changed = self.changed({key: kept.revision for key, kept in stored.plugins.items()})
        return SessionSnapshot({**stored.plugins, **changed}) if changed else stored

    def restore(self, stored: SessionSnapshot) -> None:
        """Restores every plugin, one without an entry from an empty snapshot. Raises `PluginSnapshotError`."""
        for plugin_id, plugin in self._plugins:
            self._restore(plugin_id, plugin, stored.plugins.get(plugin_id, PluginSnapshot()))

    def follow(self, recorded: dict[str, PluginSnapshot]) -> None:
        """Takes over what a recorded effect remembers, where it is newer than what is here."""
        for plugin_id, plugin in self._plugins:
            kept = recorded.get(plugin_id)
            if kept is not None and kept.revision > plugin.snapshot_revision():
                self._restore(plugin_id, plugin, kept)

    def _restore(self, plugin_id: str, plugin: Stateful, kept: PluginSnapshot) -> None:
        try:
            plugin.restore(kept)
        except Exception as error:
            raise _failed(plugin_id, f"cannot be restored from revision {kept.revision}", error) from error


def _failed(plugin_id: str, what: str, error: Exception) -> PluginError:
    return PluginSnapshotError(f"plugin {plugin_id!r}: its state {what}: {type(error).__name__}: {error}")
