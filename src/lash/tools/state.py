"""The durable part of a session's tool set: which tools, at which generation.

The state is stored with every checkpoint that changes it. Restoring it under other
sources keeps tools whose source is gone as orphans, so that a session whose plugin
is missing for a day finds its tools as it left them (docs/spec/runtime.md §6.7).
"""

from __future__ import annotations

from collections import OrderedDict
from functools import cached_property, lru_cache
from typing import Final, cast
from weakref import WeakKeyDictionary

import msgspec

from lash.base.arguments import check_one_of
from lash.base.codec import decode, encode, struct_to_json
from lash.base.json import JsonObject
from lash.tools.catalog import ToolCatalog
from lash.tools.definition import Availability
from lash.tools.errors import ToolStateConflict, UnknownTool


class ToolStateEntry(msgspec.Struct, frozen=True):
    """One tool as the session last knew it. An orphan's source is gone."""

    manifest: JsonObject
    source: str
    orphaned: bool = False


class ToolState(msgspec.Struct, frozen=True, dict=True):
    """Entries by tool id. Every change raises the generation. Sessions share equal states: change a `copy`."""

    generation: int = 0
    entries: dict[str, ToolStateEntry] = {}

    @staticmethod
    @lru_cache(maxsize=64)
    def of_body(body: bytes) -> ToolState:
        """The state of stored bytes; few are in use at a time. Raises `DecodeError`."""
        return decode(body, ToolState)

    @cached_property
    def body(self) -> bytes:
        """The state as it is stored."""
        return encode(self).encode()

    def copy(self) -> ToolState:
        """An equal state that nobody else holds."""
        return decode(self.body, ToolState)


# What a session begins with: one object, so that new sessions of a core share what it becomes.
NO_TOOL_STATE: Final = ToolState()


def rebind(stored: ToolState, catalog: ToolCatalog) -> ToolState:
    """The stored state under today's sources; the same object, and generation, when nothing changed.

    A tool that a source offers is taken from the source, with the session's override
    kept; one that no source offers stays as an orphan.
    """
    known = _bindings.setdefault(catalog, OrderedDict())
    if id(stored) in known:
        return known[id(stored)][1]
    bound = _bound(stored, catalog)
    known[id(stored)] = (stored, bound)
    if len(known) > _MAX_BINDINGS:
        known.popitem(last=False)
    return bound


# New sessions of a core begin with the same state under the same catalog. Keyed by identity, and each state
# is kept beside its id so that this stays its own.
_bindings: WeakKeyDictionary[ToolCatalog, OrderedDict[int, tuple[ToolState, ToolState]]] = WeakKeyDictionary()
_MAX_BINDINGS: Final = 64


def _bound(stored: ToolState, catalog: ToolCatalog) -> ToolState:
    entries: dict[str, ToolStateEntry] = {}
    for entry in catalog.entries:
        manifest = struct_to_json(entry.manifest)
        before = stored.entries.get(entry.manifest.id)
        if before is not None and "availability_override" in before.manifest:
            manifest["availability_override"] = before.manifest["availability_override"]
        entries[entry.manifest.id] = ToolStateEntry(manifest, entry.source.id)
    for tool_id, before in stored.entries.items():
        if tool_id not in entries:
            entries[tool_id] = msgspec.structs.replace(before, orphaned=True)
    if entries == stored.entries:
        return stored
    return ToolState(stored.generation + 1, entries)


def apply_edit(current: ToolState, edited: ToolState) -> ToolState:
    """The edited state in force, one generation on. Raises `ToolStateConflict` when it was edited from an older one."""
    if edited.generation != current.generation:
        raise ToolStateConflict(current.generation, edited.generation)
    return ToolState(current.generation + 1, edited.entries)


def overrides(state: ToolState) -> dict[str, Availability]:
    """Availability by tool id: what the session set, and `off` for orphans. For `ToolCatalog.with_availability`."""
    found: dict[str, Availability] = {}
    for tool_id, entry in state.entries.items():
        if entry.orphaned:
            found[tool_id] = "off"
        elif "availability_override" in entry.manifest:
            found[tool_id] = cast("Availability", entry.manifest["availability_override"])
    return found


def overridden(state: ToolState, tool: str, availability: Availability | None) -> ToolState:
    """The state with an override of a tool, by name or id; None takes it back. Raises `UnknownTool`."""
    for tool_id, entry in state.entries.items():
        if tool not in (tool_id, entry.manifest.get("name")):
            continue
        manifest = {key: value for key, value in entry.manifest.items() if key != "availability_override"}
        if availability is not None:
            check_one_of("availability", availability, Availability)
            manifest["availability_override"] = availability
        elif "availability_override" in entry.manifest and entry.manifest["availability_override"] is None:
            manifest["availability_override"] = None
        edited = msgspec.structs.replace(entry, manifest=manifest)
        return ToolState(state.generation, {**state.entries, tool_id: edited})
    raise UnknownTool([tool], sorted(str(entry.manifest.get("name")) for entry in state.entries.values()))
