"""Who registered something: the originator of every process that it starts (docs/spec/durability.md §4.1)."""

from __future__ import annotations

from typing import TypeAlias

from lash.processes.scopes import HostOriginator, ProcessOriginator, SessionOriginator, SessionScope

Registrant: TypeAlias = ProcessOriginator


def session_of(registrant: Registrant) -> str | None:
    """The session whose deletion takes the registration along; None for the host's."""
    return registrant.scope.session_id if isinstance(registrant, SessionOriginator) else None


def session_registrant(session_id: str, agent_frame_id: str | None = None) -> SessionOriginator:
    """The registrant of a session."""
    return SessionOriginator(SessionScope(session_id, agent_frame_id))


__all__ = ["HostOriginator", "Registrant", "SessionOriginator", "SessionScope", "session_of", "session_registrant"]
