"""The durable part of a session's tool set: which tools, at which generation."""

from __future__ import annotations

import msgspec

from lash.base.json import JsonObject


class ToolStateEntry(msgspec.Struct, frozen=True):
    """One tool as the session last knew it. An orphan's source is gone."""

    manifest: JsonObject
    source: str
    orphaned: bool = False


class ToolState(msgspec.Struct, frozen=True):
    """Entries by tool id. Every change raises the generation."""

    generation: int = 0
    entries: dict[str, ToolStateEntry] = {}
