"""What plugins remember: snapshots with revisions.

A stateful plugin has a revision that grows with every change of its state. The session's
commit keeps its snapshot, and so does every recorded effect that changed it: a turn that
goes on after a crash goes on with what its hooks had remembered, without running them
again (docs/spec/runtime.md §7.4).
"""

from __future__ import annotations

import base64
import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self, runtime_checkable

import msgspec

from lash.base.canonical import canonical_json_bytes, sha256_hex, tagged_hash
from lash.base.codec import decode, encode
from lash.base.ids import is_name
from lash.base.json import Json
from lash.plugins.errors import PluginError, PluginSnapshotError
from lash.plugins.hooks import PluginSessionContext
from lash.plugins.plugin import Plugin


class PluginArtifact(msgspec.Struct, frozen=True):
    """Bytes that belong to the state of a plugin, by name."""

    name: str
    data: bytes


class PluginSnapshot(msgspec.Struct, frozen=True):
    """The state of one plugin at one revision. `state` is None when it never stored any."""

    version: str = "1"
    revision: int = 0
    state: Json = None
    artifacts: list[PluginArtifact] = []


class KeptArtifact(msgspec.Struct, frozen=True):
    """An artifact as it is stored: its bytes are elsewhere under their hash, or here in base64."""

    name: str
    ref: str
    data: str | None = None


class KeptPlugin(msgspec.Struct, frozen=True):
    """A snapshot as it is stored."""

    version: str = "1"
    revision: int = 0
    state: Json = None
    artifacts: list[KeptArtifact] | None = None


class _Stored(msgspec.Struct, frozen=True):
    plugins: dict[str, KeptPlugin] = {}


@dataclass(frozen=True, slots=True)
class SessionSnapshot:
    """The plugins of a session, by id. Entries of plugins that are missing today are kept.

    `data` are the bytes of their artifacts, by hash.
    """

    plugins: Mapping[str, KeptPlugin] = field(default_factory=dict)
    data: Mapping[str, bytes] = field(default_factory=dict)

    @staticmethod
    def decoded(body: bytes, data: Mapping[str, bytes]) -> SessionSnapshot:
        """The inverse of `encoded`, with the bytes that are stored beside it."""
        return SessionSnapshot(decode(body, _Stored).plugins, data)

    def encoded(self) -> bytes:
        """What is stored of it; the bytes of artifacts are stored beside it."""
        return encode(_Stored(dict(self.plugins))).encode()

    @property
    def refs(self) -> set[str]:
        """The hashes of all artifacts."""
        return {kept.ref for plugin in self.plugins.values() for kept in plugin.artifacts or ()}

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


@runtime_checkable
class HasArtifacts(Protocol):
    """What a stateful plugin adds whose state is more than JSON. Added in 0.1."""

    def snapshot_artifacts(self) -> Sequence[PluginArtifact]:
        """Named bytes of the state; those that stay the same are stored once."""
        ...


class StatefulPlugin(Plugin):
    """A plugin with a state of its own in each session: JSON, changed by `update` alone, and bytes, by `keep_artifact`.

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
        self.artifacts: Mapping[str, bytes] = {}
        self._revision = 0

    def build(self, context: PluginSessionContext) -> Self:
        """A copy for the session, with the initial state."""
        made = copy.copy(self)
        made.state = copy.deepcopy(self.initial)
        made.artifacts = {}
        return made

    def update(self, state: Json) -> None:
        """Replaces the state."""
        self.state = state
        self._revision += 1

    def keep_artifact(self, name: str, data: bytes | None) -> None:
        """Keeps bytes under a name, in place of what was there; None drops them."""
        others = {other: kept for other, kept in self.artifacts.items() if other != name}
        self.artifacts = others if data is None else {**others, name: data}
        self._revision += 1

    def snapshot_revision(self) -> int:
        """How often the state was replaced."""
        return self._revision

    def snapshot(self) -> Json:
        """The state."""
        return self.state

    def snapshot_artifacts(self) -> Sequence[PluginArtifact]:
        """What was kept, by name."""
        return [PluginArtifact(name, data) for name, data in sorted(self.artifacts.items())]

    def restore(self, snapshot: PluginSnapshot) -> None:
        """The stored state, or the initial one."""
        self.artifacts = {artifact.name: artifact.data for artifact in snapshot.artifacts}
        self._revision = snapshot.revision
        self.state = copy.deepcopy(self.initial if snapshot.revision == 0 else snapshot.state)


# What every session begins with.
NO_SNAPSHOT = SessionSnapshot()


class PluginStates:
    """The stateful plugins of one session."""

    def __init__(self, plugins: Sequence[tuple[str, Stateful]] = ()) -> None:
        self._plugins = list(plugins)
        # What the session was restored from: bytes that are there need not be recorded again.
        self._committed = NO_SNAPSHOT

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

    def changed(self, since: dict[str, int]) -> dict[str, KeptPlugin]:
        """Snapshots of the plugins that moved on since, to be recorded. Raises `PluginSnapshotError`.

        Artifacts that are committed are named by their hash alone.
        """
        return {plugin_id: _kept(snapshot, self._committed.data) for plugin_id, snapshot in self._moved(since).items()}

    def onto(self, stored: SessionSnapshot) -> SessionSnapshot:
        """The stored snapshot brought up to date; the same object when nothing changed."""
        moved = self._moved({key: kept.revision for key, kept in stored.plugins.items()})
        if not moved:
            return stored
        data = {sha256_hex(one.data): one.data for snapshot in moved.values() for one in snapshot.artifacts}
        plugins = {**stored.plugins, **{key: _kept(snapshot, data) for key, snapshot in moved.items()}}
        onto = SessionSnapshot(plugins, {**stored.data, **data})
        refs = onto.refs
        return SessionSnapshot(plugins, {ref: body for ref, body in onto.data.items() if ref in refs})

    def restore(self, stored: SessionSnapshot) -> None:
        """Restores every plugin, one without an entry from an empty snapshot. Raises `PluginSnapshotError`."""
        self._committed = stored
        for plugin_id, plugin in self._plugins:
            self._restore(plugin_id, plugin, stored.plugins.get(plugin_id, KeptPlugin()))

    def follow(self, recorded: dict[str, KeptPlugin]) -> None:
        """Takes over what a recorded effect remembers, where it is newer than what is here."""
        for plugin_id, plugin in self._plugins:
            kept = recorded.get(plugin_id)
            if kept is not None and kept.revision > plugin.snapshot_revision():
                self._restore(plugin_id, plugin, kept)

    def _moved(self, since: dict[str, int]) -> dict[str, PluginSnapshot]:
        moved: dict[str, PluginSnapshot] = {}
        for plugin_id, plugin in self._plugins:
            try:
                revision = plugin.snapshot_revision()
                if revision != since.get(plugin_id, 0):
                    moved[plugin_id] = _snapshot(plugin, revision)
            except Exception as error:
                raise _failed(plugin_id, "cannot be stored", error) from error
        return moved

    def _restore(self, plugin_id: str, plugin: Stateful, kept: KeptPlugin) -> None:
        try:
            artifacts = [
                PluginArtifact(
                    one.name, self._committed.data[one.ref] if one.data is None else base64.b64decode(one.data)
                )
                for one in kept.artifacts or ()
            ]
            plugin.restore(PluginSnapshot(kept.version, kept.revision, kept.state, artifacts))
        except Exception as error:
            raise _failed(plugin_id, f"cannot be restored from revision {kept.revision}", error) from error


def _snapshot(plugin: Stateful, revision: int) -> PluginSnapshot:
    version: object = getattr(plugin, "version", "1")
    if not isinstance(version, str) or type(revision) is not int:
        raise ValueError(f"version {version!r} is a text, revision {revision!r} a whole number")
    state = copy.deepcopy(plugin.snapshot())
    canonical_json_bytes(state)  # here, where it is the plugin's failure and nobody else's
    return PluginSnapshot(version, revision, state, _artifacts(plugin))


def _artifacts(plugin: Stateful) -> list[PluginArtifact]:
    if not isinstance(plugin, HasArtifacts):
        return []
    artifacts = list(plugin.snapshot_artifacts())
    names = [artifact.name for artifact in artifacts]
    if len(set(names)) < len(names) or not all(is_name(name) for name in names):
        raise ValueError(f"artifacts {names} need a name each, and each another one")
    if wrong := [one.name for one in artifacts if not isinstance(one.data, bytes)]:
        raise ValueError(f"artifact {wrong[0]!r} is not bytes")
    return artifacts


def _kept(snapshot: PluginSnapshot, known: Mapping[str, bytes]) -> KeptPlugin:
    artifacts: list[KeptArtifact] = []
    for one in snapshot.artifacts:
        ref = sha256_hex(one.data)
        artifacts.append(KeptArtifact(one.name, ref, None if ref in known else base64.b64encode(one.data).decode()))
    return KeptPlugin(snapshot.version, snapshot.revision, snapshot.state, artifacts or None)


def _failed(plugin_id: str, what: str, error: Exception) -> PluginError:
    return PluginSnapshotError(f"plugin {plugin_id!r}: its state {what}: {type(error).__name__}: {error}")
