"""Who registered something: the host application, or a session (docs/spec/durability.md §4.1).

The JSON form is that of a process originator, so that what a trigger starts carries
its registrant as it is stored here.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec


class SessionScope(msgspec.Struct, frozen=True):
    """A session, or one agent frame of it."""

    session_id: str
    agent_frame_id: str | None = None

    @property
    def id(self) -> str:
        """`session:{s}`, or `session:{s}/frame:{f}`."""
        frame = f"/frame:{self.agent_frame_id}" if self.agent_frame_id else ""
        return f"session:{self.session_id}{frame}"


class HostOriginator(msgspec.Struct, frozen=True, tag="host", tag_field="type"):
    """The host application; `scope` tells parts of it apart."""

    scope: str | None = None

    @property
    def scope_id(self) -> str:
        """`host`, or `host:{scope}`."""
        return "host" if self.scope is None else f"host:{self.scope}"


class SessionOriginator(msgspec.Struct, frozen=True, tag="session", tag_field="type"):
    """A session."""

    scope: SessionScope

    @property
    def scope_id(self) -> str:
        """The id of the session scope."""
        return self.scope.id


Registrant: TypeAlias = HostOriginator | SessionOriginator


def session_of(registrant: Registrant) -> str | None:
    """The session whose deletion takes the registration along; None for the host's."""
    return registrant.scope.session_id if isinstance(registrant, SessionOriginator) else None


def session_registrant(session_id: str, agent_frame_id: str | None = None) -> SessionOriginator:
    """The registrant of a session."""
    return SessionOriginator(SessionScope(session_id, agent_frame_id))
