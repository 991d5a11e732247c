"""Who a session is, apart from what was said in it."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from lash.base.causes import CausalRef


class RootSession(msgspec.Struct, frozen=True, tag="root", tag_field="type"):
    """A session of its own."""


class ChildSession(msgspec.Struct, frozen=True, tag="child", tag_field="type"):
    """A session that another one created."""

    parent_session_id: str
    caused_by: CausalRef | None = None


class ForkedSession(msgspec.Struct, frozen=True, tag="fork", tag_field="type"):
    """A copy of another session up to one node (None: of an empty session), which then went its own way."""

    source_session_id: str
    node_id: str | None = None


SessionRelation: TypeAlias = RootSession | ChildSession | ForkedSession


class SessionMeta(msgspec.Struct, frozen=True):
    """Descriptive facts; `created_at` is RFC 3339."""

    session_id: str
    session_name: str
    created_at: str
    model: str
    cwd: str | None = None
    relation: SessionRelation = RootSession()


class SessionListing(msgspec.Struct, frozen=True):
    """One line of a list of sessions."""

    session_id: str
    head_revision: int
    turn_index: int
    updated_at_ms: int
    meta: SessionMeta | None = None
